"""A whole tariff file: what its tables say, and every problem at its own line."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pricing import Meter, Tariff, TariffBook, TariffError
from pricing.sheet.reader import Sheet, decode, read, read_calendars
from pricing.usage import TOKEN_METERS

HEAD = 'provider = "acme"\nsource = "https://acme.example"\nchecked = 2026-11-20\n'
PRICE = "usd_per_mtok = { input = 1 }\n"


def sheet(text: str, head: str = HEAD) -> Sheet:
    document, _ = decode("a.toml", head + text)
    return read("a.toml", head + text, document, {})


def only_tariff(text: str, head: str = HEAD) -> Tariff:
    found = sheet(f"[[tariff]]\n{text}", head)
    assert found.problems == []
    [tariff] = found.tariffs
    return tariff


def problems(text: str, head: str = HEAD) -> list[str]:
    return [f"{problem.line}: {problem.message}" for problem in sheet(text, head).problems]


def refusals(text: str) -> list[str]:
    """What is wrong with a book of one file, by line."""
    with pytest.raises(TariffError) as refused:
        TariffBook.parse({"a.toml": HEAD + text})
    return [f"{problem.line}: {problem.message}" for problem in refused.value.problems]


def test_a_tariff_with_everything() -> None:
    """Each key is read, and prices stated for conditions come before the tariff's own."""
    tariff = only_tariff(
        'names = ["m", "n"]\nfrom = 2026-01-01T00:00:00Z\nuntil = 2026-12-01T00:00:00Z\n'
        'source = "https://other.example"\nchecked = 2026-10-01\nvia = "set"\nnote = "x"\n'
        "by_completion = true\nminimum_usd = 0.01\n"
        'same_price = { region = ["eu"] }\n'
        'rates = [{ when = { service_tier = "flex" }, usd_per_mtok = { input = 2 } }]\n'
        'factors = [{ name = "f", factor = 0.5, apply = "output*" }]\n' + PRICE
    )
    assert (tariff.provider, tariff.names) == ("acme", ("m", "n"))
    assert tariff.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert tariff.end == datetime(2026, 12, 1, tzinfo=UTC)
    assert (tariff.source, tariff.checked) == ("https://other.example", date(2026, 10, 1))
    assert (tariff.via, tariff.by_completion) == ("set", True)
    assert tariff.minimum_usd == Decimal("0.01")
    assert tariff.same_price == {"region": {"eu"}}
    assert [rule.prices[Meter.INPUT][0] for rule in tariff.rules] == [2, 1]
    assert [rule.id for rule in tariff.rules] == ["a.toml:15", "a.toml:4"]
    [factor] = tariff.factors
    assert factor.apply == {m for m in Meter if m.value.startswith("output")}
    assert (tariff.file, tariff.line) == ("a.toml", 4)


def test_what_the_head_says_is_for_all_tariffs() -> None:
    """Source, date, set and terms of the same price; a tariff's own stand before them."""
    head = HEAD + 'via = "set"\nsame_price = { region = ["eu"], size = ["1"] }\n'
    plain = only_tariff('names = ["m"]\n' + PRICE, head)
    assert (plain.source, plain.checked) == ("https://acme.example", date(2026, 11, 20))
    assert plain.via == "set"
    assert plain.same_price == {"region": frozenset({"eu"}), "size": frozenset({"1"})}
    own = only_tariff('names = ["m"]\nvia = "x"\nsame_price = { region = ["us"] }\n' + PRICE, head)
    assert own.via == "x"
    assert own.same_price == {"region": frozenset({"us"}), "size": frozenset({"1"})}


def test_what_nobody_says() -> None:
    """No period, no set, no least charge, by the start of a call, factors on tokens."""
    tariff = only_tariff('names = ["m"]\nfactors = [{ name = "f", factor = 2 }]\n' + PRICE)
    assert (tariff.start, tariff.end, tariff.via, tariff.minimum_usd) == (None, None, "", None)
    assert (tariff.by_completion, tariff.same_price) == (False, {})
    assert tariff.factors[0].apply == TOKEN_METERS
    assert (tariff.factors[0].when, tariff.factors[0].models) == (frozenset(), ())
    [rule] = tariff.rules
    assert (rule.when, rule.unpriced, rule.currency, rule.models) == (
        frozenset(),
        frozenset(),
        "USD",
        (),
    )
    assert (rule.ladder, rule.minimum, rule.round_up) == (None, None, None)


def test_a_tariff_may_only_say_what_has_no_price() -> None:
    """That is a rule too, and its currency is dollars."""
    tariff = only_tariff('names = ["m"]\nunpriced = ["input", "output.*"]\n')
    [rule] = tariff.rules
    assert rule.unpriced == {Meter.INPUT, *(m for m in Meter if m.value.startswith("output."))}
    assert (rule.prices, rule.currency) == ({}, "USD")


def test_several_units_and_other_currencies() -> None:
    """All prices of one rule are in one currency, by whatever unit."""
    [rule] = only_tariff(
        'names = ["m"]\ncny_per_mtok = { input = 1 }\ncny_each = { images = 2 }\n'
    ).rules
    assert rule.currency == "CNY"
    assert rule.prices == {Meter.INPUT: (Decimal(1),), Meter.IMAGES: (Decimal(2),)}
    assert rule.per == {Meter.INPUT: 1_000_000, Meter.IMAGES: 1}


def test_steps_minimum_and_blocks() -> None:
    """They belong to a rule of one unit."""
    [rule] = only_tariff(
        'names = ["m"]\nminimum = 2\nround_up = 3\n'
        'volume = { counter = "c", mode = "marginal", steps = [0, 9] }\n'
        "usd_per_mtok = { input = [2, 1] }\n"
    ).rules
    assert (rule.minimum, rule.round_up) == (Decimal(2), Decimal(3))
    assert rule.ladder is not None
    assert rule.ladder.counter == "c"


@pytest.mark.parametrize(
    ("dates", "applies"),
    [
        ("", True),
        ("announced = 2026-01-01", False),
        ("announced = 2026-01-01\nconfirmed = 2026-02-01", True),
        ("confirmed = 2026-02-01", True),
        ("from = 2026-11-20T23:59:59Z", True),  # on the day that it was checked
        ("from = 2027-01-01T00:00:00Z\nannounced = 2026-01-01\nconfirmed = 2026-02-01", True),
    ],
)
def test_what_was_announced_waits_for_confirmation(dates: str, applies: bool) -> None:
    """Without a problem, and without a price."""
    found = sheet(f'[[tariff]]\nnames = ["m"]\n{dates}\n{PRICE}')
    assert found.problems == []
    assert bool(found.tariffs) is applies


def test_what_all_models_of_a_provider_share() -> None:
    """Rates, factors and rates of exchange outside of any tariff; who is believed."""
    found = sheet(
        '[[rates]]\nmodels = "a-?"\nsource = "s"\nusd_each = { images = 1 }\n'
        '[[factors]]\nname = "f"\nfactor = 2\nwhen = { region = "eu" }\nmodels = ["b"]\n'
        '[[currencies]]\ncode = "CNY"\nfrom = 2026-01-01T00:00:00Z\nusd = 0.14\n'
        'source = "s"\nchecked = 2026-01-01\n',
        HEAD + 'prefer = "reported"\n',
    )
    assert found.problems == []
    [rule], [factor], [currency] = found.rules, found.factors, found.currencies
    assert (rule.models, rule.source, rule.id) == (("a-?",), "s", "a.toml:5")
    assert (factor.name, factor.factor, factor.models) == ("f", Decimal(2), ("b",))
    assert len(factor.when) == 1
    assert (currency.code, currency.usd) == ("CNY", Decimal("0.14"))
    assert (found.provider, found.prefer_reported) == ("acme", True)


def test_who_is_believed() -> None:
    """The provider's figure, ours, or nothing said."""
    assert sheet("", HEAD + 'prefer = "computed"\n').prefer_reported is False
    assert sheet("").prefer_reported is None
    assert problems("", HEAD + 'prefer = "both"\n') == [
        '4: prefer: expected "reported" or "computed"'
    ]


def test_a_file_may_hold_only_calendars() -> None:
    """It belongs to no provider then."""
    text = (
        "[calendars.XX]\ncovers = [2026-01-01, 2026-12-31]\ndays = [2026-05-01]\n"
        'source = "s"\nchecked = 2026-01-01\n[calendars.YY]\ndays = 5\n'
    )
    document, wrong = decode("c.toml", text)
    found, more = read_calendars("c.toml", text, document)
    assert wrong == []
    assert list(found) == ["XX"]
    assert [str(problem) for problem in more] == [
        "c.toml:6: calendar YY: expected exactly covers, days, source and checked"
    ]
    assert problems(text, head="") == []
    assert problems("[[factors]]\nname = 'x'\nfactor = 1\n", head="") == ["1: provider is missing"]


def test_numbers_are_exact() -> None:
    """No binary fraction comes between the file and the price."""
    [rule] = only_tariff('names = ["m"]\nusd_per_mtok = { input = 0.1 }').rules
    assert rule.prices[Meter.INPUT] == (Decimal("0.1"),)


@pytest.mark.parametrize(("text", "line"), [("a = 1\nb = ?\nc = 2", 2), ("a = ?", 1), ("a =", 1)])
def test_a_file_that_is_no_toml(text: str, line: int) -> None:
    """One problem, at the line that the decoder names."""
    document, [problem] = decode("a.toml", text)
    assert (document, problem.file, problem.line) == ({}, "a.toml", line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colour = 1\n", ["4: unknown key 'colour'"]),
        ("[tariff]\nnames = 'm'\n", ["4: tariff must be a list of tables"]),
        ("tariff = [1]\n", ["4: tariff must be a list of tables"]),
        ("schedules = 5\n", ["4: expected tables [schedules.NAME]"]),
        (
            "[schedules.s]\nhours = 'x'\n",
            ["4: schedule s: hours: expected a span such as 09:00-12:00, found 'x'"],
        ),
        ("[[factors]]\nname = 'x'\n", ["4: factor is missing"]),
        ("[[factors]]\nfactor = 1\n", ["4: name is missing"]),
        ("[[factors]]\nname = 'x'\nfactor = 1\ncolour = 1\n", ["7: unknown key 'colour'"]),
        ("[[rates]]\nusd_each = { images = 1 }\nnames = 'x'\n", ["6: unknown key 'names'"]),
        ("[[rates]]\nmodels = 'x'\n", ["4: this rule states no price"]),
        (
            "[[currencies]]\ncode = 'CNY'\n",
            [
                "4: source is missing",
                "4: checked is missing",
                "4: from is missing",
                "4: usd is missing",
            ],
        ),
        (
            "[[currencies]]\nfrom = 2026-01-01T00:00:00Z\nusd = 0\nsource = 's'\n"
            "checked = 2026-01-01\n",
            ["6: usd: expected a number above 0", "4: code is missing"],
        ),
    ],
)
def test_problems_of_a_file(text: str, expected: list[str]) -> None:
    """Each with its line: the first that holds the key, else the first of the table."""
    assert problems(text) == expected
    found = sheet(text)
    assert (found.rules, found.factors, found.currencies, found.tariffs) == ([], [], [], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models = 'x'\n" + PRICE, "6: unknown key 'models'"),
        ("rates = 5\n" + PRICE, "6: rates must be a list of tables"),
        ("rates = [{ usd_each = { images = 1 }, models = 'x' }]\n", "6: unknown key 'models'"),
        (
            "usd_each = { images = [1, 2] }\n",
            "6: images: expected one price, found 2",
        ),
        (
            'volume = { counter = "c", mode = "marginal", steps = [0, 9] }\n'
            "usd_each = { images = 1 }\n",
            "7: images: expected 2 prices, one for each step, found 1",
        ),
        (
            "round_up = 5\nusd_each = { images = 1 }\nusd_per_mtok = { input = 1 }\n",
            "4: a rule with minimum, round_up or volume must use exactly one unit",
        ),
        (
            "minimum = 5\nunpriced = 'input'\n",
            "4: a rule with minimum, round_up or volume must use exactly one unit",
        ),
        (
            "usd_each = { images = 1 }\ncny_per_mtok = { input = 1 }\n",
            "7: a rule may only use one currency",
        ),
        ("minimum = 0\n" + PRICE, "6: minimum: expected a number above 0"),
        ("unpriced = 'inptu'\n", "6: unpriced: unknown meter 'inptu'"),
        ("same_price = { colour = 1 }\n" + PRICE, "6: same_price: unknown term 'colour'"),
        (
            "from = 2026-01-02T00:00:00Z\nuntil = 2026-01-01T00:00:00Z\n" + PRICE,
            "7: until must be later than from",
        ),
        (
            "from = 2026-01-01T00:00:00Z\nuntil = 2026-01-01T00:00:00Z\n" + PRICE,
            "7: until must be later than from",
        ),
        (
            "from = 2026-11-21T00:00:00Z\n" + PRICE,
            "6: from is later than checked; state the date it was announced",
        ),
    ],
)
def test_problems_of_a_tariff(text: str, expected: str) -> None:
    """Each with its line; a tariff with one is not used."""
    found = sheet(f'[[tariff]]\nnames = ["m"]\n{text}')
    assert f"{found.problems[0].line}: {found.problems[0].message}" == expected
    assert found.tariffs == []


def test_who_said_it_and_when() -> None:
    """At the top of the file or in the tariff: both are needed."""
    missing = "source or checked is missing; state both here or at the top of the file"
    tariff = f'[[tariff]]\nnames = ["m"]\n{PRICE}'
    for head, here, expected in [
        ('provider = "acme"\n', "", [f"2: {missing}"]),
        ('provider = "acme"\nsource = "s"\n', "", [f"3: {missing}"]),
        ('provider = "acme"\nchecked = 2026-01-01\n', "", [f"3: {missing}"]),
        ('provider = "acme"\nchecked = 2026-01-01\n', 'source = "s"\n', []),
        ('provider = "acme"\n', 'source = "s"\nchecked = 2026-01-01\n', []),
    ]:
        assert problems(tariff + here, head) == expected


@pytest.mark.parametrize("name", ["gpt-5*", "*-mini", "a:*b", "**"])
def test_loose_stars(name: str) -> None:
    """A star that a sibling's name could fill is refused; after : @ or / it stands for a suffix."""
    text = '[[tariff]]\nnames = ["NAME"]\n' + PRICE
    assert "a * must stand alone, or at the end" in problems(text.replace("NAME", name))[0]
    for good in ("*", "a:*", "a@*", "a/*", "a-?"):
        assert problems(text.replace("NAME", good)) == []


def period(name: str, start: str = "", end: str = "") -> str:
    lines = [f"from = {start}T00:00:00Z"] if start else []
    lines += [f"until = {end}T00:00:00Z"] if end else []
    return f'[[tariff]]\nnames = ["{name}"]\n' + "\n".join([*lines, PRICE])


def test_periods_that_meet() -> None:
    """One that ends where the next begins, in whatever order they stand, and other names apart."""
    text = (
        period("m", "2026-03-01")
        + period("m", "", "2026-02-01")
        + period("m", "2026-02-01", "2026-03-01")
        + period("k")
    )
    assert len(TariffBook.parse({"a.toml": HEAD + text}).tariffs) == 4


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (("", "2026-02-01"), ("2026-01-31", ""), "overlaps the period at a.toml:4"),
        (
            ("", "2026-02-01"),
            ("2026-02-02", ""),
            "has no price between the period at a.toml:4 and this",
        ),
        (("2026-01-01", ""), ("2026-01-01", ""), "overlaps the period at a.toml:4"),
        (("", ""), ("", ""), "overlaps the period at a.toml:4"),
        (
            ("2026-01-01", "2026-02-01"),
            ("2026-01-01", "2026-03-01"),
            "overlaps the period at a.toml:4",
        ),
    ],
)
def test_periods_that_do_not_meet(
    first: tuple[str, str], second: tuple[str, str], problem: str
) -> None:
    """Two prices for one time, or a time without one, are a problem of the later period."""
    text = period("m", *first) + period("m", *second)
    line = 4 + period("m", *first).count("\n")
    assert refusals(text) == [f"{line}: 'm' {problem}"]


def rates(*tables: str) -> str:
    listed = "".join(f"  {{ {table} }},\n" for table in tables)
    return f'[[tariff]]\nnames = ["m"]\nrates = [\n{listed}]\n'


LONG, LONGER = "when = { prompt_tokens = { gt = 5 } }", "when = { prompt_tokens = { gt = 9 } }"
FLEX = 'when = { service_tier = "flex" }'
FLEX_LONG = 'when = { service_tier = "flex", prompt_tokens = { gt = 5 } }'
IN, OUT = "usd_per_mtok = { input = 1 }", "usd_per_mtok = { output = 1 }"
IN_OUT = "usd_per_mtok = { input = 1, output = 1 }"


@pytest.mark.parametrize(
    "tables",
    [
        (f"{LONGER}, {IN}", f"{LONG}, {IN}", IN),
        (f"{LONG}, {IN}", f"{FLEX}, {IN}", IN),
        (f"{LONG}, {IN_OUT}", IN_OUT),
        (f"{LONGER}, {IN_OUT}", f"{LONG}, {IN}", IN),
        (f"{LONG}, {IN}, unpriced = ['output']", IN_OUT),
        (f"{FLEX}, {IN}", IN_OUT),  # no tier by size
        (f"{LONG}, {IN}", "usd_per_mtok = { input = 1 }, usd_each = { images = 1 }"),
        (f"{FLEX_LONG}, {IN}", f"{FLEX}, {IN}", IN),
        (f"{LONG}, {IN}", f"{FLEX}, {IN_OUT}", IN),
        ("when = { at = { ge = 2026-01-01T00:00:00Z } }, " + IN, IN_OUT),
    ],
)
def test_rules_that_can_all_be_reached(tables: tuple[str, ...]) -> None:
    """Narrower ones first; a tier by size prices what its base does, in its own units."""
    assert TariffBook.parse({"a.toml": HEAD + rates(*tables)}).tariffs


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (
            (f"{LONG}, {IN}", f"{LONGER}, {IN}"),
            "8: the rate of input never applies: a.toml:7 comes first",
        ),
        ((IN_OUT, f"{FLEX}, {OUT}"), "8: the rate of output never applies: a.toml:7 comes first"),
        (
            (f"{FLEX}, unpriced = ['input', 'output']", f"{FLEX}, {IN_OUT}"),
            "8: the rate of input never applies: a.toml:7 comes first",
        ),
        (
            (f"{FLEX}, {IN_OUT}", f"{FLEX}, unpriced = ['output']"),
            "8: the rate of output never applies: a.toml:7 comes first",
        ),
        (
            (f"{LONG}, {IN}", IN_OUT),
            "7: this tier has no rate for output; add it, or list it under unpriced",
        ),
        (
            (f"{FLEX_LONG}, {IN}", f"{FLEX}, {IN_OUT}"),
            "7: this tier has no rate for output; add it, or list it under unpriced",
        ),
        (
            (f"{LONG}, {IN}", "usd_per_mtok = { input = 1, cache_read = 1, output = 1 }"),
            "7: this tier has no rate for cache_read, output; add it, or list it under unpriced",
        ),
    ],
)
def test_rules_that_hide_or_leave_out(tables: tuple[str, ...], expected: str) -> None:
    """A price that no call reaches, and a tier in which a meter has none, are mistakes."""
    assert refusals(rates(*tables)) == [expected]


def shared(models: str) -> str:
    listed = f"models = {models}\n" if models else ""
    return f"[[rates]]\n{listed}usd_each = {{ images = 1 }}\n"


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        ("", "", True),
        ("", '["a"]', True),
        ('["a"]', "", False),
        ('["a", "b"]', '["a"]', True),
        ('["a"]', '["a"]', True),
        ('["a"]', '["a", "b"]', False),
        ('["a"]', '["b"]', False),
    ],
)
def test_shared_rules_hide_only_those_of_their_models(
    first: str, second: str, hidden: bool
) -> None:
    """A rule for some models hides one for no others; one for all hides every later one."""
    text = shared(first) + shared(second)
    if hidden:
        assert "the rate of images never applies: a.toml:4 comes first" in refusals(text)[0]
    else:
        assert TariffBook.parse({"a.toml": HEAD + text})


def test_problems_are_sorted_and_said_once() -> None:
    """By file, line and text."""
    text = "colour = 1\n[[tariff]]\nnames = ['m', 'k']\nusd_each = 1\n"
    with pytest.raises(TariffError) as refused:
        TariffBook.parse({"b.toml": HEAD + "colour = 1\n", "a.toml": HEAD + text})
    assert str(refused.value).splitlines() == [
        "a.toml:4: unknown key 'colour'",
        "a.toml:7: usd_each: expected a table, found 1",
        "b.toml:4: unknown key 'colour'",
    ]


def test_the_rules_of_inner_tables_know_their_lines() -> None:
    """Problems inside an item of an array are at its own line, not at that of one like it."""
    text = (
        '[[tariff]]\nnames = ["m"]\nrates = [\n'
        "  { when = { size = '1' }, usd_each = { images = 1 } },\n"
        "  { when = { size = '2' }, usd_each = { imagse = 1 } },\n\n"
        "  { when = { size = '3' }, usd_each = { imagse = 1 } },\n]\n"
    )
    assert problems(text) == [
        "8: usd_each: unknown meter 'imagse'",
        "10: usd_each: unknown meter 'imagse'",
    ]


def test_a_problem_stays_within_its_own_item() -> None:
    """On any line of it, the last included, and never on one of the item after it."""
    items = (
        '[[tariff]]\nnames = ["m"]\n'
        "[[tariff.rates]]\nwhen = { size = '1' }\nusd_each = { images = 1 }\nmodels = 'x'\n"
        "[[tariff.rates]]\nwhen = { size = '2' }\nusd_each = { images = 1 }\nmodels = 'x'\n"
    )
    assert problems(items)[:2] == ["9: unknown key 'models'", "13: unknown key 'models'"]
    inline = (
        '[[tariff]]\nnames = ["m"]\nrates = [\n'
        "  { when = { size = '1' }, usd_each = { 'image?' = [1, 2] } },\n"
        "  { when = { size = '2' }, usd_each = { images = 1 } },\n]\n"
    )
    assert problems(inline) == ["7: images: expected one price, found 2"]


def test_a_schedule_without_a_header_of_its_own() -> None:
    """The first line of the file stands for it."""
    assert problems("schedules = { s = { hours = 'x' } }\n") == [
        "1: schedule s: hours: expected a span such as 09:00-12:00, found 'x'"
    ]

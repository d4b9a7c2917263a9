"""The tariff book finds the right price or none, and refuses files that could give a wrong one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pricing import Meter, Subcall, TariffBook, TariffError, Usage, price

HEAD = """\
provider = "acme"
source = "https://acme.example/pricing"
checked = 2026-11-20
"""
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def book(text: str, *private: str) -> TariffBook:
    return TariffBook.parse({"a.toml": HEAD + text}, *({"p.toml": HEAD + t} for t in private))


def named(*names: str) -> str:
    """A tariff of each name, told apart by its price: 1, 2, 3 ..."""
    return "".join(
        f'[[tariff]]\nnames = ["{name}"]\nusd_per_mtok = {{ input = {number} }}\n'
        for number, name in enumerate(names, 1)
    )


def input_price(found: TariffBook, model: str, at: datetime = AT) -> int | None:
    subcall = Subcall(provider="acme", model=model, at=at, usage=Usage({Meter.INPUT: 1_000_000}))
    usd = price([subcall], found).usd
    return None if usd is None else int(usd)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-5", 1),
        ("gpt-5-2025-08-07", 2),
        ("gpt-5-2025-12-24", 3),
        ("gpt-5-mini", None),
        ("gpt-5-2025-08-07-mini", None),
        ("ft:gpt-5:acme", 4),
        ("ft:gpt-5-mini:acme", None),
        ("xgpt-5", None),
        ("GPT-5", None),
        ("", None),
    ],
)
def test_find(model: str, expected: int | None) -> None:
    """An exact name first, then the longest pattern; never a part of a name, never a likeness."""
    found = book(
        named("gpt-5", "gpt-5-2025-08-07", "gpt-5-20??-??-??", "ft:gpt-5:*", "gpt-5-????-??-??")
    )
    assert input_price(found, model) == expected


def test_other_providers_are_not_asked() -> None:
    """The same name at another provider is another price, or none."""
    assert book(named("m")).find("other", "m", AT) is None


PERIODS = """
[[tariff]]
names = ["m"]
usd_per_mtok = { input = 1 }
[[tariff]]
names = ["m"]
from = 2026-04-26T12:15:00Z
until = 2026-09-01T00:00:00Z
usd_per_mtok = { input = 2 }
"""


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2020-01-01T00:00:00+00:00", 1),
        ("2026-04-26T12:14:59.999999+00:00", 1),
        ("2026-04-26T12:15:00+00:00", 2),
        ("2026-04-26T14:15:00+02:00", 2),
        ("2026-08-31T23:59:59.999999+00:00", 2),
        ("2026-09-01T00:00:00+00:00", None),
    ],
)
def test_periods_are_half_open_instants(at: str, expected: int | None) -> None:
    """A period holds from its instant on and up to, not at, the next."""
    assert input_price(book(PERIODS), "m", datetime.fromisoformat(at)) == expected


def test_announced_prices_wait_for_confirmation() -> None:
    """A price that was announced is not applied until it is confirmed: it may be cancelled."""
    announced = PERIODS.replace("until = 2026-09-01T00:00:00Z", "announced = 2026-04-01")
    later = datetime(2026, 5, 1, tzinfo=UTC)
    assert input_price(book(announced), "m", later) == 1
    confirmed = announced.replace("announced", "confirmed = 2026-04-20\nannounced")
    assert input_price(book(confirmed), "m", later) == 2


def test_later_layers_win() -> None:
    """A private file is asked first, by name or pattern, the shipped ones where it is silent."""
    found = book(
        named("a", "b"),
        named("x", "y", "a"),
        '[[tariff]]\nnames = ["c*"]'.replace("c*", "*") + "\nusd_per_mtok = { input = 9 }",
    )
    assert [input_price(found, model) for model in ("a", "b", "zzz")] == [9, 9, 9]
    found = book(named("a", "b"), named("x", "y", "a"))
    assert [input_price(found, model) for model in ("a", "b", "zzz")] == [3, 2, None]


def test_version_changes_with_content() -> None:
    """The version that a charge carries is of the contents of the whole book."""
    first, second = book(named("m")), book(named("m") + "# a comment")
    assert first.version == book(named("m")).version != second.version


REFUSALS = [
    ("names = 1", "expected text, found 1"),
    ('names = ["gpt-5*"]', "a * must stand alone, or at the end after :, @ or /"),
    ('names = ["*-mini"]', "a * must stand alone, or at the end after :, @ or /"),
    ("usd_per_mtok = { inptu = 3 }", "unknown meter 'inptu'"),
    ('usd_per_mtok = { "calls.web_search" = 3 }', "after the currency, use per_thousand, each"),
    ("usd_per_thousand = { input = 3 }", "'input' has another unit; after the currency, use"),
    ("usd_per_ktok = { input = 3 }", "unknown unit; after the currency, use per_mtok"),
    ('usd_per_mtok = { input = "3" }', "expected a plain number, found '3'"),
    ("usd_per_mtok = { input = true }", "expected a plain number, found True"),
    ("usd_per_mtok = { input = -3 }", "expected a number of 0 or more, found -3"),
    ("usd_per_mtok = { input = inf }", "expected a number of 0 or more, found Infinity"),
    ("usd_per_mtok = { input = nan }", "expected a number of 0 or more, found NaN"),
    ("usd_per_mtok = { input = 0.123456789012345678901 }", "expected at most 20 digits"),
    ("usd_per_mtok = 3", "expected a table, found 3"),
    ("usd_per_mtok = { input = 1 }\nprice = 3", "unknown key 'price'"),
    ("", "this tariff states no price"),
    ("from = 2026-01-01\nusd_each = { images = 1 }", "expected an instant with a zone"),
    ("from = 2026-01-01T00:00:00\nusd_each = { images = 1 }", "expected an instant with a zone"),
    ("from = 2026-11-21T00:00:00Z\nusd_each = { images = 1 }", "state the date it was announced"),
    (
        "from = 2026-02-01T00:00:00Z\nuntil = 2026-02-01T00:00:00Z\nusd_each = { images = 1 }",
        "until must be later than from",
    ),
    ("rates = [{ when = { colour = 1 }, usd_each = { images = 1 } }]", "unknown term 'colour'"),
    (
        'rates = [{ when = { prompt_tokens = "9" }, usd_each = { images = 1 } }]',
        "prompt_tokens: expected int, found '9'",
    ),
    (
        "rates = [{ when = { prompt_tokens = { above = 9 } }, usd_each = { images = 1 } }]",
        "unknown comparison 'above'; use gt, ge, lt or le",
    ),
    (
        'rates = [{ when = { service_tier = "default" }, usd_each = { images = 1 } }]',
        "service_tier: 'default' means 'standard'; write that",
    ),
    (
        'rates = [{ when = { service_tier = "batch" }, usd_each = { images = 1 } }]',
        'use processing = "batch" for batches',
    ),
    (
        'rates = [{ when = { schedule = "noon" }, usd_each = { images = 1 } }]',
        "unknown schedule 'noon'",
    ),
    ('rates = [{ when = { size = "1" } }]', "this rule states no price"),
    (
        'usd_each = { images = 1 }\nfactors = [{ name = "x", factor = "2" }]',
        "expected a plain number",
    ),
    ("usd_each = { images = 1 }\nfactors = [{ factor = 2 }]", "name is missing"),
    ("usd_each = { images = [1, 2] }", "expected one price, found 2"),
    (
        'volume = { counter = "c", mode = "marginal", steps = [0, 5, 5] }\n'
        "usd_each = { images = [1, 2, 3] }",
        "steps: expected 0 first, then increasing numbers",
    ),
    (
        'volume = { counter = "c", mode = "graduated", steps = [0, 5] }\n'
        "usd_each = { images = [1, 2] }",
        'mode: expected "marginal" or "whole_call"',
    ),
    (
        "minimum = 5\nusd_each = { images = 1 }\nusd_per_mtok = { input = 1 }",
        "must use exactly one unit",
    ),
    (
        "usd_each = { images = 1 }\ncny_per_mtok = { input = 1 }",
        "a rule may only use one currency",
    ),
    ("cny_per_mtok = { input = 1 }", "no [[currencies]] entry for CNY"),
    (
        "usd_per_mtok = { input = 1, output = 2 }\n"
        "rates = [{ when = { prompt_tokens = { gt = 9 } }, usd_per_mtok = { input = 2 } }]",
        "this tier has no rate for output; add it, or list it under unpriced",
    ),
    (
        "rates = [{ usd_each = { images = 1 } },"
        ' { when = { size = "1" }, usd_each = { images = 2 } }]',
        "the rate of images never applies: a.toml:6 comes first",
    ),
    (
        "rates = [{ when = { prompt_tokens = { gt = 5 } }, usd_per_mtok = { input = 1 } },"
        " { when = { prompt_tokens = { gt = 9 } }, usd_per_mtok = { input = 2 } }]",
        "the rate of input never applies",
    ),
]


@pytest.mark.parametrize(("lines", "message"), REFUSALS, ids=[m[:40] for _, m in REFUSALS])
def test_refusal(lines: str, message: str) -> None:
    """What could give a wrong price does not load, and the message names the place."""
    text = lines if lines.startswith("names") else f'names = ["m"]\n{lines}'
    if text.startswith("names = 1") or "*" in text.splitlines()[0]:
        text += "\nusd_per_mtok = { input = 1 }"
    with pytest.raises(TariffError) as refused:
        book(f"[[tariff]]\n{text}\n")
    assert message in str(refused.value)
    assert str(refused.value).startswith("a.toml:")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("", "'m' overlaps the period at a.toml:5"),
        ("from = 2026-02-01T00:00:00Z", "'m' overlaps the period at a.toml:5"),
        ("from = 2026-04-01T00:00:00Z", "'m' has no price between the period at a.toml:5 and this"),
    ],
)
def test_periods_are_disjoint_and_whole(second: str, message: str) -> None:
    """Two prices for one time, and a time without one, are refused."""
    price_line = "usd_per_mtok = { input = 1 }"
    text = (
        f'\n[[tariff]]\nnames = ["m"]\nuntil = 2026-03-01T00:00:00Z\n{price_line}\n'
        f'[[tariff]]\nnames = ["k", "m"]\n{second}\n{price_line}\n'
    )
    with pytest.raises(TariffError) as refused:
        book(text)
    assert message in str(refused.value)


def test_all_problems_at_once_with_their_lines() -> None:
    """One error lists everything, by file and line, inside inline tables too."""
    text = (
        '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 1 }\nrates = [\n'
        "  { when = { prompt_tokens = { gt = 9 } }, usd_per_mtok = { inptu = 1 } },\n"
        "  # a comment with { braces\n"
        "  { when = { colour = 1 }, usd_per_mtok = { input = 1 } },\n]\n"
        '[[tariff]]\nnames = ["k"]\n'
    )
    with pytest.raises(TariffError) as refused:
        TariffBook.parse(
            {"a.toml": HEAD + text, "b.toml": "provider = 3\n[[tariff]]\n", "c.toml": "x ="}
        )
    assert [(p.file, p.line) for p in refused.value.problems] == [
        ("a.toml", 8),
        ("a.toml", 10),
        ("a.toml", 12),
        ("b.toml", 1),
        ("b.toml", 2),
        ("b.toml", 2),
        ("b.toml", 2),
        ("c.toml", 1),
    ]


def test_source_and_checked_are_required() -> None:
    """A price that nobody can look up does not load."""
    with pytest.raises(TariffError, match="source or checked is missing; state both"):
        TariffBook.parse({"a.toml": 'provider = "acme"\n' + named("m")})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("usd_each = { imagse = 1 }", "usd_each: unknown meter 'imagse'"),
        ("usd_each = { images = -1 }", "expected a number of 0 or more"),
        ("usd_per_token = { input = 1 }", "unknown unit"),
        ("price = { input = 1 }", "unknown key 'price'"),
        ("unpriced = ['imagse']", "unpriced: unknown meter 'imagse'"),
        ("unpriced = []", "unpriced: expected at least one entry"),
        ("rates = 1", "rates"),
        ("rates = []", "this tariff states no price"),
        ("rates = [{ usd_each = 1 }]", "usd_each: expected a table"),
        ("rates = [{ price = 1 }]", "unknown key 'price'"),
        ("", "this tariff states no price"),
    ],
)
def test_a_price_that_is_wrong_is_not_missing_too(wrong: str, said: str) -> None:
    """One mistake is one problem."""
    with pytest.raises(TariffError) as refused:
        book(f"[[tariff]]\nnames = ['m']\n{wrong}\n")
    (problem,) = refused.value.problems
    assert said in problem.message


def test_load_reads_directories(tmp_path: Path) -> None:
    """`load` lays directories over the shipped tariffs and names their files in problems."""
    (tmp_path / "mine.toml").write_text(HEAD + named("m"), encoding="utf-8")
    found = TariffBook.load(tmp_path)
    assert found.find("acme", "m", AT) is not None
    assert found.find("openai", "gpt-4o", AT) is not None
    (tmp_path / "mine.toml").write_text(HEAD + "[[tariff]]", encoding="utf-8")
    with pytest.raises(TariffError, match=r"mine\.toml:4: names is missing"):
        TariffBook.load(tmp_path)


def test_model_names_do_not_pile_up() -> None:
    """Callers choose the names, so that what is remembered of them has a limit."""
    found = book(named("m"))
    for number in range(10_000):
        found.find("acme", f"x{number}", AT)
    assert input_price(found, "m") == 1

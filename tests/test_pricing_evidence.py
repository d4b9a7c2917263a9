"""For which days a price is evidence, what a machine's time costs, and prices laid over others."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pricing import Charge, Meter, Status, Subcall, TariffBook, TariffError, Usage, price, quote
from pricing.cause import about, texts
from pricing.charge import lowered
from pricing.condition import AT as INSTANT
from pricing.plan import Access, Plan
from pricing.reason import Reason
from pricing.sheet.layer import Layer
from pricing.sheet.reader import Currency, decode, read
from pricing.terms import Term
from pricing.usage import TermValue
from support.pricing_calls import AT, HEAD, book, call

DAY = date(2026, 11, 20)
MODEL = '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 1 }\n'
MACHINE = '[[tariff]]\nnames = ["m"]\nusd_per_hour = { machine_seconds = 3.6 }\n'
MACHINE += "usd_per_mtok = { input = 0 }\n"


def on(day: int, hour: int = 12, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("keys", "known"),
    [
        ("", None),
        ("from = 2026-11-10T00:00:00Z", date(2026, 11, 10)),
        ("known_from = 2026-11-12", date(2026, 11, 12)),
        ("from = 2026-11-10T00:00:00Z\nknown_from = 2026-11-12", date(2026, 11, 12)),
        ("known_from = 2026-03-05", date(2026, 3, 5)),
        ("from = 2026-02-01T08:00:00Z", date(2026, 2, 1)),
        ("from = 2026-02-01T00:00:00Z\nknown_from = 2026-03-05", date(2026, 3, 5)),
    ],
)
def test_the_first_known_day(keys: str, known: date | None) -> None:
    """`known_from`, else the day of `from`, else any; that day counts, the day before does not."""
    (tariff,) = book(MODEL + keys).tariffs
    assert tariff.first_known == known
    for day in range(9, 15):
        assert tariff.known_at(on(day, 0)) is (known is None or date(2026, 11, day) >= known)
    if known:  # a day is one of UTC
        east = datetime(known.year, known.month, known.day, 5, tzinfo=UTC) - timedelta(hours=6)
        assert not tariff.known_at(east)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "from = 2026-11-10T00:00:00Z\nknown_from = 2026-11-09",
            "known_from must not be earlier than from",
        ),
        (
            "from = 2026-03-01T00:00:00Z\nknown_from = 2026-02-01",
            "known_from must not be earlier than from",
        ),
        ("known_from = 2026-11-21", "known_from must not be later than checked"),
        ('known_from = "2026-11-01"', "known_from"),
        ("known_from = 2026-11-01T00:00:00Z", "known_from"),
        ("from = 2026-11-10T00:00:00Z\nuntil = 2026-11-10T00:00:00Z", "later than from"),
        ("from = 2026-11-21T00:00:00Z", "from is later than checked"),
    ],
)
def test_days_that_cannot_be(keys: str, message: str) -> None:
    """A file whose days contradict each other is refused."""
    with pytest.raises(TariffError, match=message):
        book(MODEL + keys)


@pytest.mark.parametrize(
    "keys",
    [
        "from = 2026-11-10T00:00:00Z\nknown_from = 2026-11-10",
        "known_from = 2026-11-20",
        "from = 2026-11-20T00:00:00Z",
        "known_from = 2026-12-01\nannounced = 2026-11-19\nconfirmed = 2026-11-20",
    ],
)
def test_days_at_their_bounds(keys: str) -> None:
    """A price may be known from the day of `from`, and until the day it was checked."""
    assert len(book(MODEL + keys).tariffs) == 1


def seconds(ended: TermValue | None, count: int = 1) -> Charge:
    terms = {} if ended is None else {Term.COMPLETED_AT: ended}
    calls = [call({Meter.INPUT: 1}, **terms) for _ in range(count)]
    return price(calls, book(MACHINE))


@pytest.mark.parametrize(
    ("took", "usd"), [(timedelta(microseconds=1), "0.000000001"), (timedelta(hours=2), "7.2")]
)
def test_machine_time_to_the_microsecond(took: timedelta, usd: str) -> None:
    """What a call took, by a rate an hour."""
    charge = seconds(AT + took)
    assert sum(line.usd for line in charge.lines if line.meter == Meter.MACHINE_SECONDS) == Decimal(
        usd
    )
    assert Reason.MACHINE_TIME_UNKNOWN not in {cause.reason for cause in charge.reasons}


@pytest.mark.parametrize("ended", [None, AT, AT - timedelta(seconds=1), "soon"])
def test_machine_time_that_is_not_known(ended: TermValue | None) -> None:
    """A call without an end, or with one that is not after its beginning, is not free."""
    charge = seconds(ended)
    assert Reason.MACHINE_TIME_UNKNOWN in {cause.reason for cause in charge.reasons}
    assert charge.status is not Status.EXACT
    assert not [line for line in charge.lines if line.meter == Meter.MACHINE_SECONDS]


def test_machine_time_once_a_call() -> None:
    """However many parts a call has, the machine ran once."""
    charge = seconds(AT + timedelta(seconds=10), count=3)
    assert len([line for line in charge.lines if line.meter == Meter.MACHINE_SECONDS]) == 1


def test_terms_of_any_name() -> None:
    """A term that is not known is reported wherever it comes in the alphabet; the instant never."""
    (tariff,) = book(MODEL).tariffs
    facts: dict[str, TermValue] = {"a": "x", INSTANT: AT, "zz": "y"}
    found = texts(tariff.selection(facts).unknown_terms(facts))
    assert found == ("unknown_term:a=x", "unknown_term:zz=y")


def charged(status: Status) -> Charge:
    return Charge(usd=None, status=status, reasons=(), lines=(), tariff="", reported_usd=None)


@pytest.mark.parametrize(
    ("status", "reasons", "expected"),
    [
        (Status.EXACT, (), Status.EXACT),
        (Status.EXACT, (Reason.UNKNOWN_MODEL,), Status.PARTIAL),
        (Status.UNPRICED, (Reason.UNKNOWN_MODEL,), Status.UNPRICED),
        (Status.UNPRICED, (), Status.UNPRICED),
        (Status.NOT_BILLED, (Reason.UNKNOWN_MODEL,), Status.NOT_BILLED),
    ],
)
def test_lowered(status: Status, reasons: Iterable[Reason], expected: Status) -> None:
    """A charge is never better for more reasons, and what is not billed stays so."""
    assert lowered(charged(status), [about(reason, "x") for reason in reasons]).status is expected


def test_a_reported_cost_beside_lines_or_none() -> None:
    """What a provider states counts where nothing else is known, and only there."""
    usage = {Meter.INPUT: 1_000_000}
    known = price([call(usage)], book(MODEL), reported_usd=Decimal(7))
    assert (known.usd, known.status) == (Decimal(1), Status.EXACT)
    none = price([call({})], book(MODEL), reported_usd=Decimal(7))
    assert (none.usd, none.status) == (Decimal(7), Status.ESTIMATED)
    zero = price([call({})], book(MODEL), reported_usd=Decimal(0))
    assert (zero.usd, zero.status) == (Decimal(0), Status.EXACT)
    unpriced = Subcall(provider="acme", model="other", at=AT, usage=Usage(usage), terms={})
    stated = price([unpriced], book(MODEL), reported_usd=Decimal(0))
    assert (stated.usd, stated.status) == (Decimal(0), Status.ESTIMATED)


OWN = '[[tariff]]\nnames = ["own"]\nusd_per_mtok = { input = 2 }\n'


def test_what_is_laid_over() -> None:
    """The shipped book stays beneath; only what lies over it is one's own."""
    alone, over = book(MODEL), book(MODEL, OWN)
    assert alone.shipped is alone
    assert not alone.names_own("acme", "m")
    assert [over.names_own("acme", name) for name in ("m", "own", "none")] == [False, True, False]
    assert over.shipped.version == alone.version == over.shipped.shipped.version
    assert over.shipped.find("acme", "own", AT) is None
    assert over.shipped.find("acme", "m", AT) == alone.find("acme", "m", AT)
    assert over.version != alone.version
    assert len(over.shipped.version) == len(over.version) == 12
    twice = book(MODEL, OWN, MODEL.replace('"m"', '"third"'))
    assert twice.shipped.version == alone.version
    assert [twice.names_own("acme", name) for name in ("m", "own", "third")] == [False, True, True]
    empty = TariffBook.parse({"acme.toml": HEAD + MODEL}, {})
    assert empty.shipped is empty


def test_plans_are_read_once_and_stay() -> None:
    """The same plans, however often they are asked for."""
    plan = '[[plan]]\nname = "coding"\npaths = ["/coding/"]\nchecked = 2026-11-20\n'
    with_plan = book(f'{MODEL}{plan}source = "https://acme.example/plan"\n')
    assert [plan.name for plan in with_plan.plans] == ["coding"]
    assert with_plan.plans is with_plan.plans


DATED = '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 1 }\nknown_from = 2026-11-12\n'


@pytest.mark.parametrize(("day", "found"), [(11, False), (12, True), (13, True)])
def test_a_quote_needs_a_price_of_that_day(day: int, found: bool) -> None:
    """An earlier one would be a guess; the refusal says from when on prices are known."""
    if found:
        assert quote.models(book(DATED), ["m"], [], on(day)) == [("acme", "m")]
        return
    with pytest.raises(ValueError, match=r"no price at .*; its prices are known from 2026-11-12"):
        quote.models(book(DATED), ["m"], [], on(day))


def test_a_quote_after_the_last_price() -> None:
    """Only a later day is a hint, the next one, and only this model's."""
    ended = (
        '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 2 }\nfrom = 2026-11-15T00:00:00Z\n'
        '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 3 }\nfrom = 2026-11-18T00:00:00Z\n'
        '[[tariff]]\nnames = ["n"]\nusd_per_mtok = { input = 2 }\nfrom = 2026-11-10T00:00:00Z\n'
    )
    with pytest.raises(ValueError, match="known from 2026-11-15"):
        quote.models(book(ended), ["m"], [], on(5))
    with pytest.raises(ValueError, match="known from 2026-11-15"):  # from noon of that day
        quote.models(book(ended.replace("15T00", "15T12")), ["m"], [], on(15, 6))
    past = (
        '[[tariff]]\nnames = ["m"]\nusd_per_mtok = { input = 1 }\n'
        "from = 2026-11-01T00:00:00Z\nuntil = 2026-11-10T00:00:00Z\n"
        '[[tariff]]\nnames = ["n"]\nusd_per_mtok = { input = 2 }\nfrom = 2026-11-15T00:00:00Z\n'
    )
    with pytest.raises(ValueError, match=r"no price at 2026-11-12T12:00Z$"):
        quote.models(book(past), ["m"], [], on(12))


def test_names_like_an_unknown_one() -> None:
    """Of the provider that is named, or of any; without any, where to look."""
    two = TariffBook.parse(
        {
            "acme.toml": HEAD + MODEL.replace('"m"', '"large-2"'),
            "other.toml": HEAD.replace("acme", "other") + MODEL.replace('"m"', '"large-3"'),
            "third.toml": HEAD.replace("acme", "third") + MODEL.replace('"m"', '"vendor/tiny-1"'),
        }
    )
    for name, hint in (
        ("acme/large-4", r"did you mean acme/large-2 or other/large-3\?$"),
        ("other/large-4", r"did you mean other/large-3 or acme/large-2\?$"),
        ("large-4", r"did you mean acme/large-2 or other/large-3\?$"),
        ("vendor/tiny-2", r"did you mean third/vendor/tiny-1\?$"),
        ("vendor/zzzz", "see `taximeter tariffs list`$"),
    ):
        with pytest.raises(ValueError, match=hint):
            quote.models(two, [name], [], AT)


def test_retired_models_are_left_out_from_their_day() -> None:
    """Unless they are asked for, or have a price of one's own."""
    shipped = {
        "a.toml": HEAD.replace('"acme"', '"anthropic"')
        + MODEL.replace('"m"', '"claude-mythos-preview"')
    }
    known, gone = TariffBook.parse(shipped), ("anthropic", "claude-mythos-preview")
    assert quote.models(known, [], ["anthropic"], on(8, month=6)) == [gone]
    assert quote.models(known, [], ["anthropic"], on(9, month=6)) == []
    assert quote.models(known, [], ["anthropic"], on(10, month=6)) == []
    assert quote.models(known, [], ["anthropic"], on(10, month=6), retired=True) == [gone]
    own = TariffBook.parse(shipped, shipped)
    assert gone in quote.models(own, [], ["anthropic"], on(10, month=6))


WAITING = {
    "a.toml": HEAD + MODEL,
    "b.toml": HEAD.replace("acme", "beta").replace("beta.example", "acme.example")
    + MODEL
    + '[[plan]]\nname = "coding"\npaths = ["/c/"]\nchecked = 2026-11-20\nsource = "https://x.y"\n',
}


def waiting() -> Layer:
    layer = Layer(WAITING, checked=True)
    layer.read({})
    return layer


def test_files_wait_until_their_provider_is_asked_for() -> None:
    """Only those that an answer needs are decoded, and all for what is about all."""
    layer = waiting()
    assert layer.decoded == []
    assert layer.providers == {"acme", "beta"}
    assert [sheet.provider for sheet in layer.with_plans()] == ["beta"]
    assert [sheet.provider for sheet in waiting().sheets] == ["acme", "beta"]
    assert list(waiting().with_volume()) == []


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Access(), "provider"),
        (Plan(name="p", provider="a", source="", checked=DAY), "provider"),
        (Currency("EUR", AT, Decimal(1)), "usd"),
    ],
)
def test_what_is_read_is_a_value(value: object, name: str) -> None:
    """Nobody changes it afterwards."""
    with pytest.raises(AttributeError, match=r"immutable|assign"):  # dataclass or struct
        setattr(value, name, "other")


@pytest.mark.parametrize(
    ("provider", "host", "covered"),
    [
        ("acme", "", True),
        ("zebra", "", False),
        ("aaa", "", False),
        ("zebra", "plan.acme.example", True),
    ],
)
def test_a_plan_is_one_of_a_provider(provider: str, host: str, covered: bool) -> None:
    """Or of its own hosts, whatever the provider is called."""
    plan = Plan(
        name="p",
        provider="acme",
        source="",
        checked=DAY,
        paths=("/coding/",),
        hosts=frozenset({"plan.acme.example"}),
    )
    assert plan.covers(Access(provider=provider, host=host, path="/coding/v1")) is covered


def test_currencies_that_begin_alike() -> None:
    """Yuan in Beijing and yuan in Hong Kong are two."""
    prices = "cny_per_mtok = { output = 1 }\ncnh_per_mtok = { input = 1 }\n"
    with pytest.raises(TariffError, match="a rule may only use one currency"):
        book(f'[[tariff]]\nnames = ["m"]\n{prices}')


def test_without_a_check_on_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy without that file decodes everything, and says the same."""
    monkeypatch.setattr("pricing.book.CHECKED", tmp_path / "gone")
    assert [tariff.names for tariff in book(MODEL).tariffs] == [("m",)]


PLAN = '[[plan]]\nname = "p"\nsource = "https://x.y"\nchecked = 2026-11-20\n'


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("", "a plan needs credentials, hosts or paths"),
        ('paths = ["/"]', "expected the beginning of a path"),
        ('paths = ["coding/"]', "expected the beginning of a path"),
        ('paths = ["/*/coding"]', "expected the beginning of a path"),
        ('paths = ["/c/"]\nplan_when = "always"', "expected a list of tables"),
        ('paths = ["/c/"]\nplan_when = []', "expected a list of tables"),
        ('paths = ["/c/"]\nplan_when = [{}]', "an empty condition would always hold"),
        ('paths = ["/c/"]\nplan_when = [{ X-Plan = "a" }]', "the header's name in lower case"),
        ('paths = ["/c/"]\nplan_when = [{ "\u212a" = "a" }]', "the header's name in lower case"),
        ('paths = ["/c/"]\nplan_when = [{ x = "In" }]', "a header's value in lower case"),
        ('paths = ["/c/"]\nplan_when = [{ x = "\u212a" }]', "a header's value in lower case"),
        ('paths = ["/c/"]\nplan_when = [{ x = 5 }]', "a header's value in lower case"),
        ('paths = ["/c/"]\nplan_when = [{ x = [] }]', "expected at least one value"),
    ],
)
def test_a_plan_that_is_wrong_is_none(keys: str, message: str) -> None:
    """It is named with what was expected, and no call comes by it."""
    document, problems = decode("p.toml", HEAD + PLAN + keys)
    assert problems == []
    sheet = read("p.toml", HEAD + PLAN + keys, document, {})
    assert sheet.plans == []
    assert message in sheet.problems[0].message

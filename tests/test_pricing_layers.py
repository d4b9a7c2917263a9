"""How a book finds a price: names and patterns, layers, periods, and what all models share."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pricing import Meter, TariffBook, TariffError
from pricing.book import NAMES_MAX
from support.pricing_calls import AT, HEAD


def model(price: int, *names: str, more: str = "") -> str:
    """A tariff told apart by its price."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"[[tariff]]\nnames = [{listed}]\n{more}\nusd_per_mtok = {{ input = {price} }}\n"


def book(*layers: str) -> TariffBook:
    return TariffBook.parse(*({f"{n}.toml": HEAD + text} for n, text in enumerate(layers)))


def figure(found: TariffBook, name: str, at: datetime = AT) -> int | None:
    tariff = found.find("acme", name, at)
    return None if tariff is None else int(tariff.rules[0].prices[Meter.INPUT][0])


def test_the_longest_pattern_wins_and_ties_go_by_the_alphabet() -> None:
    """Whatever the order of the file."""
    found = book(model(1, "*") + model(2, "a:??:*") + model(3, "a:*") + model(4, "a:[xy]?:*"))
    assert [figure(found, name) for name in ("b", "a:1", "a:12:z")] == [1, 3, 2]
    tied = book(model(1, "a?c") + model(2, "ab?"))
    assert figure(tied, "abc") == 1


@pytest.mark.parametrize("sign", ["m?", "m[1]", "m:*"])
def test_every_sign_of_a_pattern_makes_one(sign: str) -> None:
    """Such a name is no exact name."""
    found = book(model(1, sign))
    assert figure(found, {"m?": "m1", "m[1]": "m1", "m:*": "m:x"}[sign]) == 1
    assert found.knows("acme", "m1") is (sign != "m:*")


def test_an_exact_name_hides_every_pattern() -> None:
    """Also at a time when the exact name has no price: that of a sibling would be a guess."""
    found = book(model(1, "*") + model(2, "m", more="from = 2026-06-01T00:00:00Z"))
    assert figure(found, "m") == 2
    assert figure(found, "m", datetime(2026, 5, 1, tzinfo=UTC)) is None
    assert found.knows("acme", "m")
    assert not found.knows("other", "m")


def test_a_private_layer_is_asked_first_and_where_it_ends_the_next() -> None:
    """Layer by layer, each for its own periods."""
    later = model(3, "m", more="from = 2026-06-01T00:00:00Z\nuntil = 2026-07-01T00:00:00Z")
    found = book(model(1, "m"), later)
    july, june = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 6, 30, tzinfo=UTC)
    november = datetime(2026, 11, 1, tzinfo=UTC)
    assert [figure(found, "m", at) for at in (june, july, november)] == [3, 1, 1]
    assert [int(t.rules[0].prices[Meter.INPUT][0]) for t in found.tariffs] == [3, 1]


def test_what_is_remembered_is_right_and_has_a_limit() -> None:
    """The same tariff for the same name until too many others were asked for, then an equal one."""
    found = book(model(1, "m"))
    first = found.find("acme", "m", AT)
    for number in range(NAMES_MAX - 1):
        found.find("acme", f"x{number}", AT)
    assert NAMES_MAX == 4_096
    assert found.find("acme", "m", AT) is first
    found.find("acme", "one more", AT)
    again = found.find("acme", "m", AT)
    assert again == first
    assert again is not first


def test_who_prefers_the_reported_cost() -> None:
    """The latest layer that says so decides; a provider of whom nobody says it does not."""
    says = 'prefer = "{}"\n'
    reported, computed = says.format("reported"), says.format("computed")
    assert book(reported + model(1, "m")).prefers_reported("acme")
    assert not book(model(1, "m")).prefers_reported("acme")
    assert not book(reported + model(1, "m"), computed + model(1, "m")).prefers_reported("acme")
    assert book(computed + model(1, "m"), reported + model(1, "m")).prefers_reported("acme")
    assert book(reported + model(1, "m"), model(1, "m")).prefers_reported("acme")
    assert not book(reported + model(1, "m")).prefers_reported("other")


def currency(start: str, usd: str) -> str:
    return (
        f'[[currencies]]\ncode = "CNY"\nfrom = {start}T00:00:00Z\nusd = {usd}\n'
        'source = "https://bank.example"\nchecked = 2026-01-01\n'
    )


def test_rates_of_exchange() -> None:
    """The last one before an instant, from its own instant on; a later layer's of the same day."""
    found = book(
        currency("2026-06-01", "0.15") + currency("2026-01-01", "0.14"),
        currency("2026-06-01", "0.16"),
    )
    january, june = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    assert found.usd("CNY", january) == Decimal("0.14")
    assert found.usd("CNY", june) == Decimal("0.16")
    assert found.usd("CNY", datetime(2026, 5, 31, tzinfo=UTC)) == Decimal("0.14")
    assert found.usd("CNY", datetime(2025, 12, 31, tzinfo=UTC)) is None
    assert found.usd("EUR", june) is None


SHARED = """
[[rates]]
models = ["big-?", "huge"]
usd_per_thousand = { "calls.web_search" = 5 }
[[rates]]
usd_per_thousand = { "calls.web_search" = 10 }
[[factors]]
name = "half"
factor = 0.5
models = ["big-?"]
[[factors]]
name = "tenth"
factor = 1.1
"""


def searches(found: TariffBook, name: str) -> Decimal | None:
    tariff = found.find("acme", name, AT)
    assert tariff is not None
    rate = tariff.selection({"at": AT}).rate(Meter.CALLS_WEB_SEARCH)
    return None if rate is None else rate.prices[0]


def factors(found: TariffBook, name: str) -> list[tuple[str, Decimal]]:
    tariff = found.find("acme", name, AT)
    assert tariff is not None
    return [(factor.name, factor.factor) for factor in tariff.factors]


def test_what_a_provider_charges_on_all_models() -> None:
    """A shared rule or factor is for the models that it names, or for all of the provider."""
    found = book(SHARED + model(1, "big-1", "huge", "small"))
    fees = {name: searches(found, name) for name in ("big-1", "huge", "small")}
    assert fees == {"big-1": 5, "huge": 5, "small": 10}
    assert factors(found, "big-1") == [("half", Decimal("0.5")), ("tenth", Decimal("1.1"))]
    assert factors(found, "small") == [("tenth", Decimal("1.1"))]


@pytest.mark.parametrize("other", ["aaa", "other"])
def test_what_another_provider_charges_is_not_shared(other: str) -> None:
    """Neither rules nor factors."""
    found = TariffBook.parse(
        {"a.toml": HEAD + model(1, "m"), "b.toml": HEAD.replace("acme", other) + SHARED}
    )
    assert (searches(found, "m"), factors(found, "m")) == (None, [])


def test_the_factor_of_a_model_replaces_the_shared_one_of_its_name() -> None:
    """As that of a later layer does; the others stay."""
    own = 'factors = [{ name = "tenth", factor = 1.2 }]'
    found = book(SHARED + model(1, "m", more=own))
    assert factors(found, "m") == [("tenth", Decimal("1.2"))]
    private = '[[factors]]\nname = "tenth"\nfactor = 1.3\n'
    laid_over = book(SHARED + model(1, "big-1"), private)
    assert factors(laid_over, "big-1") == [("tenth", Decimal("1.3")), ("half", Decimal("0.5"))]


def test_counters_that_must_be_known() -> None:
    """Of the rules of models and of providers; steps within a call need none."""
    ladder = 'volume = {{ counter = "{}", mode = "marginal", steps = [0, 5] }}\n'
    text = (
        '[[tariff]]\nnames = ["m"]\n'
        + ladder.format("account.tokens")
        + "usd_per_mtok = { input = [1, 2] }\n"
        + '[[tariff]]\nnames = ["k"]\n'
        + ladder.format("call")
        + "usd_per_mtok = { input = [1, 2] }\n[[rates]]\n"
        + ladder.format("day.searches")
        + 'usd_per_thousand = { "calls.web_search" = [0, 3] }\n'
    )
    assert book(text).counters == {"acme/account.tokens", "acme/day.searches"}
    assert book(model(1, "m")).counters == frozenset()


def test_the_version_is_of_every_layer() -> None:
    """Twelve hexadecimal digits; the same text in another layer is another book."""
    one, two = {"a.toml": HEAD + model(1, "m")}, {"b.toml": HEAD + model(2, "k")}
    versions = [
        TariffBook.parse(one, two).version,
        TariffBook.parse(two, one).version,
        TariffBook.parse(one | two).version,
        TariffBook.parse(one).version,
    ]
    assert len(set(versions)) == 4
    assert all(len(version) == 12 and int(version, 16) >= 0 for version in versions)


def test_a_currency_of_a_shared_rule_must_be_known() -> None:
    """The message names the rule's own line; a rate of exchange in any file will do."""
    rule = '[[rates]]\ncny_per_thousand = { "calls.web_search" = 5 }\n'
    with pytest.raises(TariffError, match=r"0\.toml:5: no \[\[currencies\]\] entry for CNY"):
        book(rule + model(1, "m"))
    assert book(rule + model(1, "m"), currency("2026-01-01", "0.14")).find("acme", "m", AT)


def test_files_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only TOML files are read; private ones are named with their directory, shipped ones not."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.toml").write_text(HEAD + model(1, "m"), encoding="utf-8")
    (tmp_path / "mine" / "notes.txt").write_text("[[[", encoding="utf-8")
    (tmp_path / "b.toml").write_text(HEAD + model(1, "k"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = TariffBook.load(Path("mine"), Path())
    models = [("acme", "m"), ("acme", "k"), ("openai", "gpt-4o")]
    files = [tariff.file for pair in models if (tariff := found.find(*pair, AT)) is not None]
    assert files == ["mine/a.toml", "./b.toml", "openai.toml"]

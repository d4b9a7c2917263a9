"""Shipped tariffs wait for their provider: what is read before is what decoding all would give."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from pricing import TariffBook, TariffError
from pricing.book import CHECKED, SHIPPED, checked_digest
from pricing.sheet import reader
from pricing.sheet.entry import Problem
from pricing.sheet.layer import Layer, Texts

NOW = datetime(2026, 11, 28, tzinfo=UTC)


@pytest.fixture(scope="module")
def shipped() -> Texts:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.toml"))}


@pytest.fixture(scope="module")
def decoded(shipped: Texts) -> TariffBook:
    """The shipped files, all of them decoded and checked at once."""
    return TariffBook.parse({"none.toml": "", **shipped})


def test_the_check_on_record_is_of_the_shipped_files() -> None:
    """All of them load without a problem; after a change, `make docs` records it."""
    assert CHECKED.read_text(encoding="ascii").strip() == checked_digest()


def test_a_book_whose_files_wait_says_the_same(decoded: TariffBook) -> None:
    """All that can be asked before, and every tariff after."""
    waiting = TariffBook.load()
    assert waiting.providers == decoded.providers
    assert waiting.counters == decoded.counters
    for provider in sorted(decoded.providers):
        assert waiting.prefers_reported(provider) == decoded.prefers_reported(provider)
        assert waiting.tariffs_of(provider) == decoded.tariffs_of(provider)
        name = decoded.tariffs_of(provider)[0].names[0]
        assert waiting.find(provider, name, NOW) == decoded.find(provider, name, NOW)
    assert waiting.usd("CNY", NOW) == decoded.usd("CNY", NOW)
    assert waiting.tariffs == decoded.tariffs


def test_only_the_provider_asked_for_is_decoded(
    monkeypatch: pytest.MonkeyPatch, shipped: Texts
) -> None:
    """And what every file may name, such as calendars."""
    read: list[str] = []

    def decode(file: str, text: str) -> tuple[Mapping[str, object], list[Problem]]:
        read.append(file)
        return reader.decode(file, text)

    monkeypatch.setattr("pricing.sheet.layer.decode", decode)
    book = TariffBook.load()
    assert read == ["calendars.toml"]
    assert book.knows("groq", "llama-3.3-70b-versatile")
    assert not book.knows("nobody", "anything")
    assert sorted(read[1:]) == ["groq-listed.toml", "groq.toml"]
    assert set(read) < set(shipped)


@pytest.mark.parametrize(
    "change", [("groq.toml", "\nodd = 1\n"), ("mine.toml", 'provider = "groq"\nodd = 1\n')]
)
def test_files_that_are_not_the_checked_ones_are_checked_at_once(
    shipped: Texts, change: tuple[str, str]
) -> None:
    """A letter more in any file, or a file more, and nothing waits."""
    file, text = change
    with pytest.raises(TariffError, match="odd"):
        TariffBook.parse({**shipped, file: shipped.get(file, "") + text})


@pytest.mark.thorough
def test_without_a_record_all_are_decoded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """The record saves time and decides nothing."""
    monkeypatch.setattr("pricing.book.CHECKED", SHIPPED / "absent")
    assert TariffBook.load().knows("groq", "llama-3.3-70b-versatile")


def test_a_record_of_a_wrong_file_prices_nothing() -> None:
    """Were a wrong file on record, the first question about its provider would be refused."""
    book = Layer({"a.toml": 'provider = "a"\nodd = 1\n'}, checked=True)
    book.read({})
    for _ in range(2):
        with pytest.raises(TariffError, match="odd"):
            book.named("a", "model")


def test_private_files_come_over_waiting_ones() -> None:
    """A price of one's own wins over a shipped one that was not decoded yet."""
    own = (
        'provider = "openai"\nsource = "me"\nchecked = 2026-11-01\n[[tariff]]\nnames = ["gpt-4o"]\n'
    )
    shipped = {p.name: p.read_text(encoding="utf-8") for p in sorted(SHIPPED.glob("*.toml"))}
    book = TariffBook.parse(shipped, {"own.toml": f"{own}usd_per_mtok = {{ input = 7 }}\n"})
    found = book.find("openai", "gpt-4o", NOW)
    assert found is not None
    assert found.file == "own.toml"

"""What prices a model that has no price is named where the model is shown, and prices nothing."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.store import Store
from exporters.record import EPOCH, Batch, Record
from pricing import TariffBook
from pricing.cause import about
from pricing.reason import Reason
from proxy.metering.unpriced import LOGGED_MAX, Unpriced, hint, unpriced

if TYPE_CHECKING:
    from conftest import RecordMaker

BOOK = TariffBook.parse(
    {
        "openai.toml": """
provider = "openai"
source = "https://provider.example/prices"
checked = 2026-11-20

[[tariff]]
names = ["gpt-7"]
usd_per_mtok = { input = 2, output = 10 }
"""
    }
)


def unknown(made: Record, model: str, reason: Reason = Reason.UNKNOWN_MODEL) -> Record:
    reasons = (str(about(reason, model)),)
    return msgspec.structs.replace(made, provider="openai", reasons=reasons)


def test_a_hint_names_the_command_and_similar_names() -> None:
    """A dated or suffixed name of a known model suggests it; the figures are left to people."""
    found = hint(BOOK, "openai", "gpt-7-2027-01-01")
    assert found.command == (
        "taximeter tariffs add openai/gpt-7-2027-01-01 --input USD --output USD"
    )
    assert found.near == ("openai/gpt-7",)
    assert hint(BOOK, "openai", "other").near == ()


def test_a_name_is_safe_to_paste() -> None:
    """Callers choose the names of models: a shell must take each for one word."""
    assert hint(BOOK, "openai", "x; rm -r ~").command.startswith(
        "taximeter tariffs add 'openai/x; rm -r ~' "
    )


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_MODEL, Reason.SERVED_MODEL_UNKNOWN])
def test_the_log_names_each_model_once(
    caplog: pytest.LogCaptureFixture, make_records: "RecordMaker", reason: Reason
) -> None:
    """Whatever the number of calls, and never more than so many models."""
    told = Unpriced(BOOK)
    [made] = make_records(1)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            told.observe(unknown(made, "gpt-7-2027-01-01", reason))
    [line] = caplog.messages
    assert "taximeter tariffs add openai/gpt-7-2027-01-01" in line
    assert "similar: openai/gpt-7)" in line
    assert "taximeter reprice" in line
    with caplog.at_level(logging.INFO):
        for number in range(2 * LOGGED_MAX):
            told.observe(unknown(made, f"m{number}"))
    assert len(caplog.messages) == LOGGED_MAX


async def test_a_report_names_the_models_without_a_price(
    store_dsn: str, database: str, make_records: "RecordMaker"
) -> None:
    """Those with the most calls first, by the name in the reason, in the period asked for."""
    made = make_records(4)
    rows = [
        *(unknown(one, "b\u200b") for one in made[:2]),
        unknown(made[2], "a"),
        msgspec.structs.replace(made[3], reasons=("no_usage",)),
    ]
    exporter = ClickHouse(store_dsn, database=database)
    store = Store(store_dsn, database=database)
    try:
        await exporter.export(Batch("s:0-3", tuple(rows)))
        at = EPOCH + timedelta(microseconds=min(row.ts_us for row in rows))
        found = await unpriced(store, BOOK, at)
        assert [(one.model, one.calls) for one in found] == [("b\u200b", 2), ("a", 1)]
        assert await unpriced(store, BOOK, None, at) == []
    finally:
        await store.close()
        await exporter.close()

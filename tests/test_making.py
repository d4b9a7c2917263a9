"""Records are made together; one that cannot be written costs no other call its record."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from test_meter import begin, end, make, meter, records, relay

from exporters.record import Record
from proxy.exchange import Exchange
from proxy.metering import making
from proxy.metering.making import AUDITS_PER_S_MAX, Making

HALF_A_PAIR = "\ud83d"  # which no encoding of a text can hold


async def test_a_record_that_cannot_be_written(tmp_path: Path) -> None:
    """It is counted as our fault, and the calls before and after it have their records."""
    journal = relay(tmp_path)
    one = meter(tmp_path)

    def odd(exchange: Exchange) -> Sequence[Record]:
        found = make(exchange)
        if exchange.begun.call_id == "odd":
            return [msgspec.structs.replace(found[0], error_message=HALF_A_PAIR)]
        return found

    one._making._make = odd
    for name in ("a", "odd", "b"):
        end(journal, begin(journal, name))
    await one.step()
    await one.step()
    assert [record.call_id for record in records(tmp_path)] == ["a", "b"]
    assert one.status()["failed"] == 1
    assert one.status()["metered"] == 2
    one.close()
    journal.close()


def test_so_many_audits_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then none until the next second."""
    now = [100.0]
    monkeypatch.setattr(making, "monotonic", lambda: now[0])
    one = Making(make, lambda call, records, number: None)
    asked = 3 * AUDITS_PER_S_MAX
    assert sum(one.may_audit() for _ in range(asked)) == AUDITS_PER_S_MAX
    now[0] += 1
    assert sum(one.may_audit() for _ in range(asked)) == AUDITS_PER_S_MAX

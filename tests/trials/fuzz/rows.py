"""From a damaged call's reading to its row: it is priced, and the store and a span can hold it."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from exporters import record
from exporters.clickhouse import clickhouse
from exporters.otel import semconv
from exporters.record import Record
from pricing import TariffBook
from proxy.exchange import Begun, Ended, Exchange, Outcome, Reading, ResponseHead
from proxy.metering.records import Metering
from proxy.settings import sources
from trials.fuzz.calls import RecordedCall

AT_NS = 1_790_000_000 * 10**9
_WHOLE = re.compile(r"^  (\w+) +(?:Nullable\()?UInt(\d+)", re.MULTILINE)


class Unfit(Exception):
    """A row that the meter could not make, or that the store could not take."""


def check(call: RecordedCall, reading: Reading) -> None:
    """Meter the call and look at each of its rows.  Raises Unfit, or whatever raised."""
    exchange = Exchange(
        begun=Begun(
            call_id="00000000-0000-7000-8000-000000000000",
            wall_ns=AT_NS,
            method=call.method,
            target=call.target,
            provider=call.provider,
            upstream="https://provider.example",
            headers=call.request_headers,
            websocket=bool(call.messages),
        ),
        head=ResponseHead(status=call.status, headers=call.headers),
        ended=Ended(outcome=Outcome.OK),
        reading=reading,
        first_byte_ns=0,
        duration_ns=0,
        source="fuzz:1",
    )
    for row in _metering().records(exchange):
        _fits(row)


def _fits(row: Record) -> None:
    if "metering_failed" in row.reasons:
        raise Unfit(f"metering failed: {row.endpoint}")
    kept = record.encode(row)
    if record.encode(record.decode(kept)) != kept:
        raise Unfit(f"not the same after the journal: {row.endpoint}")
    clickhouse.columns([row])
    for name, bits in _widths().items():
        value = getattr(row, name)
        if value is not None and not 0 <= value < 1 << bits:
            raise Unfit(f"{name} does not fit: {value}")
    semconv.attributes(row)


@cache
def _metering() -> Metering:
    def all_new(provider: str, items: Sequence[str], source: str) -> set[str]:
        return set(items)

    return Metering(sources.load(None, {}), TariffBook.load(), all_new)


@cache
def _widths() -> Mapping[str, int]:
    """Bits of each column that holds a whole number."""
    folder = resources.files("exporters").joinpath("schema")
    first = next(file for file in folder.iterdir() if file.name.startswith("001"))
    return {name: int(bits) for name, bits in _WHOLE.findall(first.read_text())}

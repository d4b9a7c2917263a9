"""Measures how many calls a second are priced, by Taximeter and by genai-prices.

    python -m trials.bench.price_speed [--seconds 2] [--json]

CPU time of one thread.  Both price the same call to a model with prompt tiers, whose usage is
already read.  genai-prices is a test dependency; without it, Taximeter is measured alone.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from time import process_time

from pricing import Meter, Subcall, TariffBook, Usage, price
from proxy.commands import terminal
from proxy.commands.terminal import Column

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL = "gpt-5.5"
FRESH, CACHED, MADE = 1_500, 500, 300
BATCH = 500  # calls between two readings of the clock
LEAST = 20_000  # charges a second
COLUMNS = (
    Column("who", "priced by"),
    Column("calls", "calls", number=True),
    Column("per_second", "calls a CPU second", number=True),
)


def ours() -> Callable[[], object]:
    """One charge by the shipped tariffs."""
    book = TariffBook.load()
    usage = Usage({Meter.INPUT: FRESH, Meter.CACHE_READ: CACHED, Meter.OUTPUT: MADE})
    call = Subcall(provider="openai", model=MODEL, at=AT, usage=usage)
    return partial(price, [call], book)


def theirs() -> Callable[[], object] | None:
    """One price by genai-prices; None if it is not installed."""
    if find_spec("genai_prices") is None:
        return None
    genai = import_module("genai_prices")
    usage = genai.Usage(input_tokens=FRESH + CACHED, cache_read_tokens=CACHED, output_tokens=MADE)
    return partial(genai.calc_price, usage, MODEL, provider_id="openai", genai_request_timestamp=AT)


def rate(call: Callable[[], object], seconds: float) -> tuple[int, float]:
    """(calls, calls per CPU second), after a first call that fills caches."""
    call()
    done, begun = 0, process_time()
    while (spent := process_time() - begun) < seconds:
        for _ in range(BATCH):
            call()
        done += BATCH
    return done, done / spent


def main(argv: Sequence[str] | None = None) -> int:
    """Print both rates; returns 1 if ours is below `LEAST`."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.price_speed", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU seconds for each (2)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    measured = {"taximeter": rate(ours(), arguments.seconds)}
    other = theirs()
    if other is not None:
        measured["genai-prices"] = rate(other, arguments.seconds)
    if arguments.json:
        terminal.emit({who: round(speed) for who, (_, speed) in measured.items()})
    else:
        rows = [
            {"who": who, "calls": f"{calls:,}", "per_second": f"{speed:,.0f}"}
            for who, (calls, speed) in measured.items()
        ]
        terminal.show(COLUMNS, rows)
    return 0 if measured["taximeter"][1] >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())

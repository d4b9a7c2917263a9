"""Measures what content capture costs the meter: CPU time per call, with capture off and on.

    python -m trials.bench.content_cost [--calls 2000] [--json]

Calls of three kinds are written to a journal, and one meter reads and prices them and writes their
records, and their content if it is captured.  There is no store.  The kinds take turns, so that a
busy machine slows all of them alike.
"""

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time

import msgspec

from exporters.clickhouse.contents import Contents
from pricing import TariffBook
from proxy.commands import terminal
from proxy.commands.terminal import Column
from proxy.delivery.contents import ContentDelivery
from proxy.exchange import Begun, Ended, Kind, Outcome, ResponseHead
from proxy.journal.journal import Journal
from proxy.metering.recorder import Recorder
from proxy.metering.records import Metering
from proxy.settings.config import Config, JournalOptions, Provider

CALLS_A_ROUND = 100
SPREAD = 0x9E37_79B9_7F4B  # makes ids from which samples are drawn as from random ones
SENTENCE = "The quick brown fox of {n} jumps over the lazy dog, and nobody sees it. "
ADDRESS = "Write to a.b@mail.example.com. "
USAGE = {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000}
COLUMNS = (
    Column("kind", "call"),
    Column("off", "capture off, ms", number=True),
    Column("on", "capture on, ms", number=True),
)


def words(size: int) -> str:
    """A text of that many bytes, with an address to redact after every tenth sentence."""
    sentences = (SENTENCE.format(n=n) + ADDRESS * (n % 10 == 9) for n in range(1 + size // 60))
    return "".join(sentences)[:size]


def request(size: int, *, stream: bool = False) -> bytes:
    messages = [{"role": "user", "content": words(size // 10)} for _ in range(10)]
    return json.dumps({"model": "gpt-5.5", "messages": messages, "stream": stream}).encode()


def body() -> bytes:
    choice = {"message": {"role": "assistant", "content": words(600)}, "finish_reason": "stop"}
    return json.dumps({"model": "gpt-5.5", "choices": [choice], "usage": USAGE}).encode()


def events() -> bytes:
    """An answer in a hundred events."""
    text = words(600)
    deltas: list[object] = [
        {"model": "gpt-5.5", "choices": [{"index": 0, "delta": {"content": text[n : n + 6]}}]}
        for n in range(0, 600, 6)
    ]
    deltas += [
        {"choices": [{"index": 0, "finish_reason": "stop"}]},
        {"choices": [], "usage": USAGE},
    ]
    return (
        b"".join(b"data: " + json.dumps(d).encode() + b"\n\n" for d in deltas) + b"data: [DONE]\n\n"
    )


# Kind → request, content type of the response, response.
KINDS = {
    "small JSON call": (request(500), "application/json", body()),
    "stream of 100 tokens": (request(500, stream=True), "text/event-stream", events()),
    "prompt of 100 kB": (request(100_000), "application/json", body()),
}


def put(folder: Path, kind: str, first: int) -> None:
    """Write `CALLS_A_ROUND` calls of a kind to a relay's journal."""
    asked, answer_type, answer = KINDS[kind]
    head = ResponseHead(status=200, headers=(("content-type", answer_type),))
    journal = Journal(folder, "relay-0", JournalOptions(fsync="never"))
    for number in range(first, first + CALLS_A_ROUND):
        call = journal.begin(
            Begun(
                call_id=f"019a0000-0000-7000-8000-{number * SPREAD % 2**48:012x}",
                wall_ns=1_763_600_000_000_000_000,
                method="POST",
                target="/v1/chat/completions",
                provider="openai",
                upstream="https://api.openai.com",
            )
        )
        journal.append(call, Kind.REQUEST, asked)
        journal.append(call, Kind.RESPONSE_HEAD, msgspec.json.encode(head))
        journal.append(call, Kind.RESPONSE, answer)
        ended = Ended(outcome=Outcome.OK, request_bytes=len(asked), response_bytes=len(answer))
        journal.append(call, Kind.ENDED, msgspec.json.encode(ended))
    journal.close()


async def spent(folder: Path, kind: str, book: TariffBook, *, capture: bool) -> float:
    """CPU milliseconds of the meter per call, over a round of calls."""
    state = folder / "state"
    state.mkdir(parents=True)
    config = Config(
        data=folder,
        journal=JournalOptions(fsync="never"),
        providers={"openai": Provider(name="openai")},
    )
    config = replace(config, content=replace(config.content, capture=capture))
    delivery = ContentDelivery(config, Contents("clickhouse://nowhere")) if capture else None
    metering = Metering(config, book, lambda provider, items, source: set(items))
    contents = delivery.journal if delivery else None
    meter = Recorder(config, metering.records, contents=contents)
    put(folder / "calls", kind, 0)
    began = process_time()
    await meter.drain()
    took = process_time() - began
    assert meter.totals.metered == CALLS_A_ROUND
    meter.close()
    if delivery:
        assert delivery.status()["captured"] == CALLS_A_ROUND
        delivery.close()
    return 1000 * took / CALLS_A_ROUND


async def measured(calls: int) -> dict[str, dict[str, float]]:
    """The median round of each kind, off and on, in milliseconds per call."""
    book = TariffBook.load()
    rounds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as root:
        for number in range(1 + max(1, calls // CALLS_A_ROUND)):
            for kind in KINDS:
                for how in ("off", "on"):
                    folder = Path(root) / f"{number}-{kind}-{how}"
                    took = await spent(folder, kind, book, capture=how == "on")
                    rounds.setdefault((kind, how), []).append(took)
    return {
        kind: {how: statistics.median(rounds[kind, how][1:]) for how in ("off", "on")}
        for kind in KINDS
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the time per call, off and on."""
    parser = argparse.ArgumentParser(
        prog="python -m trials.bench.content_cost", description=__doc__
    )
    parser.add_argument("--calls", type=int, default=2000, help="of each kind (2000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    logging.disable(logging.WARNING)
    found = asyncio.run(measured(arguments.calls))
    if arguments.json:
        terminal.emit(found)
    else:
        rows = [
            {"kind": kind, **{how: f"{took:.3f}" for how, took in times.items()}}
            for kind, times in found.items()
        ]
        terminal.show(COLUMNS, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

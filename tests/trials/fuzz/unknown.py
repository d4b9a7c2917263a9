"""`python -m trials.fuzz.unknown`: adds to every recorded body what no reader knows.

Quantities in usage blocks, modalities, kinds of output items and keys of server tools, whole or in
a stream or a socket.  None may leave a charge exact.  `--seed S --only N` shows a finding again.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from pricing.charge import Status, allowed
from proxy.exchange import Reading
from proxy.settings.config import MeteringOptions
from trials.fuzz import checks, event_streams
from trials.fuzz.calls import RecordedCall, every

SECONDS = 240.0
Document = dict[str, Any]

USAGE = ("usage", "usageMetadata", "billed_units")
# What readers list as harmless, with their sources: a number below these says nothing of a bill.
HARMLESS = frozenset(
    (
        *("tokens", "cost_details", "image_gen", "cost_in_usd_ticks", "latency", "metrics"),
        *("cost", "x_groq", "time_info", "performanceConfig"),
    )
)
SERVER_TOOLS = (
    *("server_tool_use", "serverToolUsage", "server_side_tool_usage_details", "connectors"),
    *("plugins", "tool_calls_details"),
)
ITEMS = ("output", "outputs", "content")


def status(reading: Reading) -> Status:
    """The best status that a charge of this reading can have, by whatever tariff."""
    causes = [*reading.reasons, *(cause for part in reading.parts for cause in part.reasons)]
    if not reading.billable:
        return Status.NOT_BILLED
    return allowed(causes, priced=True) if reading.parts else Status.UNPRICED


# -- documents of a body --------------------------------------------------------------------------


def documents(call: RecordedCall) -> list[Document]:
    """The JSON objects that a response consists of; [] if it is none that this can take apart."""
    found = []
    for piece in _pieces(call):
        try:
            value = json.loads(piece)
        except ValueError:
            continue
        found += [value] if isinstance(value, dict) else []
    return found


def _pieces(call: RecordedCall) -> Iterator[bytes]:
    if call.messages:
        yield from (payload[1:] for up, payload in call.messages if not up)
    elif event_streams.is_event_stream(call.headers):
        yield from event_streams.documents(call.response)
    elif b"\ndata:" in b"\n" + call.response:
        lines = call.response.splitlines()
        yield from (line[5:].strip() for line in lines if line.startswith(b"data:"))
    else:
        yield call.response
        if b"\n{" in call.response:
            yield from call.response.splitlines()


def with_document(call: RecordedCall, old: Document, new: Document) -> RecordedCall:
    """The call with one of its documents replaced."""
    written = json.dumps(new).encode()

    def swapped(piece: bytes) -> bytes:
        try:
            return written if json.loads(piece) == old else piece
        except ValueError:
            return piece

    if call.messages:
        said = tuple(
            (up, payload if up else payload[:1] + swapped(payload[1:]))
            for up, payload in call.messages
        )
        return replace(call, messages=said)
    if event_streams.is_event_stream(call.headers):
        return replace(call, response=event_streams.swapped(call.response, swapped))
    whole = swapped(call.response)
    if whole is not call.response:
        return replace(call, response=whole)
    lines = call.response.split(b"\n")
    changed = [
        b"data: " + swapped(line[5:].strip()) if line.startswith(b"data:") else swapped(line)
        for line in lines
    ]
    return replace(call, response=b"\n".join(changed))


def below(value: object, name: str = "") -> Iterator[tuple[str, Document]]:
    """Every object in `value` with the name under which it stands, itself included."""
    if isinstance(value, dict):
        yield name, value
        for key, inner in value.items():
            yield from below(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from below(inner, name)


# -- what is added --------------------------------------------------------------------------------


def _blocks(document: Document) -> list[Document]:
    """Usage blocks and the objects in them, but for those that are harmless as a whole."""
    found: list[Document] = []

    def inside(value: object) -> None:
        if isinstance(value, dict):
            found.append(value)
            for name, inner in value.items():
                if name not in HARMLESS:
                    inside(inner)
        elif isinstance(value, list):
            for inner in value:
                inside(inner)

    for name, block in below(document):
        if name in USAGE:
            inside(block)
    return found


def quantity(document: Document, random: Random) -> bool:
    """A number under a name of its own, maybe inside an object or a list."""
    blocks = _blocks(document)
    if not blocks:
        return False
    value: object = random.choice((1, 7, 250_000, 0.5, "12"))
    for _ in range(random.randrange(3)):
        value = random.choice(({"zz_inner": value}, [value]))
    random.choice(blocks)[random.choice(("zz_tokens", "zzTokenCount", "zz_requests"))] = value
    return True


def modality(document: Document, random: Random) -> bool:
    """Tokens of a modality that does not exist, in a list of tokens by modality."""
    lists = [
        inner
        for block in _blocks(document)
        for inner in block.values()
        if isinstance(inner, list) and inner and isinstance(inner[0], dict)
        if "modality" in inner[0]
    ]
    if not lists:
        return False
    chosen = random.choice(lists)
    counts = [name for name in chosen[0] if name != "modality"]
    chosen.append({"modality": random.choice(("SMELL", "touch"))} | dict.fromkeys(counts, 9))
    return True


def server_tool(document: Document, random: Random) -> bool:
    """Uses of a tool of the provider that does not exist."""
    holders = [(name, block) for name, block in below(document) if name in SERVER_TOOLS]
    usage = [block for name, block in below(document) if name == "usage"]
    if holders:
        random.choice(holders)[1]["zz_requests"] = 2
    elif usage:
        random.choice(usage)["server_tool_use"] = {"zz_requests": 2}
    return bool(holders or usage)


def item(document: Document, random: Random) -> bool:
    """An output item of a kind that does not exist."""
    lists = [
        inner
        for name, block in below(document)
        for key, inner in block.items()
        if key in ITEMS and isinstance(inner, list) and inner and isinstance(inner[0], dict)
        if "type" in inner[0] and name in ("", "response", "interaction")
    ]
    if not lists:
        return False
    random.choice(lists).append({"type": "zz_call", "id": "zz_1", "status": "completed"})
    return True


KINDS: tuple[Callable[[Document, Random], bool], ...] = (quantity, modality, server_tool, item)


def changed(number: int, seed: int) -> tuple[RecordedCall, str] | None:
    """The call of this number with something unknown, and of what kind; None if it has no place."""
    random = Random(f"unknown/{seed}/{number}")
    calls = exact()
    call = calls[number % len(calls)]
    kind = KINDS[(number // len(calls)) % len(KINDS)]
    found = documents(call)
    random.shuffle(found)
    for document in found:
        new = json.loads(json.dumps(document))
        if kind(new, random):
            return with_document(call, document, new), kind.__name__
    return None


def exact() -> list[RecordedCall]:
    """The recorded calls whose charge can be exact as they are: the others prove nothing."""
    if not _EXACT:
        _EXACT.extend(call for call in every() if status(_read(call)) is Status.EXACT)
    return _EXACT


_EXACT: list[RecordedCall] = []


def _read(call: RecordedCall) -> Reading:
    return checks.read(call, MeteringOptions(), lambda data: [data])


def finding(number: int, seed: int) -> str | None:
    """What is wrong with the call of this number; None if nothing is, "" if it has no place."""
    made = changed(number, seed)
    if made is None:
        return ""
    call, kind = made
    reading = _read(call)
    return f"{call.name}: {kind} left it exact" if status(reading) is Status.EXACT else None


def main() -> int:
    """Returns the exit code: 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m trials.fuzz.unknown", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers")
    parser.add_argument("--only", type=int, metavar="N", help="show call number N")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    if arguments.only is not None:
        made = changed(arguments.only, seed)
        sys.stdout.write(f"{made and made[0]}\n{finding(arguments.only, seed)}\n")
        return 0
    until, number, tried = time.monotonic() + arguments.seconds, 0, 0
    found: dict[str, int] = {}
    while time.monotonic() < until:
        wrong = finding(number, seed)
        tried += wrong != ""
        if wrong:
            found.setdefault(wrong, number)
        number += 1
    sys.stdout.write(f"calls={len(exact())} tried={tried} findings={len(found)} seed={seed}\n")
    for wrong, at in sorted(found.items()):
        sys.stdout.write(f"{at}: {wrong}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

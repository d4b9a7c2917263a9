"""The same call made twice, straight to the stand-in and through the proxy, and both compared.

What the stand-in received the first time is what the client sends; the second time it must have
received the same.  What it answered is what the row must say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from evaluation.standin import processes
from pricing.usage import INPUT_METERS, OUTPUT_METERS

T = TypeVar("T")
TaggedCall = Callable[[str, Mapping[str, str]], T]  # base URL, headers to send as well
Exchange = dict[str, Any]  # as in the stand-in's journal

# Headers that a client makes up anew for every call, and those that are each connection's own.
UNCOMPARED = frozenset(
    {
        "idempotency-key",
        "x-client-request-id",
        "sec-websocket-key",
        "connection",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roundtrip(Generic[T]):
    """Results as the client saw them, exchanges as the stand-in saw them, and the rows."""

    direct: T
    through: T
    alone: tuple[Exchange, ...]
    behind: tuple[Exchange, ...]
    rows: tuple[processes.Row, ...]  # oldest first


def make(
    call: TaggedCall[T],
    *,
    upstream: str,
    served: processes.Serving,
    provider: str,
    feature: str,
) -> Roundtrip[T]:
    """`call(base URL, extra headers)` both ways; the rows are those tagged with `feature`."""
    processes.clear_journal(upstream)
    direct = call(upstream, {})
    alone = _journal(upstream)
    processes.clear_journal(upstream)
    through = call(f"{served.proxy_url}/{provider}", {"x-taximeter-feature": feature})
    behind = _journal(upstream)
    rows = served.calls_when(len(behind), feature=feature)
    return Roundtrip(
        direct=direct,
        through=through,
        alone=alone,
        behind=behind,
        rows=tuple(sorted(rows, key=lambda row: (row["ts"], row["call_id"]))),
    )


def changes(trip: Roundtrip[T], uncompared: frozenset[str] = UNCOMPARED) -> list[str]:
    """What the proxy changed on the way; nothing is what is wanted.

    `uncompared` are the lower-case names of headers that differ from call to call anyway.
    """
    if len(trip.alone) != len(trip.behind):
        return [f"{len(trip.alone)} calls directly, {len(trip.behind)} through the proxy"]
    found = [] if trip.direct == trip.through else [f"result: {trip.direct} -> {trip.through}"]
    for alone, behind in zip(trip.alone, trip.behind, strict=True):
        sent, got = _comparable(alone, uncompared), _comparable(behind, uncompared)
        found += [f"{key}: {_apart(sent[key], got[key])}" for key in sent if sent[key] != got[key]]
    return found


def _apart(sent: object, got: object) -> str:
    """Two values that differ; of headers those that do, unless it is their order."""
    if isinstance(sent, list) and isinstance(got, list):
        lost, new = ([p for p in a if p not in b] for a, b in ((sent, got), (got, sent)))
        if lost or new:
            return f"{lost} -> {new}"
    return f"{sent} -> {got}"


def mismeasured(trip: Roundtrip[T]) -> list[str]:
    """Where the rows say another thing than the provider answered; nothing is what is wanted."""
    if len(trip.rows) != len(trip.behind):
        return [f"{len(trip.behind)} calls, {len(trip.rows)} rows"]
    pairs = zip(trip.behind, trip.rows, strict=True)
    return [fault for exchange, row in pairs for fault in _faults(exchange["answered"], row)]


def _journal(upstream: str) -> tuple[Exchange, ...]:
    return tuple(processes.get_json(f"{upstream}/__standin/journal")["exchanges"])


def _comparable(exchange: Exchange, uncompared: frozenset[str]) -> Exchange:
    received = exchange["received"]
    headers = [(n, v) for n, v in received["headers"] if n.lower() not in uncompared]
    headers = [("host", v) if n.lower() == "host" else (n, v) for n, v in headers]  # ours to write
    answered = {f"answer {k}": exchange["answered"][k] for k in ("status", "body_sha256")}
    compared = {key: received[key] for key in ("method", "target", "body_sha256", "body_bytes")}
    return compared | answered | {"headers": headers}


def _faults(answered: Mapping[str, Any], row: processes.Row) -> list[str]:
    expected: dict[str, object] = {
        "outcome": "ok" if answered["status"] < 400 else "http_error",
        "http_status": answered["status"],
    }
    usage = answered["usage"]
    if usage and answered["reported"]:
        expected |= {
            "usage_origin": "reported",
            "response_model": answered["model"],
            "input_tokens_total": usage["input_total"],
            "output_tokens_total": usage["output_total"],
            "cache_read_tokens": usage["cache_read"],
            "cache_write_tokens": usage["cache_write"] + usage["cache_write_1h"],
            "reasoning_tokens": usage["reasoning"],
        }
        tokens = INPUT_METERS | OUTPUT_METERS  # the partition has counted things besides
        partition = sum(int(n) for meter, n in row["usage"].items() if meter in tokens)
        if partition != usage["input_total"] + usage["output_total"]:
            return [f"usage {row['usage']} does not add up to {usage}"]
    found = [f"{k}: {v} -> {row[k]}" for k, v in expected.items() if row[k] != v]
    if usage and row["cost_usd"] is None:
        found.append(f"no cost: {row['cost_status']} {row['reasons']}")
    return found

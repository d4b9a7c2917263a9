"""Makes the same call twice, directly to the stand-in and through the proxy, and compares them.

The stand-in must receive the same both times, and the row must say what it answered.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from evaluation.standin import processes
from pricing.usage import INPUT_METERS, OUTPUT_METERS

T = TypeVar("T")
TaggedCall = Callable[[str, Mapping[str, str]], T]  # base URL, headers to add
Exchange = dict[str, Any]  # as in the stand-in's journal

# Headers that differ in every call, and those of a single connection.
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
    """Make `call` both ways; its rows are those tagged with `feature`."""
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
    """What the proxy changed; empty is right.

    `uncompared` are the lower-case names of headers that differ in every call.
    """
    if len(trip.alone) != len(trip.behind):
        return [f"{len(trip.alone)} calls directly, {len(trip.behind)} through the proxy"]
    found = [] if trip.direct == trip.through else [f"result: {trip.direct} -> {trip.through}"]
    for alone, behind in zip(trip.alone, trip.behind, strict=True):
        sent, got = _comparable(alone, uncompared), _comparable(behind, uncompared)
        found += [f"{key}: {_apart(sent[key], got[key])}" for key in sent if sent[key] != got[key]]
    return found


def _apart(sent: object, got: object) -> str:
    """The values that differ; of headers only those that do, unless it is their order."""
    if isinstance(sent, list) and isinstance(got, list):
        lost, new = ([p for p in a if p not in b] for a, b in ((sent, got), (got, sent)))
        if lost or new:
            return f"{lost} -> {new}"
    return f"{sent} -> {got}"


def mismeasured(trip: Roundtrip[T]) -> list[str]:
    """Where the rows differ from the provider's responses; empty is right."""
    rows = _by_connection(trip.rows)
    if len(rows) != len(trip.behind):
        return [f"{len(trip.behind)} calls, {len(rows)} rows"]
    pairs = zip(trip.behind, rows, strict=True)
    return [fault for exchange, row in pairs for fault in _faults(exchange["answered"], row)]


TOKENS = (
    *("input_tokens_total", "output_tokens_total"),
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
)


def _by_connection(rows: Iterable[processes.Row]) -> list[processes.Row]:
    """The rows; the responses of a socket, which is one exchange for the stand-in, as their sum."""
    found: dict[str, processes.Row] = {}
    for row in rows:
        key = row["socket_id"] or row["call_id"]
        if (first := found.get(key)) is None:
            found[key] = row
            continue
        usage: Counter[str] = Counter(first["usage"])
        usage.update(row["usage"])
        tokens = {name: first[name] + row[name] for name in TOKENS}
        found[key] = {**first, **tokens, "usage": dict(usage)}
    return [*found.values()]


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
        tokens = INPUT_METERS | OUTPUT_METERS  # the partition also counts other things
        partition = sum(int(n) for meter, n in row["usage"].items() if meter in tokens)
        if partition != usage["input_total"] + usage["output_total"]:
            return [f"usage {row['usage']} does not add up to {usage}"]
    found = [f"{k}: {v} -> {row[k]}" for k, v in expected.items() if row[k] != v]
    if usage and row["cost_usd"] is None:
        found.append(f"no cost: {row['cost_status']} {row['reasons']}")
    return found

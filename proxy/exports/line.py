"""One line of `conversations.jsonl`: a call, what was said, and what was decided about it.  Pure.

Each field of a record is in exactly one group, so a line says everything once and `record_of` gives
the record back.  Redaction is applied again, with the patterns of today, until nothing changes: so
a line that was imported is exported as the same bytes.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from exporters import content
from exporters.clickhouse.conversations import REFUSAL, Place
from exporters.content import Content
from exporters.record import Record
from proxy.content.walker import Walker
from proxy.exports.turns import conversation
from proxy.reading.document import decode
from proxy.secrecy.redaction import Redactor

SCHEMA = "taximeter.conversations/1"
# Group → fields of `Record`, and the name in a line if it is another one.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "caller": (
        *("session_id", "project", "environment", "team", "feature", "user_id", "key_id"),
        *("credential_kind", "client", "prompt_name", "prompt_version", "tags", "attributes"),
    ),
    "served": (
        *("provider", "upstream", "region", "endpoint", "operation", "request_model"),
        *("response_model", "response_id", "service_tier", "stream", "socket_id"),
    ),
    "ended": (
        *("outcome", "http_status", "error_type", "error_message", "finish_reason"),
        *("tool_calls", "request_bytes", "response_bytes", "dropped_bytes"),
    ),
    "decision": (
        *("request_id", "attempt", "route", "route_version", "candidate", "propensity"),
        *("route_reason", "sticky", "translated", "losses", "arm", "unit", "fault"),
        "blocked_by",
    ),
    "usage": (
        *("usage", "usage_origin", "input_tokens_total", "output_tokens_total"),
        *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
        *("counted_input_tokens", "counted_output_tokens"),
    ),
    "cost": (
        *("cost_usd", "cost_input_usd", "cost_output_usd", "cost_cache_read_usd"),
        *("cost_cache_write_usd", "cost_other_usd", "reported_usd", "cost_status", "reasons"),
        *("tariff", "list_usd", "list_status", "counts", "receipt"),
        *("saved_cache_usd", "saved_batch_usd"),
    ),
    "timings": (
        *("duration_us", "first_byte_us", "first_token_us", "first_visible_us", "gap_p50_us"),
        *("gap_p95_us", "gap_max_us", "overhead_us", "caller_wait_us", "provider_us"),
        *("in_flight", "retry_after_s"),
    ),
    "origin": ("trace_id", "span_id", "parent_span_id", "node", "schema_version"),
}
NAMES = {"route_reason": "reason", "usage": "meters"}  # inside its group
TEXTS = ("request", "response", "output")
CUTS = tuple(f"{name}_cut" for name in TEXTS)
PASSES_MAX = 8  # of redaction; the second one usually changes nothing
ROOM = 16  # bytes for each character: redaction must not shorten what capture has kept

Row = Mapping[str, Any]
Line = dict[str, Any]
_encode = msgspec.json.Encoder().encode


class Lines:
    """Makes lines, redacted by `redactor`."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def line(self, kind: str, row: Row, said: Row | None) -> bytes:
        """The line of a row with the fields of its table, and of its content if there is any."""
        return _encode(self._line(kind, row, None if said is None else self._redacted(said)))

    def _line(self, kind: str, row: Row, texts: Line | None) -> Line:
        line: Line = {
            **{"schema": SCHEMA, "kind": kind},
            **{name: row[name] for name in ("ts_us", "call_id", "source")},
            "model": row.get("response_model") or row.get("request_model") or "",
        }
        turns = (
            conversation(*(texts[name] for name in TEXTS)) if texts else conversation("", "", "")
        )
        line |= {"messages": turns.messages, "tools": turns.tools, "left_out": turns.left_out}
        for group, fields in GROUPS.items():
            line[group] = {
                NAMES.get(name, name): _sorted(row[name]) for name in fields if name in row
            }
        if message := row.get("error_message"):
            line["ended"]["error_message"] = self._text(str(message), {})
        line["decision"]["refusal"] = row["error_type"] if kind == REFUSAL else None
        line["content"] = texts
        return line

    def _redacted(self, said: Row) -> Line:
        """The texts as they leave: redacted again, and counted with what capture had redacted."""
        counts = {str(kind): int(count) for kind, count in dict(said["redactions"]).items()}
        found: Line = {
            "request": self._documents(said["request"], counts),
            "response": self._documents(said["response"], counts),
            "output": self._text(said["output"], counts),
        }
        return found | {name: said[name] for name in CUTS} | {"redactions": _sorted(counts)}

    def _documents(self, text: str, counts: dict[str, int]) -> str:
        return "\n".join(self._document(line, counts) for line in text.split("\n"))

    def _document(self, line: str, counts: dict[str, int]) -> str:
        return self._settled(line, counts, _document)

    def _text(self, text: str, counts: dict[str, int]) -> str:
        return self._settled(text, counts, Walker.text)

    def _settled(
        self, text: str, counts: dict[str, int], redacted: Callable[[Walker, str, int], str]
    ) -> str:
        """The text after as many passes as change it."""
        for _ in range(PASSES_MAX):
            more: dict[str, int] = {}
            again = redacted(Walker(self._redactor, more), text, _room(text))
            if again == text:
                break
            text = again
            for kind, count in more.items():
                counts[kind] = counts.get(kind, 0) + count
        return text


def _document(walker: Walker, line: str, room: int) -> str:
    """A document as JSON; what is none is a text."""
    try:
        value = decode(line.encode())
    except ValueError:
        return walker.text(line, room)
    return walker.document(value, room)


def place_of(data: bytes) -> tuple[Place, Line]:
    """Where a line stands, and the line.  Raises ValueError for anything else."""
    try:
        line = msgspec.json.decode(data)
        if line.get("schema") != SCHEMA:
            raise ValueError(f"schema {line.get('schema')!r} instead of {SCHEMA!r}")
        return msgspec.convert(line, Place), line
    except (msgspec.DecodeError, AttributeError) as error:
        raise ValueError(f"not a line of {SCHEMA}: {error}") from None


def record_of(line: Line) -> Record:
    """The record that a line was made of.  Raises ValueError."""
    fields = {name: line[name] for name in ("ts_us", "call_id", "source")}
    for group, known in GROUPS.items():
        given = line[group]
        fields |= {name: given[one] for name in known if (one := NAMES.get(name, name)) in given}
    if line["kind"] != "call":  # its table has no such columns
        fields.setdefault("cost_status", "not_billed")
    if line["kind"] == "socket":  # that is how a record says what it is
        fields["socket_id"] = line["call_id"]
    try:
        return msgspec.convert(fields, Record, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"call {line['call_id']}: {error}") from None


def content_of_line(line: Line, record: Record) -> Content | None:
    """The content of the same line; None if it has none."""
    if (texts := line["content"]) is None:
        return None
    facts = {name: getattr(record, name) for name in content.FIELDS if name not in texts}
    return msgspec.convert(facts | texts, Content)


def _room(text: str) -> int:
    return 4096 + ROOM * len(text)


def _sorted(value: Any) -> Any:
    """Maps in the order of their keys, quantities without trailing zeros, so that bytes agree."""
    if not isinstance(value, dict):
        return value
    return {key: _plain(value[key]) for key in sorted(value)}


def _plain(value: Any) -> Any:
    return value if not isinstance(value, Decimal) else str(value)

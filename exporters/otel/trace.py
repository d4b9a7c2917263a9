"""The position of a call in its caller's trace: W3C Trace Context, level 2, section 3.2.

Ids depend only on the call id, so that a call that is metered again is the same span, and so that a
row need not repeat what follows from its call id.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple
from urllib.parse import unquote

from exporters.record import Record

# https://www.w3.org/TR/trace-context-2/#traceparent-header: lower-case hex only; a version after 00
# may append fields; version ff does not exist.
TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)

# Keys of `Trace.attributes`, which `exporters.otel.spans` reads from `Record.attributes`.
LINK_TRACE_ID = "link.trace_id"
LINK_SPAN_ID = "link.span_id"
SAMPLED = "trace.sampled"
STATE = "trace.state"  # the caller's tracestate
CALL_PARENT = "call.parent_span_id"  # on a call's last attempt: what is above the call's span
CONTEXT_KEYS = frozenset((LINK_TRACE_ID, LINK_SPAN_ID, SAMPLED, STATE, CALL_PARENT))
BAGGAGE = "baggage."  # and the name of an entry

# https://www.w3.org/TR/trace-context-2/#tracestate-header: one invalid member spoils the header.
STATE_MEMBERS_MAX = 32
STATE_MEMBER = re.compile(
    r"(?:[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13}|[a-z][_0-9a-z*/-]{0,255})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
# https://www.w3.org/TR/baggage/#limits allows 64 members in 8192 bytes.
BAGGAGE_MEMBERS_MAX = 64
BAGGAGE_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
BAGGAGE_VALUE_CHARS_MAX = 256  # longer values are cut
ALL = "*"  # in the list of baggage names


class Trace(NamedTuple):
    """The position of a call in a trace; ids are lower-case hex.

    `parent_span_id` is "" for the root of a new trace.  `attributes` is what else the span needs
    from the caller's context: its sampled flag and state, or the span to link to, and its baggage.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: Mapping[str, str]


class Ids(NamedTuple):
    """Of a trace and of a span in it."""

    trace_id: str
    span_id: str


@lru_cache(64)  # a call's are asked for several times, one call after the other
def own_ids(call_id: str) -> Ids:
    """What follows from a call id: its span, and the trace of a call that begins one."""
    digest = hashlib.sha256(call_id.encode()).hexdigest()
    return Ids(digest[:32], digest[32:48])


def stored_at(trace: Trace, call_id: str) -> Trace:
    """`trace` as a row of `calls` keeps it: "" for an id that follows from the call id."""
    own = own_ids(call_id)
    return Trace(
        "" if trace.trace_id == own.trace_id else trace.trace_id,
        "" if trace.span_id == own.span_id else trace.span_id,
        trace.parent_span_id,
        trace.attributes,
    )


def ids_of(record: Record) -> Ids:
    """The real ones of a record."""
    if record.trace_id and record.span_id:
        return Ids(record.trace_id, record.span_id)
    own = own_ids(record.call_id)
    return Ids(record.trace_id or own.trace_id, record.span_id or own.span_id)


def trace_of(
    headers: Mapping[str, str], call_id: str, incoming: str, baggage: Collection[str] = (ALL,)
) -> Trace:
    """The trace of call `call_id`.  `headers` have lower-case names.

    `incoming` says what to do with a caller's valid `traceparent`: `parent` makes the span its
    child, `link` and `ignore` start a new trace.  An invalid one always starts a new trace.  Of
    the caller's baggage, the entries that `baggage` names are kept; `ignore` keeps none.
    """
    own = own_ids(call_id)
    caller = None if incoming == "ignore" else _caller(headers)
    kept = {} if incoming == "ignore" else _baggage(headers.get("baggage", ""), baggage)
    if caller is not None and incoming == "parent":
        if state := _state(headers.get("tracestate", "")):
            kept[STATE] = state
        kept[SAMPLED] = str(int(caller["flags"], 16) & 1)
        return Trace(caller["trace"], own.span_id, caller["span"], kept)
    if caller is not None:
        kept |= {LINK_TRACE_ID: caller["trace"], LINK_SPAN_ID: caller["span"]}
    # Not the call id itself: the fixed bits of a UUID would skew a sampler that reads the lower
    # half of the trace id as a random number.
    return Trace(own.trace_id, own.span_id, "", kept)


def child_of(trace: Trace, call_id: str) -> Trace:
    """The place of `call_id` below the span at `trace`.  The link of that span is not repeated."""
    sampled = {name: flag for name, flag in trace.attributes.items() if name == SAMPLED}
    return Trace(trace.trace_id, own_ids(call_id).span_id, trace.span_id, sampled)


def attempt_of(trace: Trace, call_id: str) -> Trace:
    """The place of one attempt below the client's call at `trace`, which has the same context."""
    return child_of(trace, call_id)._replace(attributes=trace.attributes)


def _caller(headers: Mapping[str, str]) -> re.Match[str] | None:
    """The parts of a valid `traceparent`."""
    found = TRACEPARENT.fullmatch(headers.get("traceparent", "").strip(" \t"))
    if found is None or not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return None if found["more"] and found["version"] == "00" else found


def _state(header: str) -> str:
    """A valid `tracestate`, else ""."""
    members = [member for one in header.split(",") if (member := one.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    valid = len(keys) == len(members) <= STATE_MEMBERS_MAX
    return ",".join(members) if valid and all(map(STATE_MEMBER.fullmatch, members)) else ""


def _baggage(header: str, names: Collection[str]) -> dict[str, str]:
    """The entries of a `baggage` header that `names` lists, without their properties."""
    found: dict[str, str] = {}
    for member in header.split(",")[:BAGGAGE_MEMBERS_MAX]:
        name, equals, value = member.partition(";")[0].partition("=")
        name = name.strip(" \t")
        if equals and BAGGAGE_NAME.fullmatch(name) and (ALL in names or name in names):
            found[f"{BAGGAGE}{name}"] = unquote(value.strip(" \t"))[:BAGGAGE_VALUE_CHARS_MAX]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """Decides which spans are sent.  It does not affect metrics or rows.

    Keeps `share` of new traces, by trace id, so that all samplers of a trace agree.  If `follow`, a
    span in a caller's trace follows the caller's sampled flag.
    """

    share: float = 1.0
    follow: bool = True

    DEFAULT: ClassVar[str] = "parentbased_always_on"

    @classmethod
    def named(cls, name: str, argument: str = "") -> "Sampler":
        """The sampler that OTEL_TRACES_SAMPLER names; `argument` is the share for `traceidratio`.

        Raises ValueError for an unknown name and an invalid share.
        https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
        """
        follow, base = name.startswith("parentbased_"), name.removeprefix("parentbased_")
        match base:
            case "always_on":
                return cls(follow=follow)
            case "always_off":
                return cls(share=0.0, follow=follow)
            case "traceidratio":
                share = float(argument or 1.0)
                if 0 <= share <= 1:
                    return cls(share=share, follow=follow)
                raise ValueError(f"OTEL_TRACES_SAMPLER_ARG: expected 0 to 1, got {argument!r}")
        raise ValueError(f"OTEL_TRACES_SAMPLER: unknown sampler {name!r}")

    def keeps(self, record: Record) -> bool:
        """Whether the span of `record` is sent."""
        flag = record.attributes.get(SAMPLED)
        if self.follow and flag is not None:
            return flag != "0"
        # https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased: the lower half.
        return int(ids_of(record).trace_id[16:], 16) < round(self.share * 2**64)

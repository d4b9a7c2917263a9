"""The span of a client's call at the gateway, whose attempts are its children.

It is made from the record of the last attempt alone, or from the one that says that the call was
given up.  So one that is sent again gives the same span, and no meter has to remember anything.
"""

import re

from opentelemetry.util.types import AttributeValue

from exporters.otel.trace import CALL_PARENT
from exporters.record import Record

# RFC 9562, 5.7: a UUID of version 7 begins with the milliseconds since the epoch.
_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def ends_call(record: Record) -> bool:
    """Whether the client's call ended with this attempt, as far as that is known."""
    return CALL_PARENT in record.attributes and bool(record.parent_span_id)


def start_us(record: Record) -> int:
    """When the client's call came: its id says so.  It cannot be after its last attempt began."""
    found = _UUID7.fullmatch(record.request_id)
    if found is None:
        return record.ts_us
    return min(int(found[1] + found[2], 16) * 1000, record.ts_us)


def name(record: Record) -> str:
    """`gateway {route}`."""
    return f"gateway {record.route}"


def attributes(record: Record) -> dict[str, AttributeValue]:
    """What is about the whole call.  Usage and cost stay with the attempts, to count once."""
    found: dict[str, AttributeValue] = {
        **of_attempt(record),  # the last one, which is who answered; of a call given up, nobody
        "taximeter.attempts": record.attempt,
        "error.type": "" if record.outcome == "ok" else record.error_type or record.outcome,
    }
    return {name: value for name, value in found.items() if value != ""}


def of_attempt(record: Record) -> dict[str, str]:
    """Which call an attempt is a part of, and why it went where it did; empty where it is none."""
    return {
        "taximeter.request_id": record.request_id,
        "taximeter.route": record.route,
        "taximeter.route_version": record.route_version,
        "taximeter.candidate": record.candidate,
        "taximeter.route_reason": record.route_reason,
    }

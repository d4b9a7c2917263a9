"""Feedback: what somebody says about a call once it is over; one row of `feedback`.

The field names are the columns of `schema/012_feedback.sql`.
"""

import msgspec

CALL, REQUEST, SESSION, TRACE = "call", "request", "session", "trace"  # what it is about


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """One statement.  With the same `about`, `target` and `id` it replaces an earlier one."""

    ts_us: int  # the instant that it is about, as its sender says; else when it came
    received_us: int
    about: str  # one of the four above
    target: str  # its id
    id: str  # the sender's, or a hash of the content
    name: str
    value: str  # JSON: true, false, a number or a text
    success: bool | None = None  # whether the target succeeded; None: it does not say so
    source: str = ""  # who or what judged
    actor: str = ""  # whose token sent it
    node: str = ""


_TIMES = {"ts_us": "ts", "received_us": "received"}
FIELDS = Feedback.__struct_fields__
COLUMNS = tuple(_TIMES.get(name, name) for name in FIELDS)

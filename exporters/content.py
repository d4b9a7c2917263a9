"""The content of one call, if content capture is on: redacted, bounded, one row of `contents`.

The field names are the columns of `schema/004_contents.sql`.  Content is never exported with
records: no span, metric or log holds any.
"""

from collections.abc import Mapping

import msgspec

from exporters.record import Record


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of one call, redacted.  `*_cut`: text was left out to stay within the limit.

    `request` and `response` are JSON documents, one per line if there were several; "" if there
    was none.  `output` is the text that the model generated, streamed or not.
    """

    request: str = ""
    response: str = ""
    output: str = ""
    request_cut: bool = False
    response_cut: bool = False
    output_cut: bool = False
    redactions: Mapping[str, int] = msgspec.field(default_factory=dict)  # count by kind


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """`Captured`, and the facts by which a call is looked up."""

    ts_us: int
    call_id: str
    source: str = ""
    project: str = ""
    environment: str = ""
    team: str = ""
    feature: str = ""
    user_id: str = ""
    session_id: str = ""
    provider: str = ""
    operation: str = ""
    request_model: str = ""
    response_model: str = ""
    outcome: str = ""
    request: str = ""
    response: str = ""
    output: str = ""
    request_cut: bool = False
    response_cut: bool = False
    output_cut: bool = False
    redactions: Mapping[str, int] = msgspec.field(default_factory=dict)


FIELDS = Content.__struct_fields__
COLUMNS = tuple("ts" if name == "ts_us" else name for name in FIELDS)
_TEXTS = frozenset(Captured.__struct_fields__)
_FACTS = tuple(name for name in FIELDS if name not in _TEXTS)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Content)


def content_of(record: Record, captured: Captured) -> Content:
    """The row of `contents` that belongs to a call's record."""
    facts = {name: getattr(record, name) for name in _FACTS}
    return Content(**facts, **msgspec.structs.asdict(captured))


def encode(content: Content) -> bytes:
    """`content` as one JSON document."""
    return _encoder.encode(content)


def decode(data: bytes | memoryview) -> Content:
    """The content that `encode` wrote.  Raises msgspec.ValidationError for anything else."""
    return _decoder.decode(data)

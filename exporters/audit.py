"""One entry of the audit log: who changed what, and from what to what; one row of `audit`.

The field names are the columns of `schema/009_audit_log.sql`.
"""

import msgspec


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change.  `before` and `after` are JSON, their secrets masked; "" is nothing."""

    ts_us: int
    id: str  # a UUID
    node: str = ""
    actor: str
    role: str
    action: str  # such as access-add
    target: str
    before: str = ""
    after: str = ""

    @property
    def call_id(self) -> str:
        """For delivery, which names its rows so."""
        return self.id

    @property
    def source(self) -> str:
        """For delivery: an entry has one source, its id."""
        return ""


FIELDS = AuditEntry.__struct_fields__
COLUMNS = tuple("ts" if name == "ts_us" else name for name in FIELDS)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AuditEntry)


def encode(entry: AuditEntry) -> bytes:
    """`entry` as one JSON document."""
    return _encoder.encode(entry)


def decode(data: bytes | memoryview) -> AuditEntry:
    """The entry that `encode` wrote.  Raises msgspec.ValidationError for anything else."""
    return _decoder.decode(data)

"""A leaf of the tree: which row it is about, and what commits to the row without revealing it.

The entry that is hashed is a JSON array: the kind of row, the form of its canonical text, its
instant in microseconds, call id, source and revision, HMAC-SHA-256(nonce, canonical row) and
HMAC-SHA-256(nonce, canonical content), both in hex; the last is empty for rows without content.
The nonce is random and kept apart.  Once row and nonce are erased, the entry still proves that
the row was there, and nobody can guess its values from it.
"""

import hmac

import msgspec

from exporters.evidence.tree import leaf_hash

NONCE_BYTES = 16


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf without its place in the tree.  `revision` is 0 but for corrections."""

    kind: str
    form: int
    ts_us: int
    call_id: str
    source: str = ""
    revision: int = 0
    row_mac: str  # hex
    content_mac: str = ""

    @property
    def id(self) -> tuple[str, str, str, int]:
        """What identifies the row: kind, call id, source and revision."""
        return self.kind, self.call_id, self.source, self.revision

    def entry(self) -> bytes:
        """What is hashed."""
        return msgspec.json.encode(
            (
                *(self.kind, self.form, self.ts_us, self.call_id, self.source, self.revision),
                *(self.row_mac, self.content_mac),
            )
        )

    def hash(self) -> bytes:
        """The leaf's hash in the tree."""
        return leaf_hash(self.entry())


def mac(nonce: bytes, text: bytes) -> str:
    """What commits to `text` under `nonce`, in hex."""
    return hmac.digest(nonce, text, "sha256").hex()

"""A signed tree head: how large the tree was, its root and when, under the key of the tree.

What is signed is `TreeHeadDataV2` of RFC 9162, section 4.10: the timestamp in milliseconds, the
size, the root and no extensions; the signature is Ed25519 (RFC 8032).  A tree is named by its
key: the UUID is made of the first half of SHA-256 of the public key, so no head can be passed off
as another tree's.
"""

import base64
import binascii
import struct
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exporters.evidence.tree import HASH_BYTES
from exporters.record import EPOCH


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`root` is in hex, `public_key` and `signature` in base64; `node` is a label, not signed."""

    tree: str
    node: str = ""
    size: int
    root: str
    time: datetime  # aware, whole milliseconds
    public_key: str
    signature: str

    def mistake(self) -> str:
        """Why this is no valid head, as a clause; "" if it is one."""
        try:
            key = base64.b64decode(self.public_key, validate=True)
            signature = base64.b64decode(self.signature, validate=True)
            signed = signed_bytes(self.time, self.size, bytes.fromhex(self.root))
            if tree_id(key) != self.tree:
                return "its key is not that of the tree it names"
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
        except (binascii.Error, ValueError, OverflowError, struct.error):
            return "it is malformed"
        except InvalidSignature:
            return "its signature is wrong"
        return ""


class SigningKey:
    """The private key of a tree: 32 bytes.  Raises ValueError for other lengths."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()
        self.tree = tree_id(self.public)

    @staticmethod
    def new() -> bytes:
        """The bytes of a new key."""
        return Ed25519PrivateKey.generate().private_bytes_raw()

    def head(self, size: int, root: bytes, now: datetime, node: str = "") -> Head:
        """The head of a tree of `size` leaves, signed."""
        time = now.replace(microsecond=now.microsecond // 1000 * 1000)
        return Head(
            tree=self.tree,
            node=node,
            size=size,
            root=root.hex(),
            time=time,
            public_key=base64.b64encode(self.public).decode(),
            signature=base64.b64encode(self._key.sign(signed_bytes(time, size, root))).decode(),
        )


def tree_id(public: bytes) -> str:
    """The name of the tree that this key signs."""
    return str(UUID(bytes=sha256(public).digest()[:16]))


def signed_bytes(time: datetime, size: int, root: bytes) -> bytes:
    """`TreeHeadDataV2`.  Raises ValueError for a root of another length."""
    if len(root) != HASH_BYTES:
        raise ValueError(f"a root has {HASH_BYTES} bytes")
    if time.tzinfo is None:
        raise ValueError("the time of a head has a time zone")
    milliseconds = (time - EPOCH) // timedelta(milliseconds=1)
    return struct.pack(">QQB", milliseconds, size, HASH_BYTES) + root + b"\x00\x00"


def heads_in(text: str) -> list[Head]:
    """The heads in `text`: one JSON document, or one in each line; other members are left out.

    So the body of a webhook is a head as well.  Raises ValueError if a line is none.
    """
    try:
        document = msgspec.json.decode(text)
        documents = document if isinstance(document, list) else [document]
    except msgspec.DecodeError:
        documents = [_decoded(line) for line in text.splitlines() if line.strip()]
    return [_converted(one) for one in documents]


def _decoded(line: str) -> object:
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        raise ValueError(f"not a head: {line[:60]!r}") from None


def _converted(document: object) -> Head:
    if isinstance(document, dict) and isinstance(document.get("head"), dict):
        document = document["head"]  # of a proof, or of a manifest
    try:
        return msgspec.convert(document, Head)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a head: {error}") from None

"""Identifies a caller's credential by a fingerprint, without storing the credential.

The fingerprint is HMAC-SHA256 under a random key of this installation.  The key is in the data
directory (mode 0600) and is created at the first start, so that fingerprints survive restarts and
mean nothing elsewhere.
"""

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_plus

from proxy.secrecy.patterns import CREDENTIALS_CACHED_MAX, credential_kind

KEY_BYTES = 32
_INSECURE_KEY = "openai-insecure-api-key."  # subprotocol of OpenAI realtime in a browser
CREDENTIAL_HEADERS = frozenset(
    (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"sec-websocket-protocol")
)
FINGERPRINT_HEX = 16  # 64 bits: enough to avoid collisions among the keys of any company


def credential(headers: Iterable[tuple[bytes, bytes]], target: str) -> str:
    """The caller's credential, the same text however it was sent; "" if there is none."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in CREDENTIAL_HEADERS:
            found.setdefault(lower, value.decode("latin-1"))
    if authorization := found.get(b"authorization", ""):
        scheme, _, rest = authorization.partition(" ")
        if scheme.upper().startswith("AWS4-"):  # unlike the signature, the key id stays the same
            return rest.partition("Credential=")[2].partition("/")[0] or rest
        return rest.strip() or scheme
    for name in (b"x-api-key", b"api-key", b"x-goog-api-key"):
        if name in found:
            return found[name]
    for protocol in found.get(b"sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(_INSECURE_KEY):
            return protocol.strip().removeprefix(_INSECURE_KEY)
    for parameter in target.partition("?")[2].split("&"):
        key, _, secret = parameter.partition("=")
        if key in ("key", "api_key", "api-key", "access_token"):
            return unquote_plus(secret)
    return ""


class Identified(NamedTuple):
    """Who calls, by the credential alone."""

    secret: str  # the credential itself, never to be written
    name: str  # see `Fingerprints.name`
    kind: str  # see `credential_kind`


class Fingerprints:
    """Fingerprints under one key.  `names` maps fingerprints to configured names."""

    def __init__(self, key: bytes, names: Mapping[str, str]) -> None:
        self._key = key
        self._names = names
        self.name = lru_cache(maxsize=CREDENTIALS_CACHED_MAX)(self._name)
        self._repeated = lru_cache(maxsize=CREDENTIALS_CACHED_MAX)(self._caller)

    def caller(self, headers: Sequence[tuple[bytes, bytes]], target: str) -> Identified:
        """Who sends these credentials.  `headers` has only those that may hold one."""
        if "?" in target:  # the query may hold it
            return self._caller(headers, target)
        return self._repeated(tuple(headers))

    def _caller(self, headers: Iterable[tuple[bytes, bytes]], target: str = "") -> Identified:
        secret = credential(headers, target)
        return Identified(secret, self.name(secret), credential_kind(secret))

    def _name(self, credential: str) -> str:
        """The configured name, else the fingerprint `k_…`; "" for no credential."""
        if not credential:
            return ""
        digest = hmac.digest(self._key, credential.encode("utf-8", "surrogateescape"), "sha256")
        fingerprint = f"k_{digest.hex()[:FINGERPRINT_HEX]}"
        return self._names.get(fingerprint, fingerprint)


def load_key(file: Path) -> bytes:
    """The key in `file`, created if it is missing; safe to call from several processes at once.

    Raises OSError if the directory is not writable, ValueError if the file is not a key.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another process was first: use its key
            os.link(draft, file)
        draft.unlink()
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{file} is not a key of {KEY_BYTES} bytes; remove it to create a new one")
    return key

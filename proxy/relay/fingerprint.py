"""Names a credential without keeping it: HMAC-SHA256 under a random key of this installation.

The key lies in the data directory (mode 0600) and is made at the first start, so that fingerprints
stay the same over restarts and mean nothing elsewhere.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

KEY_FILE = "fingerprint.key"
KEY_BYTES = 32
FINGERPRINT_HEX = 16  # 64 bits: no collision among any number of keys that a company has


class Fingerprints:
    """Fingerprints under one key.  `names` maps a fingerprint to what its owner is called."""

    def __init__(self, key: bytes, names: Mapping[str, str]) -> None:
        self._key = key
        self._names = names

    def name(self, credential: str) -> str:
        """The configured name, else the fingerprint `k_…`; "" for no credential."""
        if not credential:
            return ""
        digest = hmac.digest(self._key, credential.encode("utf-8", "surrogateescape"), "sha256")
        fingerprint = f"k_{digest.hex()[:FINGERPRINT_HEX]}"
        return self._names.get(fingerprint, fingerprint)


def load_key(data: Path) -> bytes:
    """The key of this data directory, made if there is none; several processes may ask at once.

    Raises OSError if the directory cannot be written, ValueError if the file is not a key.
    """
    file = data / KEY_FILE
    if not file.exists():
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = data / f".{KEY_FILE}.{secrets.token_hex(6)}"
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        finally:
            os.close(descriptor)
        with suppress(FileExistsError):  # another process was first: its key holds
            os.link(draft, file)
        draft.unlink()
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{file} is not a key of {KEY_BYTES} bytes; remove it to have a new one")
    return key

"""Named tokens of the console, in one file in the state directory.

The file holds hashes alone.  A token is 256 random bits, so a plain SHA-256 cannot be searched.  A
browser's cookie is derived from the token by HMAC and has a hash of its own: whoever reads the
file, or a backup of it, can make neither.  Tokens are compared in constant time, with every hash.
"""

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from proxy.access.roles import RESERVED, Role
from proxy.journal.disk import write_atomically

log = logging.getLogger(__name__)

PREFIX = "tmt_"  # makes a token known to `proxy.secrecy.patterns`
TOKENS_MAX = 200
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SESSION = b"taximeter_console"


class NamedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that admits to the console, by its hashes."""

    name: str
    role: Role
    token_hash: str
    session_hash: str
    added: str = ""  # ISO 8601, UTC

    def shown(self) -> dict[str, str]:
        """What may be read of it: everything but the hashes."""
        return {"name": self.name, "role": self.role, "added": self.added}


class _File(msgspec.Struct, frozen=True):
    tokens: list[NamedToken]


def session(token: str) -> str:
    """The cookie of a browser that signed in with `token`."""
    return hmac.digest(token.encode("utf-8", "surrogateescape"), _SESSION, "sha256").hex()


def named(name: str, role: Role, token: str, added: str = "") -> NamedToken:
    """`token` under a name and a role."""
    return NamedToken(
        name=name,
        role=role,
        token_hash=_hash(token),
        session_hash=_hash(session(token)),
        added=added,
    )


class Tokens:
    """The tokens of a console: those in `file`, and `console_token` with the role admin.

    The file is read again when it changes.  One that cannot be read admits nobody.
    """

    def __init__(self, file: Path | None = None, console_token: str = "") -> None:
        self._file = file
        own = named("console.token", Role.ADMIN, console_token) if console_token else None
        self._own = (own,) if own else ()
        self._read: Sequence[NamedToken] = ()
        self._seen: object = None  # what identified the file when it was read
        self._is_damaged = False

    @property
    def required(self) -> bool:
        """Whether a request needs a token: as soon as there is one."""
        return bool(self._own or self.listed() or self._is_damaged)

    def with_token(self, given: str) -> NamedToken | None:
        """The token that was given as it is."""
        return self._find(given, lambda one: one.token_hash)

    def with_session(self, given: str) -> NamedToken | None:
        """The token from which a cookie was made."""
        return self._find(given, lambda one: one.session_hash)

    def _find(self, given: str, hash_of: Callable[[NamedToken], str]) -> NamedToken | None:
        hashed, found = _hash(given), None
        for one in (*self._own, *self.listed()):
            if hmac.compare_digest(hashed, hash_of(one)):
                found = one  # no break: the time must not depend on which it is
        return found

    def listed(self) -> Sequence[NamedToken]:
        """The tokens in the file, in the order in which they were added."""
        try:
            seen = None if self._file is None else _identity(self._file)
            if seen != self._seen:
                self._seen, self._is_damaged = seen, False
                self._read = load(self._file) if self._file and seen else ()
        except (OSError, ValueError) as error:
            if not self._is_damaged:
                log.error("Admitting no named token: %s", error)
            self._is_damaged, self._read = True, ()
        return self._read


def load(file: Path) -> list[NamedToken]:
    """The tokens in `file`; none if it is missing.  Raises OSError, or ValueError if damaged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=_File).tokens
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError:
        raise ValueError(f"{file} is damaged; remove it and add its tokens again") from None


def planned(file: Path, name: str, role: Role) -> tuple[str, list[NamedToken]]:
    """A new token, and all tokens once it is added; nothing is written.

    Raises ValueError for a name that is taken or invalid, and when there are TOKENS_MAX.
    """
    tokens = load(file)
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ValueError(f"name {name!r}: expected up to 64 letters, digits or . _ @ -")
    if any(one.name == name for one in tokens):
        raise ValueError(f"there is a token named {name!r} already; remove it first")
    if len(tokens) >= TOKENS_MAX:
        raise ValueError(f"there are {TOKENS_MAX} tokens already; remove one first")
    token = PREFIX + secrets.token_urlsafe(32)
    added = datetime.now(UTC).isoformat(timespec="seconds")
    return token, [*tokens, named(name, role, token, added)]


def without(file: Path, name: str) -> tuple[NamedToken, list[NamedToken]]:
    """The token to remove, and all the others.  Raises ValueError if there is none."""
    tokens = load(file)
    found = next((one for one in tokens if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in tokens) or "none"
        raise ValueError(f"no token is named {name!r}; there are: {names}")
    return found, [one for one in tokens if one is not found]


def save(file: Path, tokens: Sequence[NamedToken]) -> None:
    """Replace the file.  Raises OSError, which leaves the old one."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(file, msgspec.json.format(msgspec.json.encode(_File(list(tokens)))))


def _identity(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

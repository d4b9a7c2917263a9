"""Authenticates commands of the same user to the console.

The embedded store belongs to the meter's process, so commands send their requests there.  A console
without a token is open to every user of this machine.  So a command also sends a token that the
meter's process wrote to a file that only the same user can read, and must come from this machine.
"""

import hmac
import ipaddress
import secrets
from pathlib import Path

from aiohttp import web

from proxy.journal.disk import write_atomically

HEADER = "X-Taximeter-Command"


def token(file: Path) -> str:
    """The token that the running meter wrote to `file`.  Raises OSError."""
    return file.read_text()


def headers(file: Path) -> dict[str, str]:
    """The headers that a command adds; none if no meter has written a token."""
    try:
        return {HEADER: token(file)}
    except FileNotFoundError:
        return {}


class CommandToken:
    """Recognises requests of our commands.  Raises OSError if it cannot write the token."""

    def __init__(self, file: Path) -> None:
        self._token = secrets.token_urlsafe(32)
        write_atomically(file, self._token.encode())

    def authorizes(self, request: web.Request) -> bool:
        """Whether a command on this machine sent `request`, rather than a page."""
        given = request.headers.get(HEADER, "").encode("utf-8", "surrogateescape")
        known = hmac.compare_digest(given, self._token.encode())
        return known and _is_local(request) and "Origin" not in request.headers


def _is_local(request: web.Request) -> bool:
    peer = request.remote or ""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

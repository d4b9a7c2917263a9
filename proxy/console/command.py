"""What only a command of the same user may ask of the console.

The embedded store belongs to the meter's process, so commands must ask it.  The console is open to
whoever reaches it, and without a token that is every user of this machine; a command therefore
shows a token that the meter's process put into a file which only the same user can read, and comes
from this machine.
"""

import hmac
import ipaddress
import secrets
from pathlib import Path

from aiohttp import web

from proxy.journal.disk import write_atomically

HEADER = "X-Taximeter-Command"


def token(file: Path) -> str:
    """What the running meter wrote down.  Raises OSError."""
    return file.read_text()


def headers(file: Path) -> dict[str, str]:
    """What a command sends along; nothing where no meter wrote a token down."""
    try:
        return {HEADER: token(file)}
    except FileNotFoundError:
        return {}


class Command:
    """Knows who is a command of ours.  Raises OSError if the token cannot be written down."""

    def __init__(self, file: Path) -> None:
        self._token = secrets.token_urlsafe(32)
        write_atomically(file, self._token.encode())

    def sent(self, request: web.Request) -> bool:
        """Whether a command sent it, from here, and no page."""
        given = request.headers.get(HEADER, "").encode("utf-8", "surrogateescape")
        known = hmac.compare_digest(given, self._token.encode())
        return known and _from_here(request) and "Origin" not in request.headers


def _from_here(request: web.Request) -> bool:
    peer = request.remote or ""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

"""The same-origin token: a page that writes sends it, and no other site can read it (CSRF).

It belongs to the caller and to this process.  A page gets it from `GET /api/session`, whose answer
the browser keeps from pages of other origins.
"""

import hmac
import secrets

from proxy.access.roles import Caller

HEADER = "X-Taximeter-Page"


class PageTokens:
    """Makes and recognises them, under a key that this process alone has."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, caller: Caller) -> str:
        """The token of a caller's page."""
        return hmac.digest(self._key, f"{caller.way}:{caller.name}".encode(), "sha256").hex()

    def admits(self, caller: Caller, given: str) -> bool:
        """Whether `given` is the token of this caller's page.  Compares in constant time."""
        return hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self.of(caller).encode()
        )

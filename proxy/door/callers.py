"""Who comes: a caller by its token, compared with every hash in constant time."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from proxy.access.tokens import PREFIX
from proxy.gateway.options import HASH_PREFIX, GatewayCaller

TOKEN_BYTES = 32  # 256 random bits, so a plain SHA-256 cannot be searched


def new_token() -> str:
    """A token, in the form that `proxy.secrecy.patterns` recognises."""
    return PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def hashed(token: str) -> str:
    """As `token_hash` has it."""
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
    return HASH_PREFIX + digest


def caller_of(token: str, callers: Mapping[str, GatewayCaller]) -> GatewayCaller | None:
    """The caller whose token this is."""
    given, found = hashed(token), None
    for caller in callers.values():
        for one in caller.hashes:
            if hmac.compare_digest(given, one):
                found = caller  # no break: the time must not depend on whose it is
    return found

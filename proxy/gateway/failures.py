"""What went wrong with an attempt, by class, and what may follow: a table, and nothing else.

The money decides.  An attempt that was sent and brought no answer may have been done and billed, so
it is repeated only where the route asks for that.  Sources: docs/decisions/0029.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

FAILED_OVER = "FailedOver"  # what a row says of an attempt that was broken off for the next one
DEADLINE = "DeadlineExceeded"  # and of one that took longer than the whole call may


class Again(StrEnum):
    """Where an attempt may be repeated."""

    NEVER = "never"
    CANDIDATE = "candidate"  # at another candidate at once; at this one after a pause
    ONCE = "once"  # likewise, but once in a call
    POOL = "pool"  # where other limits hold at once; here when these open
    KEY = "key"  # with another credential
    ROOM = "room"  # at a candidate that is known to have room for the prompt
    AMBIGUOUS = "ambiguous"  # at another candidate, if the route has `retry_ambiguous`


class What(StrEnum):
    """How an attempt ended: what may follow, and whether its candidate is to blame (`harm`)."""

    again: Again
    harm: bool

    def __new__(cls, name: str, again: Again, harm: bool) -> "What":
        member = str.__new__(cls, name)
        member._value_ = name
        member.again = again
        member.harm = harm
        return member

    ANSWERED = "answered", Again.NEVER, False
    NOT_SENT = "not_sent", Again.CANDIDATE, True  # name, connection, TLS: nothing was sent
    LIMITED = "limited", Again.POOL, False  # 429
    FAILED = "failed", Again.ONCE, True  # 500
    UNAVAILABLE = "unavailable", Again.CANDIDATE, True  # 503, 529
    AMBIGUOUS = "ambiguous", Again.AMBIGUOUS, True  # sent, and no answer; or an error with usage
    CREDENTIAL = "credential", Again.KEY, False  # 401, 403
    QUOTA = "quota", Again.KEY, False  # 402, and whatever else says that there is no money left
    MISTAKE = "mistake", Again.NEVER, False  # every other 4xx: it would be the same elsewhere
    TOO_LONG = "too_long", Again.ROOM, False
    REFUSED = "refused", Again.NEVER, False  # by us, for a budget's sake or the request's: not sent
    CUT = "cut", Again.NEVER, True  # after the caller had the first byte


_BY_STATUS: Mapping[int, What] = MappingProxyType(
    {
        401: What.CREDENTIAL,
        402: What.QUOTA,
        403: What.CREDENTIAL,
        408: What.AMBIGUOUS,  # a timeout behind the provider's door
        429: What.LIMITED,
        500: What.FAILED,
        503: What.UNAVAILABLE,
        529: What.UNAVAILABLE,  # Anthropic: overloaded
    }
)
# Codes and types of errors, which say more than the status: OpenAI, Anthropic, Gemini, OpenRouter.
_BY_CODE: Mapping[str, What] = MappingProxyType(
    {
        "context_length_exceeded": What.TOO_LONG,
        "insufficient_quota": What.QUOTA,  # OpenAI sends it as a 429, which no waiting ends
        "billing_hard_limit_reached": What.QUOTA,
        "billing_error": What.QUOTA,
        "authentication_error": What.CREDENTIAL,
        "permission_error": What.CREDENTIAL,
        "rate_limit_error": What.LIMITED,
        "rate_limit_exceeded": What.LIMITED,
        "overloaded_error": What.UNAVAILABLE,
        "api_error": What.FAILED,
        "server_error": What.FAILED,
        "timeout_error": What.AMBIGUOUS,
        "invalid_request_error": What.MISTAKE,
        "not_found_error": What.MISTAKE,
        "request_too_large": What.MISTAKE,
    }
)
# Texts of a 400 by those who have no code for it.
_TOO_LONG = ("prompt is too long", "exceeds the maximum number of tokens", "context length")
_NO_MONEY = ("credit balance is too low",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer that is none.  `status` 0: no head came; of an error in a stream, 200."""

    status: int = 0
    sent: bool = True  # some of the request may have reached the provider
    code: str = ""
    message: str = ""
    has_usage: bool = False  # it says what it used, so it is billed


def what(fault: Fault) -> What:
    """The class of a fault.  What is not known is taken to be ambiguous."""
    if not fault.sent:
        return What.NOT_SENT
    if fault.has_usage:
        return What.AMBIGUOUS
    code = _BY_CODE.get(fault.code)
    if fault.status in (0, 200):  # nothing at all, or a stream's error
        return code if code is not None and fault.status else What.AMBIGUOUS
    if code in (What.TOO_LONG, What.QUOTA):
        return code
    return _by_text(fault) or _by_status(fault.status)


def _by_text(fault: Fault) -> What | None:
    if fault.status not in (400, 413):
        return None
    text = fault.message.lower()
    if any(words in text for words in _NO_MONEY):
        return What.QUOTA
    return What.TOO_LONG if any(words in text for words in _TOO_LONG) else None


def _by_status(status: int) -> What:
    usual = What.MISTAKE if 400 <= status < 500 else What.AMBIGUOUS
    return _BY_STATUS.get(status, usual)

"""What a caller is told whose call a budget refuses: the provider's own answer for that.

`block` answers as the provider does when a spend limit is reached, and says so twice: `retry-after`
with the true time alone makes three SDKs sleep for all of it, and `x-should-retry: false` alone is
not known to all agents.  `throttle`, and a refusal that only open calls cause, is over in seconds:
it looks like a rate limit.  docs/budgets.md has what clients make of each.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil
from types import MappingProxyType

from proxy.gate.layout import decimal, whole
from proxy.gate.verdict import Cause, Refusal

BUDGET_HEADER = b"x-taximeter-budget"
TOTAL_RETRY_S = 86_400  # of a budget whose window never ends: somebody may raise it
THROTTLE_RETRY_S = 60  # at most
RESERVED_RETRY_S = 2  # an open call may end any moment
UNREADABLE_RETRY_S = 5  # a restart of the meter takes about as long
TOO_MANY = 429
# Bedrock's own status for a spent quota: its SDKs repeat every 429.
BEDROCK_QUOTA = 400

# Where a path tells more than the provider: the OpenAI routes of Gemini, Claude on Vertex.
_BY_PATH = (
    (r"/messages(?:/|$)|:(?:stream)?rawPredict$", "anthropic"),
    (r"/(?:chat/completions|completions|responses|embeddings|realtime)(?:/|$)", "openai"),
    (r":\w+Content|:predict|:countTokens|/v1(?:alpha|beta\d*)/", "gemini"),
    (r"/model/[^/]+/(?:invoke|converse)", "bedrock"),
    (r"/api/v1/services/", "dashscope"),
    (r"/api/(?:chat|generate|embed|embeddings)$", "ollama"),
)
_PATHS = tuple((re.compile(pattern), shape) for pattern, shape in _BY_PATH)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer but for its framing."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    document: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Told:
    """What every shape is made of."""

    message: str
    brief: bool  # over in seconds: a rate limit
    retry_s: int
    facts: Mapping[str, object]
    budget: str


def shape_of(path: str, dialect: str) -> str:
    """Whose errors a caller of this path expects; `dialect` is the provider's."""
    for pattern, shape in _PATHS:
        if pattern.search(path):
            return shape
    return dialect


def answer(refusal: Refusal, path: str, dialect: str, now: datetime) -> Answer:
    """What to tell the caller at the instant `now`."""
    budget = refusal.budget
    brief = is_brief(refusal)
    retry_s = _retry_s(refusal, now)
    told = _Told(_message(refusal), brief, retry_s, _facts(refusal), budget.name)
    shape = shape_of(path, dialect)
    headers = [(b"Retry-After", b"%d" % retry_s), (BUDGET_HEADER, budget.name.encode())]
    if not brief:
        headers.append((b"x-should-retry", b"false"))
    status = TOO_MANY if brief else budget.status
    if shape == "bedrock":
        kind = b"ThrottlingException" if brief else b"ServiceQuotaExceededException"
        headers.append((b"x-amzn-ErrorType", kind))
        status = BEDROCK_QUOTA if not brief and status == TOO_MANY else status
    return Answer(status, tuple(headers), _SHAPES.get(shape, _openai)(told))


def is_brief(refusal: Refusal) -> bool:
    """Whether it may be over in seconds."""
    if refusal.cause in (Cause.RESERVED, Cause.UNREADABLE):
        return True
    return refusal.budget.action == "throttle" and refusal.cause is Cause.SPENT


def _retry_s(refusal: Refusal, now: datetime) -> int:
    if refusal.cause is Cause.RESERVED:
        return RESERVED_RETRY_S
    if refusal.cause is Cause.UNREADABLE:
        return UNREADABLE_RETRY_S
    end = refusal.window.end
    left = TOTAL_RETRY_S if end is None else max(ceil((end - now).total_seconds()), 1)
    return min(left, THROTTLE_RETRY_S) if is_brief(refusal) else left


def _message(refusal: Refusal) -> str:
    budget, end = refusal.budget, refusal.window.end
    again = f" It starts again at {_instant(end)}." if end is not None else ""
    amounts = not budget.hide_amounts
    unit = "USD" if budget.unit == "usd" else budget.unit
    limit = f"{_plain(whole(budget.limit or Decimal(0)))} {unit}"
    spent = f" ({_plain(refusal.committed)} of {limit})" if amounts else ""
    if refusal.cause is Cause.RESERVED:
        text = "what is left is held back by calls in flight. Retry in a few seconds."
    elif refusal.cause is Cause.UNREADABLE:
        text = "its spend cannot be read at the moment. Retry in a few seconds."
    elif refusal.cause is Cause.UNPRICED:
        text = "the price of this call is unknown, and this budget admits priced calls only."
    elif not budget.limit:
        text = "its limit is 0, so it admits no calls."
    elif refusal.cause is Cause.NEVER:
        needs = f" ({_plain(refusal.amount)} of {limit})" if amounts else ""
        text = f"this call alone may use more than the limit{needs}. Lower its maximum of tokens."
    elif refusal.committed < whole(budget.limit):
        text = f"what is left does not suffice for this call{spent}.{again}"
    else:
        text = f"it is spent{spent}.{again}"
    return f"Taximeter: refused by the budget {budget.name}: {text}"


def _facts(refusal: Refusal) -> dict[str, object]:
    budget, window = refusal.budget, refusal.window
    unit = budget.unit
    facts: dict[str, object] = {
        "budget": budget.name,
        "cause": refusal.cause.value,
        "scope": {**budget.scope, **dict(refusal.key)},
        "window_start": _instant(window.start),
        "window_end": None if window.end is None else _instant(window.end),
    }
    if not budget.hide_amounts:
        facts |= {
            f"limit_{unit}": _plain(whole(budget.limit or Decimal(0))),
            f"spent_{unit}": _plain(refusal.committed),
            f"reserved_{unit}": _plain(refusal.reserved),
            f"amount_{unit}": _plain(refusal.amount),
        }
    return facts


def _plain(units: int) -> str:
    """An amount as exact text, without zeros at its end."""
    text = f"{decimal(units):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# -- shapes ---------------------------------------------------------------------------------------


def _openai(told: _Told) -> Mapping[str, object]:
    """https://platform.openai.com/docs/guides/error-codes"""
    kind, code = "insufficient_quota", "insufficient_quota"
    if told.brief:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    error = {"message": told.message, "type": kind, "param": None, "code": code}
    return {"error": error | {"metadata": told.facts}}


def _anthropic(told: _Told) -> Mapping[str, object]:
    """https://docs.claude.com/en/api/errors; `enforced_spend_limit_reached` marks a spend limit."""
    code = {} if told.brief else {"error_code": "enforced_spend_limit_reached"}
    details = {**code, **told.facts}
    error = {"type": "rate_limit_error", "message": told.message, "details": details}
    return {"type": "error", "error": error}


def _gemini(told: _Told) -> Mapping[str, object]:
    """https://google.aip.dev/193.  gemini-cli stops at once if a quota's id holds `PerDay`."""
    period = "PerMinute" if told.brief else "PerDay"
    types = "type.googleapis.com/google.rpc"
    metadata = {name: _text(value) for name, value in told.facts.items()}
    details = [
        {
            "@type": f"{types}.ErrorInfo",
            "reason": "RATE_LIMIT_EXCEEDED" if told.brief else "QUOTA_EXCEEDED",
            "domain": "taximeter",
            "metadata": metadata,
        },
        {"@type": f"{types}.RetryInfo", "retryDelay": f"{told.retry_s}s"},
        {
            "@type": f"{types}.QuotaFailure",
            "violations": [{"quotaId": f"Taximeter-{told.budget}-{period}"}],
        },
    ]
    status = "RESOURCE_EXHAUSTED"
    error = {"code": TOO_MANY, "message": told.message, "status": status, "details": details}
    return {"error": error}


def _bedrock(told: _Told) -> Mapping[str, object]:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html"""
    kind = "ThrottlingException" if told.brief else "ServiceQuotaExceededException"
    return {"message": told.message, "__type": kind, "metadata": told.facts}


def _cohere(told: _Told) -> Mapping[str, object]:
    """https://docs.cohere.com/reference/errors"""
    return {"message": told.message, "metadata": told.facts}


def _dashscope(told: _Told) -> Mapping[str, object]:
    """https://help.aliyun.com/zh/model-studio/error-code"""
    code = "Throttling.RateQuota" if told.brief else "Throttling.AllocationQuota"
    return {"code": code, "message": told.message, "metadata": told.facts}


def _ollama(told: _Told) -> Mapping[str, object]:
    """https://docs.ollama.com/api/errors"""
    return {"error": told.message, "metadata": told.facts}


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={text}" for name, text in value.items())
    return "" if value is None else str(value)


_SHAPES: Mapping[str, Callable[[_Told], Mapping[str, object]]] = MappingProxyType(
    {
        "openai": _openai,
        "anthropic": _anthropic,
        "gemini": _gemini,
        "bedrock": _bedrock,
        "cohere": _cohere,
        "dashscope": _dashscope,
        "ollama": _ollama,
    }
)

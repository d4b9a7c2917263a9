"""What providers say of their rate limits, and which models share one.  No I/O.

https://platform.claude.com/docs/en/api/rate-limits (2026-11), RFC 9110, 10.2.3; OpenAI's
x-ratelimit-reset-* are durations such as `1m30s` and `6ms`; Gemini's are in the body's RetryInfo.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase

# (provider, pattern of a model, its class): Anthropic's limits are those of a class of models, its
# long-context ones apart.  Anywhere else a model is taken to have limits of its own.
CLASSES = (
    ("anthropic", "claude-opus-4*", "opus-4"),
    ("anthropic", "claude-opus-5*", "opus-5"),
    ("anthropic", "claude-sonnet-4*", "sonnet-4"),
    ("anthropic", "claude-sonnet-5*", "sonnet-5"),
    ("anthropic", "claude-haiku-4*", "haiku-4"),
    ("anthropic", "claude-haiku-5*", "haiku-5"),
)
RESET_MAX_S = 86_400.0  # a provider's word beyond this is a mistake
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PAIRS = (  # what remains → when it is reset
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)
_REQUESTS = (  # of the requests: the limit, what remains, when all of it is there again
    *(f"x-ratelimit-{word}-requests" for word in ("limit", "remaining", "reset")),
    *(f"anthropic-ratelimit-requests-{word}" for word in ("limit", "remaining", "reset")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many requests a limit has room for, and how long it takes to have room for one more.

    Nothing is said of tokens: what a request will count to those limits is not known before, as
    cached prompts may not count and `max_tokens` may.  A 429 for tokens says when to go on.
    """

    requests: int
    refill_s: float


def room(headers: Mapping[str, str], at: datetime) -> Room | None:
    """What an answer's headers, in lower case, say of the limit on requests.  None: nothing.

    Both APIs count by a bucket that fills evenly, and say when it is full again.
    """
    for n in range(0, len(_REQUESTS), 3):
        limit, left, reset = (headers.get(name, "") for name in _REQUESTS[n : n + 3])
        full_s = _seconds(reset, at) if reset else None
        if full_s is None or not (_is_count(limit) and _is_count(left)):
            continue
        missing = int(limit) - int(left)
        if missing > 0 and full_s <= RESET_MAX_S:
            return Room(requests=int(left), refill_s=full_s / missing)
    return None


def _is_count(text: str) -> bool:
    return re.fullmatch(r"\d{1,9}", text, re.ASCII) is not None


def limit_class(provider: str, model: str) -> str:
    """What shares its limits with `model`; the model itself if nothing is known to."""
    found = (c for p, pattern, c in CLASSES if p == provider and fnmatchcase(model, pattern))
    return next(found, model)


def pool(provider: str, key: str, model: str) -> str:
    """The name of the pool of limits that a call to `model` with the key of this name counts to."""
    return f"{provider}/{key}/{limit_class(provider, model)}"


def reset_s(headers: Mapping[str, str], error: Mapping[str, object], at: datetime) -> float | None:
    """Seconds until a 429 ends: what it says to wait, else when the used-up limits are reset.

    `headers` are in lower case, `error` is the decoded body's.  None: it does not say.
    """
    said = retry_after_s(headers, at)
    if said is None:
        said = retry_delay_s(error)
    if said is not None:
        return said
    return max(_resets(headers, at), default=None)


def retry_after_s(headers: Mapping[str, str], at: datetime) -> float | None:
    """Seconds that an answer's headers, in lower case, ask to wait.  None: they do not ask."""
    exact, usual = headers.get("retry-after-ms", ""), headers.get("retry-after", "")
    if not exact and not usual:
        return None
    for text, unit in ((exact, 0.001), (usual, 1.0)):
        if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text, re.ASCII):
            return float(text) * unit
    try:
        when = parsedate_to_datetime(usual)
    except (ValueError, OverflowError):
        return None
    return _until(when, at)


def _resets(headers: Mapping[str, str], at: datetime) -> Iterator[float]:
    for remaining, reset in _PAIRS:
        if headers.get(remaining) == "0":
            found = _seconds(headers.get(reset, ""), at)
            if found is not None:
                yield found


def _seconds(text: str, at: datetime) -> float | None:
    """A duration such as `1m30s`, or an instant of RFC 3339."""
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return float(sum(float(number) * _UNITS[unit] for number, unit in parts))
    try:
        return _until(datetime.fromisoformat(text), at)
    except ValueError:
        return None


def _until(when: datetime, at: datetime) -> float:
    known = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (known - at).total_seconds())


def retry_delay_s(error: Mapping[str, object]) -> float | None:
    """Seconds that the decoded error of a body asks to wait.  None: it does not ask."""
    details = error.get("details")
    for one in details if isinstance(details, list) else ():
        delay = one.get("retryDelay") if isinstance(one, Mapping) else None
        if isinstance(delay, str) and (found := re.fullmatch(r"(\d{1,6}(?:\.\d{1,9})?)s", delay)):
            return float(found[1])
    return None

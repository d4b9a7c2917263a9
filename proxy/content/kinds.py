"""What the redactor knows to look for: a pattern, and a check where a pattern alone is too wide.

Patterns are RE2's, which has no look-around and takes linear time.  Each works on UTF-8 bytes; the
last group that took part in a match, or the whole of it, is what must go.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.relay.headers import is_secret

Span = tuple[int, int]
CREDENTIAL = "credential"  # always looked for
_SCHEMES = (b"bearer", b"basic")


@dataclass(frozen=True, slots=True)
class Pattern:
    """`find` gets the text and the spans of a match and its groups; it gives what to hide."""

    regex: str
    find: "Callable[[bytes, tuple[Span, ...]], list[Span]]"


def _all(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    return [spans[0]]


def _value(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """Of `name: value` the value, if that is what a credential is named."""
    name = text[slice(*spans[1])].decode().lower()
    value = next((span for span in spans[2:] if span[0] >= 0), None)
    if value is None or text[slice(*value)].lower() in _SCHEMES:
        return []
    return [value] if is_secret(name) else []


def _mixed(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """A long run of letters and digits, unless it is a UUID, which names and opens nothing."""
    run = text[slice(*spans[0])]
    digits = sum(48 <= byte <= 57 for byte in run)
    mixed = digits >= 3 and any(byte > 64 and byte != 95 for byte in run)
    return [spans[0]] if mixed and not _UUID.fullmatch(run) else []


_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_GROUP = re.compile(rb"\d+")
CARD_DIGITS = range(13, 20)  # ISO/IEC 7812-1


def _cards(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """Of digits in groups those that make a card number: a known first digit, and Luhn's sum."""
    start = spans[0][0]
    groups = [(m.start() + start, m.end() + start) for m in _GROUP.finditer(text[slice(*spans[0])])]
    found: list[Span] = []
    first = 0
    while first < len(groups):
        span = None
        for last in range(first, min(first + CARD_DIGITS.stop, len(groups))):
            digits = b"".join(text[slice(*group)] for group in groups[first : last + 1])
            if len(digits) in CARD_DIGITS and 50 <= digits[0] <= 54 and luhn(digits):
                span, after = (groups[first][0], groups[last][1]), last + 1
        if span:
            found.append(span)
            first = after
        else:
            first += 1
    return found


def luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, byte in enumerate(reversed(digits)):
        digit = (byte - 48) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def _iban(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """Of letters and digits in groups the longest beginning that is an IBAN: ISO 13616, mod 97."""
    start, end = spans[0]
    while end - start >= 15:
        plain = text[start:end].replace(b" ", b"")
        if 15 <= len(plain) <= 34 and int(_as_number(plain[4:] + plain[:4])) % 97 == 1:
            return [(start, end)]
        end = text.rfind(b" ", start, end)
    return []


def _as_number(text: bytes) -> str:
    return "".join(str(int(chr(byte), 36)) for byte in text)


def _phone(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """A number of 8 to 15 digits: ITU-T E.164."""
    digits = sum(48 <= byte <= 57 for byte in text[slice(*spans[0])])
    return [spans[0]] if 8 <= digits <= 15 else []


_NAMED = (
    r"(?i)([\w.-]*(?:key|token|secret|pass|pwd|credential|sig|auth|bearer|assertion|cookie|jwt)"
    r"[\w.-]*)(?:\s+provided)?[\"'\\]*\s*[:=]\s*(?:(?:bearer|basic)\s+)?"
    r"(?:\\*\"([^\"\\\n]+)|\\*'([^'\\\n]+)|([^\s\"'\\,;&]{4,}))"
)
_KNOWN = (
    r"\b(?:sk|pk|rk|gsk|xai|pplx|hf|nvapi|csk|fw|r8|tgp|ek|gh[opsu]|github_pat|glpat|xox[abeprs])"
    r"[-_][\w-]{12,}"
    r"|\bAIza[\w-]{20,}|\bya29\.[\w.-]{16,}|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\beyJ[\w-]{8,}[\w.-]*"
)
_PEM = r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_PLAIN = r"[0-9A-Fa-f]{1,4}"

KINDS: Mapping[str, tuple[Pattern, ...]] = {
    CREDENTIAL: (
        Pattern(_KNOWN, _all),
        Pattern(_NAMED, _value),
        Pattern(r"(?i)\b(?:bearer|basic)\s+([\w+/=.~-]{8,})", lambda text, spans: [spans[1]]),
        Pattern(r"://([^/\s:@]*:[^/\s@]+)@", lambda text, spans: [spans[1]]),
        Pattern(_PEM, _all),
        Pattern(r"[\w-]{32,}", _mixed),
    ),
    "email": (Pattern(r"\b[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", _all),),
    "card": (Pattern(r"\b\d(?:[ -]?\d){12,}\b", _cards),),
    "iban": (Pattern(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}\b", _iban),),
    # International form only: a national one looks like any other number.
    "phone": (Pattern(r"\+\d(?:[ ()./-]{0,2}\d){6,14}\b", _phone),),
    # https://www.ssa.gov/employer/randomization.html: areas and groups that are never given out
    "ssn": (
        Pattern(
            r"\b(?:00[1-9]|0[1-9]\d|[1-57-8]\d\d|6[0-57-9]\d|66[0-57-9])-(?:0[1-9]|[1-9]\d)-"
            r"(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})\b",
            _all,
        ),
    ),
    "ip": (
        Pattern(rf"\b{_OCTET}(?:\.{_OCTET}){{3}}\b", _all),
        Pattern(
            rf"\b{_PLAIN}(?::{_PLAIN}){{7}}\b|\b(?:{_PLAIN}:){{1,7}}(?::{_PLAIN}){{1,7}}\b", _all
        ),
    ),
}

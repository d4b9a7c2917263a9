"""What the redactor looks for: patterns, and checks where a pattern alone matches too much.

Patterns are RE2's, which has no look-around and takes linear time; they match UTF-8 bytes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.secrecy.patterns import SECRET_STEMS, SECRET_VALUE, is_secret

Span = tuple[int, int]
CREDENTIAL = "credential"  # always redacted
_SCHEMES = (b"bearer", b"basic")


@dataclass(frozen=True, slots=True)
class Pattern:
    """`find` takes the text and the spans of a match and its groups; returns the spans to hide."""

    regex: str
    find: "Callable[[bytes, tuple[Span, ...]], list[Span]]"


def _all(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    return [spans[0]]


def _value(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """The value of `name: value`, if the name is that of a credential."""
    name = text[slice(*spans[1])].decode().lower()
    value = next((span for span in spans[2:] if span[0] >= 0), None)
    if value is None or text[slice(*value)].lower() in _SCHEMES:
        return []
    return [value] if is_secret(name) else []


def _scheme(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """What follows `Bearer` or `Basic`, unless it is a word, as in "basic understanding"."""
    word = text[slice(*spans[1])]
    plain = word.isalpha() and (word.islower() or word.istitle())
    return [] if plain else [spans[1]]


def _mixed(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """A long run of letters and digits, unless it is an identifier, which is not a secret."""
    run = text[slice(*spans[0])]
    digits = sum(48 <= byte <= 57 for byte in run)
    mixed = digits >= 3 and any(byte > 64 and byte != 95 for byte in run)
    return [spans[0]] if mixed and not _IDENTIFIER.fullmatch(run) else []


# UUIDs, and providers' ids of responses, calls and messages.
_IDENTIFIER = re.compile(
    rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    rb"|(?:chatcmpl|cmpl|resp|msg|call|fc|rs|item|event|evt|toolu|srvtoolu|req|gen|batch|file)[-_]"
    rb"[\w-]+"
)
_GROUP = re.compile(rb"\d+")
CARD_DIGITS = range(13, 20)  # ISO/IEC 7812-1
CARD_GROUPS_MAX = 10
_DOUBLED = bytes(48 + (2 * d - 9 if d > 4 else 2 * d) for d in range(10))
_DOUBLE = bytes.maketrans(b"0123456789", _DOUBLED)


def _cards(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """Groups of digits that form a card number: a known first digit, and a valid Luhn checksum.

    A group has at least two digits: nobody writes a card number digit by digit.
    """
    start = spans[0][0]
    groups = [(m.start() + start, m.end() + start) for m in _GROUP.finditer(text[slice(*spans[0])])]
    found: list[Span] = []
    first = 0
    while first < len(groups):
        last = _card(text, groups[first : first + CARD_GROUPS_MAX])
        if last:
            found.append((groups[first][0], groups[first + last - 1][1]))
        first += last or 1
    return found


def _card(text: bytes, groups: list[Span]) -> int:
    """How many of the first groups form the longest card number; 0 if they form none."""
    if not 50 <= text[groups[0][0]] <= 54:
        return 0
    digits, found = b"", 0
    for number, (start, end) in enumerate(groups, 1):
        digits += text[start:end]
        if end - start < 2 or len(digits) >= CARD_DIGITS.stop:
            break
        if len(digits) in CARD_DIGITS and luhn(digits):
            found = number
    return found


def luhn(digits: bytes) -> bool:
    """Whether the checksum is valid: ISO/IEC 7812-1, annex B."""
    total = sum(digits[-1::-2]) + sum(digits[-2::-2].translate(_DOUBLE)) - 48 * len(digits)
    return total % 10 == 0


_IBAN = re.compile(rb"[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])")


def _iban(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """The longest valid IBAN that starts at the match: ISO 13616, mod 97.

    The pattern matches only the start of an IBAN, so that the search goes on right after it.
    """
    start = spans[0][0]
    whole = _IBAN.match(text, start)
    end = whole.end() if whole else start
    while end - start >= 15:
        plain = text[start:end].replace(b" ", b"")
        if 15 <= len(plain) <= 34 and int(_as_number(plain[4:] + plain[:4])) % 97 == 1:
            return [(start, end)]
        end = text.rfind(b" ", start, end)
    return []


def _as_number(text: bytes) -> str:
    return "".join(str(int(chr(byte), 36)) for byte in text)


def _phone(text: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """A number with 8 to 15 digits: ITU-T E.164."""
    digits = sum(48 <= byte <= 57 for byte in text[slice(*spans[0])])
    return [spans[0]] if 8 <= digits <= 15 else []


_NAMED = (
    rf"(?i)([\w.-]*(?:{'|'.join(SECRET_STEMS)})"
    r"[\w.-]*)(?:\s+provided)?[\"'\\]*\s*[:=]\s*(?:(?:bearer|basic)\s+)?"
    r"(?:\\*\"([^\"\\\n]+)|\\*'([^'\\\n]+)|([^\s\"'\\,;&]{4,}))"
)
_PEM = r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_PLAIN = r"[0-9A-Fa-f]{1,4}"

KINDS: Mapping[str, tuple[Pattern, ...]] = {
    CREDENTIAL: (
        Pattern(SECRET_VALUE, _all),
        Pattern(_NAMED, _value),
        Pattern(r"(?i)\b(?:bearer|basic)\s+([\w+/=.~-]{8,})", _scheme),
        Pattern(r":\\*/\\*/([^/\s:@]*:[^/\s@]+)@", lambda text, spans: [spans[1]]),
        Pattern(_PEM, _all),
        Pattern(r"[\w-]{32,}", _mixed),
    ),
    "email": (Pattern(r"\b[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", _all),),
    "card": (Pattern(r"\b\d(?:[ -]?\d){12,}\b", _cards),),
    "iban": (Pattern(r"\b[A-Z]{2}\d{2}", _iban),),
    # International form only: a national number looks like any other number.
    "phone": (Pattern(r"\+\d(?:[ ()./-]{0,2}\d){6,14}\b", _phone),),
    # Without areas and groups that are never assigned:
    # https://www.ssa.gov/employer/randomization.html
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

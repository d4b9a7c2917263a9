"""What must not be kept is found, what looks alike stays, and no pattern can stall the meter."""

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.secrecy.kinds import KINDS
from proxy.secrecy.redaction import FINDS_MAX, MARGIN, Redactor, compiled
from proxy.settings import sources

ALL = Redactor(KINDS)
LIMIT = 100_000
KEY = "sk-abcdefghijklmnop1234"
# Texts that have finds in them, for properties.
FINDS = (
    KEY,
    "a.b@mail.example.com",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "+49 30 1234567",
    "078-05-1120",
    "10.0.0.1",
    "password: hunter2",
    '"api_key": "a b"',
    "Authorization: Bearer abcdefgh12",
    "https://u:pw@h/",
    "0123456789abcdef0123456789abcdef",
)
TEXTS = st.lists(st.one_of(st.sampled_from(FINDS), st.text(max_size=12))).map(" ".join)


def redacted(text: str, limit: int = LIMIT) -> tuple[str, dict[str, int]]:
    counts: dict[str, int] = {}
    found, _ = ALL.redact(text, counts, limit)
    return found, counts


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"use {KEY}.", "use [redacted:credential]."),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted:credential]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[redacted:credential]"),
        ("Authorization: Bearer abc", "Authorization: Bearer abc"),
        ("Authorization: Bearer abcdefgh12", "Authorization: Bearer [redacted:credential]"),
        ("db_password = hunter2", "db_password = [redacted:credential]"),
        ('\\"client-secret\\": \\"a b c\\"', '\\"client-secret\\": \\"[redacted:credential]\\"'),
        ("{'api_key': 'it is'}", "{'api_key': '[redacted:credential]'}"),
        ("api key provided: abcd", "api key provided: [redacted:credential]"),
        ("https://me:pw@host/x", "https://[redacted:credential]@host/x"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
            "[redacted:credential]",
        ),
        ("0123456789abcdef0123456789abcdef", "[redacted:credential]"),
        ("\\u0073k-abcdefghijklmnop1234", "[redacted:credential]"),
        ("\\u005cu0073k-abcdefghijklmnop1234", "[redacted:credential]"),
        ("https:\\/\\/me:pw@host", "https:\\/\\/[redacted:credential]@host"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted:credential]"),
        ("write to a.b@mail.example.com!", "write to [redacted:email]!"),
        ("4111-1111-1111-1111", "[redacted:card]"),
        ("4111 1111 1111 1111 123", "[redacted:card] 123"),
        ("DE89 3704 0044 0532 0130 00 UND", "[redacted:iban] UND"),
        ("+49 (30) 123-4567", "[redacted:phone]"),
        ("078-05-1120", "[redacted:ssn]"),
        ("10.0.0.1 and fe80::1", "[redacted:ip] and [redacted:ip]"),
    ],
)
def test_found(text: str, kept: str) -> None:
    """Each kind is found in the forms that it is written in, and only the secret part goes."""
    assert redacted(text)[0] == kept


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 500",
        "123e4567-e89b-12d3-a456-426614174000",
        "chatcmpl-0123456789abcdef0123456789abcdef",
        "4111 1111 1111 1112",
        "9111111111111111",
        "DE88 3704 0044 0532 0130 00",
        "000-12-3456, 666-12-3456, 912-12-3456",
        "030 1234567",
        "a_name_that_is_rather_long_and_has_no_digits",
        "user@host",
        "10:15:30",
        "the key to success",
        "a basic understanding, Bearer Certificates",
    ],
)
def test_left_alone(text: str) -> None:
    """What has no check digit right, or is no secret by its form, stays."""
    assert redacted(text) == (text, {})


@given(TEXTS)
def test_again_changes_nothing(text: str) -> None:
    """What was redacted once has nothing left to find, and marks are not finds."""
    once, _ = redacted(text)
    assert redacted(once)[0] == once


@given(TEXTS, st.integers(0, 60))
def test_a_cut_shows_no_part_of_a_find(text: str, limit: int) -> None:
    """The text is cut after it is redacted: a find that begins within the limit goes whole."""
    cut, _ = redacted(text, limit)
    for find in FINDS:
        secret = re.sub(r"^.*?[: ]+", "", find) if ":" in find else find
        if secret in text and len(secret) > 12:
            assert secret[: len(secret) * 2 // 3] not in cut


def test_counts() -> None:
    """Each find is counted under its kind; overlapping ones are one."""
    assert redacted(f"{KEY} {KEY} password={KEY} a@b.example")[1] == {"credential": 3, "email": 1}


def test_a_long_find_at_the_limit() -> None:
    """What is looked at goes on beyond the limit far enough to see a find whole."""
    text = "x" * 90 + " " + KEY + "y" * MARGIN
    assert redacted(text, 95)[0] == "x" * 90 + " [redacted:credential]"


def test_too_many_finds_end_the_text() -> None:
    """There is a limit to how often one pattern is run; what lies beyond is not shown."""
    counts: dict[str, int] = {}
    text, cut = ALL.redact("a@b.example " * (FINDS_MAX + 5), counts, LIMIT)
    assert cut
    assert "@" not in text
    assert counts == {"email": FINDS_MAX}


def test_own_patterns() -> None:
    """Patterns of one's own have names of their own."""
    counts: dict[str, int] = {}
    own = Redactor((), {"employee": r"E-\d{6}"})
    assert own.redact("ask E-123456, a@b.example", counts, 99)[0] == (
        "ask [redacted:employee], a@b.example"
    )
    assert counts == {"employee": 1}


def test_own_patterns_that_do_not_go_together() -> None:
    """Two that are none as one are looked for one by one."""
    own = Redactor((), {"a": r"(?P<x>A-\d)", "b": r"(?P<x>B-\d)"})
    assert own.redact("A-1 B-2", {}, 99)[0] == "[redacted:a] [redacted:b]"


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing"),
        ("(?=x)", "invalid perl operator"),
        (r"(a)\1", "invalid escape"),
        ("x{1001}", "repetition"),
        ("a*", "empty"),
        (r"\b", "empty"),
    ],
)
def test_a_pattern_that_is_refused(pattern: str, why: str) -> None:
    """What RE2 does not take, and what matches everywhere, is a mistake of the configuration."""
    with pytest.raises(ValueError, match=why):
        compiled(pattern)


def test_mistakes_are_told_with_their_keys() -> None:
    """All of them at once, as for every other setting."""
    given_ = {
        "data": "/nowhere",
        "content.redact": ["e-mail", "card"],
        "content.patterns": {"ok": "x+", "email": "x", "Bad Name": "x", "open": "("},
        "content.bytes_max": 10,
        "content.sample": 1.5,
    }
    with pytest.raises(sources.SettingsError) as caught:
        sources.load(None, {}, given_)
    keys = [mistake.partition(": ")[0] for mistake in caught.value.mistakes]
    assert keys == [
        "content.bytes_max",
        "content.sample",
        "content.redact",
        "content.patterns.email",
        "content.patterns.Bad Name",
        "content.patterns.open",
    ]
    assert "did you mean email?" in caught.value.mistakes[2]


@pytest.mark.parametrize(
    "text", ["a" * 70_000, "a@" * 35_000, "1 " * 35_000, "44 " * 23_000, "key:" * 17_500]
)
def test_no_text_stalls_it(text: str) -> None:
    """Time is linear: a text made to keep patterns busy takes a fraction of a second."""
    hard = Redactor(KINDS, {"hard": "(a+)+$", "wide": "(a|aa|a@)+b"})
    began = process_time()
    hard.redact(text, {}, LIMIT)
    assert process_time() - began < 0.5

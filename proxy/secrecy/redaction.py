"""Redacts texts.  No I/O.

Patterns are run by RE2, in linear time for any text: no pattern, and no prompt written to abuse
one, can stall the meter.
"""

import re
from collections.abc import Collection, Iterator, Mapping

import re2

from proxy.secrecy.kinds import CREDENTIAL, KINDS, Pattern, Span

FINDS_MAX = 1_000  # of one pattern in one text; the text is cut before the next one
# Characters searched beyond the limit, so that a find that starts before it is found completely.
MARGIN = 4_096
PATTERN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ESCAPE = re.compile(r"\\+u00([2-7][0-9A-Fa-f])")  # an ASCII character, in JSON inside a string
ESCAPES_MAX = 4  # levels of escaped escapes
PATTERN_BYTES_MAX = 4 * 1024 * 1024  # memory of a compiled pattern and its matching


def compiled(pattern: str) -> "re2._Regexp":
    """Compile `pattern`.

    Raises ValueError saying why RE2 rejects it, or that it matches the empty text.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        regex = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(text) from None
    found = regex.search(b" a1-")
    if regex.match(b"") or (found is not None and found.start() == found.end()):
        raise ValueError("it matches the empty string, so it would match everywhere")
    return regex


class Redactor:
    """Redacts built-in `kinds` and the user's `patterns` (by name); credentials always.

    Raises KeyError for an unknown kind, and ValueError for a pattern that RE2 rejects.
    """

    def __init__(
        self, kinds: Collection[str] = (), patterns: Mapping[str, str] | None = None
    ) -> None:
        own = {name: (Pattern(text, _whole),) for name, text in (patterns or {}).items()}
        chosen = {CREDENTIAL: KINDS[CREDENTIAL]} | {kind: KINDS[kind] for kind in kinds} | own
        self._patterns = [
            (name, compiled(one.regex), one) for name, group in chosen.items() for one in group
        ]
        self._any = _combined([one.regex for *_, one in self._patterns])
        # The text that replaces a find.  Finds inside it do not count.
        self._mark = re.compile(rb"\[redacted:(?:%b)\]|\*\*\*" % "|".join(chosen).encode())

    def redact(self, text: str, counts: dict[str, int], limit: int) -> tuple[str, bool]:
        """The first `limit` characters of `text`, redacted, and whether text was left out.

        Adds the redactions to `counts`, by kind.  A find that starts within the limit is redacted
        completely.
        """
        window = text[: limit + MARGIN]
        for _ in range(ESCAPES_MAX):
            if "\\u00" in window:
                window = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), window)
        data = window.encode("utf-8", "replace")
        end = len(window[:limit].encode("utf-8", "replace"))
        cut = len(window) > limit or len(text) > limit + MARGIN
        if self._any is not None and self._any.search(data) is None:
            return data[:end].decode("utf-8", "replace"), cut
        spans, end = self._spans(data, end)
        pieces: list[bytes] = []
        at = 0
        for start, stop, kind in merged(spans):
            if start >= end:
                break
            pieces += (data[at:start], f"[redacted:{kind}]".encode())
            counts[kind] = counts.get(kind, 0) + 1
            at = stop
        pieces.append(data[at : max(at, end)])
        return b"".join(pieces).decode("utf-8", "replace"), cut or end < len(data)

    def _spans(self, data: bytes, end: int) -> tuple[list[tuple[int, int, str]], int]:
        """All finds that count, and the end of the text: before the first find over FINDS_MAX."""
        marks = [found.span() for found in self._mark.finditer(data)]
        spans = []
        for kind, regex, pattern in self._patterns:
            for number, match in enumerate(_matches(regex, data)):
                if number == FINDS_MAX:
                    end = min(end, match[0][0])
                    break
                spans += [
                    (start, stop, kind)
                    for start, stop in pattern.find(data, match)
                    if not any(a <= start and stop <= b for a, b in marks)
                ]
        return spans, end


def _combined(patterns: list[str]) -> "re2._Regexp | None":
    """All patterns in one, to skip texts without any find, as most are, after one search.

    None if they cannot be combined, which the user's patterns may prevent.
    """
    try:
        return compiled("|".join(f"(?:{pattern})" for pattern in patterns))
    except ValueError:
        return None


def _matches(regex: "re2._Regexp", data: bytes) -> Iterator[tuple[Span, ...]]:
    for match in regex.finditer(data):
        yield tuple(match.span(group) for group in range(1 + regex.groups))


def _whole(data: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """The user's patterns hide all that they match; an empty match hides nothing."""
    return [spans[0]] if spans[0][0] < spans[0][1] else []


def merged(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Spans in order; overlapping ones are joined, under the kind that starts first."""
    found: list[tuple[int, int, str]] = []
    for start, stop, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]), found[-1][2])
        else:
            found.append((start, stop, kind))
    return found

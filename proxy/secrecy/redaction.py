"""Takes out of a text what must not be kept.  No I/O.

Patterns are run by RE2, in linear time whatever the text is: no pattern, and nobody who writes a
prompt for one, can stall the meter.
"""

import re
from collections.abc import Collection, Iterator, Mapping

import re2

from proxy.secrecy.kinds import CREDENTIAL, KINDS, Pattern, Span

FINDS_MAX = 1_000  # of one pattern in one text: where there are more, the text ends there
# A find is seen whole if its beginning is this far before the end of what is looked at.
MARGIN = 4_096
PATTERN_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ESCAPE = re.compile(r"\\+u00([2-7][0-9A-Fa-f])")  # an ASCII character, in JSON that is text
ESCAPES_MAX = 4  # of escapes that are escaped
PATTERN_BYTES_MAX = 4 * 1024 * 1024  # memory of a compiled pattern, of its finds too


def compiled(pattern: str) -> "re2._Regexp":
    """Raises ValueError that says why RE2 refuses it, or that it matches nothing at all."""
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
        raise ValueError("it matches the empty text, which is everywhere")
    return regex


class Redactor:
    """Finds of the built-in `kinds` and of own `patterns` by name; credentials are always found.

    Raises ValueError for a kind that there is not, and for a pattern that RE2 refuses.
    """

    def __init__(
        self, kinds: Collection[str] = (), patterns: Mapping[str, str] | None = None
    ) -> None:
        own = {name: (Pattern(text, _whole),) for name, text in (patterns or {}).items()}
        chosen = {CREDENTIAL: KINDS[CREDENTIAL]} | {kind: KINDS[kind] for kind in kinds} | own
        self._patterns = [
            (name, compiled(one.regex), one) for name, group in chosen.items() for one in group
        ]
        self._any = _together([one.regex for *_, one in self._patterns])
        # What stands in the place of a find.  A find that lies within one is none.
        self._mark = re.compile(rb"\[redacted:(?:%b)\]|\*\*\*" % "|".join(chosen).encode())

    def redact(self, text: str, counts: dict[str, int], limit: int) -> tuple[str, bool]:
        """The first `limit` characters of `text` without its finds, and whether some are left out.

        `counts` gets how many there were of each kind.  What begins within the limit is hidden
        whole.
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
        """All finds that count, and where the text ends."""
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


def _together(patterns: list[str]) -> "re2._Regexp | None":
    """Finds whether there is anything to find: most texts have nothing in them, as one look tells.

    None: own patterns can be such that they are no pattern together.
    """
    try:
        return compiled("|".join(f"(?:{pattern})" for pattern in patterns))
    except ValueError:
        return None


def _matches(regex: "re2._Regexp", data: bytes) -> Iterator[tuple[Span, ...]]:
    for match in regex.finditer(data):
        yield tuple(match.span(group) for group in range(1 + regex.groups))


def _whole(data: bytes, spans: tuple[Span, ...]) -> list[Span]:
    """Own patterns hide all that they match; a match of nothing hides nothing."""
    return [spans[0]] if spans[0][0] < spans[0][1] else []


def merged(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """In their order, those that overlap as one, named by the one that begins first."""
    found: list[tuple[int, int, str]] = []
    for start, stop, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]), found[-1][2])
        else:
            found.append((start, stop, kind))
    return found

"""Documents whose bytes repeat those of the one before, but for a text.  Sans-I/O.

Where two documents have all bytes in common but those of one JSON string, they are the same but for
that string: the second need not be decoded.  Most events of a stream are such.
"""

from collections.abc import Callable, Sequence

import msgspec

from proxy.dialects.contract import Json
from proxy.reading.document import decode

MISSED_MAX = 8  # templates that no event repeats, before none is made any more
EVENT_BYTES_MAX = 16 * 1024  # of one that is kept until the next: a text is shorter
REPEATED = object()  # stands for a document that repeats the last one, beside its text

_PROBES = ("taximeter probe 1", "taximeter probe 2")
_text = msgspec.json.Decoder(str).decode
_token = msgspec.json.encode


class Template(msgspec.Struct, frozen=True):
    """The bytes around a text, and around a padding without meaning where there is one."""

    start: bytes
    between: bytes  # text and padding; empty: there is no padding
    end: bytes
    text_first: bool

    def text(self, data: bytes) -> str | None:
        """The text of a document that is made of these bytes; None: it is not."""
        if not data.startswith(self.start) or not data.endswith(self.end):
            return None
        inner = data[len(self.start) : len(data) - len(self.end)]
        try:
            if not self.between:
                return _text(inner)
            one, _, other = inner.partition(self.between)
            first, second = _text(one), _text(other)
        except ValueError:  # msgspec.DecodeError is one, and so is that of broken UTF-8
            return None
        return first if self.text_first else second


def template(
    data: bytes, texts: Sequence[str], text_of: Callable[[Json], str | None]
) -> Template | None:
    """The bytes of `data` around `texts`: the text, and the padding if there is one.

    `text_of` gives the text of a document that is the same but for these.  None: they do not stand
    in `data` once each, as far as we can see.
    """
    tokens = [_token(text) for text in texts]
    if any(data.count(token) != 1 for token in tokens):
        return None
    start, first, rest = data.partition(min(tokens, key=data.index))
    others = [token for token in tokens if token != first]
    between, _, end = rest.partition(others[0]) if others else (b"", b"", rest)
    found = Template(start, between, end, first == tokens[0])
    probes = _PROBES if found.text_first else _PROBES[::-1]
    shown = [_token(probe) for probe in probes]
    probed = start + shown[0] + (between + shown[1] if others else b"") + end
    try:
        return found if text_of(decode(probed)) == _PROBES[0] else None
    except ValueError:
        return None


class Repeats:
    """The event that was read last, and whether the next ones repeat it."""

    def __init__(self) -> None:
        self._template: Template | None = None
        self._name: bytes | None = None
        self._data = b""  # empty: it is not to be learned from
        self._missed = 0  # templates in a row that no event repeated

    def text(self, name: bytes | None, data: bytes) -> str | None:
        """The text of an event that repeats the last one; None: it must be read."""
        if self._template is None or name != self._name:
            return None
        text = self._template.text(data)
        self._missed = 0 if text is not None else self._missed + 1
        return text

    def reads(self, name: bytes | None, data: bytes) -> None:
        """An event that must be read; of one that came in pieces, `data` is empty."""
        self._template, self._name = None, name
        self._data = data if len(data) <= EVENT_BYTES_MAX else b""

    def learn(self, texts: Sequence[str], text_of: Callable[[Json], str | None]) -> None:
        """Take from the reader what the next events may repeat: see `template`."""
        if self._data and self._missed < MISSED_MAX:
            self._template = template(self._data, texts, text_of)

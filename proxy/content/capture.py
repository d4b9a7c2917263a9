"""Takes what one call says while it is read, and gives it bounded and redacted.  No I/O.

What is held of an open call is bounded, and so is what is held of all; a call beyond that limit has
its row and no content.
"""

from collections import deque
from collections.abc import Callable, Hashable
from io import StringIO
from typing import TypeVar
from uuid import UUID

from exporters.content import Captured
from proxy.content.walker import Walker
from proxy.dialects.contract import Json
from proxy.exchange import Begun
from proxy.secrecy.redaction import MARGIN, Redactor
from proxy.settings.config import ContentOptions

T = TypeVar("T")

OPEN_BYTES_MAX = 64 * 1024 * 1024  # held of all open calls, beyond their requests
CHARACTER_BYTES = 4  # at most, in memory
CHANNELS_MAX = 1_024  # choices and tool calls of one answer kept; the rest is not
TAG = "content"  # x-taximeter-content: off


class Capturing:
    """What all calls share: the settings, and how much is held.  Raises what `Redactor` raises."""

    def __init__(self, settings: ContentOptions, open_bytes_max: int = OPEN_BYTES_MAX) -> None:
        self.settings = settings
        self.redactor = Redactor(settings.redact, settings.patterns)
        self.free = open_bytes_max
        self.dropped = 0  # calls whose content was given up

    def begin(self, begun: Begun) -> "Capture | None":
        """For a call that has begun; None: it was asked to be left out, or is not in the sample."""
        if begun.tags.get(TAG, "on") != "on" or not sampled(begun.call_id, self.settings.sample):
            return None
        return Capture(self)


def sampled(call_id: str, share: float) -> bool:
    """Whether a call is among that share of all; a call that is metered again is so again."""
    try:
        chance = UUID(call_id).int & 0xFFFF_FFFF
    except ValueError:
        return False
    return chance < share * 0x1_0000_0000


class Capture:
    """One call's.  `close` is called once; after it nothing is held.

    Nothing here raises: a fault of ours may cost the content, never the reading beside it.
    """

    def __init__(self, capturing: Capturing) -> None:
        self._capturing = capturing
        self._most = capturing.settings.bytes_max
        self._counts: dict[str, int] = {}
        self._walker = Walker(capturing.redactor, self._counts)
        self._sent = NewestLines(self._most)
        self._answered = NewestLines(self._most)
        self._said: dict[Hashable, StringIO] = {}
        self._room = self._most + MARGIN  # characters of output that are still kept
        self._left_out = False  # a channel found no room at all
        self._unheard: set[Hashable] = set()  # channels whose text goes on beyond that
        self._taken = 0  # bytes of what all calls may hold
        self.dropped = False  # there was no room: the call has no content

    def hear(self, text: str, channel: Hashable) -> None:
        """Take text that the model made; that of one channel is one text."""
        self._guarded(lambda: self._hear(text, channel))

    def _hear(self, text: str, channel: Hashable) -> None:
        if channel not in self._said and (not self._room or len(self._said) >= CHANNELS_MAX):
            self._left_out = True
            return
        if len(text) > self._room:
            self._unheard.add(channel)
            text = text[: self._room]
        if text and self._take(CHARACTER_BYTES * len(text)):
            self._room -= len(text)
            self._said.setdefault(channel, StringIO()).write(text)

    def sent(self, document: Json) -> None:
        """Take a message of the caller, where a call has many."""
        self._guarded(lambda: self._add(self._sent, document))

    def answered(self, document: Json) -> None:
        """Take a document of a response that is no stream."""
        self._guarded(lambda: self._add(self._answered, document))

    def close(self, request: Json, *, cut: bool = False) -> Captured | None:
        """What was said; `request` is the request body, if it is one document.  None: no room.

        `cut`: the request was too large to be read whole.
        """
        if request is not None:
            self.sent(request)
        self._sent.cut |= cut
        captured = None if self.dropped else self._guarded(self._captured)
        self._capturing.dropped += captured is None
        self._release()
        return captured

    def _release(self) -> None:
        """Hold nothing any more."""
        self._capturing.free += self._taken
        self._taken = 0
        for held in (self._said, self._sent.lines, self._answered.lines):
            held.clear()

    def _guarded(self, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except Exception:  # noqa: BLE001 — see above
            self.dropped = True
            return None

    def _captured(self) -> Captured:
        output, cut = self._output()
        return Captured(
            request="\n".join(self._sent.lines),
            response="\n".join(self._answered.lines),
            output=output,
            request_cut=self._sent.cut,
            response_cut=self._answered.cut,
            output_cut=cut,
            redactions=self._counts,
        )

    def _output(self) -> tuple[str, bool]:
        """The channels' texts below each other, and whether something is left out."""
        texts, cut = [], self._left_out or bool(self._unheard)
        for channel, said in self._said.items():
            text = said.getvalue()
            # What begins in the margin of a text that goes on may be half a secret.
            most = max(0, len(text) - MARGIN) if channel in self._unheard else self._most
            texts.append(self._walker.text(text, min(most, self._most)))
            cut |= self._walker.cut
        output = "\n\n".join(filter(None, texts)).encode()
        kept = output[: self._most].decode("utf-8", "ignore")
        return kept, cut or len(output) > self._most

    def _add(self, lines: "NewestLines", document: Json) -> None:
        if not self.dropped:
            line = self._walker.document(document, self._most)
            lines.cut |= self._walker.cut
            self._take(lines.add(line))

    def _take(self, size: int) -> bool:
        """Hold `size` bytes more, if all calls together may."""
        if size > self._capturing.free:
            self.dropped = True
            self._release()
        if self.dropped:
            return False
        self._capturing.free -= size
        self._taken += size
        return True


class NewestLines:
    """The newest lines that are together no longer than `bytes_max`, line ends included."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._size = 0
        self.lines: deque[str] = deque()
        self.cut = False

    def add(self, line: str) -> int:
        """Keep a line, at most `bytes_max` long; returns by how many bytes more is held now."""
        before = self._size
        self.lines.append(line)
        self._size += len(line.encode()) + 1
        while self._size > self._bytes_max + 1:
            self._size -= len(self.lines.popleft().encode()) + 1
            self.cut = True
        return self._size - before

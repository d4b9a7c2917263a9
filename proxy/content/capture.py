"""Collects the content of a call while it is read, bounded and redacted.  No I/O.

The memory for one open call is bounded, and so is the memory for all of them; a call that exceeds
it has a row but no content.
"""

from collections import deque
from collections.abc import Callable, Hashable
from io import StringIO
from typing import TypeVar

from exporters.content import Captured
from proxy.content.walker import Walker
from proxy.dialects.contract import Json
from proxy.exchange import Begun
from proxy.sampling import sampled
from proxy.secrecy.redaction import MARGIN, Redactor
from proxy.settings.config import ContentOptions

T = TypeVar("T")

OPEN_BYTES_MAX = 64 * 1024 * 1024  # content of all open calls, without their requests
CHARACTER_BYTES = 4  # at most, in memory
CHANNELS_MAX = 1_024  # choices and tool calls kept of one response
TAG = "content"  # x-taximeter-content: off


class Capturing:
    """What all captures share: settings and free memory.  Raises what `Redactor` raises."""

    def __init__(self, settings: ContentOptions, open_bytes_max: int = OPEN_BYTES_MAX) -> None:
        self.settings = settings
        self.redactor = Redactor(settings.redact, settings.patterns)
        self.free = open_bytes_max
        self.dropped = 0  # calls whose content was dropped

    def begin(self, begun: Begun) -> "Capture | None":
        """A capture for a new call; None if the caller opted out or the call is not sampled."""
        if begun.tags.get(TAG, "on") != "on" or not sampled(begun.call_id, self.settings.sample):
            return None
        return Capture(self)


class Capture:
    """The content of one call.  `close` is called once and releases all memory.

    Nothing here raises: a bug may cost the content, but never the reading of the call.
    """

    def __init__(self, capturing: Capturing) -> None:
        self._capturing = capturing
        self._most = capturing.settings.bytes_max
        self._counts: dict[str, int] = {}
        self._walker = Walker(capturing.redactor, self._counts)
        self._sent = NewestLines(self._most)
        self._answered = NewestLines(self._most)
        self._texts: dict[Hashable, StringIO] = {}
        self._room = self._most + MARGIN  # characters of output that still fit
        self._left_out = False  # a channel did not fit at all
        self._truncated: set[Hashable] = set()  # channels of which only the start fits
        self._taken = 0  # bytes of the memory for all calls
        self.dropped = False  # the memory was full: the call has no content

    def add_text(self, text: str, channel: Hashable) -> None:
        """Add text that the model generated to the text of its channel."""
        self._guarded(lambda: self._add_text(text, channel))

    def _add_text(self, text: str, channel: Hashable) -> None:
        if channel not in self._texts and (not self._room or len(self._texts) >= CHANNELS_MAX):
            self._left_out = True
            return
        if len(text) > self._room:
            self._truncated.add(channel)
            text = text[: self._room]
        if text and self._take(CHARACTER_BYTES * len(text)):
            self._room -= len(text)
            self._texts.setdefault(channel, StringIO()).write(text)

    def add_message(self, document: Json) -> None:
        """Add a message from the caller, if a call has several."""
        self._guarded(lambda: self._add(self._sent, document))

    def add_response(self, document: Json) -> None:
        """Add a document of a response that is not a stream."""
        self._guarded(lambda: self._add(self._answered, document))

    def close(self, request: Json, *, cut: bool = False) -> Captured | None:
        """The content; None if it was dropped.

        `request` is the request body, if it is one document; `cut` means that it was too large to
        be read completely.
        """
        if request is not None:
            self.add_message(request)
        self._sent.cut |= cut
        captured = None if self.dropped else self._guarded(self._captured)
        self._capturing.dropped += captured is None
        self._release()
        return captured

    def _release(self) -> None:
        """Release all memory."""
        self._capturing.free += self._taken
        self._taken = 0
        for held in (self._texts, self._sent.lines, self._answered.lines):
            held.clear()

    def _guarded(self, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except Exception:  # noqa: BLE001 — a bug here must not cost the reading of the call
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
        """The texts of the channels, one below the other, and whether something is left out."""
        texts, cut = [], self._left_out or bool(self._truncated)
        for channel, written in self._texts.items():
            text = written.getvalue()
            # A secret that starts in the margin of a truncated text may be incomplete.
            most = max(0, len(text) - MARGIN) if channel in self._truncated else self._most
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
        """Take `size` bytes of the memory for all calls; drops the content if they do not fit."""
        if size > self._capturing.free:
            self.dropped = True
            self._release()
        if self.dropped:
            return False
        self._capturing.free -= size
        self._taken += size
        return True


class NewestLines:
    """The newest lines that fit into `bytes_max`, line ends included."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._size = 0
        self.lines: deque[str] = deque()
        self.cut = False

    def add(self, line: str) -> int:
        """Add a line of at most `bytes_max` bytes; returns by how many bytes the total grew."""
        before = self._size
        self.lines.append(line)
        self._size += len(line.encode()) + 1
        while self._size > self._bytes_max + 1:
            self._size -= len(self.lines.popleft().encode()) + 1
            self.cut = True
        return self._size - before

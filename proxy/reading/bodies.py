"""The bodies of a call: encodings and framing undone, down to documents.  Sans-I/O."""

from collections.abc import Iterator, Mapping

from pricing.reason import Reason
from proxy.dialects.contract import Json
from proxy.reading.document import Document, Item, Limits
from proxy.reading.framers import SNIFF_BYTES, Framer, JsonArray, choose
from proxy.reading.inflate import Inflate
from proxy.reading.line_framers import ServerSentEvents
from proxy.reading.multipart import Multipart, boundary_of
from proxy.reading.repeats import Repeats
from proxy.settings.config import MeteringOptions

DECODED_PER_DOCUMENT = 16  # most decoded bytes of one body, as a multiple of document_bytes_max
BOM = b"\xef\xbb\xbf"
SPACE = b" \t\r\n"
# Why a body was not read → the same for a request, which leaves terms unknown rather than usage.
_OF_REQUEST: Mapping[Reason, Reason] = {
    Reason.BODY_TOO_LARGE: Reason.REQUEST_BODY_TOO_LARGE,
    Reason.DECODED_BODY_TOO_LARGE: Reason.REQUEST_DECODED_BODY_TOO_LARGE,
    Reason.CONTENT_ENCODING_UNKNOWN: Reason.REQUEST_CONTENT_ENCODING_UNKNOWN,
    Reason.CONTENT_ENCODING_CORRUPT: Reason.REQUEST_CONTENT_ENCODING_CORRUPT,
}


class RequestBody:
    """The request body: JSON, or the plain fields of a form."""

    def __init__(self, headers: Mapping[str, str], limits: MeteringOptions) -> None:
        self.limits = Limits(limits.document_bytes_max)
        self._inflate = _inflate(headers.get("content-encoding", ""), limits)
        boundary = boundary_of(headers.get("content-type", ""))
        self._body: Document | Multipart = (
            Multipart(boundary) if boundary else Document(self.limits)
        )
        self._closed: Json = None
        self._is_closed = self._files = False
        self.text = ""  # a body that is neither

    def feed(self, data: bytes) -> None:
        """Take bytes as sent; those that arrive after the body was needed are ignored."""
        if not self._is_closed:
            for piece in self._inflate.feed(data):
                self._body.feed(piece)

    def document(self) -> Json:
        """The body; None if there is none, or if it is neither JSON nor a form."""
        if not self._is_closed:
            self._is_closed = True
            body = self._body.close()
            self._files = isinstance(self._body, Multipart) and self._body.files
            self.text = body if isinstance(body, str) else ""
            self._closed = None if isinstance(body, str) else body
            del self._body
        return self._closed

    @property
    def whole(self) -> bool:
        """Whether all of the body was read; the files of a form are not."""
        self.document()
        return not (self.limits.pruned or self._files or any(self.reasons()))

    def reasons(self) -> Iterator[Reason]:
        """Why the body was not read, or not in full."""
        found = (self._inflate.reason, *self.limits.reasons)
        return (_OF_REQUEST.get(reason, reason) for reason in found if reason)


class ResponseBody:
    """The response body, down to its documents."""

    def __init__(self, kind: str, encoding: str, limits: MeteringOptions) -> None:
        self.limits = Limits(limits.document_bytes_max)
        self._kind = kind
        self._inflate = _inflate(encoding, limits)
        self._start = b""  # held back until the framer can be chosen
        self._framer: Framer | None = None

    @property
    def stream(self) -> bool:
        """Whether documents arrive over time; known once there is one."""
        return self._framer is not None and self._framer.stream

    @property
    def repeats(self) -> Repeats | None:
        """What its events repeat; None: it has no events, or none yet."""
        return self._framer.repeats if isinstance(self._framer, ServerSentEvents) else None

    @property
    def array(self) -> bool:
        """Whether the documents are the elements of one JSON array."""
        return isinstance(self._framer, JsonArray)

    def feed(self, data: bytes) -> Iterator[Item]:
        """Yield the documents that `data` completes."""
        for piece in self._inflate.feed(data):
            yield from self._frame(piece)

    def _frame(self, data: bytes, last: bool = False) -> Iterator[Item]:
        if self._framer is None:
            data = (self._start + data).removeprefix(BOM).lstrip(SPACE)
            if not last and len(data) < SNIFF_BYTES:
                self._start = data
                return
            self._framer = choose(self._kind, data[:SNIFF_BYTES], self.limits)
            self._start = b""
        yield from self._framer.feed(data)

    def close(self) -> Iterator[Item]:
        """Yield the documents that the end completes."""
        if self._framer is None and self._start:
            yield from self._frame(b"", last=True)
        if self._framer is not None:
            yield from self._framer.close()

    def reasons(self) -> Iterator[Reason]:
        """Why the body was not read, or not in full."""
        return (reason for reason in (self._inflate.reason, *self.limits.reasons) if reason)


def _inflate(encoding: str, limits: MeteringOptions) -> Inflate:
    return Inflate(encoding, DECODED_PER_DOCUMENT * limits.document_bytes_max)

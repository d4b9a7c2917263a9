"""An answer as the relay wrote it for a caller: its head, its body without chunks.  No I/O."""

from collections.abc import Iterable, Mapping

END = b"\r\n\r\n"


class Answer:
    """Feed it what was written; `status` is 0 until the head is there."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}  # names in lower case
        self.head = b""  # as it was written, once it is whole
        self._head = b""
        self._rest = b""  # of the chunks, what is not whole
        self._left = 0  # of the chunk that is being read

    def feed(self, data: bytes) -> bytes:
        """What this brings of the body."""
        if not self.status:
            self._head += data
            head, end, data = self._head.partition(END)
            if not end:
                return b""
            self.head = head + end
            self._read_head(head)
        if self.headers.get("transfer-encoding") != "chunked":
            return data
        return b"".join(self._chunks(data))

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        self.status = int(first.split(b" ", 2)[1])
        pairs = (line.decode("latin-1").partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    def _chunks(self, data: bytes) -> Iterable[bytes]:
        """The relay's own chunks, which have no extensions and no trailers."""
        self._rest += data
        while self._rest:
            if not self._left:
                size, end, rest = self._rest.partition(b"\r\n")
                if not end:
                    return
                self._left, self._rest = int(size, 16) + 2, rest
            part, self._rest = self._rest[: self._left], self._rest[self._left :]
            content = max(0, self._left - 2)
            yield part[:content]
            self._left -= len(part)


def with_headers(data: bytes, headers: Mapping[str, str]) -> bytes:
    """A whole head, and what follows it, with these headers in place of those of the same name."""
    head, end, rest = data.partition(END)
    first, *lines = head.split(b"\r\n")
    kept = [line for line in lines if _name(line) not in headers]
    added = [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
    return b"\r\n".join([first, *kept, *added]) + end + rest


def _name(line: bytes) -> str:
    return line.partition(b":")[0].decode("latin-1").lower()

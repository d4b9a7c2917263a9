"""Events of a stream that say nothing new but a text, as most of them do."""

from collections.abc import Callable, Sequence

from proxy.dialects.contract import Json
from proxy.dialects.errors import find_error

TEXT = object()  # stands in a document where its text was
# A document without its text and its padding, then these, of which the padding may be missing;
# no texts: it says more than one, or none.
Apart = Callable[[Json], tuple[Json, Sequence[str]]]


class Repeated:
    """Recognises a document that equals the one read last in all but its text and its padding.

    Whatever else it says was taken then, and taking it again must change nothing.
    """

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._rest: Json = None
        self.texts: Sequence[str] = ()  # of the document that was read last

    def remember(self, document: Json) -> None:
        """Take the document that was read last.  Of an error, nothing else was taken."""
        failed = find_error(document) is not None
        self._rest, self.texts = (None, ()) if failed else self._apart(document)

    def text(self, document: Json) -> str | None:
        """The text of a document that says nothing else; None: it must be read."""
        if not self.texts:
            return None
        rest, texts = self._apart(document)
        return texts[0] if texts and rest == self._rest else None


class Repeating:
    """What readers of such events are."""

    repeated: Repeated

    def again(self, text: str, at_ns: int) -> None:
        """Take an event that repeats the last one with another text."""
        raise NotImplementedError

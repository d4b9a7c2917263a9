"""The responses in progress on one connection: a WebSocket may carry several at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.dialects.contract import Ask
from proxy.dialects.openai.tools import Tools
from proxy.dialects.values import mapping, text

LANES_MAX = 1_024  # in progress at a time

Block = Mapping[str, object]


@dataclass(slots=True)
class Lane:
    """One response in progress."""

    ask: Ask
    tools: Tools = field(default_factory=Tools)
    doubtful: bool = False  # a tool ran that may be its own or another's
    # A response object with usage and a status that is not known.
    stated: Block = field(default_factory=dict)


class Lanes:
    """Finds the lane of an event, by `stream_id` or by the id of the response."""

    def __init__(self) -> None:
        self.lost = False  # more were in progress than can be kept
        self._waiting: list[tuple[str, Ask]] = []  # asked for, not yet begun
        self._open: dict[str, Lane] = {}

    @property
    def busy(self) -> bool:
        """Whether a response was asked for or begun, and has not ended."""
        return bool(self._waiting or self._open) or self.lost

    def take_stated(self) -> list[Lane]:
        """Those that have stated their usage and not ended; they are no longer in progress."""
        stated = {key: lane for key, lane in self._open.items() if lane.stated}
        self._open = {key: lane for key, lane in self._open.items() if key not in stated}
        return [*stated.values()]

    def asked(self, event: Block, ask: Ask) -> None:
        """The caller asks for another response."""
        if len(self._waiting) < LANES_MAX:
            self._waiting.append((text(event.get("stream_id")), ask))
        else:
            self.lost = True

    def of(self, event: Block, ask: Ask) -> Lane:
        """The lane of an event that holds a response, begun if it is new; `ask` is the default."""
        key = _key(event)
        if "" in self._open and key not in self._open:  # tools came before the id was known
            self._open[key] = self._open.pop("")
        if key not in self._open:
            lane = Lane(self._begin(text(event.get("stream_id")), ask))
            if len(self._open) >= LANES_MAX:
                self.lost = True
                return lane
            self._open[key] = lane
        return self._open[key]

    def _begin(self, stream: str, ask: Ask) -> Ask:
        """The request of a response that begins: of its stream, else the first that waits."""
        found = next((n for n, (name, _) in enumerate(self._waiting) if name == stream), None)
        if found is None and self._waiting:
            found = 0
        return ask if found is None else self._waiting.pop(found)[1]

    def end(self, event: Block) -> None:
        """The response of this event has ended."""
        self._open.pop(_key(event), None)

    def add_tool(self, event: Block, ask: Ask) -> None:
        """Count the finished item of an event; without an id it is the only lane's, if one is."""
        named = _key(event)
        if named or len(self._open) + len(self._waiting) <= 1:
            lane = self._open.get(named)
            if lane is None and not named and self._open:
                [lane] = self._open.values()
            (lane or self.of(event, ask)).tools.add(mapping(event, "item"))
            return
        for lane in self._open.values():
            lane.doubtful = True


def _key(event: Block) -> str:
    names = (event.get("stream_id"), event.get("response_id"), mapping(event, "response").get("id"))
    return next((text(name) for name in names if text(name)), "")

"""How candidates did lately, as the meter published it; nothing, while that cannot be read."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, time

import msgspec

from proxy.gateway.live import Condition
from proxy.gateway.measured import ANY_SIZE, Figures, Published, condition, size_class

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks for news
BYTES_MAX = 1024 * 1024  # the meter writes less
_decoder = msgspec.json.Decoder(Published)


class Conditions:
    """One relay's view.  `clock` is the decisions', `wall` the meter's; both in seconds."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._path = path
        self._clock, self._wall = clock, wall
        self._look_at = 0.0
        self._version = (0, 0)  # inode and time of change of what was read
        self._at = 0.0  # by the wall
        self._figures: dict[tuple[str, int], Figures] = {}
        self._complaint = ""

    def at(self, now: float) -> float:
        """When they were measured, by the clock."""
        self._look(now)
        return now - max(0.0, self._wall() - self._at)

    def figures(self, candidate: str, now: float) -> tuple[float, list[Figures]]:
        """(when by the wall, figures of every class) of one `provider/model`."""
        self._look(now)
        return self._at, [one for (label, _), one in self._figures.items() if label == candidate]

    def of(self, candidates: Sequence[str], input_tokens: int | None) -> list[Condition]:
        """The condition of each `provider/model` for requests of this size; None: of any size."""
        size = ANY_SIZE if input_tokens is None else size_class(input_tokens)
        found = self._figures
        return [condition(found.get((one, ANY_SIZE)), found.get((one, size))) for one in candidates]

    def _look(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        try:
            stat = self._path.stat()
            version = (stat.st_ino, stat.st_mtime_ns)
            if version == self._version:
                return
            with self._path.open("rb") as file:
                read = _decoder.decode(file.read(BYTES_MAX))
        except FileNotFoundError:
            return  # there were no calls yet; what was read grows stale
        except (OSError, msgspec.MsgspecError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("Cannot read how candidates do (%s); routes follow their lists.", error)
            return
        self._version = version
        self._at = read.at
        self._figures = {(one.candidate, one.size): one for one in read.figures}

"""How candidates and canaries do, as the meter published it; nothing, while that cannot be read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, time

from proxy.door.published import PublishedFile
from proxy.gateway import measured
from proxy.gateway.canary import ROLLED_BACK, Standing, Standings
from proxy.gateway.live import Condition
from proxy.gateway.measured import ANY_SIZE, Figures, condition, size_class
from proxy.gateway.options import RouteOptions
from proxy.settings.places import Places


class Conditions:
    """One relay's view.  `clock` is the decisions', `wall` the meter's; both in seconds."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._file = PublishedFile(path, measured.Published, "how candidates do", clock)
        self._wall = wall
        self._seen: measured.Published | None = None
        self._figures: dict[tuple[str, int], Figures] = {}

    def at(self, now: float) -> float:
        """When they were measured, by the clock."""
        return now - max(0.0, self._wall() - self._look())

    def figures(self, candidate: str) -> tuple[float, list[Figures]]:
        """(when by the wall, figures of every class) of one `provider/model`."""
        at = self._look()
        return at, [one for (label, _), one in self._figures.items() if label == candidate]

    def of(self, candidates: Sequence[str], input_tokens: int | None) -> list[Condition]:
        """The condition of each `provider/model` for requests of this size; None: of any size."""
        size = ANY_SIZE if input_tokens is None else size_class(input_tokens)
        found = self._figures
        return [condition(found.get((one, ANY_SIZE)), found.get((one, size))) for one in candidates]

    def _look(self) -> float:
        """When they were measured, by the wall; 0: never."""
        read = self._file.read()
        if read is not self._seen and read is not None:
            self._seen = read
            self._figures = {(one.candidate, one.size): one for one in read.figures}
        return 0.0 if read is None else read.at


class KnownCanaries:
    """How the canaries of routes fare."""

    def __init__(self, places: Places) -> None:
        self._file = PublishedFile(places.gateway_canaries, Standings, "how canaries do")

    def of(self, route: RouteOptions) -> Standing | None:
        """The route's canary as it was last judged; None: it has none, or was not judged yet."""
        if route.canary is None:
            return None
        read = self._file.read()
        return next((one for one in read.canaries if one.is_of(route)), None) if read else None

    def rolled_back(self, route: RouteOptions) -> int | None:
        """The place of the candidate that was rolled back."""
        standing = self.of(route)
        is_out = standing is not None and standing.state == ROLLED_BACK
        return route.canary.candidate if is_out and route.canary else None

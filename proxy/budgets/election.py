"""Which of several machines on one store tells of budgets: the first by name that is there.

Each meter notes every few seconds that it is there.  The first by name tells; once it was not there
for `AWAY_S`, the next one does, and goes on from what was told.  While the store is away everybody
keeps its part: nobody can know of the others, and told twice is worse than told late.  Around a
change of machines an alert may be told twice, under the same id.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

from exporters.record import TransientError
from pricing.budget import parse_alert_id
from proxy.notices.outbox import Outbox

log = logging.getLogger(__name__)

EVERY_S = 5.0
AWAY_S = 20
AWAY_S_MAX = 600
CYCLES = 4  # or as many of our own rounds, where the store is slow
TOLD_MAX = 10_000  # firing alerts that are read back, as the outbox remembers


class Among(Protocol):
    """The part of `exporters.clickhouse.among_meters.AmongMeters` that is needed."""

    async def ask(self, sql: str, bound: Mapping[str, Any]) -> Sequence[Sequence[Any]]: ...

    async def put(
        self, table: str, names: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None: ...


_METERS = (
    "SELECT node FROM meters GROUP BY node"
    " HAVING max(seen) > now64(3) - toIntervalSecond({away:UInt32}) ORDER BY node"
)
_FIRING = (
    "SELECT id FROM told_alerts GROUP BY id HAVING argMax(ended, at) = 0"
    f" ORDER BY max(at) DESC LIMIT {TOLD_MAX}"
)


class Election:
    """`tells` says whether this meter does; `targets` gives those of the budget with a name."""

    def __init__(
        self,
        node: str,
        among: Among,
        outbox: Outbox,
        targets: Callable[[str], Collection[str]],
    ) -> None:
        self._node = node
        self._ask, self._put = among.ask, among.put
        self._outbox = outbox
        self._targets = targets
        self._chosen = 0  # how often in a row
        self._round_s = monotonic()
        self.teller = ""
        self._noted: set[str] = set()  # firing alerts that the store knows

    @property
    def tells(self) -> bool:
        """Whether it was chosen twice: the first time another may not have seen it yet."""
        return self._chosen > 1

    async def hold(self) -> None:
        """Note that we are here, see who tells, and what was told.  Call it every `EVERY_S`."""
        try:
            await self._put("meters", ("node",), [[self._node]])
            alive = [str(row[0]) for row in await self._ask(_METERS, {"away": self._away_s()})]
            firing = {str(row[0]) for row in await self._ask(_FIRING, {})}
            self.teller = min([*alive, self._node])
            self._chosen = self._chosen + 1 if self.teller == self._node else 0
            self._adopt(firing)
            if self.tells:
                await self._note(firing)
            else:
                self._noted = firing
        except TransientError as error:
            log.debug("Cannot see the other meters: %s", error)

    def _away_s(self) -> int:
        """After how long a meter counts as away: later where a round takes long."""
        now = monotonic()
        took_s, self._round_s = now - self._round_s, now
        return min(max(AWAY_S, int(CYCLES * took_s)), AWAY_S_MAX)

    async def _note(self, firing: Collection[str]) -> None:
        """Write what we told, and what is over, since the last time."""
        own = self._own()
        rows = [[id, self._node, 0] for id in own if id not in firing]
        rows += [[id, self._node, 1] for id in firing if id in self._noted and id not in own]
        if rows:
            await self._put("told_alerts", ("id", "node", "ended"), rows)
        self._noted = {*own, *firing}

    def _adopt(self, firing: Collection[str]) -> None:
        """Know what others told since the last time and, unless we tell, what they ended."""
        own = self._own()
        if not self.tells:
            self._outbox.end([id for id in own if id in self._noted and id not in firing])
        for id in firing:
            parsed = parse_alert_id(id)
            if parsed is not None and id not in own and not (self.tells and id in self._noted):
                self._outbox.adopt(id, self._targets(parsed.budget))

    def _own(self) -> set[str]:
        return {id for id in self._outbox.told() if parse_alert_id(id) is not None}

"""`Canaries`: one for a meter.

What is known is asked of the store at every look, so nothing is counted twice or lost with a
process; only which canaries there are, since when, and how they ended is in a file of its own,
which relays and console read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Protocol

import msgspec

from exporters.clickhouse import success
from exporters.clickhouse.arms import arms
from exporters.clickhouse.reports import Asks
from exporters.notify.notice import Notice
from proxy.access.roles import METER, Caller
from proxy.canaries.notice import notice
from proxy.gateway.canary import (
    ROLLED_BACK,
    RUNNING,
    WORSE,
    Arm,
    Standing,
    Standings,
    begun,
    judge,
)
from proxy.gateway.failures import What
from proxy.gateway.options import CanaryOptions, RouteOptions
from proxy.journal.disk import write_atomically
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)

LOOK_S = 20.0
HARM = tuple(one.value for one in What if one.harm)

Audits = Callable[[Caller, str, str, object, object], Awaitable[str]]


class Tells(Protocol):
    """What is needed of `proxy.notices.notices.Notices`."""

    def tell(self, notice: Notice, targets: Collection[str] = ()) -> bool: ...


class Canaries:
    """Looks at each canary of the configuration every few seconds."""

    def __init__(self, config: Config, store: Asks, audit: Audits, notices: Tells) -> None:
        routes = config.gateway.routes.values()
        self._routes = [(one, one.canary) for one in routes if one.canary is not None]
        self._targets = tuple(config.notify)
        self._path = Places(config.data).gateway_canaries
        self._node = config.node
        self._store, self._audit, self._notices = store, audit, notices
        self._complaint = ""
        self._known = _read(self._path).canaries

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if self._routes or self._known:
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Judge each canary once.  What fails is logged once, and tried again at the next look."""
        problem = ""
        found = []
        for route, options in self._routes:
            standing = self._standing(route)
            try:
                if standing.state == RUNNING:
                    standing = await self._judged(standing, options)
                if standing.state == WORSE and options.rollback:
                    standing = await self._rolled_back(standing)
            except Exception as error:  # noqa: BLE001 — metering goes on
                problem = f"Canary of route {route.name}: {error}"
            found.append(standing)
        try:
            await asyncio.to_thread(write_atomically, self._path, _encode(found))
        except OSError as error:
            problem = f"Cannot tell the relays how canaries do: {error}"
        self._tell(found)
        self._known = tuple(found)
        if problem and problem != self._complaint:
            log.error("%s.", problem)
        self._complaint = problem

    def _standing(self, route: RouteOptions) -> Standing:
        """What was found until now; of another canary than the last one, nothing."""
        known = next((one for one in self._known if one.is_of(route)), None)
        return known or begun(route, time())

    async def _judged(self, standing: Standing, options: CanaryOptions) -> Standing:
        canary, others = await self._arms(standing, options)
        verdict = judge(
            canary, others, standing.share, 1 - options.confidence, dearer=options.dearer
        )
        return msgspec.structs.replace(
            standing,
            state=verdict.state,
            ended_at=None if verdict.state == RUNNING else time(),
            looked_at=time(),
            canary=canary,
            others=others,
            verdict=verdict,
        )

    async def _arms(self, standing: Standing, options: CanaryOptions) -> tuple[Arm, Arm]:
        """The canary's, and all others together.  Raises TransientError."""
        sql, bound = arms(
            standing.route,
            standing.version,
            standing.began_at,
            faults=HARM,
            first_token_s=options.first_token_s,
            total_s=options.total_s,
            rows=await self._store.rows_table(),
            feedback=bool(await self._store.ask(success.FOUND, {})),
        )
        rows = {str(row.pop("arm")): row for row in await self._store.ask(sql, bound)}
        mine = rows.pop(standing.candidate, {})
        return _sum([mine] if mine else []), _sum(list(rows.values()))

    async def _rolled_back(self, standing: Standing) -> Standing:
        """Its end, once it is in the audit log.  Raises NotAudited."""
        after = msgspec.structs.replace(standing, state=ROLLED_BACK)
        await self._audit(METER, "canary-rollback", standing.route, standing, after)
        return after

    def _tell(self, found: Sequence[Standing]) -> None:
        """The outbox tells nothing twice, so what a crash kept from being told is told now."""
        for (_, options), standing in zip(self._routes, found, strict=True):
            if standing.state != RUNNING:
                self._notices.tell(notice(standing, self._node), options.notify)
        left = {(one.route, one.began_at) for one in found}
        for gone in self._known:
            if gone.state != RUNNING and (gone.route, gone.began_at) not in left:
                over = datetime.now(UTC)
                self._notices.tell(notice(gone, self._node, ended_at=over), self._targets)


def _sum(rows: Sequence[Mapping[str, object]]) -> Arm:
    """Arms as one."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(Arm)}
    return Arm(
        **{
            name: sum((kind(str(row[name])) for row in rows), kind(0))
            for name, kind in kinds.items()
        }
    )


def _encode(found: Sequence[Standing]) -> bytes:
    return msgspec.json.encode(Standings(canaries=tuple(found)))


def _read(path: Path) -> Standings:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Standings)
    except FileNotFoundError:
        return Standings()
    except (OSError, msgspec.MsgspecError) as error:
        log.error("Cannot read %s (%s); all canaries begin anew.", path, error)
        return Standings()

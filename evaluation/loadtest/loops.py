"""When the next request is sent: when it is due (open loop), or when another has ended (closed).

An open loop sends whatever became of the requests before, as users do, so what waits shows in the
times.  A closed loop keeps a number of requests under way: it shows what can be served at most,
and hides how long others would have waited meanwhile (coordinated omission).
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

from evaluation.loadtest.outcomes import Kind, Outcome
from evaluation.loadtest.sending import Call, Due, Generator

OPEN_MAX = 4_000  # requests under way; beyond it the generator would be what is measured


@dataclass(slots=True)
class Loop:
    """One step.  `ended` is told of each outcome; `stop` ends the step early."""

    generator: Generator
    stop: asyncio.Event
    ended: Callable[[Outcome], None]
    _begin: float = field(default_factory=monotonic)
    _found: dict[int, Outcome] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self, planned: Sequence[Due]) -> list[Outcome]:
        """Outcomes in the order in which requests were due; if it was stopped, those so far."""
        stopping = asyncio.ensure_future(self.stop.wait())
        for number, due in enumerate(planned):
            wait_s = self._begin + due.at_s - monotonic()
            if wait_s > 0:
                await asyncio.wait([stopping], timeout=wait_s)
            if self.stop.is_set():
                break
            if (call := self._admitted(number, due)) is not None:
                task = asyncio.create_task(self._one(number, call))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        stopping.cancel()
        return await self._drained()

    async def closed(self, planned: Sequence[Due], places: int) -> list[Outcome]:
        """The same with so many under way; each request is due when there is a place for it."""
        waiting = iter(enumerate(planned))  # all places take from it
        self._tasks = {asyncio.create_task(self._place(waiting)) for _ in range(places)}
        stopping = asyncio.ensure_future(self.stop.wait())
        ended = asyncio.ensure_future(asyncio.wait(self._tasks))
        await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        stopping.cancel()
        return await self._drained()

    async def _place(self, waiting: Iterator[tuple[int, Due]]) -> None:
        for number, due in waiting:
            if self.stop.is_set():
                return
            call = self._admitted(number, replace(due, at_s=monotonic() - self._begin))
            if call is not None:
                await self._one(number, call)

    def _admitted(self, number: int, due: Due) -> Call | None:
        """None: it is not sent, which is its outcome."""
        kind: Kind = "overflow"
        if len(self._tasks) < OPEN_MAX:
            kind = "capped"
            if (call := self.generator.begun(number, due, self._begin)) is not None:
                return call
        self._found[number] = Outcome(due_s=due.at_s, kind=kind, name=due.request.name)
        self.ended(self._found[number])
        return None

    async def _one(self, number: int, call: Call) -> None:
        self._found[number] = await self.generator.sent(number, call)
        self.ended(self._found[number])

    async def _drained(self) -> list[Outcome]:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self.generator.drain_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return [self._found[number] for number in sorted(self._found)]

"""Holds a call back until its budgets let it pass, with as much of its body as that takes.

Nothing of this runs for a call that no budget is about.  Where an amount depends on the request,
its body is held until it has arrived, or until `callers.body_bytes_max`: what is known by then
decides.  A caller that waits for 100 Continue is told to go on, since its body is wanted; one that
is refused without its body is told so instead.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns, time_ns
from typing import Protocol

from proxy.exchange import Outcome
from proxy.gate.answers import Answer, answer
from proxy.gate.asking import Asking
from proxy.gate.request import unpacked
from proxy.gate.verdict import Refusal
from proxy.relay.answers import relay_answer
from proxy.relay.attempt import Attempt
from proxy.relay.failures import StalledRequestBody
from proxy.relay.headers import RequestHeaders
from proxy.relay.receiver import Answerable, State
from proxy.relay.settling import Settling
from proxy.relay.tunnel import Tunnel
from proxy.relay.turns import Turn

log = logging.getLogger(__name__)

ASKS_MAX = 10  # of one call while the gate is busy; then `fail` decides
ASK_AGAIN_S = 0.002
WATCH_S = 0.25  # between two looks whether an open socket is to be closed
TRY_AGAIN_LATER = 1013  # https://www.iana.org/assignments/websocket
ERROR = "budget"  # in x-taximeter-error


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer to a call that a budget refuses."""

    told: Answer

    def answer(self, *, bodyless: bool, keep_alive: bool) -> bytes:
        """As sent on the wire."""
        told = self.told
        return relay_answer(
            told.status,
            told.document,
            error=ERROR,
            more=told.headers,
            bodyless=bodyless,
            keep_alive=keep_alive,
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a call says about its body, and whose errors its caller expects."""

    headers: RequestHeaders
    path: str
    dialect: str

    def find(self, name: bytes) -> str:
        """The value of a header, by its name in lower case; ""."""
        found = (value for key, value in self.headers.forward if key.lower() == name)
        return next(found, b"").strip().lower().decode("latin-1")


class Guarded(Protocol):
    """The call."""

    def refused(self, failed: Answerable) -> None: ...


class Guard:
    """Of one call that some budget is about."""

    __slots__ = (
        *("holds", "asking", "_envelope", "_bytes_max", "_settling"),
        *("_attempt", "_call", "_seen", "_idle_s", "_task"),
    )

    def __init__(
        self, asking: Asking, envelope: Envelope, settling: Settling, bytes_max: int, idle_s: float
    ) -> None:
        self.holds = False  # the body is held
        self.asking = asking
        self._envelope = envelope
        self._settling = settling
        self._bytes_max = bytes_max
        self._idle_s = idle_s
        self._attempt: Attempt
        self._call: Guarded
        self._seen = 0  # bytes that had arrived when it was last looked whether some come
        self._task: asyncio.Task[None] | None = None

    def begin(self, attempt: Attempt, call: Guarded) -> None:
        """Ask, or hold the body first."""
        self._attempt, self._call = attempt, call
        if not self.asking.wants_body:
            self._ask()
            return
        self.holds = True
        attempt.upload.proceed()
        if self._idle_s:
            asyncio.get_running_loop().call_later(self._idle_s, self._look)

    def arrived(self, last: bool) -> bool:
        """A part of the body arrived, or its end; False: it is not held."""
        if not self.holds:
            return False
        if last or self._attempt.upload.unsent_bytes >= self._bytes_max:
            self.holds = False
            self._safely(lambda: self._read(last))
        return True

    def switched(self, tunnel: Tunnel) -> None:
        """The call became a socket, which a budget may close while it is open."""
        if self.asking.closes_sockets and not tunnel.ended:
            turn = Turn(monotonic_ns())
            tunnel.watch(turn)
            self._watch(tunnel, turn)

    def _watch(self, tunnel: Tunnel, turn: Turn) -> None:
        if tunnel.ended:
            return
        budget = self.asking.spent(time_ns()) if turn.is_over(monotonic_ns()) else None
        if budget is None:
            asyncio.get_running_loop().call_later(WATCH_S, self._watch, tunnel, turn)
        else:
            self._attempt.log.blocked_by = (budget.name,)
            tunnel.close(TRY_AGAIN_LATER, f"budget {budget.name} is spent")

    def _look(self) -> None:
        """End a call whose body does not come; its caller may have left meanwhile."""
        arrived = self._attempt.log.request_bytes
        if not self.holds or self._attempt.state is not State.NEW:
            return
        if arrived == self._seen:
            self.holds = False
            self._attempt.break_off(StalledRequestBody())
        else:
            self._seen = arrived
            asyncio.get_running_loop().call_later(self._idle_s, self._look)

    def _read(self, whole: bool) -> None:
        if self._attempt.state is not State.NEW:
            return
        data, coding = self._attempt.upload.unsent, self._envelope.find(b"content-encoding")
        plain = unpacked(data, coding, self._bytes_max) if whole else None
        if plain is not None:
            work = self.asking.read(plain, whole=True)
        elif coding:
            work = self.asking.read(b"", whole=False)
        else:
            length = self._envelope.find(b"content-length")
            announced = int(length) if length.isdecimal() else None
            work = self.asking.read(data, whole=False, announced=announced)
        if work is None:
            self._ask()
        else:
            self._task = asyncio.get_running_loop().create_task(self._learn(work))

    async def _learn(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(work)
        except Exception:
            log.exception("Cannot find out what a call may cost.")
        self._safely(self._ask)

    def _safely(self, step: Callable[[], None]) -> None:
        """A bug of ours stops no call."""
        try:
            step()
        except Exception:
            log.exception("Cannot ask the budgets of a call; it passes.")
            self._settling.then(self._attempt.dispatch)

    def _ask(self, asks: int = 1) -> None:
        attempt = self._attempt
        if attempt.state is not State.NEW:  # the caller has left
            return
        verdict = self.asking.ask(attempt.log.number, last=asks >= ASKS_MAX)
        if verdict is None:
            again = asyncio.get_running_loop().call_later
            again(ASK_AGAIN_S, self._safely, lambda: self._ask(asks + 1))
            return
        attempt.log.blocked_by = verdict.by
        if verdict.refused is None:
            self._settling.then(attempt.dispatch)
        else:
            self._refuse(verdict.refused)

    def _refuse(self, refusal: Refusal) -> None:
        envelope = self._envelope
        told = answer(refusal, envelope.path, envelope.dialect, datetime.now(UTC))
        self._attempt.abandon(Outcome.REFUSED, f"budget_{refusal.cause.value}")
        self._call.refused(Refused(told))

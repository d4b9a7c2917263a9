"""One client call through the gateway: the request is kept, and sent until somebody answers.

The loop is `proxy.gateway.chain`; each attempt is a `Call` of the relay with a row of its own, and
a `Stage` in the caller's place.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from functools import partial
from math import ceil
from time import monotonic
from typing import Protocol

from proxy.door.counting import Counted
from proxy.door.interpreter import LOSSES, interpreter
from proxy.door.plan import Arrived, Asked, Plan, Sent
from proxy.door.refusals import refused
from proxy.door.stage import Held, Stage
from proxy.door.state import State
from proxy.door.wire import with_headers
from proxy.exchange import Outcome
from proxy.gateway.chain import Send, Stop, Target, Terms, Tried, closes, next_step
from proxy.gateway.failures import DEADLINE, FAILED_OVER, Fault, What, what
from proxy.gateway.options import GatewayOptions
from proxy.relay.answers import relay_answer
from proxy.relay.call import Caller
from proxy.relay.http1 import head, status_line
from proxy.relay.routes import Refusal

AGAIN_S = 0.005  # before another look at a pool that could not be taken
NO_RETRY = {"x-should-retry": "false"}  # OpenAI's and Anthropic's SDKs obey it
TOO_LARGE = "the request is larger than gateway.body_bytes_max, so it cannot be sent again."
PASSED_ON = "gateway_passed_on"  # what a record says where the last attempt's error was the answer
LIMITED = "every candidate is at its rate limit; the first opens in {} s."
UNANSWERED = (
    "no candidate answered, and the request may have been processed; retry if that is safe."
)
BROKEN = "the request body does not match its head; resend it."


class Door(Protocol):
    """The door, as its calls use it."""

    @property
    def options(self) -> GatewayOptions: ...
    @property
    def state(self) -> State: ...
    async def plan(self, asked: Asked, body: bytes) -> Plan | Counted | Refusal: ...
    def send(self, stage: Stage, arrived: Arrived, plan: Plan, sent: Sent) -> None: ...
    def give_up(self, arrived: Arrived, plan: Plan, attempts: int, error: str) -> None: ...


class GatewayCall:
    """What runs on the caller's connection: see `proxy.relay.running`."""

    def __init__(self, caller: Caller, arrived: Arrived, door: Door, asked: Asked) -> None:
        self._caller = caller
        self._arrived = arrived
        self._door = door
        self._asked = asked
        self._body: list[bytes] = []
        self._size = 0
        self._task: asyncio.Task[None] | None = None
        self._stage: Stage | None = None
        self._over = False

    # -- what the caller does -------------------------------------------------------------------

    def begin(self) -> None:
        """Ask a caller that waits for it to send its body."""
        if self._arrived.headers.expects:
            self._caller.write(head(status_line(100, "Continue"), ()))

    def upload(self, data: bytes, last: bool) -> None:
        """Keep the body; once it is whole, begin."""
        if self._over or self._task is not None:
            return
        self._size += len(data)
        if self._size > self._door.options.body_bytes_max:
            self._body.clear()
            self._refuse(413, "request_too_large", TOO_LARGE)
            return
        self._body.append(data)
        if last:
            self._task = asyncio.create_task(self._run(b"".join(self._body)))

    def body_broke(self) -> None:
        self._refuse(400, "bad_request_body", BROKEN)

    def caller_left(self) -> None:
        self._stop(Outcome.CLIENT_GONE, "ClientDisconnected")

    def cut_off(self) -> None:
        stage = self._stage
        if stage is not None and stage.committed and stage.call is not None:
            stage.call.cut_off()
        elif not self._over:
            self._stop(Outcome.INTERRUPTED, "ShuttingDown")
            if stage is None or stage.crashed_with is None:
                self._caller.broken_off()

    def pause_answer(self) -> None:
        if self._stage is not None and self._stage.call is not None:
            self._stage.call.pause_answer()

    def resume_answer(self) -> None:
        if self._stage is not None and self._stage.call is not None:
            self._stage.call.resume_answer()

    def _stop(self, outcome: Outcome, error: str) -> None:
        self._over = True
        if self._task is not None:
            self._task.cancel()
        if self._stage is not None:
            self._stage.abandon(outcome, error)

    # -- the loop -------------------------------------------------------------------------------

    async def _run(self, body: bytes) -> None:
        try:
            plan = await self._door.plan(self._asked, body)
            if isinstance(plan, Refusal):
                self._refuse(plan.status, plan.kind, plan.message)
            elif isinstance(plan, Counted):
                self._tell(plan)
            else:
                await self._try(plan)
        except Exception as error:  # noqa: BLE001 — a bug: the caller must get an answer
            self._over = True
            self._caller.crashed(error)

    async def _try(self, plan: Plan) -> None:
        options = plan.route.options
        shared = self._door.state.pools
        terms = Terms(
            until=monotonic() + options.deadline_s,
            retry_ambiguous=options.retry_ambiguous,
            room=plan.room,
        )
        tried: list[Tried] = []
        last: Held | None = None
        asked = 0  # attempts when the budget of retries was last asked
        while True:
            now = monotonic()
            opens = partial(shared.opens_at, now=now)
            step = next_step(plan.targets, tried, terms, opens, now=now, draw=random.random())
            if isinstance(step, Send) and asked != len(tried):
                asked = len(tried)
                if not self._may_retry(step.target):
                    step = Stop()
            if isinstance(step, Stop):
                self._note_end(plan, tried, step, last)
                self._give_up(step, last)
                return
            if self._stage is not None:
                self._stage.abandon(Outcome.UPSTREAM_CUT, FAILED_OVER)
            if step.wait_s:
                await asyncio.sleep(step.wait_s)
            if not self._take(step.target, first=not tried):
                await asyncio.sleep(AGAIN_S)  # another call was the first, perhaps another relay's
                continue
            last = await self._attempt(plan, step.target, tried, terms.until)
            if last is None:
                self._kept(plan, step.target)
                return
            end = What.REFUSED if last.fault is None else what(last.fault)
            self._note(plan, step.target, end, last)
            tried.append(Tried(target=step.target, what=end))

    def _may_retry(self, target: Target) -> bool:
        options = self._door.options
        return self._door.state.pools.may_call(
            target.pool, share=options.retry_share_max, least=options.retries_min, retry=True
        )

    def _take(self, target: Target, *, first: bool) -> bool:
        options = self._door.options
        share = options.retry_share_max if first else None
        return self._door.state.pools.take(target.pool, share=share, least=options.retries_min)

    async def _attempt(
        self, plan: Plan, target: Target, tried: Sequence[Tried], deadline: float
    ) -> Held | None:
        """Send once; None: the answer is on its way to the caller."""
        note = plan.note(target, tried)
        told = {"x-taximeter-request-id": note.request_id, "x-taximeter-candidate": note.candidate}
        if note.losses:
            told[LOSSES] = ", ".join(note.losses)
        reads = interpreter(plan, target, note.losses, self._arrived.request)
        keep = partial(self._keep, plan, target)
        stage = self._stage = Stage(self._caller, told, reads, keep)
        self._door.send(stage, self._arrived, plan, Sent(target=target, note=note))
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                return await asyncio.shield(stage.ended)
        except TimeoutError:
            stage.abandon(Outcome.TIMED_OUT, DEADLINE)
            sent = stage.log is None or stage.log.sent
            fault = Fault(sent=sent)
            return Held(fault=fault, has_answer=False, headers={}, error={}, late=True)

    def _note(self, plan: Plan, target: Target, end: What, held: Held) -> None:
        """What an end says of its pool, and of the candidate."""
        self._door.state.pools.ended(target.pool, end, held.headers, held.error)
        self._tried(plan, target, end)

    def _tried(self, plan: Plan, target: Target, end: What) -> None:
        """Whether a candidate can be trusted again; a lone one has to be anyway."""
        if len(plan.route.candidates) > 1:
            label = plan.route.candidates[target.candidate].options.label
            tries = target.candidate == plan.tries
            self._door.state.breakers.ended(label, end, tries=tries)

    def _kept(self, plan: Plan, target: Target) -> None:
        headers = self._stage.headers if self._stage is not None else {}
        self._door.state.pools.ended(target.pool, What.ANSWERED, headers, {})
        self._tried(plan, target, What.ANSWERED)

    def _keep(self, plan: Plan, target: Target) -> None:
        """Note where the session's prompt is cached now."""
        facts = plan.facts
        self._door.state.sessions.keep(
            plan.route.options, facts.session, target.candidate, facts.input_tokens
        )

    # -- answers of the gateway's own -----------------------------------------------------------

    def _note_end(self, plan: Plan, tried: Sequence[Tried], step: Stop, last: Held | None) -> None:
        """Record that the call is given up, unless its last attempt's record shows it."""
        passes = step.retry_after_s is None and last is not None and last.has_answer
        breaks = not passes and self._stage is not None and self._stage.call is not None
        if last is not None and not breaks:
            ambiguous = plan.route.options.retry_ambiguous
            if last.late or closes(tried[-1].what, len(tried), retry_ambiguous=ambiguous):
                return
        error = "gateway_limited" if step.retry_after_s is not None else "gateway_unanswered"
        self._door.give_up(self._arrived, plan, len(tried), PASSED_ON if passes else error)

    def _give_up(self, step: Stop, last: Held | None) -> None:
        """Pass the last answer on; or say what there was instead of one."""
        stage = self._stage
        has_answer = last is not None and last.has_answer
        if step.retry_after_s is None and has_answer and stage is not None:
            self._over = True
            stage.pass_on(NO_RETRY)
            return
        if stage is not None:
            stage.abandon(Outcome.UPSTREAM_CUT, FAILED_OVER)
        if step.retry_after_s is None:
            self._refuse(504, "gateway_unanswered", UNANSWERED, NO_RETRY)
        else:
            wait_s = max(1, ceil(step.retry_after_s))
            more = {"retry-after": str(wait_s)}
            self._refuse(429, "gateway_limited", LIMITED.format(wait_s), more)

    def _tell(self, counted: Counted) -> None:
        """Our own count, and how good it is."""
        self._over = True
        keep_alive = self._keeps_alive
        said = {"x-taximeter-counted": counted.origin, "x-taximeter-candidate": counted.candidate}
        document = {"input_tokens": counted.input_tokens}
        answer = relay_answer(200, document, keep_alive=keep_alive)
        self._caller.write(with_headers(answer, said))
        self._caller.answered(keep_alive=keep_alive)

    @property
    def _keeps_alive(self) -> bool:
        whole = self._caller.request_whole
        return whole and not (self._arrived.request.should_close or self._caller.stopping)

    def _refuse(
        self, status: int, kind: str, text: str, more: Mapping[str, str] | None = None
    ) -> None:
        self._over = True
        keep_alive = self._keeps_alive
        refusal = Refusal(status, kind, text)
        self._caller.write(refused(refusal, self._asked.path, lives=keep_alive, more=more))
        self._caller.answered(keep_alive=keep_alive)

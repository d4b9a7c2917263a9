"""Works through a plan: some answers at a time, each one finished answer in the ledger.

Whatever ends it, the ledger has every finished answer, and the same plan goes on from there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic, time_ns

from evaluation.checks import kinds
from evaluation.checks.case import Answer, Message
from evaluation.checks.judged import MAX_TOKENS
from evaluation.runs import judging, wire
from evaluation.runs.ledger import Ledger
from evaluation.runs.limits import Stopped
from evaluation.runs.plan import Candidate, Item, Plan
from evaluation.runs.sender import Bill, CapReached, ProviderError, Sender
from exporters.evaluation import EvalResult

Told = Callable[[EvalResult], None]


@dataclass(slots=True)
class Runner:
    """One run.  `told` hears of each result; `stop` lets calls under way finish and no other begin.

    `broken` are models that answer no call at all, with the reason: nothing more is sent to them.
    """

    plan: Plan
    ledger: Ledger
    sender: Sender
    told: Told = lambda _: None
    capped: bool = False
    broken: dict[str, str] = field(default_factory=dict)
    _stopping: bool = False

    def stop(self) -> None:
        """Begin nothing more, and let nothing wait."""
        self._stopping = True
        self.sender.limits.stopped.set()

    @property
    def stopped(self) -> bool:
        return self._stopping

    async def run(self, at_once: int) -> None:
        """Ask everything that is not answered yet, `at_once` answers at a time."""
        left = iter([item for item in self.plan.items() if not self.ledger.finished(item.key)])
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._work(left))

    async def _work(self, left: Iterator[Item]) -> None:
        for item in left:
            if self._stopping or self.capped:
                return
            if item.candidate.name not in self.broken:
                await self._one(item)

    async def _one(self, item: Item) -> None:
        try:
            result = await self._result(item)
        except CapReached:
            self.capped = True
            return
        except Stopped:
            return
        self.ledger.add(result)
        self.told(result)

    async def _result(self, item: Item) -> EvalResult:
        began, bill, judge_bill = monotonic(), Bill(), Bill()
        try:
            answer = await self._answer(item, bill)
            took = monotonic() - began
            found = await self._judgements(item, answer, judge_bill)
        except ProviderError as error:
            if error.broken:
                self.broken.setdefault(item.candidate.name, str(error))
            return self._row(item, bill, judge_bill, status="error", error_type=error.kind)
        status, reason = judging.outcome(found)
        texts = "\n".join(answer.turns or (answer.text,))
        canary = self.plan.suite.canary
        return self._row(
            item,
            bill,
            judge_bill,
            status=status.value,
            reason=reason,
            checks=judging.document(found),
            contaminated=bool(canary) and canary in texts,
            duration_us=int(took * 1e6),
        )

    def _row(self, item: Item, bill: Bill, judge_bill: Bill, **found: object) -> EvalResult:
        case = item.case
        return EvalResult(
            ts_us=time_ns() // 1000,
            run_id=self.ledger.run.run_id,
            model=item.candidate.name,
            case_id=case.id,
            sample=item.sample,
            case_version=case.digest,
            cluster=case.cluster,
            task=case.task,
            hidden=case.id in self.plan.suite.hidden,
            weight=case.weight,
            attempts=bill.attempts,
            cost_usd=bill.usd,
            judge_usd=judge_bill.usd if judge_bill.attempts else None,
            **found,  # type: ignore[arg-type]  # the columns that differ between the two kinds
        )

    async def _answer(self, item: Item, bill: Bill) -> Answer:
        """The answer to a case; in a script, each answer is followed by what the user says next."""
        case, said, turns = item.case, list[Message](), list[str]()
        answer = Answer(text="")
        for at, message in enumerate(case.messages):
            said.append(message)
            if at in case.script:
                conversation = wire.Conversation(
                    model=item.candidate.model,
                    messages=tuple(said),
                    max_tokens=case.max_tokens,
                    tools=case.tools,
                    temperature=self.plan.suite.temperature,
                )
                tags = self._tags(item)
                answer = await self.sender.ask(item.candidate, conversation, tags, bill)
                turns.append(answer.text)
                said.append(Message("assistant", answer.text or "…"))
        return Answer(
            text=answer.text,
            turns=tuple(turns),
            stop_reason=answer.stop_reason,
            refused=answer.refused,
            tool_calls=answer.tool_calls,
        )

    def _tags(self, item: Item) -> dict[str, str]:
        """What joins a call to its result."""
        return {
            "eval-run": self.ledger.run.run_id,
            "eval-case": item.case.id,
            "eval-model": item.candidate.name,
            "eval-sample": str(item.sample),
        }

    async def _judgements(
        self, item: Item, answer: Answer, bill: Bill
    ) -> Sequence[judging.Judgement]:
        judge = self.plan.judge
        if judge is None:
            why_not = "no judge was given (--judge PROVIDER/MODEL)"
            return await judging.judgements(item.case, answer, None, why_not)
        if not self.plan.judges(item.candidate):
            why_not = f"the judge is of the same family, {judge.family}"
            return await judging.judgements(item.case, answer, None, why_not)
        tags = self._tags(item) | {"eval-role": "judge"}
        return await judging.judgements(item.case, answer, self._asking(judge, tags, bill), "")

    def _asking(self, judge: Candidate, tags: dict[str, str], bill: Bill) -> judging.AskJudge:
        async def ask(question: str, number: int) -> str:
            conversation = wire.Conversation(
                model=judge.model, messages=(Message("user", question),), max_tokens=MAX_TOKENS
            )
            answer = await self.sender.ask(
                judge, conversation, tags | {"eval-question": str(number)}, bill
            )
            return answer.text

        return ask


def needs_judge(plan: Plan) -> int:
    """How many cases have a check that a judge decides."""
    return sum(any(map(kinds.is_judged, case.checks)) for case in plan.suite.cases)


def tally(ledger: Ledger) -> Counter[str]:
    """Results by status."""
    return Counter(result.status for result in ledger.results.values())

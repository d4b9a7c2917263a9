"""From an answer to its result: the hard checks, then the judge, then what both amount to."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from evaluation.checks.case import Answer, Case, Status, Verdict, not_run
from evaluation.checks.check import Check
from evaluation.checks.judged import Judged

AskJudge = Callable[[str, int], Awaitable[str]]  # question, its number → the judge's reply


class Judgement(msgspec.Struct, frozen=True):
    """A check's kind with its verdict."""

    kind: str
    verdict: Verdict


async def judgements(
    case: Case, answer: Answer, ask: AskJudge | None, why_not: str
) -> list[Judgement]:
    """The verdict of each check; `why_not` is the reason where nobody is asked.

    A judge is not asked about an answer that a hard check has failed.
    """
    found: list[Judgement] = []
    for check in sorted(case.checks, key=lambda check: isinstance(check, Judged)):
        if not isinstance(check, Judged):
            # Code may run for seconds, and nothing else may wait for it.
            verdict = await asyncio.to_thread(check.verdict, case, answer)
        elif outcome(found)[0] is Status.FAIL:
            verdict = not_run("a hard check failed already")
        elif ask is None:
            verdict = not_run(why_not)
        else:
            verdict = await _judged(check, case, answer, ask)
        found.append(Judgement(check.kind, verdict))
    return found


async def _judged(check: Judged, case: Case, answer: Answer, ask: AskJudge) -> Verdict:
    questions = check.questions(case, answer)
    replies = [await ask(question, number) for number, question in enumerate(questions, 1)]
    return check.read(replies)


def outcome(found: Sequence[Judgement]) -> tuple[Status, str]:
    """What the verdicts amount to, with a reason: one failure fails, and nothing unknown passes."""
    for status in (Status.FAIL, Status.NOT_RUN):
        reasons = [
            f"{one.kind}: {one.verdict.reason}" for one in found if one.verdict.status is status
        ]
        if reasons:
            return status, "; ".join(reasons)
    return Status.PASS, ""


def document(found: Sequence[Judgement]) -> str:
    """The verdicts as JSON, for the store."""
    rows: list[dict[str, Any]] = [
        {"kind": one.kind} | msgspec.to_builtins(one.verdict) for one in found
    ]
    return msgspec.json.encode(rows).decode()


def verdicts(checks: Sequence[Check], case: Case, answer: Answer) -> list[Verdict]:
    """The verdicts of hard checks, one after the other; for tests of suites."""
    return [check.verdict(case, answer) for check in checks if not isinstance(check, Judged)]

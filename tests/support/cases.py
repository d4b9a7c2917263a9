"""Cases and verdicts for tests of evaluation."""

from typing import Any

from evaluation.checks import kinds
from evaluation.checks.case import Answer, Case, Message, Spoken, Verdict, answered


def case(*checks: dict[str, Any], prompt: str = "Hello?", **more: Any) -> Case:
    """A case with these checks."""
    known: dict[str, Any] = {"id": "one", "task": "task", "messages": (Message("user", prompt),)}
    return Case(**known | more, checks=tuple(map(kinds.read, checks)))


def verdict(check: dict[str, Any], answer: Spoken | Answer) -> Verdict:
    """What one check finds in an answer."""
    said = answer if isinstance(answer, Answer) else answered(answer)
    asked = case(check)
    found: Verdict = asked.checks[0].verdict(asked, said)
    return found

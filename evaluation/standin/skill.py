"""Lets the stand-in answer the cases of a suite, right or wrong, as often as it is told to.

A right answer is the case's reference, a wrong one its `wrong` answer or nothing to the point.  A
model that is asked to judge finds references good and others bad, as often as its quality says.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.checks.case import Answer, Case, answered
from evaluation.standin.answers import Json, Said

WRONG = "I went for a walk by the river and saw seven ducks."
JUDGED = re.compile(r"<answer>\n(.*?)\n</answer>", re.DOTALL)
COMPARED = re.compile(
    r"<answer_a>\n(.*?)\n</answer_a>\n\n<answer_b>\n(.*?)\n</answer_b>", re.DOTALL
)


@dataclass(slots=True)
class Skill:
    """What the stand-in knows: references by what users said, and how good each model is.

    `quality` is the probability of a right answer, by model; other models are right always.
    """

    cases: Mapping[str, tuple[Case, int]]  # what users said so far → case, and which turn it is
    quality: Mapping[str, float]
    seen: Counter[str] = field(default_factory=Counter)

    def said(self, model: str, body: Json, seed: str) -> Said | None:
        """The answer to a request; None if it is about no case, nor judges one."""
        said = tuple(_user_texts(body))
        if not said:
            return None
        number = self.seen[seed]  # the same request again is another sample
        self.seen[seed] += 1
        right = _chance(f"{seed}/{number}") < self.quality.get(model, 1.0)
        if verdict := self._verdict(said[-1], right):
            return Said(verdict)
        found = self.cases.get("\0".join(said))
        if found is None:
            return None
        case, turn = found
        answer = _at(case.reference, turn) if right else _at(case.wrong or WRONG, turn)
        calls = answer.tool_calls
        return Said(
            answer.text,
            calls[0].name if calls else "",
            calls[0].arguments if calls else None,
        )

    def _verdict(self, text: str, right: bool) -> str:
        """The reply to a judge's question; "" for anything else."""
        references = {_at(case.reference, -1).text.strip() for case, _ in self.cases.values()}
        if judged := JUDGED.search(text):
            good = (judged[1].strip() in references) is right
            return f'{{"why": "as told", "verdict": "{"good" if good else "bad"}"}}'
        if compared := COMPARED.search(text):
            known = [each.strip() in references for each in compared.groups()]
            better = "tie" if known[0] == known[1] else "AB"[known.index(right)]
            return f'{{"why": "as told", "better": "{better}"}}'
        return ""


def skill(cases: Iterable[Case], quality: Mapping[str, float]) -> Skill:
    """What there is to know about the cases."""
    known = {}
    for case in cases:
        said: list[str] = []
        for at, message in enumerate(case.messages):
            if message.role == "user":
                said.append(message.content)
            if at in case.script:
                known["\0".join(said)] = (case, case.script.index(at))
    return Skill(known, quality)


def _at(spoken: Any, turn: int) -> Answer:
    if isinstance(spoken, tuple):
        return answered(spoken[min(turn, len(spoken) - 1)] if turn >= 0 else spoken[-1])
    return answered(spoken)


def _chance(seed: str) -> float:
    return int(hashlib.sha256(seed.encode()).hexdigest()[:12], 16) / 16**12


def _user_texts(body: Json) -> Iterable[str]:
    """What the user said, in each of the dialects that a run speaks."""
    for turn in body.get("messages") or body.get("contents") or ():
        if turn.get("role") == "user":
            content = turn.get("content", turn.get("parts"))
            yield content if isinstance(content, str) else "".join(p["text"] for p in content)

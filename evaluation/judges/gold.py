"""A gold set: answers that people labelled good or bad.  Read strictly, and made a suite.

Each labelled answer is a case whose question is the judge's, and whose check is that the verdict is
the label.  Where the same request has good and bad answers, pairs of them are compared in both
orders.  So a check of a judge is a run like any other: quoted, capped, resumed and stored.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from evaluation.checks.case import PASSED, Answer, Case, Message, Verdict, digest, fail, not_run
from evaluation.checks.check import Check
from evaluation.checks.judged import MAX_TOKENS, NO_VERDICT, better_of, compared, grade_of, graded
from evaluation.suites.reader import FILE_BYTES_MAX, SuiteError, unknown_name
from evaluation.suites.suite import Suite

ITEMS_MAX = 10_000
ID_CHARACTERS_MAX = 50  # pairs have two of them in the tag of their calls
TEXT_KEYS = ("id", "rubric", "prompt", "answer", "cluster", "model")
KEYS = (*TEXT_KEYS, "label", "messages")
GOOD, BAD = "good", "bad"
LABELS: Mapping[object, str] = {"good": GOOD, "bad": BAD, True: GOOD, False: BAD}
TIE, OTHER = "a tie", "the other one"


class LabelIs(Check, frozen=True, tag="label_is"):
    """The judge's verdict is the label that people gave."""

    label: Literal["good", "bad"]

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        said = grade_of(answer.text)
        if said is None:
            return not_run(NO_VERDICT)
        return PASSED if said == self.label else fail(f"it says {said}")


class BetterIs(Check, frozen=True, tag="better_is"):
    """The judge prefers the text that people found good, at this position."""

    better: Literal["A", "B"]

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        said = better_of(answer.text)
        if said is None:
            return not_run(NO_VERDICT)
        return PASSED if said == self.better else fail(TIE if said == "tie" else OTHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A labelled answer.  `model` is who wrote it, "" if nobody says."""

    id: str
    rubric: str
    messages: tuple[Message, ...]
    answer: str
    label: str  # GOOD or BAD
    cluster: str
    model: str = ""

    @property
    def is_good(self) -> bool:
        return self.label == GOOD


@dataclass(frozen=True, slots=True)
class Pair:
    """A good and a bad answer to the same request: two cases, one for each order."""

    good: Item
    bad: Item

    @property
    def ids(self) -> tuple[str, str]:
        """Of the case with the good answer first, and of the other."""
        return f"{self.good.id}+{self.bad.id}/1", f"{self.good.id}+{self.bad.id}/2"


@dataclass(frozen=True, slots=True)
class GoldSet:
    """The items in the order of the file, and the suite that they make."""

    name: str
    items: Sequence[Item]

    def pairs(self) -> Iterator[Pair]:
        """Each item is in one pair at most."""
        asked: dict[object, tuple[list[Item], list[Item]]] = defaultdict(lambda: ([], []))
        for item in self.items:
            asked[item.rubric, item.messages][item.is_good].append(item)
        for bad, good in asked.values():
            yield from map(Pair, good, bad)

    def suite(self) -> Suite:
        """What to ask the judge."""
        cases = [_case(item.id, item, _graded(item)) for item in self.items]
        for pair in self.pairs():
            for name, better, texts in zip(
                pair.ids,
                ("A", "B"),
                ((pair.good.answer, pair.bad.answer), (pair.bad.answer, pair.good.answer)),
                strict=True,
            ):
                question = compared(pair.good.messages, pair.good.rubric, *texts)
                check = BetterIs(better)  # type: ignore[arg-type]
                cases.append(_case(name, pair.good, (question, check), task="pair"))
        return Suite(name=self.name, cases=tuple(cases), whole=True)


def _graded(item: Item) -> tuple[str, Check]:
    check = LabelIs(item.label)  # type: ignore[arg-type]
    return graded(item.messages, item.rubric, item.answer), check


def _case(name: str, item: Item, asked: tuple[str, Check], *, task: str = "") -> Case:
    question, check = asked
    return Case(
        id=name,
        task=task or item.label,
        messages=(Message("user", question),),
        checks=(check,),
        cluster=item.cluster,
        max_tokens=MAX_TOKENS,
    )


def read(path: Path) -> GoldSet:
    """The gold set in a file of JSON lines.  Raises SuiteError with all mistakes, and OSError."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise SuiteError((f"{path}: larger than {FILE_BYTES_MAX:,} bytes",))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise SuiteError((f"{path}: not UTF-8",)) from None
    mistakes: list[str] = []
    items: dict[str, Item] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            item = _item(msgspec.json.decode(line), f"line-{number}")
        except (ValueError, msgspec.ValidationError) as error:
            mistakes += [f"{where}: {each}" for each in str(error).split("\n")]
            continue
        if item.id in items:
            mistakes.append(f"{where}: the id {item.id!r} is taken")
        items[item.id] = item
    if not mistakes and not items:
        mistakes.append(f"{path}: has no labelled answer")
    if len(items) > ITEMS_MAX:
        mistakes.append(f"{path}: more than {ITEMS_MAX:,} labelled answers")
    if mistakes:
        raise SuiteError(mistakes)
    return GoldSet(path.stem, tuple(items.values()))


def _item(line: object, number: str) -> Item:
    """One line.  Raises ValueError with a line for each mistake."""
    if not isinstance(line, dict):
        raise ValueError("a labelled answer is a JSON object")
    wrong = [unknown_name("key", key, KEYS) for key in line if key not in KEYS]
    texts = {key: line[key] for key in TEXT_KEYS if key in line}
    wrong += [f"{key}: not text" for key, text in texts.items() if not isinstance(text, str)]
    wrong += [f"{key}: required" for key in ("rubric", "answer") if not texts.get(key)]
    label = line.get("label")
    if not isinstance(label, str | bool) or label not in LABELS:
        wrong.append('label: "good" or "bad", as people found the answer')
    if bool(line.get("prompt")) is bool(line.get("messages")):
        wrong.append("give either prompt or messages")
    name = texts.get("id", number)
    if not isinstance(name, str) or not 0 < len(name) <= ID_CHARACTERS_MAX or not name.isascii():
        wrong.append(f"id: 1 to {ID_CHARACTERS_MAX} ASCII characters")
    elif not name.isprintable():
        wrong.append("id: printable characters only")
    if wrong:
        raise ValueError("\n".join(wrong))
    messages = msgspec.convert(
        line.get("messages") or [{"role": "user", "content": line["prompt"]}], tuple[Message, ...]
    )
    return Item(
        id=name,
        rubric=texts["rubric"],
        messages=messages,
        answer=texts["answer"],
        label=LABELS[label],
        cluster=texts.get("cluster") or digest([texts["rubric"], messages]),
        model=texts.get("model", ""),
    )

"""Checks of what an answer says: strings, patterns, numbers, facts, repetition, secrets."""

import re
import unicodedata
from collections import Counter
from typing import Literal

import msgspec
import re2

from evaluation.checks.case import Answer, Case, Status, Verdict, fail, held
from evaluation.checks.check import Check

NUMBER = re.compile(r"[-+−]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
WORD = re.compile(r"\w+(?:[’'-]\w+)*")


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return [word.lower() for word in WORD.findall(text)]


def plain(text: str) -> str:
    """Text for comparison: one form of each character, one space, no case."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


class Contains(Check, frozen=True, tag="contains"):
    """The answer has the text: all of several, or with `any` one of them."""

    value: str | list[str]
    any: bool = False
    case_sensitive: bool = False

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        fold = (lambda text: text) if self.case_sensitive else plain
        lacking = [text for text in _texts(self.value) if fold(text) not in fold(answer.text)]
        if self.any and len(lacking) < len(_texts(self.value)):
            lacking = []
        return held(not lacking, f"lacks {', '.join(map(repr, lacking))}")


class Absent(Check, frozen=True, tag="absent"):
    """The answer has none of the texts."""

    value: str | list[str]
    case_sensitive: bool = False

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        fold = (lambda text: text) if self.case_sensitive else plain
        found = [text for text in _texts(self.value) if fold(text) in fold(answer.text)]
        return held(not found, f"has {', '.join(map(repr, found))}")


class Equals(Check, frozen=True, tag="equals"):
    """The answer is the text, or one of several, whatever its case, spaces and final period."""

    value: str | list[str]
    exact: bool = False

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        if self.exact:
            return held(answer.text.strip() in _texts(self.value), "is not the expected text")
        said = plain(answer.text).rstrip(".")
        expected = {plain(text).rstrip(".") for text in _texts(self.value)}
        return held(said in expected, "is not the expected text")


class Regex(Check, frozen=True, tag="regex"):
    """The answer matches a pattern in RE2's syntax somewhere, or with `full` as a whole."""

    value: str
    full: bool = False
    absent: bool = False

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        match = re2.fullmatch if self.full else re2.search
        found = match(self.value, answer.text.strip() if self.full else answer.text) is not None
        verb = "matches" if self.absent else "does not match"
        return held(found is not self.absent, f"{verb} {self.value}")

    def mistake(self) -> str:
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(self.value, options)
        except re2.error as error:
            text = error.args[0] if error.args else ""
            return f"value: not a pattern of RE2: {_decoded(text)}"
        return ""


def _decoded(text: object) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


class Number(Check, frozen=True, tag="number"):
    """The last (or first, or only) number in the answer, within a tolerance."""

    value: float
    tolerance: float = 0.0
    relative: bool = False  # the tolerance is a share of the value
    which: Literal["last", "first", "only"] = "last"

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        found = [_number(text) for text in NUMBER.findall(answer.text)]
        if not found:
            return fail("has no number")
        if self.which == "only" and len(found) > 1:
            return fail(f"has {len(found)} numbers")
        said = found[0 if self.which == "first" else -1]
        margin = self.tolerance * (abs(self.value) if self.relative else 1)
        return held(abs(said - self.value) <= margin + 1e-12, f"is not {self.value:g}")


def _number(text: str) -> float:
    return float(text.replace(",", "").replace("−", "-"))


class Facts(Check, frozen=True, tag="facts"):
    """Recall of facts that the source holds, and precision against claims that it does not.

    A fact is found if one of its wordings is in the answer; so is a false claim.  Precision is the
    share of facts among what was found.
    """

    facts: list[list[str]]
    false: list[list[str]] = msgspec.field(default_factory=list)
    recall_min: float = 1.0
    precision_min: float = 1.0

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        text = plain(answer.text)
        true = [any(plain(wording) in text for wording in fact) for fact in self.facts]
        false = [any(plain(wording) in text for wording in claim) for claim in self.false]
        recall = sum(true) / len(true) if true else 1.0
        said = sum(true) + sum(false)
        precision = sum(true) / said if said else 0.0
        wrong = []
        if recall < self.recall_min:
            wrong.append(f"recall {recall:.2f} is below {self.recall_min:g}")
        if precision < self.precision_min:
            wrong.append(f"precision {precision:.2f} is below {self.precision_min:g}")
        status = Status.FAIL if wrong else Status.PASS
        return Verdict(status, "; ".join(wrong), recall=recall, precision=precision)


class Repetition(Check, frozen=True, tag="repetition"):
    """No loop: no run of `n` words makes up more than a share of the answer, or follows itself."""

    n: int = 5
    share_max: float = 0.1  # of all runs of n words
    in_a_row_max: int = 3  # times that a run of n words may follow itself

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        said = words(answer.text)
        runs = [tuple(said[at : at + self.n]) for at in range(len(said) - self.n + 1)]
        if not runs:
            return held(bool(said), "is empty")
        most = Counter(runs).most_common(1)[0][1]
        if most > 2 and most / len(runs) > self.share_max:
            return fail(f"one run of {self.n} words occurs {most} times in {len(said)} words")
        longest = max(_in_a_row(runs, period) for period in range(1, self.n + 1))
        return held(longest <= self.in_a_row_max * self.n, "repeats itself in a loop")


def _in_a_row(runs: list[tuple[str, ...]], period: int) -> int:
    """The longest stretch, in words, in which the text equals itself `period` words before."""
    longest = now = 0
    for before, after in zip(runs, runs[period:], strict=False):
        now = now + 1 if before == after else 0
        longest = max(longest, now + period if now else 0)
    return longest


class Leak(Check, frozen=True, tag="leak"):
    """None of the secrets is in the answer, or in what it calls, however spaced or spelled."""

    value: str | list[str]

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        called = [f"{call.name} {call.arguments}" for call in answer.tool_calls]
        said = _letters("\n".join((answer.text, *answer.turns, *called)))
        leaked = [
            text for text in map(_letters, _texts(self.value)) if text in said or text[::-1] in said
        ]
        return held(not leaked, "gives away what it was told to keep")


def _letters(text: str) -> str:
    """Letters and digits alone, so that spaces and hyphens hide nothing."""
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())

"""Checks of what a model does over several turns, and of the tools it calls."""

from typing import Any

import msgspec

from evaluation.checks.case import PASSED, Answer, Case, Status, Verdict, answered, fail, held
from evaluation.checks.check import Check
from evaluation.checks.formats import Length
from evaluation.checks.instructions import Instruction
from evaluation.checks.language import Language
from evaluation.checks.text import Absent, Contains, Equals, Leak, Regex

Probed = Contains | Absent | Equals | Regex | Length | Instruction | Language | Leak


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one turn, counted from 1, must still show."""

    turn: int
    checks: list[Probed]


class Persona(Check, frozen=True, tag="persona"):
    """A character or a rule that holds through a scripted conversation, probed at some turns."""

    probes: list[Probe]

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        probes = sorted(self.probes, key=lambda probe: probe.turn)
        survived = 0
        for probe in probes:
            if probe.turn > len(answer.turns):
                reason = f"the conversation ended before turn {probe.turn}"
                return Verdict(Status.NOT_RUN, reason, survived=survived, turns=probes[-1].turn)
            said = answered(answer.turns[probe.turn - 1])
            for check in probe.checks:
                found = check.verdict(case, said)
                if found.status is not Status.PASS:
                    reason = f"turn {probe.turn}: {found.reason}"
                    return Verdict(found.status, reason, survived=survived, turns=probes[-1].turn)
            survived = probe.turn
        return Verdict(Status.PASS, survived=survived, turns=survived)

    def mistake(self) -> str:
        if not self.probes:
            return "probes: none"
        if min(probe.turn for probe in self.probes) < 1:
            return "probes: turns are counted from 1"
        found = [check.mistake() for probe in self.probes for check in probe.checks]
        return next(filter(None, found), "")


class ToolUse(Check, frozen=True, tag="tool_call"):
    """The model calls the tool with at least these arguments, or with `name` "" calls none."""

    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    only: bool = True  # and no other tool

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        calls = answer.tool_calls
        if not self.name:
            return held(not calls, "calls a tool, and needs none")
        if not calls:
            return fail("calls no tool")
        if self.only and any(call.name != self.name for call in calls):
            return fail(f"calls another tool than {self.name}")
        wrong = ""
        for call in calls:
            if call.name == self.name:
                wrong = self._wrong(call.arguments)
                if not wrong:
                    return PASSED
        return fail(wrong or f"does not call {self.name}")

    def _wrong(self, given: object) -> str:
        if not isinstance(given, dict):
            return "its arguments are no JSON object"
        for name, value in self.arguments.items():
            same = given.get(name) == value
            if isinstance(value, str) and isinstance(given.get(name), str):
                same = value.casefold() in given[name].casefold()
            if not same:
                return f"argument {name} is not {msgspec.json.encode(value).decode()}"
        return ""

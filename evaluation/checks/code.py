"""Checks of code: it compiles, its tests pass, it is not insecure.  Only in the sandbox.

Tests end by printing a word that is made up for the run, so code that merely exits does not pass.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from evaluation import sandbox
from evaluation.checks.case import PASSED, Answer, Case, Verdict, fail, held, not_run
from evaluation.checks.check import Check
from evaluation.checks.languages import LANGUAGES, Program, source

BANDIT_S = 20.0
CODE_CHARACTERS_MAX = 200_000
SEVERITIES = ("low", "medium", "high")


class Code(Check, frozen=True, tag="code"):
    """The code of the answer compiles and, if there are `tests`, passes them.

    For SQL, `setup` makes the tables, and the last query must give `rows`.
    """

    language: Literal["python", "javascript", "typescript", "c", "go", "sql"]
    tests: str = ""
    setup: str = ""
    rows: list[list[Any]] | None = None
    wall_s: float = 10.0

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        code = source(answer.text, self.language)
        trial = Trial(self.language, code, self.tests, self.wall_s)
        if self.rows is not None:
            return trial.queried(self.setup, self.rows)
        return trial.tested()

    def mistake(self) -> str:
        sql = self.language == "sql"
        if sql and self.tests:
            return "tests: SQL has setup and rows instead"
        return "" if sql or not (self.setup or self.rows) else "setup and rows are for SQL"


class Security(Check, frozen=True, tag="security"):
    """Code that passed its `code` check is not insecure: an attack fails, and bandit finds nothing.

    `attack` is appended as tests are, and passes if the attack does nothing.
    """

    language: Literal["python", "javascript"] = "python"
    attack: str = ""
    bandit: bool = False  # Python only
    severity: Literal["low", "medium", "high"] = "medium"  # of findings that count
    wall_s: float = 10.0

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        code = source(answer.text, self.language)
        for check in case.checks:
            if isinstance(check, Code) and check.verdict(case, answer) != PASSED:
                return not_run("counted only on code that passes its tests")
        if self.attack:
            found = Trial(self.language, code, self.attack, self.wall_s).tested()
            if found != PASSED:
                return found if found.status == "not_run" else fail("the attack succeeds")
        return _findings(code, self.severity) if self.bandit else PASSED

    def mistake(self) -> str:
        if self.bandit and self.language != "python":
            return "bandit reads Python only"
        return "" if self.attack or self.bandit else "give an attack, or bandit = true"


@dataclass(frozen=True, slots=True)
class Trial:
    """Code with its tests, to be run."""

    language: str
    code: str
    tests: str
    wall_s: float

    def tested(self) -> Verdict:
        """It compiles, and its tests pass if there are any."""
        if wrong := self._wrong():
            return wrong
        if not self.tests:
            return PASSED
        word = f"passed-{secrets.token_hex(8)}"
        finished = self._run(LANGUAGES[self.language].tested(self.code, self.tests, word))
        if finished.why:
            return fail(f"tests: {finished.why}")
        return held(finished.ok and word in finished.out, "does not pass its tests")

    def queried(self, setup: str, rows: list[list[Any]]) -> Verdict:
        """It compiles, and its last query gives the rows."""
        if wrong := self._wrong():
            return wrong
        word = f"rows-{secrets.token_hex(8)}"
        finished = self._run(LANGUAGES[self.language].queried(self.code, setup, word))
        if not finished.ok:
            return fail(f"the query fails: {finished.why or 'an error of the database'}")
        marked = [line for line in finished.out.splitlines() if line.startswith(word)]
        found = json.loads(marked[-1].removeprefix(word)) if marked else None
        return held(found == rows, "the query gives other rows")

    def _wrong(self) -> Verdict | None:
        """Why it cannot be run, or does not compile."""
        lacking = [tool for tool in LANGUAGES[self.language].tools if not sandbox.has(tool)]
        if reason := sandbox.missing():
            return not_run(reason)
        if lacking:
            return not_run(f"{', '.join(lacking)} is not installed")
        if not self.code.strip() or len(self.code) > CODE_CHARACTERS_MAX:
            return fail(f"has no code, or more than {CODE_CHARACTERS_MAX:,} characters of it")
        compiled = self._run(LANGUAGES[self.language].compiled(self.code))
        if compiled.ok:
            return None
        return fail(f"does not compile{': ' if compiled.why else ''}{compiled.why}")

    def _run(self, program: Program) -> sandbox.Finished:
        return sandbox.run(program.files, program.argv, sandbox.Limits(wall_s=self.wall_s))


def _findings(code: str, severity: str) -> Verdict:
    """bandit's, which reads the code and never runs it."""
    if find_spec("bandit") is None:
        return not_run("bandit is not installed (pip install 'taximeter[security]')")
    level = "-" + "l" * (SEVERITIES.index(severity) + 1)
    command = (sys.executable, "-m", "bandit", "--quiet", "--format", "json", level, "-")
    try:
        done = subprocess.run(
            command, input=code.encode(), capture_output=True, timeout=BANDIT_S, check=False
        )
        document: Mapping[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return not_run("bandit could not read the code")
    if document["errors"]:
        return not_run("bandit could not read the code")
    names = sorted({result["test_id"] for result in document["results"]})
    return held(not names, f"bandit finds {', '.join(names)}")

"""Reads a suite: a folder with `suite.toml` and `*.jsonl`, or one JSONL with a TOML head.

The head of a single file is between two lines `+++`.  All mistakes are reported at once, each with
its file and line, and unknown names with what was probably meant.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from evaluation.checks import kinds
from evaluation.checks.case import Case, Message, Spoken, Tool
from evaluation.checks.check import Check
from evaluation.suites.suite import Suite

STARTER = "starter"
HEAD = "suite.toml"
FENCE = "+++"
FILE_BYTES_MAX = 64 * 1024 * 1024
CASES_MAX = 20_000
ID_CHARACTERS_MAX = 128  # it becomes a tag of the case's calls
HEAD_KEYS = (
    *("name", "description", "licence", "canary", "max_tokens", "temperature", "system", "judge"),
)
CASE_KEYS = (
    *("id", "cluster", "task", "prompt", "messages", "system", "checks", "reference", "wrong"),
    *("weight", "max_tokens", "tools"),
    *("source", "licence", "canary"),  # for people: a case is the same without them
)
ROLES = ("system", "user", "assistant")


class SuiteError(Exception):
    """The suite cannot be used; `mistakes` has a line for each reason."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class CaseForm(msgspec.Struct, kw_only=True):
    """A line of a suite, as it is written."""

    id: str
    task: str
    cluster: str = ""
    prompt: str = ""
    system: str = ""
    messages: list[Message] = msgspec.field(default_factory=list)
    reference: Spoken = ""
    wrong: Spoken = ""
    weight: float = 1.0
    max_tokens: int = 0
    tools: list[Tool] = msgspec.field(default_factory=list)


@dataclass(slots=True)
class SuiteReader:
    """What was read of one suite so far, and what is wrong with it."""

    mistakes: list[str] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    max_tokens: int = 1024
    system: str = ""

    def head(self, where: str, text: str, name: str) -> dict[str, Any]:
        """The head's values.  Sets what holds for all cases."""
        try:
            head = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.mistakes.append(f"{where}: not TOML: {error}")
            return {"name": name}
        self._known(where, head, HEAD_KEYS)
        head = {"name": name} | {key: head[key] for key in HEAD_KEYS if key in head}
        for key, value in head.items():
            wanted = {"max_tokens": int, "temperature": int | float}.get(key, str)
            if not isinstance(value, wanted) or isinstance(value, bool):
                self.mistakes.append(
                    f"{where}: {key}: not {'text' if wanted is str else 'a number'}"
                )
        if isinstance(head.get("max_tokens"), int):
            self.max_tokens = head["max_tokens"]
            if self.max_tokens < 1:
                self.mistakes.append(f"{where}: max_tokens: must be 1 or more")
        self.system = str(head.get("system", ""))
        return head

    def line(self, where: str, text: str) -> None:
        """Take one case."""
        try:
            document = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            self.mistakes.append(f"{where}: not JSON: {error}")
            return
        if not isinstance(document, dict):
            self.mistakes.append(f"{where}: a case is a JSON object")
            return
        before = len(self.mistakes)
        self._known(where, document, CASE_KEYS)
        try:
            form = msgspec.convert(document, CaseForm)
        except msgspec.ValidationError as error:
            self.mistakes.append(f"{where}: {error}")
            form = None
        checks = tuple(self._checks(where, document.get("checks")))
        if form is None:
            return
        self.mistakes += [f"{where}: {mistake}" for mistake in _mistakes(form)]
        if form.id in self.cases:
            first = self.cases[form.id].where
            self.mistakes.append(f"{where}: the id {form.id!r} is taken by {first}")
        elif len(self.mistakes) == before:
            self.cases[form.id] = self._case(form, checks, where)

    def _case(self, form: CaseForm, checks: tuple[Check, ...], where: str) -> Case:
        said = form.messages or [Message("user", form.prompt)]
        system = form.system or self.system
        if system and said[0].role != "system":
            said = [Message("system", system), *said]
        return Case(
            id=form.id,
            task=form.task,
            cluster=form.cluster,
            messages=tuple(said),
            checks=checks,
            reference=form.reference,
            wrong=form.wrong,
            weight=form.weight,
            max_tokens=form.max_tokens or self.max_tokens,
            tools=tuple(form.tools),
            where=where,
        )

    def _checks(self, where: str, documents: object) -> Iterator[Check]:
        if not isinstance(documents, list) or not documents:
            self.mistakes.append(f"{where}: checks: a list of at least one check")
            return
        judged = 0
        for number, document in enumerate(documents, 1):
            at = f"{where}: check {number}"
            if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
                self.mistakes.append(f'{at}: an object with a "kind"')
                continue
            kind = document["kind"]
            if kind not in kinds.KINDS:
                self.mistakes.append(f"{at}: {unknown_name('kind', kind, kinds.KINDS)}")
                continue
            if self._known(f"{at} ({kind})", document, kinds.options(kind)):
                continue
            for option, names in kinds.NAMES.items():
                if (value := document.get(option)) is not None and value not in names:
                    self.mistakes.append(
                        f"{at} ({kind}): {unknown_name(option, str(value), names)}"
                    )
                    break
            else:
                try:
                    check = kinds.read(document)
                except ValueError as error:
                    self.mistakes.append(f"{at} ({kind}): {error}")
                    continue
                judged += kinds.is_judged(check)
                yield check
        if judged > 1:
            self.mistakes.append(f"{where}: checks: at most one that a judge decides")

    def _known(self, where: str, document: Mapping[str, Any], known: Iterable[str]) -> bool:
        """Report keys that mean nothing; whether there were any."""
        names = tuple(known)
        unknown = [key for key in document if key not in names]
        self.mistakes += [f"{where}: {unknown_name('key', key, names)}" for key in unknown]
        return bool(unknown)


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """What is wrong with a name in a suite, and what was probably meant."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names)}"
    return f"unknown {what} {name!r}; {hint}"


def _mistakes(form: CaseForm) -> Iterator[str]:
    if not form.id or len(form.id) > ID_CHARACTERS_MAX or not form.id.isprintable():
        yield f"id: 1 to {ID_CHARACTERS_MAX} printable characters"
    if not form.id.isascii():
        yield "id: ASCII characters only, as it becomes a header of the call"
    if not form.task:
        yield "task: must not be empty"
    if bool(form.prompt) is bool(form.messages):
        yield "give either prompt or messages"
    for number, message in enumerate(form.messages, 1):
        if message.role not in ROLES:
            yield f"message {number}: {unknown_name('role', message.role, ROLES)}"
    if form.messages and form.messages[-1].role != "user":
        yield "messages: the last one must be the user's"
    if not form.weight > 0:
        yield "weight: must be above 0"
    if form.max_tokens < 0:
        yield "max_tokens: must be 1 or more"


def read(source: str) -> Suite:
    """The suite at a path, or the starter suite.  Raises SuiteError and OSError."""
    path = Path(source)
    if source == STARTER and not path.exists():
        path = Path(str(files("evaluation.suites") / STARTER))
    if not path.exists():
        raise SuiteError((f"{source}: no such file or folder (the shipped suite is: {STARTER})",))
    reader = SuiteReader()
    head = _folder(reader, path) if path.is_dir() else _file(reader, path)
    if not reader.cases and not reader.mistakes:
        reader.mistakes.append(f"{source}: has no cases")
    if len(reader.cases) > CASES_MAX:
        reader.mistakes.append(f"{source}: more than {CASES_MAX:,} cases")
    if reader.mistakes:
        raise SuiteError(reader.mistakes)
    used = {key: value for key, value in head.items() if key not in ("max_tokens", "system")}
    return Suite(cases=tuple(reader.cases.values()), **used)


def _folder(reader: SuiteReader, path: Path) -> dict[str, Any]:
    head: dict[str, Any] = {"name": path.resolve().name}
    if (path / HEAD).exists():
        head = reader.head(str(path / HEAD), _text(path / HEAD), path.resolve().name)
    else:
        reader.mistakes.append(f"{path}: has no {HEAD}")
    for file in sorted(path.glob("*.jsonl")):
        for number, line in enumerate(_text(file).splitlines(), 1):
            if line.strip():
                reader.line(f"{file}:{number}", line)
    return head


def _file(reader: SuiteReader, path: Path) -> dict[str, Any]:
    lines = _text(path).splitlines()
    head: dict[str, Any] = {"name": path.stem}
    first = 0
    if lines and lines[0].strip() == FENCE:
        end = next((at for at, line in enumerate(lines[1:], 1) if line.strip() == FENCE), None)
        if end is None:
            reader.mistakes.append(f"{path}:1: the head has no second {FENCE}")
            return head
        head, first = reader.head(f"{path}:1", "\n".join(lines[1:end]), path.stem), end + 1
    for number, line in enumerate(lines[first:], first + 1):
        if line.strip():
            reader.line(f"{path}:{number}", line)
    return head


def _text(path: Path) -> str:
    if path.stat().st_size > FILE_BYTES_MAX:
        raise SuiteError((f"{path}: larger than {FILE_BYTES_MAX:,} bytes",))
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SuiteError((f"{path}: not UTF-8",)) from None

"""Checks of the form of an answer: JSON, lengths, sections, the same structure each time."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import re2
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry

from evaluation.checks.case import PASSED, Answer, Case, Status, Verdict, fail, held
from evaluation.checks.check import Check
from evaluation.checks.text import plain, words

FENCE = re.compile(r"^```[\w+-]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(?:#{1,6}\s+(.+?)\s*#*|\*\*(.+?)\*\*:?|([^\n:]{1,80}):)\s*$", re.MULTILINE)
SENTENCE_END = re.compile(r"[.!?。！？]+(?=[\s\"'”’)]|$)")
STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
MISSING = object()


def json_in(text: str, *, fenced: bool) -> Any:
    """The document that the text is, or holds in its only fence.  Raises ValueError."""
    stripped = text.strip()
    if fenced and len(blocks := FENCE.findall(stripped)) == 1:
        stripped = blocks[0]
    try:
        return msgspec.json.decode(stripped)
    except msgspec.DecodeError:
        raise ValueError("is not JSON") from None


class JsonSchema(Check, frozen=True, tag="json_schema"):
    """The answer is a JSON document that a schema (2020-12) accepts; `fenced` allows one fence."""

    schema: dict[str, Any]
    fenced: bool = False

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        try:
            document = json_in(answer.text, fenced=self.fenced)
        except ValueError as error:
            return fail(str(error))
        wrong = next(_validator(self.schema).iter_errors(document), None)
        if wrong is None:
            return PASSED
        at = "".join(f"[{step!r}]" for step in wrong.absolute_path) or "the document"
        return fail(f"{at} violates {wrong.validator}")

    def mistake(self) -> str:
        try:
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            return f"schema: {error.message}"
        return ""


def _validator(schema: dict[str, Any]) -> Any:
    """Patterns in linear time, and no reference is fetched from anywhere."""
    return _PATIENT(schema, registry=Registry())


def _pattern(_: Any, pattern: str, instance: object, __: Any) -> Any:
    if isinstance(instance, str) and re2.search(pattern, instance) is None:
        yield ValidationError(f"does not match {pattern}")


# jsonschema leaves this function without annotations.
_PATIENT: Any = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


class Field(Check, frozen=True, tag="field"):
    """A field of a JSON answer, such as `items[0].name`, is there and has the value."""

    path: str
    equals: Any = msgspec.UNSET
    fenced: bool = True

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        try:
            found = _at(json_in(answer.text, fenced=self.fenced), self.path)
        except ValueError as error:
            return fail(str(error))
        if found is MISSING:
            return fail(f"has no field {self.path}")
        if self.equals is msgspec.UNSET:
            return PASSED
        same = found == self.equals and isinstance(found, bool) == isinstance(self.equals, bool)
        return held(same, f"{self.path} is not {msgspec.json.encode(self.equals).decode()}")


def _at(document: Any, path: str) -> Any:
    for name, index in STEP.findall(path):
        if index and isinstance(document, list) and int(index) < len(document):
            document = document[int(index)]
        elif name and isinstance(document, dict) and name in document:
            document = document[name]
        else:
            return MISSING
    return document


def sentences(text: str) -> int:
    """How many sentences a text has; a last one without a mark counts."""
    ends = len(SENTENCE_END.findall(text.strip()))
    return ends + (not SENTENCE_END.search(text.strip()[-2:]) and bool(text.strip()))


def paragraphs(text: str) -> list[str]:
    """The parts of a text between empty lines."""
    return [part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


COUNTS: Mapping[str, Callable[[str], int]] = {
    "words": lambda text: len(words(text)),
    "characters": lambda text: len(text.strip()),
    "sentences": sentences,
    "lines": lambda text: len([line for line in text.splitlines() if line.strip()]),
    "paragraphs": lambda text: len(paragraphs(text)),
}


class Length(Check, frozen=True, tag="length"):
    """The answer has so many words, characters, sentences, lines or paragraphs."""

    unit: Literal["words", "characters", "sentences", "lines", "paragraphs"]
    min: int = 0
    max: int | None = None

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        count = COUNTS[self.unit](answer.text)
        if count < self.min:
            return fail(f"{count} {self.unit}, fewer than {self.min}")
        if self.max is not None and count > self.max:
            return fail(f"{count} {self.unit}, more than {self.max}")
        return PASSED

    def mistake(self) -> str:
        return "max is below min" if self.max is not None and self.max < self.min else ""


def headings(text: str) -> list[str]:
    """The headings of a text: Markdown's, a bold line, or a line that ends in a colon."""
    return [plain(next(filter(None, found))) for found in HEADING.findall(text)]


class Sections(Check, frozen=True, tag="sections"):
    """The answer has sections under these headings, in this order."""

    headings: list[str]
    only: bool = False  # and no others

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        found, wanted = headings(answer.text), list(map(plain, self.headings))
        lacking = [name for name in self.headings if plain(name) not in found]
        if lacking:
            return fail(f"lacks the headings {', '.join(lacking)}")
        if [name for name in found if name in wanted] != wanted:
            return fail("headings are in another order, or repeated")
        return held(not self.only or found == wanted, "has other headings too")


class Structure(Check, frozen=True, tag="structure"):
    """Always passes: it notes the answer's shape, and the report has the share of the commonest."""

    fenced: bool = True

    def verdict(self, case: Case, answer: Answer) -> Verdict:
        return Verdict(Status.PASS, structure=shape(answer.text, fenced=self.fenced))


def shape(text: str, *, fenced: bool = True) -> str:
    """A digest of a text without its words: keys and types of JSON, else kinds of lines."""
    try:
        form = repr(_types(json_in(text, fenced=fenced)))
    except ValueError:
        kinds = [_kind(line) for line in text.splitlines() if line.strip()]
        form = repr([k for at, k in enumerate(kinds) if at == 0 or kinds[at - 1] != k])
    return hashlib.sha256(form.encode()).hexdigest()[:12]


def _types(document: object) -> object:
    if isinstance(document, dict):
        return sorted((name, _types(value)) for name, value in document.items())
    if isinstance(document, list):
        return ["list", *sorted({repr(_types(each)) for each in document})]
    return "number" if isinstance(document, float) else type(document).__name__


def _kind(line: str) -> str:
    marks = (
        (r"\s*[-*•]\s", "bullet"), (r"\s*\d+[.)]\s", "step"), (r"#{1,6}\s", "heading"),
        (r"\s*\|", "table"), (r"```", "fence"), (r"\s*>", "quote"),
    )  # fmt: skip
    return next((kind for mark, kind in marks if re.match(mark, line)), "text")

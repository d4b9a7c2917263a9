"""All kinds of checks, by name, and one read from a document."""

from collections.abc import Mapping
from typing import Any

import msgspec

from evaluation.checks.check import Check
from evaluation.checks.code import Code, Security
from evaluation.checks.conversation import Persona, ToolUse
from evaluation.checks.formats import Field, JsonSchema, Length, Sections, Structure
from evaluation.checks.instructions import RULES, Instruction
from evaluation.checks.judged import Ambiguity, Judged, Rubric
from evaluation.checks.language import Language
from evaluation.checks.refusal import OverRefusal, Refusal
from evaluation.checks.text import (
    Absent,
    Contains,
    Equals,
    Facts,
    Leak,
    Number,
    Regex,
    Repetition,
)

ALL: tuple[type[Check], ...] = (
    *(Contains, Absent, Equals, Regex, Number, Facts, Repetition, Leak),
    *(JsonSchema, Field, Length, Sections, Structure, Instruction, Language),
    *(Refusal, OverRefusal, Persona, ToolUse, Code, Security, Rubric, Ambiguity),
)
KINDS: Mapping[str, type[Check]] = {str(kind.__struct_config__.tag): kind for kind in ALL}
NAMES: Mapping[str, tuple[str, ...]] = {"rule": tuple(RULES)}  # values that are names of ours


def options(kind: str) -> tuple[str, ...]:
    """The names that a check of this kind may have."""
    return ("kind", *KINDS[kind].__struct_fields__)


def read(document: Mapping[str, Any]) -> Check:
    """The check that a document with a known kind describes.  Raises ValueError."""
    kind = KINDS[str(document["kind"])]
    try:
        check = msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    if mistake := check.mistake():
        raise ValueError(mistake)
    return check


def is_judged(check: Check) -> bool:
    """Whether it needs a judge."""
    return isinstance(check, Judged)

"""A case, an answer to it, and the verdict of a check.

A reason never quotes the answer: answers are kept by the rules of `content` alone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from exporters.finishes import REFUSED


class Status(StrEnum):
    """What a check found."""

    PASS = "pass"
    FAIL = "fail"
    NOT_RUN = "not_run"  # nothing is known: no tool, no judge, or nothing to judge by


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """A check's finding, and what it measured where that is more than yes or no."""

    status: Status
    reason: str = ""
    structure: str = ""  # a digest of the answer's shape: equal ones have the same
    survived: int | None = None  # turns before the first failed probe
    turns: int | None = None  # that were probed
    recall: float | None = None
    precision: float | None = None


PASSED = Verdict(Status.PASS)


def fail(reason: str) -> Verdict:
    """It does not hold, and why."""
    return Verdict(Status.FAIL, reason)


def not_run(reason: str) -> Verdict:
    """It could not be found out, and why."""
    return Verdict(Status.NOT_RUN, reason)


def held(holds: bool, otherwise: str) -> Verdict:
    """Passed, or failed with a reason."""
    return PASSED if holds else fail(otherwise)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a conversation."""

    role: str  # system | user | assistant
    content: str


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class ToolCall(msgspec.Struct, frozen=True):
    """A function that the model called."""

    name: str
    arguments: Any = None  # decoded; None if they were not JSON


class Called(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reference answer that calls tools."""

    tool_calls: tuple[ToolCall, ...]
    text: str = ""


Spoken = str | tuple[str, ...] | Called  # a text, one for each turn of a script, or calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said: its last text, all its texts if there were several turns, and signals."""

    text: str
    turns: Sequence[str] = ()  # of a scripted conversation, the last included
    stop_reason: str = ""  # as the provider names it
    refused: bool = False  # the provider said so in a field of its own
    tool_calls: Sequence[ToolCall] = ()

    @property
    def signalled(self) -> str:
        """The provider's own signal of a refusal; "" if there was none."""
        if self.refused:
            return "the refusal field"
        reason = self.stop_reason.lower()
        return f"stop reason {reason}" if reason in REFUSED else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One task for a model.  `checks` are structs of `evaluation.checks.kinds`."""

    id: str
    task: str
    messages: tuple[Message, ...]
    checks: tuple[Any, ...]
    cluster: str = ""  # cases that are alike, as of one document or template; "": alone
    reference: Spoken = ""  # an answer that passes
    wrong: Spoken = ""  # one that does not
    weight: float = 1.0
    max_tokens: int = 1024
    tools: tuple[Tool, ...] = ()
    where: str = ""  # file:line

    @property
    def digest(self) -> str:
        """Of all that is asked and how it is judged: a changed case is a new case."""
        said = [self.id, self.task, self.cluster, self.messages, self.tools, self.max_tokens]
        return digest([*said, self.checks, self.reference, self.weight])

    @property
    def group(self) -> str:
        """The cluster, or the case itself."""
        return self.cluster or self.id

    @property
    def script(self) -> tuple[int, ...]:
        """Indices of the messages that the model answers: user messages without an answer."""
        following = [message.role for message in self.messages[1:]] + ["user"]
        return tuple(
            at
            for at, message in enumerate(self.messages)
            if message.role == "user" and following[at] == "user"
        )


def digest(document: object) -> str:
    """The hash of a document, whatever the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(document, order="sorted")).hexdigest()[:16]


def answered(spoken: Spoken) -> Answer:
    """The answer that consists of this."""
    if isinstance(spoken, Called):
        return Answer(text=spoken.text, turns=(spoken.text,), tool_calls=spoken.tool_calls)
    turns = (spoken,) if isinstance(spoken, str) else spoken
    return Answer(text=turns[-1] if turns else "", turns=turns)

"""Translates requests: reads the caller's dialect, writes the candidate's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from proxy.gateway.translation import (
    anthropic_reads,
    anthropic_writes,
    gemini_reads,
    gemini_writes,
    openai_reads,
    openai_writes,
)
from proxy.gateway.translation.losses import Json, Losses
from proxy.gateway.translation.neutral import Ask, Target

READS: Mapping[str, Callable[[Json, Losses], Ask]] = {
    "openai": openai_reads.read,
    "anthropic": anthropic_reads.read,
    "gemini": gemini_reads.read,
}
WRITES: Mapping[str, Callable[[Ask, Target, Losses], dict[str, object]]] = {
    "openai": openai_writes.write,
    "anthropic": anthropic_writes.write,
    "gemini": gemini_writes.write,
}
# What can be translated: the one operation of each that all three have.
OPERATIONS = {"openai": "chat", "anthropic": "messages", "gemini": "generate_content"}

TURNS = {"openai": "messages", "anthropic": "messages", "gemini": "contents"}
# One API goes on with such a turn, another answers it, and a third refuses it.
BEGUN = "the last turn is the model's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A request for a candidate.  `losses` are the fields that were dropped, by name."""

    body: bytes
    losses: tuple[str, ...]
    shows_usage: bool  # of a stream, as the caller asked


def can(dialect: str, operation: str) -> bool:
    """Whether requests of this kind have a counterpart."""
    return OPERATIONS.get(dialect) == operation


def translate(
    dialect: str, body: Json, target: Target, drop: Sequence[str] = (), *, stream: bool
) -> Translated:
    """The request of `dialect` for `target`.

    Raises Refused, with the names of what cannot be carried and may not be dropped, and Malformed
    for what its own API refuses.
    """
    losses = Losses(drop)
    ask = READS[dialect](body, losses)
    ask.stream = stream  # of Gemini's, only the path says so
    if ask.turns and ask.turns[-1].role == "assistant":
        losses.lose(f"{TURNS[dialect]}[].role", BEGUN)
        ask.turns = ask.turns[:-1]
    written = WRITES[target.dialect](ask, target, losses)
    losses.check()
    return Translated(
        body=msgspec.json.encode(written),
        losses=losses.dropped,
        shows_usage=ask.shows_usage,
    )

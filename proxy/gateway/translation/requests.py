"""Translates requests: reads the caller's API, writes the candidate's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from proxy.gateway.translation import (
    anthropic_reads,
    anthropic_writes,
    embeddings_asks,
    gemini_reads,
    gemini_writes,
    openai_reads,
    openai_writes,
    responses_reads,
    responses_writes,
)
from proxy.gateway.translation.losses import Json, Losses
from proxy.gateway.translation.neutral import Ask, Target
from proxy.gateway.translation.responses_says import ECHOED

READS: Mapping[str, Callable[[Json, Losses], Ask]] = {
    "openai": openai_reads.read,
    "responses": responses_reads.read,
    "anthropic": anthropic_reads.read,
    "gemini": gemini_reads.read,
}
WRITES: Mapping[str, Callable[[Ask, Target, Losses], dict[str, object]]] = {
    "openai": openai_writes.write,
    "responses": responses_writes.write,
    "anthropic": anthropic_writes.write,
    "gemini": gemini_writes.write,
}
# A request's dialect and operation → its API, by which it is read: OpenAI's dialect has two.
APIS: Mapping[tuple[str, str], str] = {
    ("openai", "chat"): "openai",
    ("openai", "responses"): "responses",
    ("openai", "embeddings"): "embeddings",
    ("anthropic", "messages"): "anthropic",
    ("gemini", "generate_content"): "gemini",
    ("gemini", "embeddings"): "gemini_embeddings",
}
TURNS = {
    "openai": "messages",
    "responses": "input",
    "anthropic": "messages",
    "gemini": "contents",
}
# One API goes on with such a turn, another answers it, and a third refuses it.
BEGUN = "the last turn is the model's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A request for a candidate.  `losses` are the fields that were dropped, by name."""

    body: bytes
    losses: tuple[str, ...]
    shows_usage: bool  # of a stream, as the caller asked
    asked: Json = field(default_factory=dict)  # what the answer repeats of the request


def reached(api: str) -> tuple[str, ...]:
    """The APIs that requests of another are translated to."""
    if api in embeddings_asks.REACHED:
        return embeddings_asks.REACHED[api]
    return tuple(one for one in WRITES if api in READS and one != api)


def translate(
    api: str, body: Json, target: Target, drop: Sequence[str] = (), *, stream: bool
) -> Translated:
    """The request of `api` for `target`.

    Raises Refused, with the names of what cannot be carried and may not be dropped, and Malformed
    for what its own API refuses.
    """
    losses = Losses(drop)
    if api in embeddings_asks.REACHED:
        vectors = embeddings_asks.translated(api, body, target, losses)
        return _translated(vectors, losses, asked=embeddings_asks.asked(api, body, target.model))
    ask = READS[api](body, losses)
    ask.stream = stream  # of Gemini's, only the path says so
    if ask.turns and ask.turns[-1].role == "assistant":
        losses.lose(f"{TURNS[api]}[].role", BEGUN)
        ask.turns = ask.turns[:-1]
    written = WRITES[target.api](ask, target, losses)
    repeats = api == "responses"
    asked = {key: body[key] for key in ECHOED if key in body} if repeats else {}
    return _translated(written, losses, shows_usage=ask.shows_usage, asked=asked)


def _translated(
    written: Json, losses: Losses, *, asked: Json, shows_usage: bool = True
) -> Translated:
    losses.check()
    body = msgspec.json.encode(written)
    return Translated(body=body, losses=losses.dropped, shows_usage=shows_usage, asked=asked)

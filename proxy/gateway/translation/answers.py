"""Translates answers: reads what the provider says, says it in the caller's dialect.

A stream's translation depends on its bytes alone, not on how they are cut.  A stream that the
provider broke off gets no end here either.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from proxy.gateway.answers import decoded, fault_of
from proxy.gateway.failures import What, what
from proxy.gateway.translation import (
    anthropic_says,
    embeddings_answers,
    gemini_says,
    openai_says,
)
from proxy.gateway.translation.anthropic_answers import AnthropicAnswer
from proxy.gateway.translation.anthropic_says import AnthropicSays
from proxy.gateway.translation.events import (
    Event,
    Fails,
)
from proxy.gateway.translation.framing import Events, data_event
from proxy.gateway.translation.gathering import Answer, gathered
from proxy.gateway.translation.gemini_answers import GeminiAnswer
from proxy.gateway.translation.gemini_says import GeminiSays
from proxy.gateway.translation.losses import Json
from proxy.gateway.translation.neutral import (
    Use,
)
from proxy.gateway.translation.openai_answers import OpenAiAnswer
from proxy.gateway.translation.openai_says import OpenAiSays
from proxy.gateway.translation.responses_answers import ResponsesAnswer
from proxy.gateway.translation.responses_says import ResponsesSays
from proxy.gateway.translation.values import as_object

TOO_LONG = "prompt is too long: "  # by which Anthropic's clients know it
ARGUMENTS = "choices[].message.tool_calls[].function.arguments"  # that are no JSON
EMBEDDINGS = ("embeddings", "gemini_embeddings")  # APIs of callers
UNTOLD = "the provider gave no reason."


class Failed(ValueError):
    """The provider's own error where an answer should be."""

    def __init__(self, fails: Fails) -> None:
        super().__init__(fails.message)
        self.kind = fails.kind


class _Reads(Protocol):
    lost: dict[str, None]

    def events(self, document: Json) -> Iterator[Event]: ...


class _Says(Protocol):
    def whole(self, answer: Answer) -> dict[str, object]: ...
    def event(self, event: Event) -> Iterator[bytes]: ...
    def close(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Whose answer is translated for whom."""

    caller: str  # its API: see `requests.APIS`
    provider: str  # the API of `requests.WRITES` in which it was asked
    shows_usage: bool = True
    stream: bool = False  # the caller asked for one
    as_list: bool = False  # Gemini's streams without `alt=sse`
    at: int = 0  # Unix time
    asked: Json = field(default_factory=dict)  # the request, as far as an answer repeats it


_READS: Mapping[str, Callable[[], _Reads]] = {
    "openai": OpenAiAnswer,
    "responses": ResponsesAnswer,
    "anthropic": AnthropicAnswer,
    "gemini": GeminiAnswer,
}


def _reads(api: str) -> _Reads:
    return _READS[api]()


def _says(between: Between) -> _Says:
    if between.caller == "openai":
        return OpenAiSays(shows_usage=between.shows_usage, at=between.at)
    if between.caller == "anthropic":
        return AnthropicSays()
    if between.caller == "responses":
        return ResponsesSays(asked=between.asked, at=between.at)
    return GeminiSays(as_list=between.as_list)


def whole(body: bytes, between: Between) -> tuple[bytes, tuple[str, ...]]:
    """The answer, and what of it could not be told.  `body` may also be a whole stream, from a
    provider that sends one unasked.  Raises Failed, and ValueError for what is no answer."""
    document = decoded(body)
    if between.caller in EMBEDDINGS:
        vectors, untold = embeddings_answers.said(
            document, between.provider, between.caller, between.asked
        )
        return msgspec.json.encode(vectors), untold
    frames = Events()
    documents = [document] if document else map(decoded, (*frames.feed(body), *frames.close()))
    reads = _reads(between.provider)
    events = [event for one in documents if one for event in reads.events(one)]
    answer = gathered(events)
    if answer.fails is not None:
        raise Failed(answer.fails)
    if not events:
        raise ValueError("it is no answer")
    if any(isinstance(part, Use) and as_object(part.arguments) is None for part in answer.parts):
        reads.lost[ARGUMENTS] = None
    made = _says(between).whole(answer)
    return msgspec.json.encode(made), tuple(reads.lost)


def streamed(body: bytes, between: Between) -> bytes:
    """A whole answer as a stream, for a caller that asked for one and a provider that has none.

    Raises ValueError for what is no answer.
    """
    document = decoded(body)
    if not document:
        raise ValueError("it is no answer")
    stream = Stream(between)
    return stream.feed(data_event(document)) + stream.close()


class Stream:
    """A streamed answer.  `failed` once the provider's error was passed on."""

    def __init__(self, between: Between) -> None:
        self.failed = False
        self._between = between
        self._frames = Events()
        self._reads = _reads(between.provider)
        self._says = _says(between)

    def feed(self, data: bytes) -> bytes:
        """What these bytes say.  Raises ValueError for an event that is too large."""
        return b"".join(one for event in self._frames.feed(data) for one in self._event(event))

    def close(self) -> bytes:
        """The end of a stream that came to its end."""
        rest = [one for event in self._frames.close() for one in self._event(event)]
        return b"".join(rest if self.failed else [*rest, *self._says.close()])

    def _event(self, event: bytes) -> Iterator[bytes]:
        document = decoded(event)  # {} of OpenAI's [DONE]
        if self.failed or not document:
            return
        for one in self._reads.events(document):
            if isinstance(one, Fails):
                self.failed = True
                yield self._fails(one)
                return
            yield from self._says.event(one)

    def _fails(self, fails: Fails) -> bytes:
        if isinstance(self._says, GeminiSays | ResponsesSays):
            return self._says.failed(fails)
        if self._between.caller == "openai":
            return openai_says.failed(fails)
        return anthropic_says.failed(fails)


def error(api: str, status: int, body: bytes) -> bytes:
    """A provider's error as the caller's API has it, of the same status and meaning."""
    fault = fault_of(status, decoded(body))
    return error_of(api, status, fault.message or UNTOLD, too_long=what(fault) is What.TOO_LONG)


def error_of(api: str, status: int, message: str, *, too_long: bool = False) -> bytes:
    """An error in an API."""
    if api in ("openai", "responses", "embeddings"):
        kind = "context_length_exceeded" if too_long else ""
        made = openai_says.error(status, message, kind)
    elif api in ("gemini", "gemini_embeddings"):
        made = gemini_says.error(status, message)
    else:
        told = not too_long or message.startswith(TOO_LONG)
        made = anthropic_says.error(status, message if told else TOO_LONG + message)
    return msgspec.json.encode(made)

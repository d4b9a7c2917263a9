"""Says answers in Anthropic's dialect: a message, and the events of its stream."""

from collections.abc import Iterator

from proxy.gateway.translation.events import (
    Argues,
    Begin,
    Calls,
    Counts,
    Ends,
    Event,
    Fails,
    Finish,
    Said,
    Signed,
    Thinks,
    Used,
)
from proxy.gateway.translation.framing import data_event
from proxy.gateway.translation.gathering import Answer
from proxy.gateway.translation.neutral import (
    Part,
    Text,
    Thought,
    Use,
)
from proxy.gateway.translation.signatures import marked
from proxy.gateway.translation.values import as_object, is_object

Json = dict[str, object]
REASONS = {
    Finish.STOP: "end_turn",
    Finish.SEQUENCE: "stop_sequence",
    Finish.LENGTH: "max_tokens",
    Finish.TOOLS: "tool_use",
    Finish.REFUSAL: "refusal",
}


class AnthropicSays:
    """One answer."""

    def __init__(self) -> None:
        self._used = Used()
        self._ends: Ends | None = None
        self._open = ""  # what the open block is: text, thinking, a call's number, or nothing
        self._index = -1
        self._arguments = ""  # of the call that is open, so far
        self._later: list[Event] = []

    def whole(self, answer: Answer) -> Json:
        """A message."""
        ends = answer.ends or Ends(finish=answer.finish)
        return _message(answer.begin) | {
            "content": [block for part in answer.parts for block in _blocks(part)],
            "stop_reason": REASONS[answer.finish],
            "stop_sequence": ends.sequence or None,
            "usage": usage(answer.used),
        }

    def event(self, event: Event) -> Iterator[bytes]:
        """What this adds to a stream.  Blocks come one after another, so whatever is not of a call
        that is open and has no end yet waits for it."""
        if self._is_blocked(event):
            self._later.append(event)
            return
        yield from self._now(event)
        if self._later and self._is_whole():
            later, self._later = self._later, []
            for one in later:
                yield from self.event(one)

    def close(self) -> Iterator[bytes]:
        """The end, if the provider said that it is one."""
        if self._ends is None:
            return
        yield from self._shut()
        while self._later:
            later, self._later = self._later, []
            for one in later:
                yield from self.event(one)
            yield from self._shut()
        stop = {
            "stop_reason": REASONS[self._ends.finish],
            "stop_sequence": self._ends.sequence or None,
        }
        yield _event("message_delta", delta=stop, usage=usage(self._used))
        yield _event("message_stop")

    def _is_blocked(self, event: Event) -> bool:
        if not self._open.isdecimal() or isinstance(event, Begin | Counts | Ends | Fails):
            return False
        if isinstance(event, Argues) and str(event.index) == self._open:
            return False
        return bool(self._later) or not self._is_whole()

    def _is_whole(self) -> bool:
        """Whether the call that is open has all its arguments: a JSON object has one end."""
        return not self._open.isdecimal() or is_object(self._arguments)

    def _now(self, event: Event) -> Iterator[bytes]:
        if isinstance(event, Begin):
            self._used = event.used
            message = _message(event) | {"content": [], "usage": usage(event.used)}
            yield _event("message_start", message=message)
        elif isinstance(event, Said):
            yield from self._into("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": event.text})
        elif isinstance(event, Thinks):
            yield from self._into("thinking", _THINKING)
            yield self._delta({"type": "thinking_delta", "thinking": event.text})
        elif isinstance(event, Signed):
            yield from self._signed(event)
        elif isinstance(event, Calls):
            if event.signature is not None:
                yield from self._signed(Signed(event.signature, hidden=True))
            block: Json = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
            self._arguments = ""
            yield from self._into(str(event.index), block)
        elif isinstance(event, Argues):
            if str(event.index) == self._open:
                self._arguments += event.text
                yield self._delta({"type": "input_json_delta", "partial_json": event.text})
        elif isinstance(event, Counts):
            self._used = event.used
        elif isinstance(event, Ends):
            self._ends = event

    def _signed(self, event: Signed) -> Iterator[bytes]:
        value = marked(event.signature, "anthropic")
        if event.hidden:
            yield from self._shut()
            yield from self._into("hidden", {"type": "redacted_thinking", "data": value})
        else:
            yield from self._into("thinking", _THINKING)
            yield self._delta({"type": "signature_delta", "signature": value})
        yield from self._shut()

    def _into(self, what: str, block: Json) -> Iterator[bytes]:
        """Open a block, unless it is the one that is open."""
        if self._open == what:
            return
        yield from self._shut()
        self._open = what
        self._index += 1
        yield _event("content_block_start", index=self._index, content_block=block)

    def _shut(self) -> Iterator[bytes]:
        if self._open:
            self._open = ""
            yield _event("content_block_stop", index=self._index)

    def _delta(self, delta: Json) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)


_THINKING: Json = {"type": "thinking", "thinking": "", "signature": ""}


def _event(kind: str, **fields: object) -> bytes:
    return data_event({"type": kind, **fields}, kind)


def _message(begin: Begin) -> Json:
    return {
        "id": begin.id,
        "type": "message",
        "role": "assistant",
        "model": begin.model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(part: Part) -> Iterator[Json]:
    """A call's signature is a block before it."""
    if isinstance(part, Text):
        yield {"type": "text", "text": part.text}
    elif isinstance(part, Use):
        if part.signature is not None:
            yield {"type": "redacted_thinking", "data": marked(part.signature, "anthropic")}
        arguments = as_object(part.arguments) or {}
        yield {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments}
    elif isinstance(part, Thought):
        value = marked(part.signature, "anthropic") if part.signature is not None else ""
        if part.hidden:
            yield {"type": "redacted_thinking", "data": value}
        else:
            yield {"type": "thinking", "thinking": part.text, "signature": value}


def usage(used: Used) -> Json:
    """Anthropic's: cached tokens stand beside the others, thinking is a part of the output."""
    made: Json = {
        "input_tokens": used.input,
        "cache_creation_input_tokens": used.cache_write,
        "cache_read_input_tokens": used.cache_read,
        "output_tokens": used.output + used.reasoning,
    }
    if used.reasoning:
        made["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    return made


def failed(fails: Fails) -> bytes:
    """An error inside a stream."""
    return data_event(error(fails.status, fails.message), "error")


# https://platform.claude.com/docs/en/api/errors (2026-11).
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error(status: int, message: str) -> Json:
    """An error's body."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}

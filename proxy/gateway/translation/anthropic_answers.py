"""Reads answers of Anthropic's messages as events: a whole one, or event by event."""

from collections.abc import Iterator

import msgspec

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
from proxy.gateway.translation.losses import Json
from proxy.gateway.translation.neutral import (
    Signature,
)
from proxy.gateway.translation.values import listed, mapping, number, text

REASONS = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.SEQUENCE,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
    "tool_use": Finish.TOOLS,
    "refusal": Finish.REFUSAL,
}
STATUSES = {  # of errors inside a stream: https://platform.claude.com/docs/en/api/errors (2026-11)
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicAnswer:
    """One answer.  `lost` are the fields that nobody else could be told."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self._calls: dict[int, int] = {}  # index of a block → of the call
        self._usage: dict[str, object] = {}

    def events(self, document: Json) -> Iterator[Event]:
        """What an event, or a whole answer, says."""
        kind, at = document.get("type"), number(document.get("index"))
        if kind == "error":
            error = mapping(document.get("error"))
            name = text(error.get("type"))
            status = STATUSES.get(name, 500)
            yield Fails(status=status, message=text(error.get("message")), kind=name)
        elif kind == "message":
            yield from self._whole(document)
        elif kind == "message_start":
            yield self._begin(mapping(document.get("message")))
        elif kind == "content_block_start":
            yield from self._block(at, mapping(document.get("content_block")))
        elif kind == "content_block_delta":
            yield from self._delta(at, mapping(document.get("delta")))
        elif kind == "message_delta":
            yield from self._end(mapping(document.get("delta")), mapping(document.get("usage")))

    def _whole(self, message: Json) -> Iterator[Event]:
        yield self._begin(message)
        for at, block in enumerate(map(mapping, listed(message.get("content")))):
            yield from self._block(at, block)
        yield from self._end(message, {})

    def _begin(self, message: Json) -> Begin:
        self._usage |= mapping(message.get("usage"))
        named = text(message.get("id")), text(message.get("model"))
        return Begin(id=named[0], model=named[1], used=used(self._usage))

    def _block(self, at: int, block: Json) -> Iterator[Event]:
        """With all that it has already: in a stream, little or nothing."""
        kind = block.get("type")
        if kind == "text":
            if block.get("citations"):
                self.lost["content[].citations"] = None
            if said := text(block.get("text")):
                yield Said(said)
        elif kind == "thinking":
            if thought := text(block.get("thinking")):
                yield Thinks(thought)
            if signature := text(block.get("signature")):
                yield Signed(Signature("anthropic", signature))
        elif kind == "redacted_thinking":
            yield Signed(Signature("anthropic", text(block.get("data"))), hidden=True)
        elif kind == "tool_use":
            self._calls[at] = index = len(self._calls)
            yield Calls(index=index, id=text(block.get("id")), name=text(block.get("name")))
            if arguments := block.get("input"):
                yield Argues(index, msgspec.json.encode(arguments).decode())
        else:
            self.lost[f"content[].{text(kind)}"] = None

    def _delta(self, at: int, delta: Json) -> Iterator[Event]:
        kind = delta.get("type")
        if kind == "text_delta":
            yield Said(text(delta.get("text")))
        elif kind == "thinking_delta":
            yield Thinks(text(delta.get("thinking")))
        elif kind == "signature_delta":
            yield Signed(Signature("anthropic", text(delta.get("signature"))))
        elif kind == "input_json_delta" and at in self._calls:
            if more := text(delta.get("partial_json")):
                yield Argues(self._calls[at], more)
        elif kind == "citations_delta":
            self.lost["content[].citations"] = None

    def _end(self, delta: Json, usage: Json) -> Iterator[Event]:
        self._usage |= {key: value for key, value in usage.items() if value is not None}
        if reason := text(delta.get("stop_reason")):
            finish = REASONS.get(reason, Finish.STOP)
            sequence = text(delta.get("stop_sequence"))
            yield Ends(finish=finish, sequence=sequence, native=reason)
        yield Counts(used(self._usage))


def used(usage: Json) -> Used:
    """`input_tokens` count no cached ones, `output_tokens` thinking."""
    thinking = number(mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
    return Used(
        input=number(usage.get("input_tokens")),
        cache_read=number(usage.get("cache_read_input_tokens")),
        cache_write=number(usage.get("cache_creation_input_tokens")),
        output=max(number(usage.get("output_tokens")) - thinking, 0),
        reasoning=thinking,
    )

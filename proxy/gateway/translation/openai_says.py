"""Says answers in OpenAI's dialect: chat.completion, and its chunks."""

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
    Signature,
    Text,
    Thought,
    Use,
)
from proxy.gateway.translation.signatures import NAMES

Json = dict[str, object]
REASONS = {
    Finish.STOP: "stop",
    Finish.SEQUENCE: "stop",
    Finish.LENGTH: "length",
    Finish.TOOLS: "tool_calls",
    Finish.REFUSAL: "content_filter",
}
DONE = b"data: [DONE]\n\n"


class OpenAiSays:
    """One answer.  `at` is Unix time, for answers that do not say when they were made."""

    def __init__(self, *, shows_usage: bool, at: int) -> None:
        self._shows_usage = shows_usage
        self._at = at
        self._begin = Begin()
        self._used = Used()
        self._ends: Ends | None = None
        self._thoughts = 0  # that have an end
        self._thinks = False  # there is one without

    def whole(self, answer: Answer) -> Json:
        """A chat.completion."""
        self._begin = answer.begin
        texts = [part for part in answer.parts if isinstance(part, Text)]
        said = "".join(part.text for part in texts if not part.refusal)
        refused = "".join(part.text for part in texts if part.refusal)
        message: Json = {"role": "assistant", "content": said or None, "refusal": refused or None}
        uses = [part for part in answer.parts if isinstance(part, Use)]
        if uses:
            message["tool_calls"] = [
                {
                    "id": use.id,
                    "type": "function",
                    "function": {"name": use.name, "arguments": use.arguments or "{}"},
                    **_extra(use.signature),
                }
                for use in uses
            ]
        thoughts = [part for part in answer.parts if isinstance(part, Thought)]
        if plain := "".join(part.text for part in thoughts):
            message["reasoning_content"] = plain
        if details := [_detail(one, at) for at, one in enumerate(thoughts)]:
            message["reasoning_details"] = details
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": REASONS[answer.finish],
        }
        return self._shared("chat.completion") | {
            "choices": [choice],
            "usage": usage(answer.used),
        }

    def event(self, event: Event) -> Iterator[bytes]:
        """What this adds to a stream."""
        if isinstance(event, Begin):
            self._begin, self._used = event, event.used
            yield self._chunk({"role": "assistant", "content": ""})
        elif isinstance(event, Said):
            yield self._chunk({"refusal" if event.refusal else "content": event.text})
        elif isinstance(event, Thinks | Signed):
            yield self._thought(event)
        elif isinstance(event, Calls):
            function = {"name": event.name, "arguments": ""}
            call: Json = {"index": event.index, "id": event.id, "type": "function"}
            call |= {"function": function} | _extra(event.signature)
            yield self._chunk({"tool_calls": [call]})
        elif isinstance(event, Argues):
            more = {"index": event.index, "function": {"arguments": event.text}}
            yield self._chunk({"tool_calls": [more]})
        elif isinstance(event, Counts):
            self._used = event.used
        elif isinstance(event, Ends):
            self._ends = event

    def _thought(self, event: Thinks | Signed) -> bytes:
        """Its pieces have one index, the signature is its last; a hidden one stands alone."""
        if isinstance(event, Thinks):
            self._thinks = True
            detail = _detail(Thought(field="", text=event.text), self._thoughts)
            return self._chunk({"reasoning_content": event.text, "reasoning_details": [detail]})
        if event.hidden and self._thinks:
            self._thoughts += 1
        made = Thought(field="", text="", signature=event.signature, hidden=event.hidden)
        detail = _detail(made, self._thoughts)
        self._thoughts, self._thinks = self._thoughts + 1, False
        return self._chunk({"reasoning_details": [detail]})

    def close(self) -> Iterator[bytes]:
        """The end, if the provider said that it is one."""
        if self._ends is None:
            return
        yield self._chunk({}, REASONS[self._ends.finish])
        if self._shows_usage:
            document = self._shared("chat.completion.chunk") | {"choices": []}
            yield data_event(document | {"usage": usage(self._used)})
        yield DONE

    def _shared(self, kind: str) -> Json:
        return {
            "id": self._begin.id,
            "object": kind,
            "created": self._begin.created or self._at,
            "model": self._begin.model,
        }

    def _chunk(self, delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        nothing: Json = {"usage": None} if self._shows_usage else {}
        document = self._shared("chat.completion.chunk") | {"choices": [choice]}
        return data_event(document | nothing)


def _extra(signature: Signature | None) -> Json:
    if signature is None:
        return {}
    return {"extra_content": {"google": {"thought_signature": signature.value}}}


def _detail(thought: Thought, index: int) -> Json:
    """As OpenRouter has them: https://openrouter.ai/docs/use-cases/reasoning-tokens (2026-11)."""
    signature = thought.signature
    made: Json = {"index": index}
    if signature is not None:
        made["format"] = NAMES.get(signature.signer, "unknown")
    if thought.hidden and signature is not None:
        return {"type": "reasoning.encrypted", "data": signature.value} | made
    made = {"type": "reasoning.text", "text": thought.text} | made
    return made | ({"signature": signature.value} if signature is not None else {})


def usage(used: Used) -> Json:
    """OpenAI's: cached tokens and reasoning are parts of the totals."""
    prompt = used.input + used.cache_read + used.cache_write
    answer = used.output + used.reasoning
    of_prompt = {"cached_tokens": used.cache_read}
    if used.cache_write:
        of_prompt["cache_write_tokens"] = used.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": of_prompt,
        "completion_tokens_details": {"reasoning_tokens": used.reasoning},
    }


def failed(fails: Fails) -> bytes:
    """An error inside a stream."""
    return data_event(error(fails.status, fails.message, fails.kind))


# Types of errors by their status: https://platform.openai.com/docs/guides/error-codes (2026-11).
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_exceeded",
}


def error(status: int, message: str, kind: str = "") -> Json:
    """An error's body; `kind` is OpenAI's code, where there is one."""
    made = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": made, "param": None, "code": kind or None}}

"""Says answers in Gemini's dialect: whole, as server-sent events, or as one growing list."""

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
from proxy.gateway.translation.framing import data_event
from proxy.gateway.translation.gathering import Answer
from proxy.gateway.translation.neutral import (
    Part,
    Signature,
    Text,
    Thought,
    Use,
)
from proxy.gateway.translation.signatures import HIDDEN, marked_64
from proxy.gateway.translation.values import as_object

Json = dict[str, object]
REASONS = {
    Finish.STOP: "STOP",
    Finish.SEQUENCE: "STOP",
    Finish.LENGTH: "MAX_TOKENS",
    Finish.TOOLS: "STOP",
    Finish.REFUSAL: "SAFETY",
}


class GeminiSays:
    """One answer.  `as_list`: a stream is a JSON list, as without `alt=sse`."""

    def __init__(self, *, as_list: bool) -> None:
        self._as_list = as_list
        self._begin = Begin()
        self._used = Used()
        self._ends: Ends | None = None
        self._calls: dict[int, Use] = {}  # their arguments are said whole
        self._sent = False

    def whole(self, answer: Answer) -> Json:
        """A GenerateContentResponse."""
        self._begin, self._used = answer.begin, answer.used
        parts = [one for part in answer.parts for one in _parts(part)]
        return self._document(parts, REASONS[answer.finish])

    def event(self, event: Event) -> Iterator[bytes]:
        """What this adds to a stream."""
        if isinstance(event, Begin):
            self._begin, self._used = event, event.used
        elif isinstance(event, Said):
            yield self._chunk([{"text": event.text}])
        elif isinstance(event, Thinks):
            yield self._chunk([{"text": event.text, "thought": True}])
        elif isinstance(event, Signed):
            yield self._chunk([_signed("", event.signature, hidden=event.hidden)])
        elif isinstance(event, Calls):
            made = Use(field="", id=event.id, name=event.name, arguments="")
            self._calls[event.index] = made
        elif isinstance(event, Argues):
            use = self._calls[event.index]
            more = use.arguments + event.text
            self._calls[event.index] = Use(field="", id=use.id, name=use.name, arguments=more)
        elif isinstance(event, Counts):
            self._used = event.used
        elif isinstance(event, Ends):
            self._ends = event

    def close(self) -> Iterator[bytes]:
        """The end, if the provider said that it is one."""
        if self._ends is not None:
            parts = [one for use in self._calls.values() for one in _parts(use)]
            yield self._chunk(parts, REASONS[self._ends.finish])
            if self._as_list:
                yield b"]"

    def failed(self, fails: Fails) -> bytes:
        """An error inside a stream."""
        return self._framed(error(fails.status, fails.message))

    def _chunk(self, parts: list[Json], reason: str = "") -> bytes:
        return self._framed(self._document(parts, reason))

    def _framed(self, document: Json) -> bytes:
        if not self._as_list:
            return data_event(document)
        before = b",\r\n" if self._sent else b"["
        self._sent = True
        return before + msgspec.json.encode(document)

    def _document(self, parts: list[Json], reason: str) -> Json:
        candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        return {
            "candidates": [candidate],
            "usageMetadata": usage(self._used),
            "modelVersion": self._begin.model,
            "responseId": self._begin.id,
        }


def _signed(text: str, signature: Signature, *, hidden: bool) -> Json:
    signer = f"{signature.signer}{HIDDEN}" if hidden else signature.signer
    value = marked_64(Signature(signer, signature.value))
    return {"text": text, "thought": True, "thoughtSignature": value}


def _parts(part: Part) -> Iterator[Json]:
    if isinstance(part, Text):
        yield {"text": part.text}
    elif isinstance(part, Use):
        arguments = as_object(part.arguments) or {}
        yield {"functionCall": {"id": part.id, "name": part.name, "args": arguments}}
    elif isinstance(part, Thought) and part.signature is not None:
        yield _signed(part.text, part.signature, hidden=part.hidden)
    elif isinstance(part, Thought):
        yield {"text": part.text, "thought": True}


def usage(used: Used) -> Json:
    """Gemini's: cached tokens are a part of the prompt, thoughts stand beside the answer."""
    prompt = used.input + used.cache_read + used.cache_write
    made: Json = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": used.output,
        "totalTokenCount": prompt + used.output + used.reasoning,
    }
    if used.cache_read:
        made["cachedContentTokenCount"] = used.cache_read
    if used.reasoning:
        made["thoughtsTokenCount"] = used.reasoning
    return made


# https://ai.google.dev/gemini-api/docs/troubleshooting (2026-11); google.rpc.Code.
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def error(status: int, message: str) -> Json:
    """An error's body."""
    kind = STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return {"error": {"code": status, "message": message, "status": kind}}

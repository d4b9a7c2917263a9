"""What an answer turns out to be before its caller has seen any of it: content, or a fault.

A provider's error often comes inside a stream that began well, so the events of a stream are held
back until the first that has content.  From there on nothing can be taken back.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec

from proxy.gateway.failures import Fault

Json = Mapping[str, object]
_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")
_decode = msgspec.json.Decoder().decode
# Events that come before any content: Anthropic's, then those of OpenAI's Responses.
_BEFORE = frozenset(
    (
        *("message_start", "ping"),
        *("response.created", "response.queued", "response.in_progress"),
        *("response.output_item.added", "response.content_part.added"),
    )
)
_FAULTS = frozenset(("error", "response.failed"))
# What a chunk of OpenAI's chat may bring; a role alone is nothing.
_DELTAS = (
    *("content", "tool_calls", "function_call", "refusal", "audio"),
    *("reasoning_content", "reasoning", "reasoning_details"),
)


def decoded(data: bytes) -> Json:
    """A JSON object; {} for anything else.  Gemini's errors are lists of one."""
    try:
        value = _decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    return value if isinstance(value, Mapping) else {}


def fault_of(status: int, document: Json) -> Fault:
    """What an error's body, or an error event, says."""
    response = document.get("response")  # of `response.failed`
    outer = response if isinstance(response, Mapping) else document
    error = outer.get("error")
    inner: Json = error if isinstance(error, Mapping) else document
    codes = [inner.get(name) for name in ("code", "type", "status")]
    return Fault(
        status=status,
        code=next((code for code in codes if isinstance(code, str) and code), ""),
        message=next((m for m in (inner.get("message"), error) if isinstance(m, str)), ""),
        has_usage=isinstance(outer.get("usage"), Mapping),
    )


class Beginning:
    """Reads a stream of events until it is known what it is."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self._rest = b""

    def feed(self, data: bytes) -> bool:
        """Whether it is known: there is content, or `fault` is set."""
        self._rest += data
        *events, self._rest = _BLANK.split(self._rest)
        return any(map(self._settles, events))

    def _settles(self, event: bytes) -> bool:
        data = b"\n".join(_data(event))
        if not data:
            return False  # a comment keeps the connection alive
        document = decoded(data)
        kind = document.get("type")
        if kind in _FAULTS or isinstance(document.get("error"), Mapping | str):
            self.fault = fault_of(200, document)
            return True
        if kind in _BEFORE or (kind == "content_block_start" and _is_empty(document)):
            return False
        return "choices" not in document or _has_content(document["choices"])


def _data(event: bytes) -> Iterator[bytes]:
    for line in _LINE.split(event):
        if line.startswith(b"data:"):
            yield line[5:].strip()


def _is_empty(document: Json) -> bool:
    """A block of text or of thinking begins with nothing in it; any other is content."""
    block = document.get("content_block")
    return isinstance(block, Mapping) and block.get("type") in ("text", "thinking")


def _has_content(choices: object) -> bool:
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, Mapping) or choice.get("finish_reason"):
            return True
        delta = choice.get("delta")
        if not isinstance(delta, Mapping) or any(delta.get(name) for name in _DELTAS):
            return True
    return False

"""Reads answers of OpenAI's dialect as events: a whole one, or chunk by chunk."""

from collections.abc import Iterator, Mapping

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
from proxy.gateway.translation.signatures import FORMATS
from proxy.gateway.translation.values import listed, mapping, number, text

REASONS = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.TOOLS,
    "function_call": Finish.TOOLS,
    "content_filter": Finish.REFUSAL,
}
# Of a message: what an answer may have, and no other API has.
UNCARRIED = ("annotations", "audio", "function_call", "citations", "images")


class OpenAiAnswer:
    """One answer.  `lost` are the fields that nobody else could be told."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self._began = False
        self._calls: dict[int, int] = {}  # OpenAI's index → ours
        self._refused = False

    def events(self, document: Json) -> Iterator[Event]:
        """What a chunk, or a whole answer, says."""
        if document.get("error"):
            error = mapping(document.get("error"))
            kind = text(error.get("code")) or text(error.get("type"))
            message = text(error.get("message")) or text(document["error"])
            yield Fails(status=_status(error), message=message, kind=kind)
            return
        choices = listed(document.get("choices"))
        if not self._began and (choices or document.get("id")):  # Azure's first chunk has neither
            self._began = True
            named = text(document.get("id")), text(document.get("model"))
            created = number(document.get("created"))
            yield Begin(id=named[0], model=named[1], created=created)
        for choice in map(mapping, choices[:1]):
            if choice.get("logprobs"):
                self.lost["choices[].logprobs"] = None
            yield from self._message(mapping(choice.get("delta") or choice.get("message")))
            if reason := text(choice.get("finish_reason")):
                yield self._ends(reason)
        usage = document.get("usage") or mapping(document.get("x_groq")).get("usage")
        if isinstance(usage, Mapping):
            yield Counts(used(usage))

    def _message(self, message: Json) -> Iterator[Event]:
        for name in UNCARRIED:
            if message.get(name):
                self.lost[f"choices[].message.{name}"] = None
        details = [mapping(one) for one in listed(message.get("reasoning_details"))]
        if details:
            for one in details:
                yield from _detail(one)
        elif plain := text(message.get("reasoning_content")) or text(message.get("reasoning")):
            yield Thinks(plain)
        if said := _content(message.get("content")):
            yield Said(said)
        if refusal := text(message.get("refusal")):
            self._refused = True
            yield Said(refusal, refusal=True)
        for place, call in enumerate(map(mapping, listed(message.get("tool_calls")))):
            yield from self._call(place, call)

    def _call(self, place: int, call: Json) -> Iterator[Event]:
        index = call.get("index")
        at = index if isinstance(index, int) else place
        function = mapping(call.get("function"))
        if at not in self._calls:
            self._calls[at] = len(self._calls)
            google = mapping(mapping(call.get("extra_content")).get("google"))
            value = text(google.get("thought_signature"))
            yield Calls(
                index=self._calls[at],
                id=text(call.get("id")),
                name=text(function.get("name")),
                signature=Signature("gemini", value) if value else None,
            )
        if more := text(function.get("arguments")):
            yield Argues(self._calls[at], more)

    def _ends(self, reason: str) -> Ends:
        """Some providers say `stop` after calls of tools."""
        finish = REASONS.get(reason, Finish.STOP)
        if finish is Finish.STOP and self._calls:
            finish = Finish.TOOLS
        if finish is Finish.STOP and self._refused:
            finish = Finish.REFUSAL
        return Ends(finish=finish, native=reason)


def _content(value: object) -> str:
    """Text; some providers send it in parts."""
    parts = (text(mapping(one).get("text")) for one in listed(value))
    return value if isinstance(value, str) else "".join(parts)


def _detail(one: Json) -> Iterator[Event]:
    said = text(one.get("text")) or text(one.get("summary"))
    signer = FORMATS.get(text(one.get("format")), "openai")
    if said:
        yield Thinks(said)
    if value := text(one.get("signature")):
        yield Signed(Signature(signer, value))
    if value := text(one.get("data")):
        yield Signed(Signature(signer, value), hidden=True)


def _status(error: Json) -> int:
    code = error.get("code")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def used(usage: Json) -> Used:
    """`prompt_tokens` count cached ones too, `completion_tokens` reasoning."""
    prompt, answer = number(usage.get("prompt_tokens")), number(usage.get("completion_tokens"))
    of_prompt = mapping(usage.get("prompt_tokens_details"))
    of_answer = mapping(usage.get("completion_tokens_details"))
    read = number(of_prompt.get("cached_tokens"))
    written = number(of_prompt.get("cache_write_tokens"))
    reasoning = number(of_answer.get("reasoning_tokens"))
    return Used(
        input=max(prompt - read - written, 0),
        cache_read=read,
        cache_write=written,
        output=max(answer - reasoning, 0),
        reasoning=reasoning,
    )

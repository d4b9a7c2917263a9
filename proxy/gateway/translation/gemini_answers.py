"""Reads answers of Gemini's generateContent as events: a whole one, or chunk by chunk."""

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

# Every other reason is that of a filter, or of an answer that went wrong.
REASONS = {"STOP": Finish.STOP, "MAX_TOKENS": Finish.LENGTH}
UNSAID = ("", "FINISH_REASON_UNSPECIFIED")
UNCARRIED = ("groundingMetadata", "citationMetadata", "urlContextMetadata", "logprobsResult")
SAID = frozenset(("candidates", "promptFeedback", "usageMetadata", "responseId"))
SAYS = ("text", "functionCall", "thoughtSignature")


class GeminiAnswer:
    """One answer.  `lost` are the fields that nobody else could be told."""

    def __init__(self) -> None:
        self.lost: dict[str, None] = {}
        self._began = False
        self._id = ""
        self._count = 0  # calls so far

    def events(self, document: Json) -> Iterator[Event]:
        """What a chunk, or a whole answer, says."""
        if document.get("error"):
            error = mapping(document.get("error"))
            status = number(error.get("code")) or 500
            message = text(error.get("message"))
            yield Fails(status=status, message=message, kind=text(error.get("status")))
            return
        usage = mapping(document.get("usageMetadata"))
        if not self._began and (SAID & document.keys()):
            self._began = True
            self._id = text(document.get("responseId"))
            yield Begin(id=self._id, model=text(document.get("modelVersion")), used=used(usage))
        for candidate in map(mapping, listed(document.get("candidates"))[:1]):
            for name in UNCARRIED:
                if candidate.get(name):
                    self.lost[f"candidates[].{name}"] = None
            for part in map(mapping, listed(mapping(candidate.get("content")).get("parts"))):
                yield from self._part(part)
            reason = text(candidate.get("finishReason"))
            if reason not in UNSAID:
                yield self._ends(reason)
        if blocked := text(mapping(document.get("promptFeedback")).get("blockReason")):
            yield Ends(finish=Finish.REFUSAL, native=blocked)
        if usage:
            yield Counts(used(usage))

    def _part(self, part: Json) -> Iterator[Event]:
        value = text(part.get("thoughtSignature"))
        signature = Signature("gemini", value) if value else None
        call = mapping(part.get("functionCall"))
        said = text(part.get("text"))
        if call:
            index, self._count = self._count, self._count + 1
            made = text(call.get("id")) or f"call_{self._id or 'gemini'}_{index}"
            yield Calls(index=index, id=made, name=text(call.get("name")), signature=signature)
            yield Argues(index, msgspec.json.encode(call.get("args") or {}).decode())
            return
        if said:
            yield Thinks(said) if part.get("thought") is True else Said(said)
        if signature is not None:
            of_thought = bool(said) and part.get("thought") is True
            yield Signed(signature, hidden=not of_thought)
        for name in part:
            if name not in (*SAYS, "thought"):
                self.lost[f"candidates[].content.parts[].{name}"] = None

    def _ends(self, reason: str) -> Ends:
        finish = REASONS.get(reason, Finish.REFUSAL)
        if finish is Finish.STOP and self._count:
            finish = Finish.TOOLS
        return Ends(finish=finish, native=reason)


def used(usage: Json) -> Used:
    """The prompt's count has the cached tokens, the candidates' count no thoughts."""
    read = number(usage.get("cachedContentTokenCount"))
    prompt = number(usage.get("promptTokenCount")) + number(usage.get("toolUsePromptTokenCount"))
    return Used(
        input=max(prompt - read, 0),
        cache_read=read,
        output=number(usage.get("candidatesTokenCount")),
        reasoning=number(usage.get("thoughtsTokenCount")),
    )

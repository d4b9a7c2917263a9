"""Counts the tokens of a call whose provider reported none, and says how good the count is.

Exact for text to OpenAI's models, whose vocabulary and chat format are published; other models are
counted with OpenAI's vocabulary and measured factors.  docs/tokens.md has the method and its
errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pricing.cause import Cause, about
from pricing.reason import Reason
from pricing.usage import Meter, Origin, Usage
from proxy.exchange import CountRequest
from proxy.tokens import encodings, prompts, vocabularies
from proxy.tokens.images import Image
from proxy.tokens.prompts import Prompt
from proxy.tokens.toolspecs import namespace
from proxy.tokens.vocabularies import Vocabulary

USUAL_IMAGE = Image(width=1_024, height=1_024)
EMBEDDINGS = ("embed", "rerank", "moderation", "voyage")  # in the endpoint's or model's name
EMBEDDING_FIELDS = frozenset(("texts", "requests", "encoding_format", "dimensions"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Usage with origin `counted` or `estimated`, and the reasons for that."""

    usage: Usage
    reasons: tuple[Cause, ...]


def count(request_family: str, model: str, count: CountRequest, bytes_max: int) -> Count:
    """Input and output tokens of one call.

    `request_family` is the reading's endpoint (`openai.embeddings`) or the dialect's family;
    `model` the one that served, else the one asked for.  At most `bytes_max` bytes of text (UTF-8)
    are tokenized; the rest is extrapolated, with `count_truncated` among the reasons.  Takes half a
    second at the first call, one for 4 MB of prose, four at worst: call it from a thread.
    """
    vocabulary = vocabularies.find(model)
    text = _Text(vocabulary, bytes_max)
    prompt = prompts.read(count.request)
    embeds = any(word in f"{request_family} {model}".lower() for word in EMBEDDINGS)
    embeds = embeds or not EMBEDDING_FIELDS.isdisjoint(count.request)
    written = text.tokens(count.output)  # first, since output costs several times as much as input
    if written and count.output_known:
        written += vocabulary.stop
    read = _bare(prompt, text) if embeds else _chat(prompt, vocabulary, text)
    read += sum(_image(image, vocabulary, model.lower()) for image in prompt.images)

    found = bool(prompt.turns or prompt.bare or prompt.token_ids or prompt.images)
    doubts = {
        Reason.COUNT_TRUNCATED: text.truncated,
        Reason.IMAGE_SIZE_UNKNOWN: any(not image.width for image in prompt.images),
        Reason.OUTPUT_INCOMPLETE: not count.output_known,
        Reason.REASONING_NOT_COUNTED: vocabulary.hidden and not embeds,
        Reason.MODEL_VOCABULARY_UNKNOWN: vocabulary is vocabularies.UNKNOWN,
        Reason.REQUEST_NOT_COUNTED: not found,
    }
    reasons = {*prompt.reasons, *(reason for reason, applies in doubts.items() if applies)}
    origin = Origin.COUNTED if not reasons and _published(prompt, vocabulary) else Origin.ESTIMATED
    if not found and not count.output:
        return Count(usage=Usage(origin=Origin.NONE), reasons=tuple(sorted(reasons, key=str)))
    usage = Usage({Meter.INPUT: round(read), Meter.OUTPUT: round(written)}, origin)
    how = Reason.COUNTED if origin is Origin.COUNTED else Reason.ESTIMATED
    return Count(usage=usage, reasons=(about(how, vocabulary.encoding), *sorted(reasons, key=str)))


def _published(prompt: Prompt, vocabulary: Vocabulary) -> bool:
    """Whether there is only text in turns, which is all that the published format covers."""
    special = prompt.tools or prompt.schema is not None or prompt.images
    return vocabulary.exact and not special and not any(turn.calls for turn in prompt.turns)


class _Text:
    """Counts text up to a limit, and extrapolates after it."""

    def __init__(self, vocabulary: Vocabulary, bytes_max: int) -> None:
        self.truncated = False
        self._vocabulary = vocabulary
        self._left = bytes_max
        self._seen_bytes = 0
        self._seen_tokens = 0.0

    def tokens(self, text: str) -> float:
        """Tokens of this family; not a whole number if a factor applies."""
        size = len(text.encode("utf-8", "surrogatepass"))
        kept = text
        if size > self._left:
            self.truncated = True
            kept = text[: len(text) * self._left // size]
        found = encodings.tokens(self._vocabulary.encoding, kept) * self._vocabulary.factor(kept)
        kept_bytes = size if kept is text else size * len(kept) // len(text)
        self._left -= kept_bytes
        self._seen_bytes += kept_bytes
        self._seen_tokens += found
        if kept_bytes < size:
            rate = self._seen_tokens / self._seen_bytes if self._seen_bytes else 0.25
            found += (size - kept_bytes) * rate
        return found

    def all(self, texts: Sequence[str]) -> float:
        return sum(self.tokens(text) for text in texts)


def _bare(prompt: Prompt, text: _Text) -> float:
    """Embeddings and the like: the text itself, without a chat format."""
    turns = sum(text.all(turn.texts) for turn in prompt.turns)
    return prompt.token_ids + text.all(prompt.bare) + turns


def _chat(prompt: Prompt, vocabulary: Vocabulary, text: _Text) -> float:
    total = prompt.token_ids + text.all(prompt.bare)
    if prompt.turns:
        total += vocabulary.request
    for turn in prompt.turns:
        total += vocabulary.turn
        for written in turn.texts:
            # Chat templates of open models omit the thinking of earlier turns.
            thought = turn.role == "assistant" and not vocabulary.exact and "<think>" in written
            total += text.tokens(written.rpartition("</think>")[2] if thought else written)
        if vocabulary.roles:
            total += text.tokens(turn.role)
            # A name that repeats the role is one token cheaper: three recorded bills.
            total += text.tokens(turn.name) + (turn.name != turn.role) if turn.name else 0
    if prompt.tools:
        total += _tools(prompt, vocabulary, text)
    if prompt.schema is not None:
        total += text.tokens(prompts.as_json(prompt.schema))
    return total + (vocabulary.thinking if prompt.thinking else 0)


def _tools(prompt: Prompt, vocabulary: Vocabulary, text: _Text) -> float:
    total = float(vocabulary.forced_tools if prompt.forced else vocabulary.tools)
    if not vocabulary.typescript:
        definitions = (
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in prompt.tools
        )
        # Chat templates write JSON with a space after each comma and colon, like Python.
        written = (msgspec.json.format(prompts.as_json(each), indent=0) for each in definitions)
        return total + sum(vocabulary.tool + text.tokens(each) for each in written)
    total += text.tokens(namespace(prompt.tools)) - 1
    # Recorded bills: declarations are part of the system message, which costs a turn (3 and its
    # role) if there is none yet, except for reasoning models; a missing description saves a token.
    if not vocabulary.hidden:
        total -= 4 if any(turn.role == "system" for turn in prompt.turns) else 0
        total -= sum(not tool.description for tool in prompt.tools)
    return total


def _image(image: Image, vocabulary: Vocabulary, model: str) -> int:
    return vocabulary.image(image if image.width else USUAL_IMAGE, model)

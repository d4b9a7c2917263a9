"""Tokens of a call whose provider reported none, and how good the number is.

Exact for the text of OpenAI's models, whose vocabulary and chat format are published; a stand-in
vocabulary and measured factors for the rest: docs/tokens.md has the method and its errors.
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
    are tokenized; the rest is taken to be like what came before, with `count_truncated` among the
    reasons.  Half a second at the first call, one for 4 MB of prose, four at worst: use a thread.
    """
    vocabulary = vocabularies.find(model)
    text = _Text(vocabulary, bytes_max)
    prompt = prompts.read(count.request)
    embeds = any(word in f"{request_family} {model}".lower() for word in EMBEDDINGS)
    embeds = embeds or not EMBEDDING_FIELDS.isdisjoint(count.request)
    written = text.tokens(count.output)  # first: a unit of output costs several of input
    if written and count.output_known:
        written += vocabulary.stop
    read = _bare(prompt, text) if embeds else _chat(prompt, vocabulary, text)
    read += sum(_image(image, vocabulary, model.lower()) for image in prompt.images)

    reasons = set(prompt.reasons)
    reasons |= {Reason.COUNT_TRUNCATED} if text.truncated else set()
    reasons |= (
        {Reason.IMAGE_SIZE_UNKNOWN} if any(not image.width for image in prompt.images) else set()
    )
    reasons |= set() if count.output_known else {Reason.OUTPUT_INCOMPLETE}
    reasons |= {Reason.REASONING_NOT_COUNTED} if vocabulary.hidden and not embeds else set()
    reasons |= {Reason.MODEL_VOCABULARY_UNKNOWN} if vocabulary is vocabularies.UNKNOWN else set()
    found = prompt.turns or prompt.bare or prompt.token_ids or prompt.images
    reasons |= set() if found else {Reason.REQUEST_NOT_COUNTED}
    origin = Origin.COUNTED if not reasons and _published(prompt, vocabulary) else Origin.ESTIMATED
    if not found and not count.output:
        return Count(usage=Usage(origin=Origin.NONE), reasons=tuple(sorted(reasons, key=str)))
    usage = Usage({Meter.INPUT: round(read), Meter.OUTPUT: round(written)}, origin)
    how = Reason.COUNTED if origin is Origin.COUNTED else Reason.ESTIMATED
    return Count(usage=usage, reasons=(about(how, vocabulary.encoding), *sorted(reasons, key=str)))


def _published(prompt: Prompt, vocabulary: Vocabulary) -> bool:
    """Nothing but text in turns: that is all that the published format covers."""
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
        """Of this family's vocabulary, hence not a whole number where a factor applies."""
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
    """Embeddings and the like: the text itself, in no chat format."""
    turns = sum(text.all(turn.texts) for turn in prompt.turns)
    return prompt.token_ids + text.all(prompt.bare) + turns


def _chat(prompt: Prompt, vocabulary: Vocabulary, text: _Text) -> float:
    total = prompt.token_ids + text.all(prompt.bare)
    if prompt.turns:
        total += vocabulary.request
    for turn in prompt.turns:
        total += vocabulary.turn
        for written in turn.texts:
            # Open models' chat templates leave out what the model thought in earlier turns.
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
        # Chat templates write JSON with a space after each comma and colon, as Python does.
        written = (msgspec.json.format(prompts.as_json(each), indent=0) for each in definitions)
        return total + sum(vocabulary.tool + text.tokens(each) for each in written)
    total += text.tokens(namespace(prompt.tools)) - 1
    # Recorded bills: the declarations go into the system message, which costs a turn (3 and its
    # role) unless there is one, save for reasoning models; a missing description saves a token.
    if not vocabulary.hidden:
        total -= 4 if any(turn.role == "system" for turn in prompt.turns) else 0
        total -= sum(not tool.description for tool in prompt.tools)
    return total


def _image(image: Image, vocabulary: Vocabulary, model: str) -> int:
    return vocabulary.image(image if image.width else USUAL_IMAGE, model)

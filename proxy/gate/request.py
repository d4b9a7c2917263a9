"""What a request says of what it may use: its model, its size, and the longest answer.

Everything here is an upper bound, found without counting tokens: text has at most as many tokens as
bytes.  Media have fewer tokens than bytes of base64, so they are taken out and counted by item and
by size.  What the body only refers to, such as an earlier response, counts as a full context.
"""

import re
import zlib
from functools import lru_cache
from urllib.parse import unquote

import msgspec

CONTEXT_TOKENS_MAX = 1_000_000  # of what a request refers to and does not bring
OUTPUT_TOKENS_MAX = 131_072  # of a model whose limit is not listed below
# What an image costs at most where a provider counts it by tiles, with one token for 16 bytes of
# base64 on top: PDF, audio and video cost less.  2833 + 5667 for a tile of gpt-4o-mini:
# https://platform.openai.com/docs/guides/images-vision
MEDIA_TOKENS, MEDIA_BYTES_PER_TOKEN = 8_500, 16
MODELS_MAX = 1_024  # of which the limit is remembered
LARGE = 10**9  # more tokens than any model has: a mistake
TOOLS_TOKENS = 1_000  # of instructions that a provider adds where there are tools
# The most that a model writes in one answer, by the beginning of its name; the longest wins.
# https://platform.openai.com/docs/models, https://ai.google.dev/gemini-api/docs/models,
# https://docs.claude.com/en/docs/about-claude/models (November 2026)
OUTPUT_CAPS = {
    "gpt-3.5": 4_096,
    "gpt-4": 8_192,
    "gpt-4-turbo": 4_096,
    "gpt-4o": 16_384,
    "gpt-4.1": 32_768,
    "gpt-5": 128_000,
    "o1": 100_000,
    "o3": 100_000,
    "o4": 100_000,
    "gemini-1.5": 8_192,
    "gemini-2.0": 8_192,
    "gemini-2.5": 65_536,
    "gemini-3": 65_536,
    "claude-3": 8_192,
    "claude-3-7": 64_000,
}
# Routes whose calls nobody bills: they only look, count or store.
_FREE_PATH = re.compile(
    r"count_?tokens$|/tokenize$|/moderations$|/models$|/files(/|$)|/uploads(/|$)"
    r"|/api/(tags|show|ps)$",
    re.IGNORECASE,
)
_NO_OUTPUT = re.compile(r"embed|rerank|/moderations", re.IGNORECASE)
# The model in a path: Gemini and Vertex, Azure, Bedrock.
_IN_PATH = re.compile(r"/(?:models|deployments|model|engines)/([^/:?]+)")
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,256})"|name="model"\r\n\r\n([^\r\n]{1,256})')
# What may be media; then exactly: a mode, with a link to it; a data URL; a field of base64; a link
# or a name of a file.  The first need not be exact: it is what costs little for each quote.
_SEEN = re.compile(rb'"[abdfiov](?:mage|udio|ideo|ocument|ile|nput_|utput_|ata|ytes)')
_MARK = re.compile(
    rb'"(?:(?:input_|output_)?(audio|image|video)(_url"\s*:)?|(data:)'
    rb'|((?:data|bytes|file_data)"\s*:\s*")'
    rb'|((?:document"|file_id"\s*:|file_url"\s*:|fileUri"\s*:|file_uri"\s*:)))'
)
_MODE_PATH = re.compile(r"audio|image|video|speech|transcri")
_MODES = frozenset(("audio", "image", "video"))


class _Config(msgspec.Struct):
    """Of Gemini, Bedrock, Ollama and DashScope."""

    maxOutputTokens: object = None
    candidateCount: object = None
    maxTokens: object = None
    num_predict: object = None
    max_tokens: object = None
    n: object = None


class _Body(msgspec.Struct):
    """The few fields that are looked at; msgspec skips the others."""

    model: object = None
    max_tokens: object = None
    max_completion_tokens: object = None
    max_output_tokens: object = None
    max_tokens_to_sample: object = None
    max_gen_len: object = None
    n: object = None
    best_of: object = None
    service_tier: object = None
    speed: object = None
    previous_response_id: object = None
    conversation: object = None
    cachedContent: object = None
    tools: msgspec.Raw = msgspec.Raw()
    toolConfig: msgspec.Raw = msgspec.Raw()
    generationConfig: _Config | None = None
    inferenceConfig: _Config | None = None
    options: _Config | None = None
    parameters: _Config | None = None


_decode = msgspec.json.Decoder(_Body).decode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An upper bound of what a call uses: a value.  `model`: "" if the request names none."""

    model: str = ""
    input_tokens: int = CONTEXT_TOKENS_MAX
    output_tokens: int = OUTPUT_TOKENS_MAX
    tier: str = ""  # the service tier asked for, if it costs more: "priority"
    speed: str = ""
    modes: frozenset[str] = frozenset()  # audio, image and video, if they may be in it


def is_free(method: str, path: str) -> bool:
    """Whether nobody bills such a call: what it shows was charged before, if at all."""
    return method != "POST" or _FREE_PATH.search(path) is not None


@lru_cache(MODELS_MAX)
def model_in(path: str) -> str:
    """The model that a path names; ""."""
    found = _IN_PATH.search(path)
    return unquote(found[1]) if found else ""


def unpacked(data: bytes, coding: str, bytes_max: int) -> bytes | None:
    """A body as JSON; None: a coding that is not read here, or more than `bytes_max`."""
    if coding in ("", "identity"):
        return data
    if coding not in ("gzip", "x-gzip", "deflate"):
        return None
    inflate = zlib.decompressobj(47 if coding != "deflate" else 15)
    try:
        plain = inflate.decompress(data, bytes_max)
    except zlib.error:
        return None
    return plain if inflate.eof else None


def read(path: str, data: bytes, *, whole: bool, announced: int | None = None) -> Request:
    """What a request says.  `data` is its body, or the beginning of one that is not `whole`.

    `announced` is the length of all of it, if that is known.  Never raises.
    """
    model = model_in(path)
    try:
        body = _decode(data) if whole and data else None
    except (msgspec.MsgspecError, RecursionError):
        body = None
    if body is None:
        return _unread(path, model, data, len(data) if whole else announced)
    model = model or (body.model if isinstance(body.model, str) else "")
    media, modes = _media(data)
    return Request(
        model=model,
        input_tokens=len(data) + media + _stored(body),
        output_tokens=_output(body, path, model),
        tier="priority" if body.service_tier == "priority" else "",
        speed="fast" if body.speed == "fast" else "",
        modes=modes,
    )


def _unread(path: str, model: str, data: bytes, length: int | None) -> Request:
    """Of a form, a body that is no JSON, or the beginning of one: as far as can be told."""
    if not model and (found := _MODEL.search(data)):
        model = (found[1] or found[2]).decode("utf-8", "replace")
    return Request(
        model=model,
        input_tokens=CONTEXT_TOKENS_MAX if length is None else length,
        output_tokens=_cap(path, model),
        modes=_MODES if _MODE_PATH.search(path) or length is None else _media(data)[1],
    )


def _media(data: bytes) -> tuple[int, frozenset[str]]:
    """By how much media change the tokens of a body that has one for each byte; and its modes."""
    tokens, at = 0, 0
    modes: set[str] = set()
    while seen := _SEEN.search(data, at):
        at = seen.end()
        if (found := _MARK.match(data, seen.start())) is None:
            continue
        mode, link, url, field, named = found.groups()
        if mode:
            modes.add(mode.decode())
        if url or field:
            at = found.end()
            end = data.find(b'"', at)
            size = (end if end >= 0 else len(data)) - at
            tokens += MEDIA_TOKENS + size // MEDIA_BYTES_PER_TOKEN - size
            at += size
        elif link or named:
            tokens += MEDIA_TOKENS
    return tokens, frozenset(modes)


def _stored(body: _Body) -> int:
    """Tokens that are not in the body."""
    tools = TOOLS_TOKENS if bytes(body.tools) or bytes(body.toolConfig) else 0
    refers = body.previous_response_id or body.conversation or body.cachedContent
    return tools + (CONTEXT_TOKENS_MAX if refers else 0)


def _output(body: _Body, path: str, model: str) -> int:
    cap = _cap(path, model)
    if not cap:
        return 0
    asked = [body.max_tokens, body.max_completion_tokens, body.max_output_tokens]
    asked += [body.max_tokens_to_sample, body.max_gen_len]
    times = [body.n, body.best_of]
    for config in (body.generationConfig, body.inferenceConfig, body.options, body.parameters):
        if config is not None:
            asked += [config.maxOutputTokens, config.maxTokens, config.num_predict]
            asked.append(config.max_tokens)
            times += [config.candidateCount, config.n]
    return (_largest(asked) or cap) * (_largest(times) or 1)


@lru_cache(MODELS_MAX)
def _cap(path: str, model: str) -> int:
    if _NO_OUTPUT.search(path):
        return 0
    name = model.rpartition("/")[2]
    known = [prefix for prefix in OUTPUT_CAPS if name.startswith(prefix)]
    return OUTPUT_CAPS[max(known, key=len)] if known else OUTPUT_TOKENS_MAX


def _largest(values: list[object]) -> int:
    """The largest whole number that makes sense; 0: none does."""
    found = 0
    for value in values:
        if type(value) is int and found < value < LARGE:
            found = value
    return found

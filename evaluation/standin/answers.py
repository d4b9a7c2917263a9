"""The types of requests and answers, and the invented text and usage that answers are made of."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from evaluation.standin import shapes
from evaluation.standin.steering import Steering

Json = dict[str, Any]  # a decoded or to-be-encoded JSON object

CREATED = 1_790_000_000  # for every "created": an answer depends on its request alone
MESSAGE_TOKENS = 4  # OpenAI's chat format: three marks and a role per message
REPLY_TOKENS = 3  # OpenAI's chat format: start of the reply
STOP_TOKENS = 1  # OpenAI also counts the hidden token that ends an answer
TOOL_CALL_TOKENS = 12  # reported for an invented tool call

# Each is one token in o200k_base and cl100k_base, with and without a leading space (a test checks).
WORDS = tuple(
    (  # noqa: SIM905 - a paragraph reads better than a hundred quoted words
        "time people year way day thing world life hand part child eye place work week case point "
        "company number group problem fact home water room mother area money story month lot right "
        "study book word business issue side kind head house service friend father power hour game "
        "line end member law car city name team minute idea body information back parent face "
        "level office door health person art war history party result change reason research girl "
        "moment air teacher force order paper space ground form event matter center light music "
        "market price report table river summer winter road train plan letter"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Said:
    """What to answer, where that is known: text, or a tool to call with its arguments."""

    text: str
    tool: str = ""
    arguments: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as dialects need it."""

    method: str
    path: str  # percent-encoded, no query
    query: Mapping[str, str]
    headers: Mapping[str, str]  # lower-case names
    body: Json
    steering: Steering
    model: str  # from the body or the path, without a steering suffix
    seed: str  # hex digest of path and body, the seed of all randomness
    said: Said | None = None  # None: the answer is made up


TOOL_ARGUMENTS: Json = {"city": "Paris", "unit": "celsius"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to send: a whole body or one stream event, and the output tokens in it."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """A partition: each token is counted under exactly one name, as in `pricing.usage.Usage`."""

    input: int = 0  # neither read from a cache nor written to one
    cache_read: int = 0
    cache_write: int = 0  # five minutes
    cache_write_1h: int = 0
    output: int = 0  # without reasoning
    reasoning: int = 0

    @property
    def input_total(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def output_total(self) -> int:
        return self.output + self.reasoning


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send, and its meaning: `tokens` is what such a call would be billed for."""

    steps: tuple[Step, ...]
    status: int = 200
    content_type: str = "application/json"
    stream: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    tokens: Tokens | None = None
    reported: bool = True  # False: the body has no usage
    error_event: bytes = b""  # an overload in mid-stream
    operation: str = ""  # for the journal
    kept: Json | None = None  # a document that can be fetched by its id later


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model says."""

    words: tuple[str, ...]  # one token each; all but the first start with a space
    thoughts: tuple[str, ...]  # words of the reasoning
    tool: str  # name of the tool to call; "": none
    tool_tokens: int
    stop_tokens: int
    tokens: Tokens
    cut_short: bool  # the caller's own limit was reached
    arguments: Json  # of the tool

    @property
    def text(self) -> str:
        return "".join(self.words)

    @property
    def thought(self) -> str:
        return "".join(self.thoughts)


def encode(document: object) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(document)


def sse(document: object, event: str = "") -> bytes:
    """One server-sent event, with a name if the dialect names its events."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + encode(document) + b"\n\n"


def identifier(prefix: str, seed: str, *, length: int = 24, part: str = "") -> str:
    """An id in the provider's format, derived from the seed."""
    return prefix + hashlib.sha256(f"{seed}/{part}".encode()).hexdigest()[:length]


def words(random: Random, count: int) -> tuple[str, ...]:
    """`count` tokens of text."""
    if count <= 0:
        return ()
    first, *rest = random.choices(WORDS, k=count)
    return (first, *(" " + word for word in rest))


def strings(document: object) -> Iterator[str]:
    """All strings in a JSON document, without its keys."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from strings(value)
    elif isinstance(document, list):
        for value in document:
            yield from strings(value)


def counted(document: object) -> int:
    """Tokens in the strings of a document: its words, exact for text made of `WORDS`."""
    return sum(len(text.split()) for text in strings(document))


def make_reply(
    request: Request,
    *,
    prompt_tokens: int,
    limit: int | None = None,
    thinks: bool = False,
    stop_tokens: int = 0,
) -> Reply:
    """The reply to a prompt of `prompt_tokens`, by the seed and the steering."""
    steering, random = request.steering, Random(request.seed)
    tool = request.said.tool if request.said else _tool(request.body)
    said = _pieces(request.said.text) if request.said else _shaped(request.body, tool)
    wanted = steering.output_tokens if steering.output_tokens is not None else random.randint(8, 48)
    if said is not None:
        wanted = len(said) + (TOOL_CALL_TOKENS if tool else 0) + stop_tokens
    reasoning = steering.reasoning_tokens
    if reasoning is None:
        reasoning = random.randint(8, 64) if thinks else 0
        wanted += reasoning if steering.output_tokens is None else 0
    total = wanted if limit is None else min(wanted, limit)
    reasoning = min(reasoning, total)
    visible = total - reasoning
    calling = min(TOOL_CALL_TOKENS, visible) if tool else 0
    stop = min(stop_tokens, visible - calling) if total == wanted else 0
    return Reply(
        words=words(random, visible - calling - stop) if said is None else said[:visible],
        thoughts=words(random, reasoning),
        tool=tool,
        tool_tokens=calling,
        stop_tokens=stop,
        tokens=_tokens(steering, prompt_tokens, visible, reasoning),
        cut_short=total < wanted,
        arguments=(request.said.arguments if request.said else None) or TOOL_ARGUMENTS,
    )


def _shaped(body: Json, tool: str) -> tuple[str, ...] | None:
    """The answer that fits the schema which is asked for; None: it is made up."""
    schema = shapes.schema_of(body)
    if schema is None or tool:
        return None
    return _pieces(encode(shapes.fitting(schema)).decode())


def _pieces(text: str) -> tuple[str, ...]:
    """A text in the pieces in which it is sent, each counted as a token."""
    return tuple(re.findall(r"\s*\S+", text))


def _tokens(steering: Steering, prompt: int, output: int, reasoning: int) -> Tokens:
    """The partition; the total is at least the cached tokens that the steering sets."""
    read, written = steering.cache_read_tokens, steering.cache_write_tokens
    written_1h = steering.cache_write_1h_tokens
    total = steering.input_tokens if steering.input_tokens is not None else prompt
    return Tokens(
        input=max(total - read - written - written_1h, 0),
        cache_read=read,
        cache_write=written,
        cache_write_1h=written_1h,
        output=output,
        reasoning=reasoning,
    )


def _tool(body: Json) -> str:
    """The first function that a request declares in any dialect, unless it forbids tools."""
    if body.get("tool_choice") == "none" or _answered_tool(body):
        return ""
    for tool in body.get("tools") or ():
        for candidate in (tool.get("function"), *(tool.get("functionDeclarations") or ()), tool):
            if isinstance(candidate, dict) and isinstance(candidate.get("name"), str):
                return str(candidate["name"])
    return ""


def _answered_tool(body: Json) -> bool:
    """Whether the newest message has a tool's result, so that the answer is text."""
    turns = body.get("messages") or body.get("input") or body.get("contents") or ()
    last = turns[-1] if isinstance(turns, list) and turns else None
    marks = (b'"role":"tool"', b'"tool_result"', b'"function_call_output"', b'"functionResponse"')
    return last is not None and any(mark in encode(last) for mark in marks)

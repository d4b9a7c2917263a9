"""Sessions over a WebSocket: OpenAI's realtime and responses, and Gemini Live.

A session takes messages and returns the documents to send; `server` does the I/O.  Each turn of
Realtime and Live reads the whole session again and reports its own usage.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from evaluation.standin import openai_responses, steering
from evaluation.standin.answers import (
    Json,
    Reply,
    Request,
    Tokens,
    counted,
    encode,
    identifier,
    make_reply,
)


class Session(Protocol):
    """One session.  `model` is the one that its messages name; `tokens` are of all turns."""

    operation: str
    binary: bool  # whether documents are sent as binary messages
    model: str
    tokens: Tokens

    def open(self) -> Iterator[Json]:
        """The documents to send first."""

    def respond(self, message: Json) -> Iterator[Json]:
        """The documents to send in response to a message."""


def find(target: str, headers: dict[str, str]) -> Session | None:
    """The session that a request for a WebSocket opens; None for an unknown path."""
    path, _, query = target.partition("?")
    wanted = parse_qs(query).get("model", [""])[0]
    model, steered = steering.read(headers, wanted)
    request = Request(
        method="GET",
        path=path,
        query={},
        headers=headers,
        body={},
        steering=steered,
        model=model,
        seed=path,
    )
    if path.endswith("/realtime"):
        return Realtime(request, model)
    if path.endswith("/responses"):
        return Responses(request)
    return Live(request) if path.endswith("BidiGenerateContent") else None


def summed(before: Tokens, new: Tokens) -> Tokens:
    """The sum of both partitions."""
    names = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning")
    return Tokens(**{name: getattr(before, name) + getattr(new, name) for name in names})


@dataclass(slots=True)
class _Turns:
    """The state that the turns of one session share."""

    request: Request
    model: str = ""
    tokens: Tokens = field(default_factory=Tokens)
    context: int = 0  # tokens that the next turn reads
    turns: int = 0

    def turn(self, limit: int | None = None) -> tuple[Request, Reply]:
        """The next turn: a request with a seed of its own, and the reply."""
        self.turns += 1
        request = replace(self.request, seed=f"{self.request.seed}/{self.turns}", model=self.model)
        reply = make_reply(request, prompt_tokens=self.context, limit=limit)
        self.tokens = summed(self.tokens, reply.tokens)
        self.context += reply.tokens.output_total
        return request, reply


class Realtime(_Turns):
    """`GET /v1/realtime?model=M`; text in, text out."""

    operation = "openai.realtime"
    binary = False

    def open(self) -> Iterator[Json]:
        """See `Session.open`."""
        yield {"type": "session.created", "event_id": self._event(), "session": self._session()}

    def respond(self, message: Json) -> Iterator[Json]:
        """See `Session.respond`."""
        kind = message.get("type")
        if kind == "session.update":
            self.context += counted((message.get("session") or {}).get("instructions"))
            about = self._session()
            yield {"type": "session.updated", "event_id": self._event(), "session": about}
        elif kind == "conversation.item.create":
            item = message.get("item") or {}
            texts = [part.get("text") for part in item.get("content") or ()]
            self.context += counted(texts)
            yield {"type": "conversation.item.added", "event_id": self._event(), "item": item}
        elif kind == "response.create":
            yield from self._respond()

    def _session(self) -> Json:
        session = identifier("sess_", self.request.seed)
        about = {"id": session, "object": "realtime.session", "type": "realtime"}
        return about | {"model": self.model, "output_modalities": ["text"]}

    def _event(self) -> str:
        return identifier("event_", f"{self.request.seed}/{self.turns}/{self.context}")

    def _respond(self) -> Iterator[Json]:
        request, reply = self.turn()
        response: Json = {
            "id": identifier("resp_", request.seed),
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
            "usage": None,
        }
        item = identifier("item_", request.seed)
        at = {"response_id": response["id"], "item_id": item, "output_index": 0}
        yield {"type": "response.created", "event_id": self._event(), "response": response}
        for word in reply.words:
            delta = {"event_id": self._event(), "content_index": 0, "delta": word}
            yield {"type": "response.output_text.delta", **at, **delta}
        part = {"type": "output_text", "text": reply.text}
        spoken = {"id": item, "type": "message", "role": "assistant", "content": [part]}
        done = response | {"status": "completed", "output": [spoken], "usage": _usage(reply)}
        yield {"type": "response.done", "event_id": self._event(), "response": done}


def _usage(reply: Reply) -> Json:
    tokens = reply.tokens
    read, made, cached = tokens.input_total, tokens.output_total, tokens.cache_read
    return {
        "total_tokens": read + made,
        "input_tokens": read,
        "output_tokens": made,
        "input_token_details": {
            "text_tokens": read,
            "audio_tokens": 0,
            "cached_tokens": cached,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0},
        },
        "output_token_details": {"text_tokens": made, "audio_tokens": 0},
    }


class Responses(_Turns):
    """`GET /v1/responses`: each `response.create` is answered by the events of a stream."""

    operation = "openai.responses"
    binary = False

    def open(self) -> Iterator[Json]:
        """See `Session.open`."""
        return iter(())

    def respond(self, message: Json) -> Iterator[Json]:
        """See `Session.respond`."""
        if message.get("type") != "response.create":
            return
        body = {key: value for key, value in message.items() if key != "type"} | {"stream": True}
        model, steered = steering.read(self.request.headers, str(body.get("model")))
        self.turns += 1
        seed = f"{self.request.seed}/{self.turns}"
        request = replace(self.request, body=body, model=model, steering=steered, seed=seed)
        answer = openai_responses.answer(request)
        self.model, self.tokens = model, summed(self.tokens, answer.tokens or Tokens())
        for step in answer.steps:
            document: Json = msgspec.json.decode(step.data.partition(b"data: ")[2].strip())
            yield document


class Live(_Turns):
    """Gemini Live, in text.  Documents go as binary messages, as Google sends them."""

    operation = "gemini.live"
    binary = True

    def open(self) -> Iterator[Json]:
        """See `Session.open`."""
        return iter(())

    def respond(self, message: Json) -> Iterator[Json]:
        """See `Session.respond`."""
        if setup := message.get("setup"):
            self.request = replace(self.request, seed=f"{self.request.seed}/{encode(setup)!r}")
            self.context += counted(setup.get("systemInstruction"))
            yield {"setupComplete": {}}
        content = message.get("clientContent") or message.get("client_content") or {}
        texts = [part.get("text") for t in content.get("turns") or () for part in t["parts"]]
        self.context += counted(texts)
        if content.get("turnComplete") or content.get("turn_complete"):  # both are taken
            yield from self._respond()

    def _respond(self) -> Iterator[Json]:
        _, reply = self.turn()
        for word in reply.words:
            yield {"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": word}]}}}
        yield {"serverContent": {"generationComplete": True}}
        read, made = reply.tokens.input_total, reply.tokens.output_total
        usage = {
            "promptTokenCount": read,
            "responseTokenCount": made,
            "totalTokenCount": read + made,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read}],
            "responseTokensDetails": [{"modality": "TEXT", "tokenCount": made}],
        }
        yield {"serverContent": {"turnComplete": True}, "usageMetadata": usage}

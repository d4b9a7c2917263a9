"""The gateway's door in front of a scripted upstream, all in one loop."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pricing import TariffBook
from proxy.door import keys
from proxy.door.callers import hashed
from proxy.door.door import GatewayDoor
from proxy.gateway.options import (
    CandidateOptions,
    GatewayCaller,
    GatewayOptions,
    KeyOptions,
    RouteOptions,
)
from proxy.settings.config import Config, Provider
from proxy.settings.sources import load
from support.relay_bench import Bench, Handler, Message, bench, listening, read_message

TOKEN = "tmt_" + "x" * 43
KEYS = {"one": "sk-T0SECRET-one", "two": "sk-T0SECRET-two"}
FOREIGN = {
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "cohere": "/v2",
}  # other dialects, each its own provider
GATEWAYS = ("openrouter", "litellm", "portkey", "tokenmix")  # as the settings have them
CUT = b"cut"  # close without an answer
SILENCE = b"silence"  # never answer


@dataclass
class Script:
    """What each model answers, call by call; the last answer is repeated."""

    answers: Mapping[str, Sequence[bytes]]
    seen: list[Message] = field(default_factory=list)

    @property
    def models(self) -> list[str]:
        """The models that were called, in order."""
        return [model_of(one) for one in self.seen]

    def handler(self) -> Handler:
        """Serves the script."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                message = await read_message(reader)
                model = model_of(message)
                answers = self.answers[model]
                answer = answers[min(self.models.count(model), len(answers) - 1)]
                self.seen.append(message)
                if answer == SILENCE:
                    await asyncio.sleep(60)
                if answer == CUT:
                    return
                writer.write(answer)
                await writer.drain()
                if b"\r\ncontent-length" not in answer.lower() or answer.endswith(b"\r\n\r\n"):
                    return

        return handle


def model_of(message: Message) -> str:
    """Which model a request is for: its body says so, or its path, which is Gemini's."""
    found = re.search(rb"/models/([^:]+):", message.line)
    return found[1].decode() if found else str(json.loads(message.body)["model"])


def options(folder: Path, *candidates: str, count: int = 1, **route: object) -> GatewayOptions:
    """A route `r` of these models, of `openai` unless they name another provider; a caller, and
    keys in files."""
    found = {}
    for name, secret in list(KEYS.items())[:count]:
        file = folder / f"key-{name}"
        file.write_text(secret, encoding="utf-8")
        found[name] = KeyOptions(name=name, provider="openai", value=f"file:{file}")
    for provider in (*FOREIGN, *GATEWAYS, "chatty", "lone", "dead"):
        found[provider] = replace(found["one"], name=provider, provider=provider)
    listed = [one.rpartition("/") for one in candidates]
    made = RouteOptions(
        name="r",
        candidates=tuple(
            CandidateOptions(provider=provider or "openai", model=model)
            for provider, _, model in listed
        ),
        **route,  # type: ignore[arg-type]
    )
    caller = GatewayCaller(
        name="search", token_hash=hashed(TOKEN), tags={"team": "search"}, routes=("r", "openai/*")
    )
    return GatewayOptions(keys=found, routes={"r": made}, callers={"search": caller})


@asynccontextmanager
async def door(folder: Path, script: Script, made: GatewayOptions) -> AsyncIterator[Bench]:
    """A relay with its door open.  `chatty` has no Responses, `lone` nothing else, `dead` cannot be
    reached."""
    async with listening(script.handler()) as port:
        providers = {
            name: Provider(
                name=name, base_url=f"http://127.0.0.1:{port}", dialect=name, api_path=path
            )
            for name, path in {"openai": "/v1", **FOREIGN}.items()
        }
        providers |= {
            name: replace(providers["openai"], name=name, quirks=frozenset({quirk}))
            for name, quirk in (("chatty", "chat_only"), ("lone", "responses_only"))
        }
        providers |= {
            **{
                name: replace(found, base_url=f"http://127.0.0.1:{port}")
                for name, found in load(None, {}).providers.items()
                if name in GATEWAYS
            },
            "dead": Provider(name="dead", base_url="http://127.0.0.1:1"),
        }
        async with bench(folder, script.handler(), providers=providers, gateway=made) as b:
            with_keys = Config(data=folder, providers=providers, gateway=keys.read(made, {}, print))
            b.relay.door = GatewayDoor(with_keys, b.relay, TariffBook.load)
            yield b


def asking(
    document: object = None,
    path: str = "/gateway/v1/chat/completions",
    headers: bytes = b"",
    *,
    stream: bool = False,
    token: str = TOKEN,
) -> bytes:
    """A request of an OpenAI SDK."""
    chat = {"messages": [{"role": "user", "content": "Hi"}], "model": "r", "stream": stream}
    body = document if isinstance(document, bytes) else json.dumps(document or chat).encode()
    head = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:4000\r\nContent-Type: application/json\r\n"
    given = b"Authorization: Bearer %b\r\n" % token.encode() if token else b""
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return head % path.encode() + given + headers + length + body


def answer(status: int, document: object, headers: bytes = b"") -> bytes:
    """A whole answer."""
    body = json.dumps(document).encode()
    line = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n" % status
    return line + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def events(*documents: object, status: int = 200, end: bool = True) -> bytes:
    """A stream of events; without `end` the connection closes where it should go on."""
    head = (
        b"HTTP/1.1 %d OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    parts = [b"data: %b\n\n" % json.dumps(one).encode() for one in documents]
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    return head % status + b"".join(chunks) + (b"0\r\n\r\n" if end else b"")


def error(code: str, message: str = "no") -> dict[str, object]:
    """An error as OpenAI writes it."""
    return {"error": {"message": message, "type": code, "code": code}}


def said(text: str) -> dict[str, object]:
    """A chunk of a streamed chat."""
    return {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}

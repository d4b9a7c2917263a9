"""No credential is kept anywhere, and what was said only until a call is metered.

Each place where a secret or a private text can stand has a canary of its own, which is then looked
for in everything that the running product writes, serves and sends.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from evaluation.standin import processes
from proxy.exchange import Kind
from proxy.serving.child import environment
from support.otlp_receiver import HttpServer, Receiver
from support.patience import PATIENCE_S
from support.relay_bench import answering, bench, listening, read_message
from support.webhook_receiver import Receiver as Webhook

RETIRED_S = PATIENCE_S  # for the journal to let go of what is metered
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
NUMBERS = count()
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Canaries:
    """Unique texts by the place where each was put."""

    made: dict[str, str] = field(default_factory=dict)

    def new(self, place: str) -> str:
        """A key of no provider's form: only its place tells that it is one."""
        assert place not in self.made
        self.made[place] = f"Canary{next(NUMBERS):02d}zQx7Kp9vR2"
        return self.made[place]

    def key(self, place: str) -> str:
        """A key of a well-known form: it is known wherever it stands."""
        self.made[place] = "sk-" + self.new(place)
        return self.made[place]

    def found(self, where: bytes) -> list[str]:
        """The places whose canary is in there: plain, percent-encoded, base64, cut in half."""
        return [place for place, text in self.made.items() if any(f in where for f in forms(text))]


def forms(canary: str) -> Iterator[bytes]:
    """A text as it may look after an encoding."""
    yield canary.encode()
    yield canary[: len(canary) * 2 // 3].encode()
    yield "".join(f"%{byte:02X}" for byte in canary.encode()).encode()
    for offset in range(3):  # base64 of it, wherever it begins in the encoded text
        text = b64encode(b"\0" * offset + canary.encode())
        yield text[4 if offset else 0 : -4]


@dataclass
class Product:
    """A running product, its upstream's port, its spans, and the canaries that went in."""

    served: processes.Serving
    upstream_port: int
    spans: Receiver
    keys: Canaries
    said: Canaries
    console_token: str
    proxy_token: str
    webhook: Webhook = field(default_factory=Webhook)
    answers: list[bytes] = field(default_factory=list)  # to the caller, by the relay itself

    def ask(self, path: str) -> bytes:
        """An answer of the console, of whatever status."""
        headers = {"Authorization": f"Bearer {self.console_token}"}
        asked = urllib.request.Request(self.served.console_url + path, headers=headers)
        try:
            with NO_PROXY.open(asked, timeout=PATIENCE_S) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.read()

    def rows(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = json.loads(self.ask("/api/calls?limit=1000"))
        return rows

    async def send(self, request: bytes) -> bytes:
        """Everything that comes back on a connection of its own."""
        port = int(self.served.proxy_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        return answer

    async def post(self, target: str, body: str, *headers: str) -> bytes:
        """A request of a caller that is let in."""
        lines = [
            f"POST {target} HTTP/1.1",
            "Host: x",
            "Connection: close",
            f"x-taximeter-token: {self.proxy_token}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *headers,
        ]
        return await self.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A provider that repeats the caller's key in whatever it says."""
    request = await read_message(reader)
    named = [b"authorization", b"x-api-key"]
    key = next((v[0] for name in named if (v := request.header(name))), b"").split(b" ")[-1]
    echo = b"X-Echo: " + key + b"\r\nSet-Cookie: session=" + key + b"\r\n"
    target = request.line.split()[1]
    body = b'{"error":{"message":"Incorrect API key provided: %b","type":"invalid"}}' % key
    if b"realtime" in target:
        error = b'{"type":"error","error":{"message":"no such key: %b"}}' % key
        writer.write(SWITCHED + bytes((0x81, len(error))) + error)
        await reader.readexactly(6)
        writer.write(b"\x88\x00")
    elif b"denied" in target:
        head = b"HTTP/1.1 401 no %b\r\n%bContent-Length: %d\r\n\r\n" % (key, echo, len(body))
        writer.write(head + body[:40])
        await writer.drain()
        await asyncio.sleep(0.05)  # in two pieces, the cut within the key
        writer.write(body[40:])
    elif b"echo" in target:  # a provider that repeats what it cannot use
        kind = {"type": "invalid_request_error", "code": "bad_prompt"}
        said = f"Cannot use {request.body.decode()!r} of {json.loads(request.body)['model']}."
        whole = json.dumps({"error": {**kind, "message": said}}).encode()
        writer.write(b"HTTP/1.1 400 no\r\nContent-Length: %d\r\n\r\n%b" % (len(whole), whole))
    elif b"cut" in target:
        writer.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: 9999\r\n\r\n" % echo + request.body)
    elif b'"stream"' in request.body:
        events = b'data: {"choices":[{"delta":{"content":%b}}]}\n\ndata: [DONE]\n\n' % (
            json.dumps(json.loads(request.body)["answer"]).encode()
        )
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%bContent-Length: %d\r\n\r\n"
        writer.write(head % (echo, len(events)) + events)
    elif b"bad" in target:
        writer.write(b"nonsense " + key + b"\r\n\r\n")
    else:
        asked = json.loads(request.body)
        message = {"message": {"content": asked["answer"]}}
        answer = json.dumps({"model": asked["model"], "choices": [message]})
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
        writer.write(head % (echo, len(answer)) + answer.encode())
    await writer.drain()
    writer.close()


@asynccontextmanager
async def product(folder: Path) -> AsyncIterator[Product]:
    """The whole product as processes, with every secret that a configuration can hold."""
    keys, spans = Canaries(), Receiver()
    proxy_token, console_token = keys.new("proxy.token"), keys.new("console.token")
    token_file = folder / "token"
    token_file.write_text(console_token + "\n")
    with ExitStack() as stack:
        path = f"/{keys.new('alerts.webhook')}"
        async with (
            listening(upstream) as port,
            HttpServer(spans) as collector,
            Webhook(500, path=path) as webhook,
        ):
            settings = (
                f'[proxy]\ntoken = "{proxy_token}"\n[console]\ntoken_file = "{token_file}"\n'
                f'[otlp]\nendpoint = "{collector.endpoint}"\n'
                f'headers = {{ authorization = "Bearer {keys.new("otlp.headers")}" }}\n'
                f'[alerts]\nwebhook = "{webhook.url}"\nwebhook_headers = '
                f'{{ x-note = "{keys.new("alerts.webhook_headers")}" }}\n'
                f"journal_share_max = 1e-9\n"  # any journal is nearly full: the webhook is used
                f"[journal]\nsegment_age_max_s = 0.2\n[store]\nbatch_age_max_s = 0.05\n"
            )
            base = f"http://127.0.0.1:{port}"
            providers = {"openai": base, "deepseek": "http://127.0.0.1:1"}
            running = processes.serve(folder, providers, settings=settings)
            served = await asyncio.to_thread(stack.enter_context, running)
            tokens = console_token, proxy_token
            yield Product(served, port, spans, keys, Canaries(), *tokens, webhook)
            await asyncio.to_thread(stack.close)


def secret_headers(keys: Canaries, said: Canaries) -> tuple[str, ...]:
    """Every header in which a secret can stand, and those that others may read."""
    url = f"https://user:{keys.new('url in a header')}@host.example/"
    return (
        f"x-api-key: {keys.new('x-api-key')}",
        f"api-key: {keys.new('api-key')}",
        f"x-goog-api-key: {keys.new('x-goog-api-key')}",
        f"Cookie: session={keys.new('cookie')}; other={keys.new('second cookie')}",
        f"Proxy-Authorization: Basic {keys.new('proxy-authorization')}",
        f"X-Amz-Security-Token: {keys.new('x-amz-security-token')}",
        f"x-vault-token: {keys.new('custom token')}",
        f"x-client-secret: {keys.new('custom secret')}",
        f"Ocp-Apim-Subscription-Key: {keys.new('custom key')}",
        f"Referer: https://app.example/?api_key={keys.new('referer')}",
        f"x-forwarded-uri: /x?next={quote('/y?access_token=' + keys.new('encoded url'), safe='')}",
        f"x-upstream: {url}",
        f"x-note: my key is {keys.key('any header')}",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        f"baggage: api_key={keys.new('baggage key')}",
        f"x-taximeter-user: {keys.key('tag value')}",
        f"x-taximeter-api-key: {keys.new('tag name')}",
    )


async def traffic(product: Product) -> int:
    """Calls of every kind, a canary in each place; how many calls there were."""
    keys, said = product.keys, product.said
    headers = secret_headers(keys, said)
    parameters = ("key", "api_key", "access_token", "sig", "X-Amz-Signature", "client_secret")
    query = urlencode({name: keys.new(f"?{name}") for name in parameters})
    matrix = f";token={keys.new('matrix')}/%73k-{keys.key('encoded path')[3:]}"
    target = f"/~team=a,note={keys.key('path tag')}/openai/v1/chat/completions{matrix}?{query}"
    told = json.dumps(
        {"model": "gpt-4o-mini", "messages": said.new("prompt"), "answer": said.new("answer")}
    )
    stream = json.dumps(
        {"model": "m", "stream": True, "messages": said.new("2"), "answer": said.new("delta")}
    )
    bearer = f"Authorization: Bearer {keys.key('bearer')}"
    basic = b64encode(f"user:{keys.new('basic')}".encode()).decode()
    plain = "/openai/v1/chat/completions"
    await product.post(target, told, f"Authorization: Basic {basic}", *headers)
    await product.post(f"http://me:{keys.new('userinfo')}@host{plain}", told, bearer)
    await product.post(f"/~token={product.proxy_token},team=b{plain}", stream, bearer)
    await product.post(f"{plain}/cut", told, bearer)
    for number, place in enumerate(("denied", "denied x")):
        name = ("Authorization: Bearer", "x-api-key:")[number]
        await product.post("/openai/v1/denied", told, f"{name} {keys.new(place)}")
    for target in ("/openai/v1/bad", "/deepseek/v1/chat/completions"):  # 502
        answer = await product.post(target, told, f"x-api-key: {keys.new(target)}")
        assert answer.startswith(b"HTTP/1.1 502"), answer
        product.answers.append(answer)
    await converse(product)
    for place in (plain, "/openai/v1/echo"):  # a key in a body is in the journal, as a prompt is
        for model in (said.key(f"model of {place}"), said.new(f"random model of {place}")):
            prompt = f"tell me all about {said.new(f'prompt of {model}')}"
            named = {"model": model, "messages": prompt, "answer": said.new(f"answer of {model}")}
            await product.post(place, json.dumps(named), bearer)
    calls = 13
    unknown = f"GET {plain}?key=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    refused = await product.send(unknown.encode())
    assert refused.startswith(b"HTTP/1.1 401")
    return calls


async def converse(product: Product) -> None:
    """A WebSocket, with the secrets that a browser can send, and a close."""
    keys = product.keys
    lines = (
        f"GET /openai/v1/realtime?model=m&api_key={keys.new('ws query')} HTTP/1.1",
        f"x-taximeter-token: {product.proxy_token}",
        "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{keys.key('subprotocol')}",
        f"Authorization: Bearer {keys.new('ws bearer')}",
    )
    await product.send("\r\n".join(lines).encode() + b"\r\n\r\n\x88\x80\0\0\0\0")


async def until(check: object, what: str, timeout_s: float = RETIRED_S) -> None:
    """Wait for `check()` to be true."""
    assert callable(check)
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(check):
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


def contents(folder: Path) -> bytes:
    """Every file below, names included; what goes away meanwhile is gone."""
    parts = []
    for path in sorted(below(folder)):
        parts.append(str(path.relative_to(folder)).encode())
        try:
            parts.append(path.read_bytes() if path.is_file() else b"")
        except FileNotFoundError:
            continue
    return b"\n".join(parts)


def below(folder: Path) -> Iterator[Path]:
    """Everything below; unlike `rglob` it does not mind a directory that goes away meanwhile."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def children(pid: int) -> list[int]:
    """Process ids of a process and of its children."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, listed.split())]


def told_of_processes(pid: int) -> bytes:
    """Command lines of all, environments of the children."""
    own, *others = children(pid)
    assert len(others) == 2
    parts = [Path(f"/proc/{own}/cmdline").read_bytes()]
    for other in others:
        assert re.search(r"core file size +0 +0 ", Path(f"/proc/{other}/limits").read_text())
        parts += [Path(f"/proc/{other}/{name}").read_bytes() for name in ("cmdline", "environ")]
    return b"\n".join(parts)


DUMP = """
import sys
from chdb import session
engine = session.Session(sys.argv[1])
tables = str(engine.query("SELECT concat(database, '.', name) FROM system.tables WHERE database"
    " NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') AND engine NOT LIKE '%View'",
    "TSVRaw"))
assert "taximeter.calls" in tables
for table in tables.split():
    sys.stdout.buffer.write(engine.query(f"SELECT * FROM {table}", "JSONEachRow").bytes())
"""


def dump(data: Path) -> bytes:
    """All rows of all tables, read by nobody of ours."""
    command = [sys.executable, "-c", DUMP, str(data / "chdb")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def open_to_others(data: Path) -> list[str]:
    """Files and directories that somebody else may read, write or enter."""
    found = []
    for path in (data, *below(data)):
        try:
            mode = path.lstat().st_mode & 0o777
        except FileNotFoundError:
            continue
        if mode & 0o077 and not path.is_symlink():
            found.append(f"{path.relative_to(data)} {mode:o}")
    return found


@pytest.mark.thorough
async def test_canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing secret or said is in rows, spans, logs, answers, files or processes; files are ours.

    What may stay is the keyed fingerprint.
    """
    keys_outside = Canaries()
    monkeypatch.setenv("MISTRAL_API_KEY", keys_outside.new("environment"))
    before = os.umask(0)  # the least careful user there is
    async with product(tmp_path) as running:
        os.umask(before)
        keys, said, data = running.keys, running.said, running.served.data / "data"
        calls = await traffic(running)
        assert keys.found(contents(data)) == []  # not for a moment
        counted = calls - 1  # a socket without a response is a span, and no call
        await until(lambda: len(running.rows()) == counted, "rows are missing")
        await until(lambda: not said.found(contents(data)), "what was said is still there")
        await until(lambda: len(running.spans.spans) == calls, "spans are missing")
        await until(lambda: running.webhook.bodies, "the webhook was not used")
        rows = running.rows()
        answers = [
            running.ask("/api/calls?limit=1000"),
            *(running.ask(f"/api/calls/{row['call_id']}") for row in rows),
            running.ask("/api/spend?by=provider,model,team,user_id,key_id,error_type"),
            running.ask("/api/timeline?since=1h&by=key_id"),
            running.ask("/api/health"),
            running.ask("/api/alerts"),
            running.ask("/metrics"),
            running.ask("/"),
            running.ask("/api/calls?limit=-1"),
        ]
        processes = told_of_processes(running.served.pid)
        modes = open_to_others(data)
    sent = b"".join(r.SerializeToString() for r in running.spans.requests)
    places = {
        "answers": b"\n".join([*answers, *running.answers]),
        "spans": sent,
        "logs": running.served.log.read_bytes(),
        "processes": processes,
        "files": contents(data),
        "tables": dump(data),
    }
    assert {name: keys.found(text) + said.found(text) for name, text in places.items()} == {
        name: [] for name in places
    }
    assert keys_outside.found(processes) == []
    assert keys.found(str(running.spans.headers).encode()) == ["otlp.headers"]
    told = running.webhook
    assert keys.found(str(told.bodies).encode()) + said.found(str(told.bodies).encode()) == []
    assert keys.found(str(told.headers).encode()) == ["alerts.webhook_headers"]
    assert modes == []
    assert not (data / "contents").exists()  # content is not captured unless that is asked for
    assert b'"request_cut"' not in places["tables"]
    assert len({row["key_id"] for row in rows}) > 5  # what stays: a fingerprint of each
    assert all(re.fullmatch(r"k_[0-9a-f]{16}", str(row["key_id"])) for row in rows)
    assert {row["team"] for row in rows} == {"", "a", "b"}
    echoed = [row for row in rows if row["error_type"] == "invalid_request_error"]
    assert len(echoed) == 2
    assert all(str(row["error_message"]).startswith("Cannot use ") for row in echoed)


@pytest.mark.parametrize(
    "what",
    [
        "raise ValueError(PROMPT)",
        "json.loads(PROMPT)",
        "logging.getLogger('x').exception('It failed.', exc_info=ValueError(PROMPT))",
        "asyncio.run(forgotten())",
        "asyncio.run(in_a_callback())",
    ],
)
def test_crashes_say_little(what: str) -> None:
    """Whatever ends a process or a task, its log has the place and the type, not what passed."""
    code = f"""
import asyncio, gc, json, logging
from proxy.serving import process
PROMPT = "canary-prompt " + "x" * 9
process.begin()

async def fail(text):
    raise KeyError(text)

async def forgotten():
    process.signals()
    task = asyncio.create_task(fail(PROMPT))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

async def in_a_callback():
    process.signals()
    asyncio.get_running_loop().call_soon(int, PROMPT)
    await asyncio.sleep(0.01)

{what}
"""
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, cwd=root, stdin=subprocess.PIPE, capture_output=True, timeout=60, check=False
    )
    assert re.search(rb"(Value|Key|JSONDecode)Error at ", done.stderr), done.stderr
    assert b"canary" not in done.stderr + done.stdout


def test_the_environment_of_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Relays and meter inherit no setting and no credential, but what they need to get out."""
    withheld = (
        "TAXIMETER_STORE_DSN",
        "TAXIMETER_PROXY_TOKEN",
        "OPENAI_API_KEY",
        "AWS_SESSION_TOKEN",
    )
    kept = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_CLIENT_KEY", "HTTPS_PROXY", "PATH")
    for name in (*withheld, *kept):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    found = environment()
    assert [name for name in withheld if name in found] == []
    assert [name for name in kept if name not in found] == []


async def test_an_answer_keeps_its_words(tmp_path: Path) -> None:
    """Only errors are masked: a caller whose key is a model's name still gets its usage read."""
    body = b'{"model":"gpt-4o-mini","usage":{}}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with bench(tmp_path, answering(answer)) as b:
        await b.send(b"GET /v1/x HTTP/1.1\r\nHost: x\r\nx-api-key: gpt-4o-mini\r\n\r\n")
        assert b.kept(Kind.RESPONSE) == body

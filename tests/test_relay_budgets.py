"""A relay asks the budgets of a call before it makes it, and of no other call."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pricing.budget import Budget
from proxy.exchange import Kind, Outcome
from support.budget_bench import Machine, machine_in
from support.relay_bench import Bench, Message, answering, bench, read_message
from support.wire import SLOW_S

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHAT = "/openai/v1/chat/completions"
ASK = {"model": "gpt-4.1", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
DAILY = Budget(name="b", limit_usd=Decimal("0.002"), action="block", reserve="worst", period="day")
CALLS = Budget(name="b", limit_calls=2, action="block", period="day")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with machine_in(tmp_path) as made:
        yield made


@asynccontextmanager
async def relay(
    machine: Machine, *budgets: Budget, seen: list[Message] | None = None, **changes: object
) -> AsyncIterator[Bench]:
    keeper = machine.keeper(*budgets)
    async with bench(machine.places.data, answering(OK, seen), keeper, **changes) as b:
        yield b


def post(path: str = CHAT, body: object = ASK, head: str = "") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = f"Content-Length: {len(data)}\r\n" if "Transfer-Encoding" not in head else ""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}{head}\r\n".encode() + data


async def test_a_spent_budget_answers_itself(machine: Machine) -> None:
    """Nothing is sent, the row is `refused`, and the connection goes on."""
    seen: list[Message] = []
    async with relay(machine, DAILY, seen=seen) as b:
        machine.publish({("b", ()): "0.002"})
        reader, writer = await b.open()
        for _ in range(2):
            writer.write(post())
            answer = await read_message(reader)
            assert answer.line == b"HTTP/1.1 429 Too Many Requests"
            document = json.loads(answer.body)["error"]
            assert (document["type"], document["code"]) == ("insufficient_quota",) * 2
        assert (document["metadata"]["spent_usd"], document["metadata"]["limit_usd"]) == (
            "0.002",
            "0.002",
        )
        assert answer.header(b"x-should-retry") == [b"false"]
        assert answer.header(b"x-taximeter-budget") == [b"b"]
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        left = (midnight + timedelta(days=1) - datetime.now(UTC)).total_seconds()
        assert int(answer.header(b"retry-after")[0]) == pytest.approx(left, abs=30)
        ended = await b.ended()
    assert (ended.outcome, ended.sent, ended.blocked_by) == (Outcome.REFUSED, False, ("b",))
    assert json.loads(b.kept(Kind.REQUEST)) == ASK
    assert seen == []
    assert machine.refused() == 2


async def test_a_call_is_reserved_for_until_its_row_counts(machine: Machine) -> None:
    """By the worst that its request allows; then the next one waits for it, for seconds."""
    async with relay(machine, DAILY) as b:
        assert (await b.send(post())).body == b"hi"
        body = len(json.dumps(ASK))
        assert machine.reserved() == (body * 2 + 100 * 8) * Decimal("1e-6")
        answer = await b.send(post(body=ASK | {"max_tokens": 150}))
        assert answer.header(b"x-should-retry") == []
        assert answer.header(b"retry-after") == [b"2"]
        assert json.loads(answer.body)["error"]["code"] == "rate_limit_exceeded"
        machine.done.calls |= {1}
        machine.publish({("b", ()): "0.0001"})
        assert machine.reserved() == 0
        assert (await b.send(post(body=ASK | {"max_tokens": 150}))).body == b"hi"


async def test_what_never_fits_is_told_at_once(machine: Machine) -> None:
    """Waiting would not help."""
    async with relay(machine, DAILY) as b:
        answer = await b.send(post(body=ASK | {"max_tokens": 1000}))
    assert answer.header(b"x-should-retry") == [b"false"]
    assert json.loads(answer.body)["error"]["metadata"]["cause"] == "never_fits"


async def test_other_calls_are_not_asked_about(machine: Machine) -> None:
    """A call that no budget is about, and one that is free, pass a spent budget."""
    team = replace(DAILY, scope={"team": "search"})
    async with relay(machine, team) as b:
        machine.publish({("b", ()): "1"})
        assert (await b.send(post())).body == b"hi"
        assert (await b.send(post(head="x-taximeter-team: search\r\n"))).line.split()[1] == b"429"
        free = b"GET /openai/v1/models HTTP/1.1\r\nHost: x\r\nx-taximeter-team: search\r\n\r\n"
        assert (await b.send(free)).body == b"hi"


@pytest.mark.parametrize(
    ("scope", "head"),
    [
        ({"provider": "openai"}, ""),
        ({"user": "ann"}, "x-taximeter-user: ann\r\n"),
        ({"tag.ticket": "7"}, "x-taximeter-ticket: 7\r\n"),
        ({"client": "claude-code"}, "User-Agent: claude-cli/2.0.1 (external)\r\n"),
        ({"model": "gpt-4.1"}, ""),
        ({"user": "*"}, ""),
    ],
)
async def test_scopes(machine: Machine, scope: dict[str, str], head: str) -> None:
    """A budget is about a call by what the request says of itself."""
    budget = replace(CALLS, scope=scope, limit_calls=0)
    async with relay(machine, budget) as b:
        assert (await b.send(post(head=head))).line.split()[1] == b"429"


async def test_a_budget_of_another_model(machine: Machine) -> None:
    """The body is read to know it."""
    async with relay(machine, replace(CALLS, scope={"model": "gpt-5"}, limit_calls=0)) as b:
        assert (await b.send(post())).body == b"hi"


async def test_a_shadow_only_says_so(machine: Machine) -> None:
    """The call passes, and its row names the budget."""
    async with relay(machine, replace(CALLS, limit_calls=0, action="shadow")) as b:
        assert (await b.send(post())).body == b"hi"
        ended = await b.ended()
    assert (ended.outcome, ended.blocked_by) == (Outcome.OK, ("b",))


async def test_throttling_is_over_in_a_minute(machine: Machine) -> None:
    """It never says that retrying is useless."""
    async with relay(machine, replace(CALLS, action="throttle")) as b:
        machine.publish({("b", ()): "2"})
        answer = await b.send(post())
    assert answer.header(b"x-should-retry") == []
    assert 1 <= int(answer.header(b"retry-after")[0]) <= 60


async def test_no_body_is_read_where_none_is_needed(machine: Machine) -> None:
    """The upload goes on as it comes, or is refused before it has come."""
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234".encode()
    async with relay(machine, CALLS) as b:
        machine.publish({("b", ()): "2"})
        assert (await b.send(head)).line.split()[1] == b"429"


FORMS: list[tuple[str, Any]] = [
    ("", json.dumps(ASK).encode()),
    ("Transfer-Encoding: chunked\r\n", json.dumps(ASK).encode()),
    ("Content-Encoding: gzip\r\n", gzip.compress(json.dumps(ASK).encode())),
    ("Expect: 100-continue\r\n", json.dumps(ASK).encode()),
]


@pytest.mark.parametrize(("head", "data"), FORMS, ids=["plain", "chunked", "gzip", "expect"])
async def test_forms_of_a_body(machine: Machine, head: str, data: bytes) -> None:
    """Chunked, compressed and awaited bodies are read, and reach the provider unchanged."""
    seen: list[Message] = []
    async with relay(machine, DAILY, seen=seen) as b:
        reader, writer = await b.open()
        sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if "chunked" in head else data
        request = post(body=sent, head=head)
        writer.write(request[: -len(sent)])
        if "Expect" in head:
            assert (await read_message(reader, bodyless=True)).line == b"HTTP/1.1 100 Continue"
        await asyncio.sleep(0.01)
        assert seen == []
        for at in range(0, len(sent), 50):
            writer.write(sent[at : at + 50])
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(read_message(reader), SLOW_S)).body == b"hi"
        assert machine.reserved() == (len(json.dumps(ASK)) * 2 + 800) * Decimal("1e-6")
    assert seen[0].body == data


async def test_a_long_body_is_judged_by_its_beginning(machine: Machine) -> None:
    """By its announced length; all of it reaches the provider."""
    wide = replace(DAILY, limit_usd=Decimal(10))
    long = ASK | {"messages": [{"role": "user", "content": "x" * 200_000}]}
    seen: list[Message] = []
    async with relay(machine, wide, seen=seen) as b:
        b.relay._config = replace(
            b.relay._config, callers=replace(b.relay._config.callers, body_bytes_max=1000)
        )
        assert (await b.send(post(body=long))).body == b"hi"
    size = len(json.dumps(long))
    assert len(seen[0].body) == size
    assert machine.reserved() == (size * 2 + 32_768 * 8) * Decimal("1e-6")


async def test_callers_who_leave(machine: Machine) -> None:
    """While their body is held, or while their call is made: its row frees what it held back."""
    async with relay(machine, DAILY) as b:
        _, writer = await b.open()
        writer.write(post()[:-5])
        await asyncio.sleep(0.02)
        writer.close()
        ended = await b.ended()
        assert (ended.outcome, ended.sent) == (Outcome.CLIENT_GONE, False)
    assert machine.reserved() == 0


async def test_unknown_prices(machine: Machine) -> None:
    """A ceiling is held back for them, or they are refused."""
    unknown = ASK | {"model": "brand-new"}
    wide = replace(DAILY, limit_usd=Decimal(10), unknown_usd=Decimal(3))
    strict = replace(DAILY, name="strict", limit_usd=Decimal(10), unknown="refuse")
    async with relay(machine, wide) as b:
        assert (await b.send(post(body=unknown))).body == b"hi"
    assert machine.reserved() == 3
    async with relay(machine, strict) as b:
        answer = await b.send(post(body=unknown))
    assert json.loads(answer.body)["error"]["metadata"]["cause"] == "unpriced"


async def test_a_websocket_is_refused_before_the_upgrade(machine: Machine) -> None:
    """As any other call, in HTTP."""
    upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    request = f"GET /openai/v1/realtime?model=x HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n".encode()
    async with relay(machine, DAILY) as b:
        machine.publish({("b", ()): "1"})
        plain = request.replace(b"Upgrade: websocket\r\n", b"")
        assert (await b.send(plain)).body == b"hi"
        assert (await b.send(request)).line.split()[1] == b"429"


SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def said(text: str) -> bytes:
    """A frame of a server."""
    return bytes((0x81, len(text))) + text.encode()


async def test_an_open_socket_is_closed_after_its_response(machine: Machine) -> None:
    """With 1013, and its provider is told to stop; not amid a response."""
    budget = replace(DAILY, close_sockets=True)
    more, upstream = asyncio.Event(), asyncio.Queue[bytes]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHED + said('{"type":"response.created"}'))
        await more.wait()
        writer.write(said('{"type":"response.done"}'))
        await upstream.put(await reader.read())

    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    async with bench(machine.places.data, handle, machine.keeper(budget)) as b:
        reader, writer = await b.open()
        writer.write(b"GET /openai/v1/realtime?model=x HTTP/1.1\r\nHost: x\r\n" + upgrade)
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        assert b"response.created" in await reader.readuntil(b"}")
        machine.publish({("b", ()): "1"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.6)
        more.set()
        rest = await asyncio.wait_for(reader.read(), SLOW_S)
        assert rest == said('{"type":"response.done"}') + bytes((0x88, 19)) + (
            (1013).to_bytes(2, "big") + b"budget b is spent"
        )
        to_provider = await asyncio.wait_for(upstream.get(), SLOW_S)
        assert (to_provider[0], to_provider[1]) == (0x88, 0x82)
        ended = await b.ended()
    assert (ended.outcome, ended.blocked_by) == (Outcome.OK, ("b",))


async def test_a_state_that_cannot_be_read(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls pass, or with `fail = "closed"` are told to come back in seconds."""
    monkeypatch.setattr("proxy.gate.gate.STALE_NS", 0)
    async with relay(machine, DAILY) as b:
        assert (await b.send(post())).body == b"hi"
    async with relay(machine, replace(DAILY, fail="closed")) as b:
        answer = await b.send(post())
        assert (answer.line.split()[1], answer.header(b"retry-after")) == (b"429", [b"5"])

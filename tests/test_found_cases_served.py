"""The cases of `test_found_cases` through the whole product: sockets in, rows out.

Rows are priced at the time of the call, so cases about other days stay with that test.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer, unused_port
from test_found_cases import CASES, Case, encode, is_right

from evaluation.standin import processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES, reason="the shared cases are not beside us"),
]
OTHER_DAYS = {"opus47-fast", "azure-luna-july", "deepseek-peak-august"}
OF_TODAY = {str(case["id"]): case for case in CASES if case["id"] not in OTHER_DAYS}
WAYS = ("whole", "events", "bytes")


def frames_of(case: Case) -> list[object]:
    """The frames that the provider sends, where a case is a socket."""
    response = case["response"]
    return list(response.get("ws_server", ())) if isinstance(response, dict) else []


def pieces_of(case: Case, way: str) -> list[bytes]:
    """The body of the answer as it is written, piece by piece."""
    body = str(case["stream_body"]).encode() if "stream_body" in case else encode(case["response"])
    if way == "bytes":
        return [body[at : at + 1] for at in range(len(body))]
    if way == "events":
        return [event + b"\n\n" for event in body.split(b"\n\n") if event]
    return [body]


async def upstream(request: web.Request) -> web.StreamResponse:
    """Any provider: answers as the case does that the request names."""
    case, way = OF_TODAY[request.headers["x-case"]], request.headers["x-way"]
    if frames := frames_of(case):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        for frame in frames:
            await socket.send_str(encode(frame).decode())
        await socket.close()
        return socket
    await request.read()
    kind = "text/event-stream" if "stream_body" in case else "application/json"
    response = web.StreamResponse(headers={"content-type": kind})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for piece in pieces_of(case, way):
        await response.write(piece)
    await response.write_eof()
    return response


async def call(session: ClientSession, proxy_url: str, case: Case, way: str) -> None:
    """Make the call of a case through the proxy; the answer arrives as it was sent."""
    name, frames = str(case["id"]), frames_of(case)
    method = str(case.get("method", "GET" if frames else "POST"))
    target = f"{proxy_url}/{case['provider']}{case['path']}"
    headers = {"x-case": name, "x-way": way, "x-taximeter-case": name}
    headers |= case.get("request_headers") or {}
    if frames:
        async with session.ws_connect(target, headers=headers) as socket:
            await socket.send_str(encode(case["request"]["ws_client"][0]).decode())
            received = [message.data async for message in socket if message.type is WSMsgType.TEXT]
        assert received == [encode(frame).decode() for frame in frames]
        return
    body = None if method == "GET" else encode(case["request"])
    headers["content-type"] = "application/json"
    async with session.request(method, target, data=body, headers=headers) as answer:
        assert await answer.read() == b"".join(pieces_of(case, way))


async def every_call(port: int, proxy_url: str, way: str) -> None:
    """Each case once, one after the other."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream)
    async with TestServer(app, port=port), ClientSession() as session:
        for case in OF_TODAY.values():
            await call(session, proxy_url, case, way)


@pytest.fixture(scope="module", params=WAYS)
def rows(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, list[processes.Row]]]:
    """The rows of each case."""
    data, port = tmp_path_factory.mktemp("found"), unused_port()
    providers = sorted({str(case["provider"]) for case in OF_TODAY.values()})
    upstreams = dict.fromkeys(providers, f"http://127.0.0.1:{port}")
    with processes.serve(data, upstreams, settings=processes.FAST_ROWS) as served:
        asyncio.run(every_call(port, served.proxy_url, request.param))
        found = defaultdict(list)
        for row in served.calls_when(len(OF_TODAY)):
            found[row["tags"]["case"]].append(row)
        yield found


def together(rows: list[processes.Row]) -> dict[str, object]:
    """The price of a case as `price` would state it; several rows as far as all are exact."""
    statuses = {row["cost_status"] for row in rows} - {"not_billed"} or {"not_billed"}
    costs = [row["cost_usd"] for row in rows]
    return {
        "usd": None if None in costs else sum(map(Decimal, costs), Decimal()),
        "status": statuses.pop() if len(statuses) == 1 else "partial",
        "reasons": [reason for row in rows for reason in row["reasons"]],
    }


@pytest.mark.parametrize("name", OF_TODAY)
def test_a_call_is_right_or_honest(rows: Mapping[str, list[processes.Row]], name: str) -> None:
    """The row of a real call has the right sum or a status that does not promise it."""
    assert rows[name], "no row"
    priced = together(rows[name])
    assert is_right(OF_TODAY[name], priced), priced

"""The recorded responses through the whole product: real sockets in, rows out.

`test_responses_shared` shows that each reads the same however it is cut; this shows that nothing is
lost between the socket and the row.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import unused_port
from test_responses_shared import CASES, ENCODINGS, FOLDER, PROVIDERS

from evaluation.standin import processes

pytestmark = pytest.mark.skipif(not CASES, reason="the recorded responses are not beside us")
HTTP_CASES = [case for case in CASES if case["status"] != 101]
WAYS = ("whole", "pieces", *ENCODINGS)
PIECE_BYTES = 97
NAMES = sorted({PROVIDERS.get(str(c["provider"]), str(c["provider"])) for c in CASES})


@cache  # gzip writes the time into its header: compressed once, compared often
def answered(index: int, way: str) -> tuple[dict[str, str], bytes]:
    """Headers and body as a provider would send them."""
    case = HTTP_CASES[index]
    headers = case["headers"]
    assert isinstance(headers, dict)
    left_out = ("content-encoding", "content-length", "transfer-encoding", "connection", "date")
    kept = {name: value for name, value in headers.items() if name not in left_out}
    body = (FOLDER / str(case["file"])).read_bytes()
    if way in ENCODINGS:
        kept["content-encoding"] = way
        body = ENCODINGS[way](body)
    return kept, body


async def upstream(request: web.Request) -> web.StreamResponse:
    """Any provider: plays the recording that the request names."""
    await request.read()
    index, way = int(request.headers["x-case"]), request.headers["x-way"]
    headers, body = answered(index, way)
    status = int(str(HTTP_CASES[index]["status"]))
    response = web.StreamResponse(status=status, headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(request)
    size = PIECE_BYTES if way == "pieces" else max(len(body), 1)
    for start in range(0, len(body), size):
        await response.write(body[start : start + size])
    await response.write_eof()
    return response


async def call(session: ClientSession, proxy_url: str, index: int, way: str) -> None:
    case = HTTP_CASES[index]
    method, _, target = str(case["endpoint"]).partition(" ")
    name = str(case["provider"])
    model, request = case["request_model"], case["request"] or {}
    assert isinstance(request, dict)
    body = json.dumps({**request, **({"model": model} if model else {})})
    headers = {
        "content-type": "application/json",
        "x-case": str(index),
        "x-way": way,
        "x-taximeter-case": f"{index}/{way}",
    }
    async with session.request(
        method.upper(),
        f"{proxy_url}/{PROVIDERS.get(name, name)}{target}",
        data=None if method.upper() == "GET" else body,
        headers=headers,
    ) as answer:
        received = await answer.read()
    assert answer.status == case["status"]
    assert received == answered(index, way)[1]


async def every_call(port: int, proxy_url: str) -> None:
    """Each recording in each way, a few at a time."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", upstream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    slots = asyncio.Semaphore(8)

    async def one(index: int, way: str) -> None:
        async with slots:
            await call(session, proxy_url, index, way)

    async with ClientSession(auto_decompress=False) as session:
        await asyncio.gather(*(one(i, way) for i in range(len(HTTP_CASES)) for way in WAYS))
    await runner.cleanup()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, processes.Row]]:
    """The row of each call by its case; batch items under `case/way/custom id`."""
    data, port = tmp_path_factory.mktemp("responses"), unused_port()
    with processes.serve(data, dict.fromkeys(NAMES, f"http://127.0.0.1:{port}")) as served:
        asyncio.run(every_call(port, served.proxy_url))
        served.calls_when(len(HTTP_CASES) * len(WAYS), limit=10_000)
        found = {}
        for row in served.calls(10_000):
            item = row["tags"].get("batch_item", "")
            key = row["tags"]["case"] + (f"/{item.rpartition('/')[2]}" if item else "")
            assert key not in found, f"{key} has two rows"
            found[key] = row
        yield found


# Shown by any number of calls, these are charged by the first: here the ways share one id.
CHARGED_ONCE = ("openai.responses.fetch", "gemini.interactions")


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("index", range(len(HTTP_CASES)), ids=lambda i: str(HTTP_CASES[i]["file"]))
def test_the_row_says_what_the_provider_answered(
    rows: Mapping[str, processes.Row], index: int, way: str
) -> None:
    """Tokens as `expected` says; where nothing is reported, nothing is called reported."""
    expected = HTTP_CASES[index]["expected"]
    assert isinstance(expected, dict)
    row = rows[f"{index}/{way}"]
    if expected.get("error"):
        assert (row["outcome"], row["cost_status"]) == ("http_error", "not_billed")
    elif expected.get("usage_missing"):
        assert row["usage_origin"] != "reported" or not row["input_tokens_total"]
    elif "lines" in expected:
        check_items(rows, index, way, expected["lines"])
    elif row["endpoint"] in CHARGED_ONCE:
        shown = [rows[f"{index}/{w}"]["input_tokens_total"] for w in WAYS]
        assert sorted(shown, key=bool) == [None] * (len(WAYS) - 1) + [expected["input_tokens"]]
    elif "input_tokens" in expected:
        assert row["usage_origin"] == "reported"
        first = "iterations" not in expected  # these add sub-calls, which `expected` leaves out
        inputs = expected.get("billed_input", expected["input_tokens"])
        outputs = expected.get("billed_output", expected.get("output_tokens", 0))
        if first:
            assert (row["input_tokens_total"], row["output_tokens_total"]) == (inputs, outputs)


def check_items(
    rows: Mapping[str, processes.Row], index: int, way: str, lines: list[Mapping[str, object]]
) -> None:
    """Of all downloads of one batch output exactly one is charged, item by item."""
    shown = [f"{index}/{w}/{line['custom_id']}" for w in WAYS for line in lines]
    assert sum(key in rows for key in shown) == len(lines)
    assert rows[f"{index}/{way}"]["cost_status"] == "not_billed"
    for line in lines:
        if row := rows.get(f"{index}/{way}/{line['custom_id']}"):
            assert row["input_tokens_total"] == line["input_tokens"]

"""The gateway's door, byte by byte: who is admitted, what changes, and who is tried."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.exchange import Kind, Outcome
from support.gateway_bench import (
    CUT,
    KEYS,
    SILENCE,
    Script,
    answer,
    asking,
    door,
    error,
    events,
    options,
    said,
)
from support.relay_bench import read_message

CHAT = answer(200, {"choices": [{"message": {"content": "Bonjour"}}], "model": "b-2026"})
STREAM = events(said(""), said("Bon"), said("jour"))
ONLY = {"a": [CHAT]}
TOP_K = {"model": "r", "max_tokens": 9, "top_k": 3, "messages": []}  # which OpenAI has not


async def test_only_model_host_and_credential_change(tmp_path: Path) -> None:
    """Every other byte of the body, and every other header, is as the caller sent it."""
    body = b'{ "a":1.50, "model" : "r", "messages":[{"model":"r","x":"\\u00e9"}] }'
    script = Script(ONLY)
    async with door(tmp_path, script, options(tmp_path, "a")) as b:
        headers = b"X-Own: 1\r\nx-taximeter-feature: f\r\nCookie: c\r\n"
        found = await b.send(asking(body, headers=headers))
        begun = b.journal.begun[0]
        journal = b"".join(e[2] for e in b.journal.events if not isinstance(e, str))
    (seen,) = script.seen
    assert seen.body == body.replace(b'"model" : "r"', b'"model" : "a"')
    assert seen.line == b"POST /v1/chat/completions HTTP/1.1"
    assert seen.header(b"authorization") == [b"Bearer " + KEYS["one"].encode()]
    assert seen.header(b"x-own") == [b"1"]
    assert seen.header(b"host")[0].startswith(b"127.0.0.1:")
    assert seen.header(b"host") != [b"127.0.0.1:4000"]
    assert not seen.header(b"cookie")
    assert found.body == CHAT.partition(b"\r\n\r\n")[2]
    assert found.header(b"x-taximeter-candidate") == [b"openai/a"]
    assert begun.tags == {"feature": "f", "team": "search", "caller": "search"}
    assert begun.gateway is not None
    assert (begun.gateway.route, begun.gateway.attempt, begun.gateway.propensity) == ("r", 1, 1.0)
    assert found.header(b"x-taximeter-request-id") == [begun.gateway.request_id.encode()]
    assert b"T0SECRET" not in journal
    assert b"tmt_" not in journal


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("first", "models", "status"),
    [
        (answer(429, error("rate_limit_exceeded")), ["a", "b"], 200),
        (answer(500, error("server_error")), ["a", "b"], 200),
        (answer(503, {}), ["a", "b"], 200),
        (answer(529, error("overloaded_error")), ["a", "b"], 200),
        (answer(401, error("invalid_api_key")), ["a"], 401),  # the only key there is
        (answer(400, error("invalid_request_error")), ["a"], 400),
        (answer(400, error("context_length_exceeded")), ["a"], 400),
        (answer(404, {}), ["a"], 404),
        (answer(502, {}), ["a"], 502),
        (answer(504, {}), ["a"], 504),
        (answer(500, error("server_error") | {"usage": {"total_tokens": 3}}), ["a"], 500),
        (CUT, ["a"], 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ["a"], 504),
        (events(said(""), end=False), ["a"], 504),
        (events(said(""), error("overloaded_error")), ["a", "b"], 200),
        (
            events({"type": "message_start"}, {"type": "error"} | error("api_error")),
            ["a", "b"],
            200,
        ),
        (events(said(""), error("something_new")), ["a"], 200),  # ambiguous: as it came
    ],
)
async def test_every_class(
    tmp_path: Path, first: bytes, models: list[str], status: int, stream: bool
) -> None:
    """Who is tried after the first answer, and what the caller gets; each attempt is a row."""
    script = Script({"a": [first], "b": [STREAM if stream else CHAT]})
    async with door(tmp_path, script, options(tmp_path, "a", "b")) as b:
        found = await b.send(asking(stream=stream))
        notes = [one.gateway for one in b.journal.begun]
        for call in range(1, len(models) + 1):
            await b.ended(call)
    notes = [note for note in notes if note and note.candidate]  # not that the call was given up
    assert script.models == models
    assert int(found.line.split()[1]) == status
    assert len({note.request_id for note in notes if note}) == 1
    assert [note.attempt for note in notes if note] == list(range(1, len(models) + 1))
    if len(models) == 1:
        assert found.header(b"x-should-retry") == [b"false"]
    else:
        assert b"Bon" in found.body
        assert notes[1] is not None
        assert notes[1].reason.startswith("failover:")


async def test_an_unreachable_provider_is_left_at_once(tmp_path: Path) -> None:
    """Nothing was sent, so nothing can be paid twice, and the row says so."""
    made = options(tmp_path, "a")
    (one,) = made.routes["r"].candidates
    route = replace(made.routes["r"], candidates=(replace(one, provider="dead"), one))
    dead = replace(made.keys["one"], name="dead", provider="dead")
    made = replace(made, routes={"r": route}, keys={**made.keys, "dead": dead})
    async with door(tmp_path, Script(ONLY), made) as b:
        found = await b.send(asking())
        ended = await b.ended(1)
        notes = [begun.gateway for begun in b.journal.begun]
    assert found.line.split()[1] == b"200"
    assert (ended.outcome, ended.sent) == (Outcome.UNREACHABLE, False)
    assert [note.reason for note in notes if note] == ["rules", "failover:not_sent"]


async def test_after_the_first_content_nothing_is_tried(tmp_path: Path) -> None:
    """The caller sees a broken end, not another model's second half."""
    script = Script({"a": [events(said("Bon"), end=False)], "b": [STREAM]})
    async with door(tmp_path, script, options(tmp_path, "a", "b")) as b:
        reader, writer = await b.open()
        writer.write(asking(stream=True))
        data = await reader.read()
        assert (await b.ended()).outcome is Outcome.UPSTREAM_CUT
    assert script.models == ["a"]
    assert b"Bon" in data
    assert not data.endswith(b"0\r\n\r\n")


async def test_content_passes_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """Only what comes before it is held back."""
    more = asyncio.Event()
    whole = events(said(""), said("Bon"), said("jour"))
    at = whole.index(b"jour") - 80

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(whole[:at])
        await more.wait()
        writer.write(whole[at:])

    script = Script(ONLY)
    script.handler = lambda: handle  # type: ignore[method-assign]
    async with door(tmp_path, script, options(tmp_path, "a")) as b:
        reader, writer = await b.open()
        writer.write(asking(stream=True))
        begin = await asyncio.wait_for(reader.readuntil(b"Bon"), 30)
        more.set()
        rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 30)
    assert b"jour" not in begin
    assert b"jour" in rest


async def test_a_route_may_pay_twice(tmp_path: Path) -> None:
    """With `retry_ambiguous`, a 504 fails over."""
    script = Script({"a": [answer(504, {})], "b": [CHAT]})
    made = options(tmp_path, "a", "b", retry_ambiguous=True)
    async with door(tmp_path, script, made) as b:
        assert (await b.send(asking())).line.split()[1] == b"200"
    assert script.models == ["a", "b"]


async def test_another_key_is_tried(tmp_path: Path) -> None:
    """After a 401 and after a 429: a pool is a provider, a key and a class of models."""
    for first in (401, 429):
        script = Script({"a": [answer(first, {}), CHAT]})
        async with door(tmp_path, script, options(tmp_path, "a", count=2)) as b:
            assert (await b.send(asking())).line.split()[1] == b"200"
        used = [one.header(b"authorization")[0].decode()[7:] for one in script.seen]
        assert used == list(KEYS.values())


async def test_a_closed_pool_is_not_called(tmp_path: Path) -> None:
    """Everybody gets the true Retry-After at once, and nobody asks the provider before it."""
    limited = answer(429, error("rate_limit_exceeded"), b"Retry-After: 40\r\n")
    script = Script({"a": [limited]})
    async with door(tmp_path, script, options(tmp_path, "a", deadline_s=5.0)) as b:
        found = [await b.send(asking()) for _ in range(5)]
    assert {one.line.split()[1] for one in found} == {b"429"}
    assert {one.header(b"retry-after")[0] for one in found} <= {b"40", b"39", b"38"}
    assert not found[0].header(b"x-should-retry")
    assert len(script.seen) == 1


async def test_a_limit_is_waited_for(tmp_path: Path) -> None:
    """If the deadline allows it: one probe when it opens, and all who waited once it is back."""
    limited = answer(429, error("rate_limit_exceeded"), b"Retry-After-Ms: 600\r\n")
    script = Script({"a": [limited, CHAT]})
    async with door(tmp_path, script, options(tmp_path, "a")) as b:
        first = asyncio.create_task(b.send(asking()))
        while not script.seen:
            await asyncio.sleep(0.005)
        rest = await asyncio.gather(first, *(b.send(asking()) for _ in range(20)))
    assert {one.line.split()[1] for one in rest} == {b"200"}
    assert len(script.seen) == 1 + 21


async def test_a_session_stays(tmp_path: Path) -> None:
    """The next turn goes where the first is cached, for certain; other sessions are drawn anew."""
    script = Script({"a": [CHAT], "b": [CHAT]})
    made = options(tmp_path, "a", "b", order="weights")
    async with door(tmp_path, script, made) as b:
        for session in (b"s1", b"s1", b"s1", b"s2"):
            await b.send(asking(headers=b"x-taximeter-session: " + session + b"\r\n"))
        notes = [begun.gateway for begun in b.journal.begun if begun.gateway]
    assert [note.sticky for note in notes] == ["new", "hit", "hit", "new"]
    assert [note.propensity for note in notes] == [0.5, 1.0, 1.0, 0.5]
    assert len(set(script.models[:3])) == 1


async def test_interim_heads_are_not_the_answer(tmp_path: Path) -> None:
    """A provider may send any number of them first (RFC 9110, 15.2)."""
    early = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    async with door(tmp_path, Script({"a": [early + CHAT]}), options(tmp_path, "a")) as b:
        assert (await b.send(asking())).line.split()[1] == b"200"


async def test_one_deadline_for_all_attempts(tmp_path: Path) -> None:
    """Then a 504 that no SDK repeats; the attempt that was broken off has its row."""
    script = Script({"a": [SILENCE], "b": [CHAT]})
    async with door(tmp_path, script, options(tmp_path, "a", "b", deadline_s=0.3)) as b:
        found = await b.send(asking())
        ended = await b.ended()
    assert found.line.split()[1] == b"504"
    assert found.header(b"x-should-retry") == [b"false"]
    assert (ended.outcome, ended.sent, ended.error) == (Outcome.TIMED_OUT, True, "DeadlineExceeded")
    assert script.models == ["a"]


async def test_a_caller_that_leaves_ends_its_attempt(tmp_path: Path) -> None:
    """The provider stops working, and nobody else is asked."""
    script = Script({"a": [SILENCE], "b": [CHAT]})
    async with door(tmp_path, script, options(tmp_path, "a", "b")) as b:
        _, writer = await b.open()
        writer.write(asking())
        while not script.seen:
            await asyncio.sleep(0.005)
        writer.close()
        assert (await b.ended()).outcome is Outcome.CLIENT_GONE
    assert script.models == ["a"]


@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        (asking(token=""), 401, b"unauthorized"),
        (asking(token="tmt_wrong"), 401, b"unauthorized"),
        (asking(headers=b"Origin: https://evil.example\r\n"), 403, b"origin"),
        (asking().replace(b"127.0.0.1:4000", b"evil.example"), 421, b"foreign_host"),
        (asking(path="/gateway/v1/files"), 404, b"unknown_path"),
        (asking(path="/gateway"), 404, b"unknown_path"),
        (asking(headers=b"Content-Encoding: gzip\r\n"), 415, b"content_encoding"),
        (asking(b"[]"), 400, b"bad_request"),
        (asking(b'{"model":"r","model":"openai/x"}'), 400, b"bad_request"),
        (asking(b'{"model":["r"]}'), 400, b"bad_request"),
        (asking(b'{"messages":[]}'), 400, b"bad_request"),
        (asking({"model": "fast"}), 403, b"forbidden_route"),
        (asking({"model": "openai/"}), 404, b"unknown_route"),
        (asking(TOP_K, path="/gateway/v1/messages"), 400, b"no_candidate"),
    ],
)
async def test_who_and_what_is_refused(
    tmp_path: Path, request_: bytes, status: int, kind: bytes
) -> None:
    """By name and before anything is sent; what fails leaves the connection usable."""
    script = Script(ONLY)
    async with door(tmp_path, script, options(tmp_path, "a")) as b:
        reader, writer = await b.open()
        writer.write(request_)
        found = await read_message(reader)
        assert (int(found.line.split()[1]), found.header(b"x-taximeter-error")) == (status, [kind])
        writer.write(asking())
        assert (await read_message(reader)).line.split()[1] == b"200"
    assert len(script.seen) == len(b.journal.begun) == 1


async def test_a_candidate_of_another_dialect_is_named(tmp_path: Path) -> None:
    """The answer says why: by the field that cannot be carried, if it could be translated."""
    async with door(tmp_path, Script(ONLY), options(tmp_path, "a")) as b:
        found = await b.send(asking(TOP_K, path="/gateway/v1/messages"))
    assert b"openai/a (it cannot carry top_k;" in found.body


async def test_insecure_admits_everybody_but_web_pages(tmp_path: Path) -> None:
    """Without a token; an Origin is refused all the same."""
    made = replace(options(tmp_path, "a"), insecure=True)
    async with door(tmp_path, Script(ONLY), made) as b:
        assert (await b.send(asking(token=""))).line.split()[1] == b"200"
        page = asking(token="", headers=b"Origin: http://localhost:8000\r\n")
        assert (await b.send(page)).line.split()[1] == b"403"


async def test_large_requests_are_refused(tmp_path: Path) -> None:
    """They could not be sent again; nothing of them is kept."""
    made = replace(options(tmp_path, "a"), body_bytes_max=100)
    async with door(tmp_path, Script(ONLY), made) as b:
        found = await b.send(asking({"model": "r", "x": "y" * 1000}))
    assert found.line.split()[1] == b"413"
    assert not b.journal.begun


async def test_the_names_are_listed(tmp_path: Path) -> None:
    """As OpenAI's and Anthropic's SDKs read them, and only what the caller may use."""
    request = asking().replace(b"POST", b"GET").replace(b"chat/completions", b"models")
    async with door(tmp_path, Script(ONLY), options(tmp_path, "a")) as b:
        document = json.loads((await b.send(request)).body)
    assert [one["id"] for one in document["data"]] == ["r"]
    assert not b.journal.payloads(Kind.BEGUN)


async def test_a_missing_key_leaves_its_candidate_out(tmp_path: Path) -> None:
    """The others serve; if there is none, the answer says why."""
    made = options(tmp_path, "a")
    (tmp_path / "key-one").unlink()
    async with door(tmp_path, Script(ONLY), made) as b:
        found = await b.send(asking())
    assert found.line.split()[1] == b"400"
    assert b"openai/a (no key)" in found.body

"""Feedback: read strictly, stored once, shown with its call, and counted as success in reports."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.notes import success_notes
from exporters.clickhouse.query import Query
from exporters.clickhouse.reports import report
from exporters.clickhouse.store import Store
from exporters.finishes import BROKEN, CUT, REFUSED
from exporters.record import Batch, Record, TransientError
from proxy.access.roles import Caller, Role, Way
from proxy.access.rules import RULES
from proxy.console.admission import CALLER
from proxy.console.api import application
from proxy.console.feedback_api import PATH, FeedbackApi
from proxy.console.given_feedback import STATEMENTS_MAX, TEXT_LENGTH_MAX, statements
from proxy.settings.config import Listen

if TYPE_CHECKING:
    from conftest import RecordMaker

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CALL = "0192e5a0-0000-7000-8000-000000000001"


def read(*given: object) -> Any:
    """The statements of one request."""
    return statements(json.dumps(given[0] if len(given) == 1 else given).encode(), NOW)


def test_a_statement_has_a_target_a_name_and_a_value() -> None:
    """A boolean says whether its target succeeded; the id follows from the content."""
    (one,) = read({"call_id": CALL.upper(), "name": "resolved", "value": True, "source": "crm"})
    assert (one.about, one.target, one.value, one.success) == ("call", CALL, "true", True)
    assert (
        read({"call_id": CALL, "name": "resolved", "value": True, "source": "crm"})[0].id == one.id
    )
    assert read({"call_id": CALL, "name": "resolved", "value": False})[0].id != one.id


@pytest.mark.parametrize(
    ("target", "about"),
    [("call_id", "call"), ("request_id", "request"), ("session", "session"), ("trace_id", "trace")],
)
def test_each_target_is_named_by_its_key(target: str, about: str) -> None:
    """A call, a client call of the gateway, a session or a trace."""
    text = CALL if target == "call_id" else "ab" * 16
    assert read({target: text, "name": "n", "value": 1})[0].about == about


@pytest.mark.parametrize(
    ("value", "success"), [(4, None), (0.5, None), ("good", None), (True, True), (False, False)]
)
def test_only_a_boolean_says_whether_it_succeeded(value: object, success: bool | None) -> None:
    """Nobody knows which ratings are good; `success` says so, and stands above the value."""
    statement = {"session": "s", "name": "n", "value": value}
    assert read(statement)[0].success is success
    assert read({**statement, "success": False})[0].success is False


def test_a_late_statement_keeps_its_time() -> None:
    """`at` may lie months back, in any form of a time; without it, it is now."""
    late = {"call_id": CALL, "name": "n", "value": True, "at": "2026-01-02T03:04:05Z"}
    assert read(late)[0].ts_us == int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * 10**6
    assert read({**late, "at": 1767323045})[0].ts_us == read(late)[0].ts_us
    assert read({"call_id": CALL, "name": "n", "value": True})[0].ts_us == read(late)[0].received_us


GOOD = {"call_id": CALL, "name": "n", "value": True}
MISTAKES = [
    ({**GOOD, "sesion": "x"}, "sesion: unknown key; did you mean session?"),
    ({**GOOD, "session_id": "x"}, "session_id: unknown key; did you mean session?"),
    ({"name": "n", "value": True}, "no target is given; give exactly one of"),
    ({**GOOD, "session": "x"}, "call_id and session are given; give exactly one of"),
    ({**GOOD, "call_id": "17"}, "call_id: expected the id of a call"),
    ({"trace_id": "xyz", "name": "n", "value": 1}, "trace_id: expected 32 hexadecimal digits"),
    ({"call_id": CALL, "value": True}, "name: required"),
    ({**GOOD, "name": " "}, "name: required"),
    ({**GOOD, "name": "a\nb"}, "name: expected up to"),
    ({"call_id": CALL, "name": "n"}, "value: required"),
    ({**GOOD, "value": None}, "value: required"),
    ({**GOOD, "value": ""}, "value: a text has"),
    ({**GOOD, "value": "x" * (TEXT_LENGTH_MAX + 1)}, "value: a text has"),
    ({**GOOD, "value": [1]}, "value: expected true, false"),
    ({**GOOD, "value": 10**30}, "value: expected true, false"),
    ({**GOOD, "success": 1}, "success: expected true or false"),
    ({**GOOD, "at": "yesterday"}, "at: invalid time"),
    ({**GOOD, "at": 1_790_000_000_000}, "at: "),
    ({**GOOD, "at": "1970-01-02"}, "at: 1970-01-02 cannot be right"),
    ([GOOD, {**GOOD, "vlaue": 1}], "[1].vlaue: unknown key; did you mean value?"),
    ([GOOD, 5], "[1] each statement must be a JSON object"),
    ([], "the list is empty"),
    ([GOOD] * (STATEMENTS_MAX + 1), "more than 1,000 statements"),
    ("text", "the body must be a JSON object"),
]


@pytest.mark.parametrize(("body", "said"), MISTAKES)
def test_what_is_not_understood_is_refused(body: object, said: str) -> None:
    """The error names the statement and the key, and what was probably meant."""
    with pytest.raises(ValueError, match=re.escape(said)):
        read(body)


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Nothing but ValueError comes of bytes from outside."""
    with suppress(ValueError):
        statements(body, NOW)


def test_a_secret_in_a_text_is_masked() -> None:
    """Users paste what they should not."""
    secret = "sk-proj-" + "a1B2" * 12
    assert secret not in read({**GOOD, "value": f"it said {secret}"})[0].value


# The six calls of the store: outcome, finish reason, request, session, tags.
CALLS = [
    ("ok", "stop", "r1", "", {}),
    ("ok", "length", "", "s1", {}),
    ("ok", "stop", "", "s1", {}),
    ("http_error", "", "r2", "", {}),
    ("ok", "stop", "r2", "", {}),
    ("ok", "stop,SAFETY", "", "", {"success": "true"}),
]


@pytest.fixture
def stored(make_records: "RecordMaker", chdb_dsn: str, database: str) -> list[Record]:
    """Those calls, in the database."""
    records = [
        replace(
            one, outcome=outcome, finish_reason=why, request_id=asked, session_id=talk, tags=tags
        )
        for one, (outcome, why, asked, talk, tags) in zip(
            make_records(len(CALLS)), CALLS, strict=True
        )
    ]

    async def fill() -> None:
        exporter = ClickHouse(chdb_dsn, database=database)
        await exporter.export(Batch(f"f:{len(records)}", tuple(records)))
        await exporter.close()

    asyncio.run(fill())
    return records


async def successes(store: Store) -> tuple[Any, Any, str]:
    """How many calls succeeded, of how many somebody said something, and the note."""
    query = Query(measures=("successes",), now=NOW)
    found = await report(store, query)
    (said,) = success_notes(query, found)
    return found.total["successes"], found.total["judged_calls"], said


async def test_feedback_decides_what_a_success_is(
    stored: list[Record], chdb_dsn: str, database: str
) -> None:
    """Assumed from how calls ended, until somebody says: of the call, its request or session."""
    store = Store(chdb_dsn, database=database)
    table = FeedbackTable(chdb_dsn, database=database)

    async def say(**statement: object) -> None:
        await table.write(read({"name": "n", **statement}))

    try:
        # Calls 0, 2 and 4 ended well; 5 did not, but its caller's tag says that it succeeded.
        assert await successes(store) == (4, 1, (await successes(store))[2])
        await say(session="s1", value=True)  # call 1 was cut, so it is none of its successes
        assert (await successes(store))[:2] == (4, 3)
        await say(call_id=str(stored[1].call_id), value=True)  # unless it is named itself
        assert (await successes(store))[:2] == (5, 3)
        await say(request_id="r2", value=False)
        assert (await successes(store))[:2] == (4, 5)
        await say(request_id="r2", value=3)  # a rating says nothing about success
        assert (await successes(store))[:2] == (4, 5)
        await say(session="s1", value=False, at="2026-11-28")  # late, so the newer word stays
        assert (await successes(store))[:2] == (4, 5)
        assert "said about 5 of 6 calls" in (await successes(store))[2]
        row = await store.call(str(stored[1].call_id))
        assert row is not None
        said = [(one["about"], one["value"], one["success"]) for one in row["feedback"]]  # type: ignore[attr-defined]
        assert sorted(said) == [
            ("call", True, True),
            ("session", False, False),
            ("session", True, True),
        ]
    finally:
        await store.close()
        await table.close()


@pytest.mark.parametrize("why", [*CUT, *REFUSED, *BROKEN])
def test_reasons_are_written_as_they_are_compared(why: str) -> None:
    """In lower case and without what would end the text of the statement."""
    assert why == why.lower()
    assert why.replace("_", "").isalpha()


@pytest.fixture
async def client(
    chdb_dsn: str, database: str, stored: list[Record]
) -> AsyncIterator[TestClient[Any, Any]]:
    """A console over that store."""
    store = Store(chdb_dsn, database=database)
    table = FeedbackTable(chdb_dsn, database=database)
    listen = Listen(token="t" * 32)
    more = FeedbackApi(table, "here").routes()
    app: web.Application = application(store, dict, listen, more=more)
    async with TestClient(TestServer(app)) as made:
        yield made
    await store.close()
    await table.close()


async def test_the_same_statement_counts_once(
    client: TestClient[Any, Any], stored: list[Record]
) -> None:
    """By content, and by an id of the sender, under which a later one replaces it."""
    who = {"Authorization": f"Bearer {'t' * 32}"}
    call = str(stored[0].call_id)
    good = {"call_id": call, "name": "thumb", "value": True}
    for body in (good, good, [good, {**good, "id": "7"}], {**good, "id": "7", "value": False}):
        async with client.post(PATH, json=body, headers=who) as answer:
            assert answer.status == 201, await answer.text()
            assert (await answer.json())["accepted"] == (2 if isinstance(body, list) else 1)
    async with client.get(f"/api/calls/{call}", headers=who) as answer:
        said = (await answer.json())["feedback"]
    assert sorted(one["value"] for one in said) == [False, True]
    assert {one["actor"] for one in said} == {"console.token"}
    question = {"by": "", "since": "2000-01-01", "measure": "cost_per_success"}
    async with client.get("/api/report", params=question, headers=who) as answer:
        found = await answer.json()
    assert found["total"]["successes"] == 3
    assert found["total"]["judged_calls"] == 2
    assert float(found["total"]["cost_per_success_usd"]) == pytest.approx(
        float(found["total"]["cost_usd"]) / 3, rel=1e-12
    )


async def test_feedback_needs_a_role(client: TestClient[Any, Any]) -> None:
    """It moves numbers that decisions rest on, so no stranger and no viewer gives it."""
    async with client.post(PATH, json=GOOD) as answer:
        assert answer.status == 401
    assert "viewer" not in RULES["POST", PATH].roles


async def test_a_store_that_is_away_keeps_nothing_and_says_so() -> None:
    """The sender still has it, and may send it again."""

    class Away:
        async def write(self, given: object) -> None:
            raise TransientError("connection refused")

    api = FeedbackApi(cast("FeedbackTable", Away()))
    app = web.Application(middlewares=[as_admin])
    app.add_routes(api.routes())
    async with TestClient(TestServer(app)) as client, client.post(PATH, json=GOOD) as answer:
        assert answer.status == 503
        assert "send it again: connection refused" in (await answer.json())["error"]


@web.middleware
async def as_admin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever asks is admitted."""
    request[CALLER] = Caller("a", Role.ADMIN, Way.BEARER)
    return await handler(request)

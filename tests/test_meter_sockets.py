"""A response on a socket has its row when it ends, once, whoever dies; its journal is released."""

import asyncio
import json
import tempfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_meter import die, records, steps

from exporters.record import Record
from proxy.exchange import Begun, Ended, Kind, Outcome, ResponseHead
from proxy.journal.journal import Journal
from proxy.metering import open_call, recorder
from proxy.metering.recorder import SLICE_S, Recorder
from proxy.metering.records import Metering
from proxy.settings.config import Config, JournalOptions, MeteringOptions, Provider
from support.pricing_calls import book
from support.sockets import Frame

REALTIME, RESPONSES = "/v1/realtime?model=m", "/v1/responses"
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
TARIFFS = """
[[tariff]]
names = ["m"]
usd_per_mtok = { input = 2, output = 10 }
"""
BOOK = book(TARIFFS)
USD = Decimal("0.003")
MS = 1_000_000
BEGUN_WALL_NS = 1_795_000_000_000_000_000


def config(tmp_path: Path, **limits: int) -> Config:
    return Config(
        data=tmp_path,
        journal=JournalOptions(fsync="never", **limits),
        metering=MeteringOptions(count_tokens=False),
        providers={
            "acme": Provider(name="acme", base_url="http://upstream"),
            "google": Provider(name="google", base_url="http://upstream", dialect="gemini"),
        },
    )


def meter(tmp_path: Path, **limits: int) -> Recorder:
    (tmp_path / "state").mkdir(exist_ok=True)
    settings = config(tmp_path, **limits)
    metering = Metering(settings, BOOK, lambda provider, items, source: set(items))
    return Recorder(settings, metering.records)


class Socket:
    """A relay that keeps one socket; its frames are a millisecond apart."""

    def __init__(self, tmp_path: Path, path: str, *, status: int = 101, **limits: int) -> None:
        self.journal = Journal(tmp_path / "calls", "relay-0", config(tmp_path, **limits).journal)
        self.at_ns = self.up = self.down = 0
        begun = Begun(
            call_id="01a20a03-ca4c-75aa-bcf1-65aff492103d",
            wall_ns=BEGUN_WALL_NS,
            method="GET",
            target=path,
            provider="google" if path == LIVE else "acme",
            upstream="http://upstream",
            websocket=True,
        )
        self._append(Kind.BEGUN, msgspec.json.encode(begun))
        if status:
            self._append(Kind.RESPONSE_HEAD, msgspec.json.encode(ResponseHead(status=status)))

    def _append(self, kind: Kind, payload: bytes) -> None:
        self.journal.append(1, kind, payload, self.at_ns)
        self.at_ns += MS

    def pass_on(self, frame: Frame) -> None:
        up, document = frame
        payload = json.dumps(document).encode()
        self.up += len(payload) if up else 0
        self.down += 0 if up else len(payload)
        self._append(Kind.MESSAGE_UP if up else Kind.MESSAGE_DOWN, b"\x01" + payload)
        self.journal.flush()

    def end(self, outcome: Outcome = Outcome.OK) -> None:
        ended = Ended(outcome=outcome, request_bytes=self.up, response_bytes=self.down)
        self._append(Kind.ENDED, msgspec.json.encode(ended))
        self.journal.flush()


def asked(**fields: Any) -> Frame:
    return True, {"type": "response.create", "response": {"model": "m"}, **fields}


def said(word: str, name: str, **fields: Any) -> Frame:
    return False, {"type": f"response.{word}", "response": {"id": name, "model": "m", **fields}}


def done(name: str) -> Frame:
    return said("completed", name, status="completed", usage=USAGE)


def kill(one: Recorder) -> None:
    """What kill -9 leaves of a meter."""
    die(one.journal)
    for timer in one.journal._timers.values():
        timer.cancel()
    for task in one._making._counting:
        task.cancel()
    one._follower.close()


def calls_bytes(tmp_path: Path) -> int:
    return sum(file.stat().st_size for file in (tmp_path / "calls").rglob("*.seg"))


async def test_a_row_for_each_response_while_the_socket_is_open(tmp_path: Path) -> None:
    """With its own model, time and price; the socket's row comes at its end, and costs nothing."""
    socket, one = Socket(tmp_path, RESPONSES), meter(tmp_path)
    for number in range(3):
        for frame in (asked(), said("created", f"r{number}"), done(f"r{number}")):
            socket.pass_on(frame)
        await steps(one)
        assert len(records(tmp_path)) == number + 1
    socket.end()
    await steps(one)
    *responses, whole = records(tmp_path)
    for number, row in enumerate(responses):
        assert (row.response_id, row.response_model) == (f"r{number}", "m")
        assert (row.cost_usd, row.cost_status, row.outcome) == (USD, "exact", "ok")
        assert row.ts_us == BEGUN_WALL_NS // 1000 + (2 + 3 * number) * 1000
        assert row.duration_us == 2000
        assert row.source == f"{socket.journal.writer}:1:{number + 1}"
        assert (row.socket_id, row.is_socket) == (whole.call_id, False)
        assert (row.trace_id, row.parent_span_id) == (whole.trace_id, whole.span_id)
    assert whole.is_socket
    assert (whole.cost_usd, whole.cost_status) == (Decimal(0), "not_billed")
    assert whole.reasons == ["billed_by_response"]
    assert (whole.request_bytes, whole.response_bytes) == (socket.up, socket.down)
    assert len({row.call_id for row in (*responses, whole)}) == 4
    one.close()
    socket.journal.close()


async def test_what_was_not_recorded_leaves_the_socket_unpriced(tmp_path: Path) -> None:
    """Bytes that the journal lacks may hold a response: that is a call of unknown cost."""
    socket, one = Socket(tmp_path, RESPONSES), meter(tmp_path)
    socket.pass_on(done("r1"))
    socket.down += 10
    socket.end()
    await steps(one)
    response, whole = records(tmp_path)
    assert response.cost_status == "exact"
    assert (whole.cost_usd, whole.cost_status, whole.is_socket) == (None, "unpriced", False)
    assert "bytes_dropped" in whole.reasons
    one.close()
    socket.journal.close()


@pytest.mark.parametrize("end", [Outcome.OK, Outcome.CLIENT_GONE, None])
async def test_a_response_that_is_cut(tmp_path: Path, end: Outcome | None) -> None:
    """It has a row that says so; None: the relay was killed."""
    socket, one = Socket(tmp_path, REALTIME), meter(tmp_path)
    for frame in (said("created", "a"), said("created", "b"), said("done", "a", usage=USAGE)):
        socket.pass_on(frame)
    if end is None:
        die(socket.journal)
    else:
        socket.end(end)
    await steps(one)
    whole, cut, socket_row = records(tmp_path)
    assert (whole.response_id, whole.cost_status, whole.outcome) == ("a", "exact", "ok")
    gone = "interrupted" if end is None else "client_gone"
    assert (cut.response_id, cut.cost_usd, cut.outcome) == ("b", None, gone)
    assert set(cut.reasons) >= {"no_usage", "usage_not_final"}
    assert socket_row.is_socket
    one.close()


@pytest.mark.parametrize("status", [0, 401])
async def test_a_socket_that_was_not_opened_is_a_call(tmp_path: Path, status: int) -> None:
    """An upgrade that failed, or was never answered, is counted like any call that failed."""
    socket, one = Socket(tmp_path, RESPONSES, status=status), meter(tmp_path)
    socket.end(Outcome.OK if status else Outcome.UNREACHABLE)
    await steps(one)
    (row,) = records(tmp_path)
    assert (row.is_socket, row.socket_id, row.cost_status) == (False, "", "not_billed")
    assert row.outcome == ("http_error" if status else "unreachable")
    one.close()
    socket.journal.close()


async def test_a_socket_of_a_day_holds_little_journal(tmp_path: Path) -> None:
    """What is charged is deleted, and so is what was said between responses."""
    limits = {"segment_bytes_max": 256 * 1024}
    socket, one = Socket(tmp_path, REALTIME, **limits), meter(tmp_path, **limits)
    audio = (True, {"type": "input_audio_buffer.append", "audio": "A" * 60_000})
    most = 0
    for number in range(20):
        for _ in range(20):
            socket.pass_on(audio)
        socket.pass_on(said("created", f"r{number}"))
        socket.pass_on(said("done", f"r{number}", usage=USAGE))
        await steps(one)
        await one.upkeep()
        most = max(most, calls_bytes(tmp_path))
    assert socket.up > 20 * 1024 * 1024
    assert most < 2 * 1024 * 1024
    kill(one)
    one = meter(tmp_path, **limits)
    socket.end()
    await steps(one)
    *responses, whole = records(tmp_path)
    assert [row.response_id for row in responses] == [f"r{number}" for number in range(20)]
    assert (whole.is_socket, whole.request_bytes, whole.dropped_bytes) == (True, socket.up, 0)
    one.close()
    socket.journal.close()


@pytest.mark.parametrize("path", [REALTIME, "/v1/unknown/socket"])
async def test_what_never_ends_is_let_go(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response, or a socket that nobody can read, has a limit; losing its beginning is told."""
    monkeypatch.setattr(open_call, "HELD_BYTES_MAX", 100_000)
    limits = {"segment_bytes_max": 50_000}
    socket, one = Socket(tmp_path, path, **limits), meter(tmp_path, **limits)
    socket.pass_on(said("created", "long"))
    for _ in range(20):
        socket.pass_on((True, {"type": "input_audio_buffer.append", "audio": "A" * 20_000}))
        await steps(one)
        await one.upkeep()
        assert calls_bytes(tmp_path) < 300_000
    kill(one)
    one = meter(tmp_path, **limits)
    socket.pass_on(said("done", "long", usage=USAGE))
    socket.end()
    await steps(one)
    response, *_ = records(tmp_path)
    assert response.cost_status == "partial"
    assert "bytes_dropped" in response.reasons
    assert response.cost_usd == USD or path != REALTIME
    one.close()
    socket.journal.close()


async def test_a_journal_that_was_removed_ends_its_sockets(tmp_path: Path) -> None:
    """A restarted meter does not wait for frames that can never come."""
    socket, one = Socket(tmp_path, RESPONSES), meter(tmp_path)
    for frame in (asked(), done("r1"), asked(), said("created", "r2")):
        socket.pass_on(frame)
    await steps(one)
    await one.upkeep()
    kill(one)
    die(socket.journal)
    for file in sorted((tmp_path / "calls").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    one = meter(tmp_path)
    await steps(one)
    await one.step()
    _, whole = records(tmp_path)
    assert (whole.outcome, whole.cost_status, whole.is_socket) == ("interrupted", "unpriced", False)
    assert "bytes_dropped" in whole.reasons  # the second response was in it
    assert one.status()["open"] == 0
    one.close()


# -- any cut, any restart --------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c"])
STREAMS = st.sampled_from(["", "", "s", "t"])
ITEM = {"type": "web_search_call", "action": {"type": "search"}}


@st.composite
def responses_frames(draw: st.DrawFn) -> Frame:
    stream = draw(STREAMS)
    more = {"stream_id": stream} if stream else {}
    kind = draw(st.integers(0, 6))
    if kind == 0:
        return asked(**more)
    if kind == 1:
        up, event = said("created", draw(NAMES))
    elif kind == 2:
        up, event = said("output_text.delta", "")
        event = {"type": event["type"], "delta": "Hi"}
    elif kind == 3:
        up, event = False, {"type": "response.output_item.done", "item": ITEM}
    elif kind == 4:
        up, event = False, {"type": "error", "error": {"code": "bad"}}
    else:
        up, event = done(draw(NAMES))
    return up, {**event, **more}


@st.composite
def realtime_frames(draw: st.DrawFn) -> Frame:
    kind, name = draw(st.integers(0, 7)), draw(NAMES)
    speech = "conversation.item.input_audio_transcription."
    session = {"id": name, "input_audio_transcription": {"model": draw(st.sampled_from("mn"))}}
    seconds = {"type": "duration", "seconds": 3}
    frames: list[Frame] = [
        asked(),
        said("created", name),
        (False, {"type": "response.output_audio.delta", "response_id": name}),
        said("done", name, usage=USAGE),
        (False, {"type": "session.updated", "session": session}),
        (False, {"type": "input_audio_buffer.committed", "item_id": name}),
        (False, {"type": f"{speech}completed", "item_id": name, "usage": seconds}),
        (False, {"type": "error", "error": {"code": "bad"}}),
    ]
    return frames[kind]


@st.composite
def live_frames(draw: st.DrawFn) -> Frame:
    usage = {"promptTokenCount": 10, "responseTokenCount": draw(st.integers(1, 9))}
    frames: list[Frame] = [
        (True, {"setup": {"model": f"models/{draw(st.sampled_from('mn'))}"}}),
        (True, {"clientContent": {"turnComplete": True}}),
        (False, {"serverContent": {"modelTurn": {"parts": [{"text": "Hi"}]}}}),
        (False, {"serverContent": {"turnComplete": True}}),
        (False, {"serverContent": {"turnComplete": True}, "usageMetadata": usage}),
        (False, {"usageMetadata": usage}),
        (True, {"realtimeInput": {}}),
    ]
    return draw(st.sampled_from(frames))


def script(frames: st.SearchStrategy[Frame]) -> st.SearchStrategy[list[tuple[Frame, str]]]:
    what = st.sampled_from(["", "", "read all", "read on", "save", "kill", "save and kill"])
    return st.lists(st.tuples(frames, what), max_size=24)


async def rows(path: str, frames: Iterable[tuple[Frame, str]], end: str) -> list[Record]:
    """The rows of a socket with these frames, if that happens to the meter after each."""
    limits = {"segment_bytes_max": 600}
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        socket, one = Socket(folder, path, **limits), meter(folder, **limits)
        for frame, what in frames:
            socket.pass_on(frame)
            if what == "read all":
                await steps(one)
            elif what:  # a few frames: it may be saved or killed far behind
                await one.step()
            if "save" in what:
                await one.upkeep()
            if "kill" in what:
                kill(one)
                one = meter(folder, **limits)
        if end == "killed":
            die(socket.journal)
        else:
            socket.end(Outcome(end))
            socket.journal.close()
        await one.drain()
        kill(one)
        writer = socket.journal.writer
        return [
            msgspec.structs.replace(row, source=row.source.replace(writer, "w"))
            for row in records(folder)
        ]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("path", "frames"),
    [(RESPONSES, responses_frames()), (REALTIME, realtime_frames()), (LIVE, live_frames())],
    ids=["responses", "realtime", "live"],
)
@settings(max_examples=30)
@given(data=st.data())
def test_any_restart_gives_the_same_rows(
    path: str,
    frames: st.SearchStrategy[Frame],
    data: st.DataObject,
) -> None:
    """Wherever the meter is killed, no row is missing, none comes twice, and all are the same."""
    drawn = data.draw(script(frames))
    end = data.draw(st.sampled_from(["ok", "client_gone", "killed"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "monotonic_ns", lambda: 0)  # nothing ends without a message
        patch.setattr(recorder, "monotonic", count(step=SLICE_S / 5).__next__)
        whole = asyncio.run(rows(path, [(frame, "") for frame, _ in drawn], end))
        cut = asyncio.run(rows(path, drawn, end))
    assert by_source(cut) == by_source(whole)


def by_source(found: Sequence[Record]) -> dict[str, Record]:
    assert len({row.source for row in found}) == len(found)
    return {row.source: row for row in found}

"""Results of other tools, imported: what passed, what failed, what it cost by our rows."""

import json
import zipfile
from contextlib import suppress
from io import BytesIO
from typing import Any
from zlib import crc32

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from evaluation.commands.eval_import import read
from evaluation.imports import inspect_archive
from evaluation.imports.imported import NotReadable

INSPECT: dict[str, Any] = {
    "version": 2,
    "eval": {"task": "arc", "model": "openai/gpt-5.4-mini", "created": "2026-11-20T10:00:00+00:00"},
    "samples": [
        {"id": 1, "epoch": 1, "input": "q", "target": "A", "scores": {"choice": {"value": "C"}}},
        {"id": 1, "epoch": 2, "input": "q", "target": "A", "scores": {"choice": {"value": "I"}}},
        {"id": 2, "input": "r", "target": "B", "scores": {"mean": {"value": 0.7}}, "total_time": 2},
        {"id": 3, "input": "s", "target": "C", "error": {"message": "timeout"}},
        {"id": 4, "input": "t", "target": "C", "scores": {}},
    ],
}
PROMPTFOO: dict[str, Any] = {
    "results": {
        "version": 3,
        "timestamp": "2026-11-20T10:00:00.000Z",
        "results": [
            {"provider": {"id": "openai:gpt-5.4-mini"}, "testIdx": 0, "promptIdx": 0,
             "success": True, "latencyMs": 800, "cost": 0.0012, "vars": {"a": 1}},
            {"provider": {"id": "openai:gpt-5.4-mini"}, "testIdx": 1, "promptIdx": 0,
             "success": False, "gradingResult": {"componentResults": [
                 {"pass": False, "assertion": {"type": "contains"}}]}},
            {"provider": "anthropic:haiku", "testIdx": 0, "success": False, "error": "429"},
        ],
    },
    "config": {"description": "tone"},
}  # fmt: skip
JUNIT = b"""<testsuites><testsuite name="agents" timestamp="2026-11-20T10:00:00">
<testcase classname="book" name="flight" time="1.5"/>
<testcase classname="book" name="hotel"><failure message="secret text"/></testcase>
<testcase classname="book" name="car"><error/></testcase>
<testcase classname="book" name="boat"><skipped/></testcase>
</testsuite></testsuites>"""


def outcomes(content: bytes) -> list[tuple[str, str, int, str]]:
    """Model, case, sample and status of each."""
    found = read(content, "my/model")
    return [(each.model, each.case_id, each.sample, each.status) for each in found.outcomes]


def test_a_log_of_inspect() -> None:
    """Letters and numbers are scores, epochs are samples, errors are no wrong answers."""
    model = "openai/gpt-5.4-mini"
    assert outcomes(json.dumps(INSPECT).encode()) == [
        (model, "1", 1, "pass"),
        (model, "1", 2, "fail"),
        (model, "2", 1, "pass"),
        (model, "3", 1, "error"),
        (model, "4", 1, "not_run"),
    ]


def archive(*members: tuple[str, object], method: int = 93) -> bytes:
    """A log as Inspect writes it: each member packed with Zstandard, or as `zipfile` can."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, document in members:
            plain = json.dumps(document).encode()
            info = zipfile.ZipInfo(name)
            if method != 93:
                made.writestr(info, plain, compress_type=method)
                continue
            half = len(plain) // 2  # two frames, as of a large sample
            pack = zstandard.ZstdCompressor().compress
            made.writestr(info, pack(plain[:half]) + pack(plain[half:]))
            info.CRC, info.file_size = crc32(plain), len(plain)  # for the directory
            info.compress_type = method
    return file.getvalue()


HEADER = {"version": 2, "eval": INSPECT["eval"], "status": "success"}
SAMPLES = [
    (f"samples/{one['id']}_epoch_{one.get('epoch', 1)}.json", one) for one in INSPECT["samples"]
]


@pytest.mark.parametrize("method", [93, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_an_archive_of_inspect_says_what_its_json_says(method: int) -> None:
    """However its members are packed; so does one without an end, which has another header."""
    members = [("header.json", HEADER), *SAMPLES, ("summaries.json", [])]
    whole = archive(*members, method=method)
    assert outcomes(whole) == outcomes(json.dumps(INSPECT).encode())
    unfinished = archive(("_journal/start.json", HEADER), *SAMPLES, method=method)
    assert outcomes(unfinished) == outcomes(whole)


def test_a_damaged_archive_is_refused() -> None:
    """One byte, a missing end, another archive, a member that unpacks to more than it may."""
    whole = archive(("header.json", HEADER), *SAMPLES)
    at = whole.index(b"samples/1_epoch_1.json") + 40
    changed = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    for content, said in (
        (changed, "damaged"),
        (whole[:-40], "not a whole ZIP archive"),
        (archive(("a.json", {})), r"no header\.json"),
        (archive(("header.json", [])), "not a JSON object"),
    ):
        with pytest.raises(NotReadable, match=said):
            read(content, "")


def test_an_archive_that_would_unpack_to_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever size it claims to have."""
    monkeypatch.setattr(inspect_archive, "MEMBER_BYTES_MAX", 1000)
    bomb = ("samples/1_epoch_1.json", {"id": "x" * 100_000})
    with pytest.raises(NotReadable, match="too large"):
        read(archive(("header.json", HEADER), bomb), "")


@given(st.binary(max_size=400), st.integers(0, 2000))
def test_no_bytes_break_the_import(damage: bytes, at: int) -> None:
    """They are read, or refused with a reason."""
    whole = archive(("header.json", HEADER), *SAMPLES)
    with suppress(NotReadable):
        read(whole[:at] + damage + whole[at + len(damage) :], "")


@pytest.mark.parametrize(
    ("events", "ids"),
    [
        ([("a", ""), ("b", "")], ("a", "b")),
        ([("a", ""), ("", "")], ()),  # the log has only the first of two responses
        ([("a", ""), ("", "read")], ("a",)),  # from Inspect's own cache
    ],
)
def test_a_result_has_a_cost_if_all_its_calls_are_known(
    events: list[tuple[str, str]], ids: tuple[str, ...]
) -> None:
    """A part of the calls is not what an answer cost."""
    said = [
        {"event": "model", "cache": cache, "call": {"response": {"id": name}} if name else None}
        for name, cache in events
    ]
    sample = {"id": 1, "scores": {}, "events": [{"event": "info"}, *said]}
    found = read(json.dumps(INSPECT | {"samples": [sample]}).encode(), "")
    assert found.outcomes[0].response_ids == ids


def test_results_of_promptfoo() -> None:
    """With their cost and time, and the kind of the assertion that failed."""
    found = read(json.dumps(PROMPTFOO).encode(), "")
    assert [(each.model, each.status) for each in found.outcomes] == [
        ("openai:gpt-5.4-mini", "pass"),
        ("openai:gpt-5.4-mini", "fail"),
        ("anthropic:haiku", "error"),
    ]
    assert (str(found.outcomes[0].usd), found.outcomes[0].duration_s) == ("0.0012", 0.8)
    assert found.outcomes[1].reason == "by contains"


def test_a_report_of_junit() -> None:
    """Without the texts of its failures, which may hold answers."""
    assert [status for *_, status in outcomes(JUNIT)] == ["pass", "fail", "error", "not_run"]
    assert "secret" not in str(read(JUNIT, "m"))


@pytest.mark.parametrize("content", [b"", b"[]", b"<html/>", b"<x", b'{"a": 1}', b'{"eval": {}}'])
def test_anything_else_is_refused(content: bytes) -> None:
    """With what it is not."""
    with pytest.raises(NotReadable):
        read(content, "m")

"""Results of other tools, imported: what passed, what failed, what it cost by our rows."""

import json
from typing import Any

import pytest

from evaluation.commands.eval_import import read
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

"""OpenAI's SDK for Node through the whole product."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from evaluation.standin import processes
from support import node, roundtrip

FOLDER = Path(__file__).with_name("node")


@pytest.fixture(scope="module", autouse=True)
def modules() -> Path:
    try:
        return node.packages(FOLDER)
    except node.NodeError as failure:
        pytest.skip(str(failure))


def calls(base_url: str, headers: Mapping[str, str]) -> object:
    script = FOLDER / "openai_calls.mjs"
    return json.loads(node.run(script, f"{base_url}/v1", json.dumps(dict(headers))))


def test_the_node_sdk_arrives_unchanged_and_its_rows_are_right(tmp_path: Path) -> None:
    """Chat, responses and embeddings, streamed or not: the same without us, usage as reported."""
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}, settings=processes.FAST_ROWS) as served,
    ):
        trip = roundtrip.make(
            calls, upstream=upstream, served=served, provider="openai", feature="node"
        )
    assert roundtrip.changes(trip) == []
    assert roundtrip.mismeasured(trip) == []
    assert [row["operation"] for row in trip.rows] == ["chat"] * 4 + ["embeddings"]
    assert [row["stream"] for row in trip.rows] == [False, True, False, True, False]
    assert {row["cost_status"] for row in trip.rows} == {"exact"}

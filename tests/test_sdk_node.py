"""OpenAI's SDK for Node through the whole product."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import node, roundtrip
from support.product import Product

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


@pytest.mark.thorough
def test_the_node_sdk_arrives_unchanged_and_its_rows_are_right(product: Product) -> None:
    """Chat, responses and embeddings, streamed or not: the same without us, usage as reported."""
    trip = product.trip(calls, "openai", "node")
    assert roundtrip.changes(trip) == []
    assert roundtrip.mismeasured(trip) == []
    assert [row["operation"] for row in trip.rows] == ["chat"] * 4 + ["embeddings"]
    assert [row["stream"] for row in trip.rows] == [False, True, False, True, False]
    assert {row["cost_status"] for row in trip.rows} == {"exact"}

"""Reranking by the token or by the search unit.  Cases are written for the project."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from pricing.cause import texts
from proxy.exchange import Operation
from support.readings import quantities
from support.readings import read as read_call

read = partial(read_call, family="openai", path="/v1/rerank")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"usage": {"total_tokens": 26}}, {"input": 26}),
        ({"meta": {"billed_units": {"search_units": 2}}}, {"search_units": 2}),
    ],
)
def test_what_is_billed(body: Mapping[str, Any], expected: Mapping[str, int]) -> None:
    """Voyage and Jina bill tokens, those who copy Cohere search units."""
    reading = read({"model": "rerank-2.5", **body})
    assert (quantities(reading), reading.operation) == (expected, Operation.RERANK)
    assert (reading.response_model, reading.complete) == ("rerank-2.5", True)


def test_without_usage_the_request_can_be_counted() -> None:
    """No usage is unknown usage."""
    reading = read({"data": []}, request={"query": "q", "documents": ["d"]})
    assert (reading.parts, texts(reading.reasons)) == ((), ("no_usage",))
    assert reading.count is not None

"""Reranking by the token or by the search unit.  Cases are written for the project."""

from collections.abc import Mapping
from typing import Any

import pytest

from pricing.usage import Meter
from proxy.dialects import Ask
from proxy.dialects.table import find
from proxy.exchange import Operation, Reading

NO_REQUEST: Mapping[str, Any] = {}


def read(
    *documents: object,
    path: str = "/v1/rerank",
    method: str = "POST",
    request: object = NO_REQUEST,
    stream: bool = False,
) -> Reading:
    """The reading of a call whose response is `documents`, the n-th at n ns."""
    endpoint = find(method, path, "openai")
    ask = Ask(method=method, path=path, request=request, stream=stream)
    reader = endpoint.reader(ask, endpoint)
    for number, document in enumerate(documents):
        reader.feed(document, number)
    return reader.close()


def quantities(reading: Reading, part: int = 0) -> dict[str, int]:
    """Quantities of a part by the meter's name, but for the request itself."""
    found = reading.parts[part].usage.quantities
    return {meter.value: int(n) for meter, n in found.items() if meter is not Meter.REQUESTS}


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
    assert (reading.parts, reading.reasons) == ((), ("no_usage",))
    assert reading.count is not None

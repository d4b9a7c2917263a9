"""What Mistral has beyond OpenAI's API.  Cases are written for the project."""

from collections.abc import Mapping
from functools import partial

import pytest

from pricing.cause import texts
from proxy.exchange import Operation
from support.readings import quantities
from support.readings import read as read_call

read = partial(read_call, family="openai", path="/v1/ocr")


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"pages_processed": 12}, {"pages": 12}),
        (
            {"pages_processed": 12, "pages_processed_annotation": 5},
            {"pages": 7, "pages.annotated": 5},
        ),
        ({"pages_processed": 12, "pages_processed_annotation": 12}, {"pages.annotated": 12}),
    ],
)
def test_pages_have_one_rate_each(usage: object, expected: Mapping[str, int]) -> None:
    """An annotated page costs the annotated rate in place of the plain one.

    https://docs.mistral.ai/models/ocr-4-1
    """
    reading = read({"model": "mistral-ocr", "pages": [], "usage_info": usage})
    assert quantities(reading) == expected
    assert (reading.operation, reading.response_model) == (Operation.OCR, "mistral-ocr")
    assert reading.reasons == ()


def test_pages_without_usage_are_counted_from_the_body() -> None:
    """Each page is there; that they were counted is said."""
    reading = read({"model": "m", "pages": [{"index": 0}, {"index": 1}]})
    assert quantities(reading) == {"pages": 2}
    assert texts(reading.reasons) == ("pages_counted_from_body",)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/fim/completions", "mistral.fim"), ("/v1/agents/completions", "mistral.agents")],
)
def test_fill_in_the_middle_and_agents_read_like_chat(path: str, name: str) -> None:
    """Only the endpoint's name differs."""
    body = {"model": "codestral", "choices": [{"message": {"content": "x"}}], "usage": USAGE}
    reading = read(body, path=path)
    assert (reading.endpoint, quantities(reading)) == (name, {"input": 5, "output": 2})

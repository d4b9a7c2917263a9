"""Callers of OpenAI's embeddings at Gemini: what is asked, and the vectors that come back."""

import json
from array import array
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.gateway.translation import answers, requests
from proxy.gateway.translation.answers import Between
from proxy.gateway.translation.losses import Malformed, Refused
from support.translation import target, translated

VECTORS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)


def answered(document: Any, **body: Any) -> tuple[Any, tuple[str, ...]]:
    asked = {"model": "m", "input": "hi"} | body
    made = requests.translate("embeddings", asked, target("gemini"), stream=False)
    between = Between(caller="embeddings", provider="gemini", asked=made.asked)
    found, lost = answers.whole(json.dumps(document).encode(), between)
    return json.loads(found), lost


def test_one_request_for_each_text() -> None:
    """With the model and the size, in the order of the texts."""
    body = {"model": "m", "input": ["time", "people"], "dimensions": 64}
    shared = {"model": "models/m", "outputDimensionality": 64}
    assert translated("embeddings", body, "gemini") == {
        "requests": [
            shared | {"content": {"parts": [{"text": "time"}]}},
            shared | {"content": {"parts": [{"text": "people"}]}},
        ]
    }


@given(st.lists(VECTORS, min_size=1, max_size=4), st.sampled_from([None, "float", "base64"]))
def test_vectors_come_back_as_they_were(vectors: list[list[float]], form: str | None) -> None:
    """As numbers or in base64, which OpenAI's SDK asks for by itself."""
    document: Any = {"embeddings": [{"values": one} for one in vectors]}
    document |= {"usageMetadata": {"promptTokenCount": 7}}
    more = {"encoding_format": form} if form else {}
    found, lost = answered(document, input=["hi"] * len(vectors), **more)
    data = [one["embedding"] for one in found["data"]]
    if form == "base64":
        data = [array("f", b64decode(one)).tolist() for one in data]
    assert data == vectors
    assert [one["index"] for one in found["data"]] == list(range(len(vectors)))
    assert (found["model"], found["usage"]) == ("m", {"prompt_tokens": 7, "total_tokens": 7})
    assert lost == ()


def test_tokens_that_nobody_stated_are_unknown() -> None:
    """Not 0, and listed."""
    found, lost = answered({"embeddings": [{"values": [0.5]}]})
    assert (found["usage"], lost) == (None, ("usage",))


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"embeddings": []},
        {"embeddings": [{"values": [0.5]}, {"values": [0.5]}]},
        {"embeddings": [{"values": []}]},
        {"embeddings": [{"values": [True]}]},
        {"embeddings": [{"values": ["x", 0.5]}]},
    ],
)
def test_what_is_no_answer(document: Any) -> None:
    """A vector for each text, or none at all."""
    with pytest.raises(ValueError, match="vector"):
        answered(document)


@pytest.mark.parametrize("given", [[1, 2], [[1, 2], [3]], ["hi", 7], ["hi"] * 101])
def test_input_that_gemini_cannot_read(given: Any) -> None:
    """Token ids are of OpenAI's vocabulary, and batches have a size."""
    with pytest.raises(Refused, match="input"):
        translated("embeddings", {"model": "m", "input": given}, "gemini")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": 7},
        {"input": "hi", "dimensions": 0},
        {"input": "hi", "encoding_format": "hex"},
    ],
)
def test_what_the_api_itself_refuses(body: Any) -> None:
    """Malformed, by its name."""
    with pytest.raises(Malformed, match=r"input|dimensions|encoding_format"):
        translated("embeddings", {"model": "m"} | body, "gemini")

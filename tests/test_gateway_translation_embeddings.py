"""Embeddings between OpenAI's, Gemini's and Cohere's API: what is asked, and the vectors."""

import json
from array import array
from base64 import b64decode
from dataclasses import replace
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


# -- Cohere, and Gemini's callers ---------------------------------------------------------------


def test_cohere_is_told_what_it_must_be() -> None:
    """By the word that others of OpenAI's dialect have for it; else the request is refused by that
    name, whatever the route drops."""
    body: Any = {"model": "r", "input": ["time", "people"], "dimensions": 256, "truncate": "NONE"}
    for said, told in (("passage", "search_document"), ("search_query", "search_query")):
        assert translated("embeddings", body | {"input_type": said}, "cohere") == {
            "model": "m",
            "texts": ["time", "people"],
            "input_type": told,
            "embedding_types": ["float"],
            "output_dimension": 256,
            "truncate": "NONE",
        }
    for more in ({}, {"input_type": "fun"}):
        for drop in ((), ("*",)):
            with pytest.raises(Refused, match="input_type"):
                translated("embeddings", body | more, "cohere", *drop)


def gemini_asked(*texts: str, **more: Any) -> Any:
    """A batch, as Google's SDK sends it."""
    one = {"model": "models/r", **more}
    return {"requests": [one | {"content": {"parts": [{"text": text}]}} for text in texts]}


@pytest.mark.parametrize(("provider", "size"), [("openai", "dimensions"), ("mistral", None)])
def test_geminis_callers_at_openai(provider: str, size: str | None) -> None:
    """One call for all texts; the size by the provider's own name for it."""
    body = gemini_asked("time", "people", outputDimensionality=64)
    goal = replace(target("openai"), provider=provider)
    made = requests.translate("gemini_embeddings", body, goal, stream=False)
    expected: Any = {"model": "m", "input": ["time", "people"], size or "output_dimension": 64}
    assert json.loads(made.body) == expected


def test_geminis_callers_at_cohere() -> None:
    """What the vectors are for, and what becomes of long texts."""
    single = {
        "content": {"parts": [{"text": "time"}]},
        "embedContentConfig": {"taskType": "RETRIEVAL_DOCUMENT", "autoTruncate": True},
    }
    assert translated("gemini_embeddings", single, "cohere") == {
        "model": "m",
        "texts": ["time"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "END",
    }


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (gemini_asked("hi", taskType="RETRIEVAL_QUERY"), "requests[].taskType"),
        (gemini_asked("hi", title="a"), "requests[].title"),
        (gemini_asked("hi", autoTruncate=False), "requests[].autoTruncate"),
        ({"content": {"parts": [{"text": "a"}, {"text": "b"}]}}, "content.parts"),
        (
            {"requests": [*gemini_asked("a")["requests"], *gemini_asked("b", x=1)["requests"]]},
            "requests[].x",
        ),
        (
            {
                "requests": [
                    *gemini_asked("a")["requests"],
                    *gemini_asked("b", outputDimensionality=2)["requests"],
                ]
            },
            "requests[].outputDimensionality",
        ),
        (gemini_asked(*["hi"] * 2049), "requests"),
    ],
)
def test_what_openai_cannot_be_asked(body: Any, name: str) -> None:
    """By the caller's own name for it."""
    with pytest.raises(Refused) as caught:
        translated("gemini_embeddings", body, "openai")
    assert [*caught.value.fields] == [name]


@pytest.mark.parametrize(
    "body", [{}, {"requests": []}, {"content": 7}, gemini_asked("a", outputDimensionality=0)]
)
def test_what_gemini_itself_refuses(body: Any) -> None:
    """Malformed, by its name."""
    with pytest.raises(Malformed):
        translated("gemini_embeddings", body, "openai")


def data(*vectors: list[float], order: int = 1) -> Any:
    listed = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(vectors)]
    return {"object": "list", "data": listed[::order], "usage": {"prompt_tokens": 7}}


COHERES = {
    "embeddings": {"float": [[0.5, 1], [2, 0.25]]},
    "meta": {"billed_units": {"input_tokens": 7.0}},
}


@pytest.mark.parametrize(
    ("provider", "document"),
    [
        ("openai", data([0.5, 1], [2, 0.25])),
        ("openai", data([0.5, 1], [2, 0.25], order=-1)),
        ("cohere", COHERES),
    ],
)
def test_vectors_reach_geminis_callers(provider: str, document: Any) -> None:
    """Each at the place of its text, with the tokens that were stated."""
    asked = {"count": 2, "batch": True, "model": "m"}
    between = Between(caller="gemini_embeddings", provider=provider, asked=asked)
    made, lost = answers.whole(json.dumps(document).encode(), between)
    assert json.loads(made) == {
        "embeddings": [{"values": [0.5, 1]}, {"values": [2, 0.25]}],
        "usageMetadata": {"promptTokenCount": 7},
    }
    assert lost == ()


def test_a_single_vector_has_its_own_form() -> None:
    """As embedContent answers; tokens that nobody stated are left out, as Gemini does."""
    asked = {"count": 1, "batch": False, "model": "m"}
    between = Between(caller="gemini_embeddings", provider="openai", asked=asked)
    document = {"data": [{"index": 0, "embedding": [0.5]}]}
    made, _ = answers.whole(json.dumps(document).encode(), between)
    assert json.loads(made) == {"embedding": {"values": [0.5]}}


@pytest.mark.parametrize(
    "document",
    [
        {"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [2]}]},
        {"data": [{"index": 1, "embedding": [1]}, {"index": 2, "embedding": [2]}]},
        {"data": [{"index": "a", "embedding": [1]}, {"index": 1, "embedding": [2]}]},
        {"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": [2]}]},
        data([0.5]),
    ],
)
def test_vectors_whose_places_are_unclear_are_no_answer(document: Any) -> None:
    """Better none than the wrong one."""
    asked = {"count": 2, "batch": True, "model": "m"}
    between = Between(caller="gemini_embeddings", provider="openai", asked=asked)
    with pytest.raises(ValueError, match="vector"):
        answers.whole(json.dumps(document).encode(), between)

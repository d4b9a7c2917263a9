"""Translates answers with embeddings, for callers of OpenAI's and of Gemini's API."""

from array import array
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from sys import byteorder

from proxy.gateway.translation.embeddings_neutral import Vectors
from proxy.gateway.translation.losses import Json
from proxy.gateway.translation.values import listed, mapping

USAGE = "usage"  # that the provider did not state


def said(
    document: Json, provider: str, caller: str, of: Json
) -> tuple[dict[str, object], tuple[str, ...]]:
    """The answer of a provider's API in the caller's, and what of it could not be told.

    `of` is `embeddings_asks.asked`.  Raises ValueError unless there is a vector for each text.
    """
    found = _READS[provider](document)
    if len(found.vectors) != of["count"]:
        raise ValueError("it has not one vector for each text")
    if caller == "gemini_embeddings":
        return _to_gemini(found, of), ()
    return _to_openai(found, of), (USAGE,) if found.tokens is None else ()


# -- reading --------------------------------------------------------------------------------------


def _openai(document: Json) -> Vectors:
    """Each vector with the number of its text."""
    data = [mapping(one) for one in listed(document.get("data"))]
    places = [one.get("index", at) for at, one in enumerate(data)]
    if sorted(places, key=str) != sorted(range(len(data)), key=str):
        raise ValueError("a vector is missing")
    ordered = sorted(zip(places, data, strict=True), key=lambda pair: int(str(pair[0])))
    vectors = [_vector(one.get("embedding")) for _, one in ordered]
    tokens = _count(mapping(document.get("usage")).get("prompt_tokens"))
    return Vectors(vectors=vectors, tokens=tokens)


def _gemini(document: Json) -> Vectors:
    vectors = [_vector(mapping(one).get("values")) for one in listed(document.get("embeddings"))]
    tokens = _count(mapping(document.get("usageMetadata")).get("promptTokenCount"))
    return Vectors(vectors=vectors, tokens=tokens)


def _cohere(document: Json) -> Vectors:
    """By their types, of which one was asked for; billed tokens are those of the texts."""
    found = mapping(document.get("embeddings")).get("float")
    billed = mapping(mapping(document.get("meta")).get("billed_units"))
    tokens = _count(billed.get("input_tokens"))
    return Vectors(vectors=[_vector(one) for one in listed(found)], tokens=tokens)


def _vector(value: object) -> list[float]:
    values = listed(value)
    numbers = [n for n in values if isinstance(n, int | float) and not isinstance(n, bool)]
    if not numbers or len(numbers) < len(values):
        raise ValueError("a vector is missing")
    return numbers


def _count(value: object) -> int | None:
    """Of tokens; Cohere's are whole numbers that may be written 7.0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return None
    return int(value)


_READS: Mapping[str, Callable[[Json], Vectors]] = {
    "openai": _openai,
    "gemini": _gemini,
    "cohere": _cohere,
}


# -- saying ---------------------------------------------------------------------------------------


def _to_openai(found: Vectors, of: Json) -> dict[str, object]:
    data = [
        {"object": "embedding", "index": at, "embedding": _encoded(vector, of["encoding_format"])}
        for at, vector in enumerate(found.vectors)
    ]
    tokens = found.tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens} if tokens is not None else None
    return {"object": "list", "data": data, "model": of["model"], "usage": usage}


def _to_gemini(found: Vectors, of: Json) -> dict[str, object]:
    """Whose own answers often state no tokens."""
    values = [{"values": vector} for vector in found.vectors]
    made: dict[str, object] = {"embeddings": values} if of["batch"] else {"embedding": values[0]}
    if found.tokens is not None:
        made["usageMetadata"] = {"promptTokenCount": found.tokens}
    return made


def _encoded(vector: Sequence[float], form: object) -> object:
    """As a list, or as base64 of 32-bit floats, the lowest byte first."""
    if form != "base64":
        return vector
    packed = array("f", vector)
    if byteorder == "big":
        packed.byteswap()
    return b64encode(packed.tobytes()).decode()

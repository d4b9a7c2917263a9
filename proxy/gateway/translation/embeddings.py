"""Translates OpenAI's embeddings for Gemini, and what comes back.

https://platform.openai.com/docs/api-reference/embeddings, https://ai.google.dev/api/embeddings
(2026-11).  Vectors pass as they are; those of two models mean nothing to each other.
"""

from array import array
from base64 import b64encode
from sys import byteorder

from proxy.gateway.translation.losses import Json, Losses, Malformed, Taker
from proxy.gateway.translation.values import listed, mapping

TEXTS_MAX = 100  # of one batch, at Gemini
TOKENS = "token ids belong to one vocabulary; send text"
FORMATS = ("float", "base64")
USAGE = "usage"  # that the provider did not state
REACHED = ("gemini",)  # Cohere wants to know what a vector is for, which nobody says here


def written(body: Json, model: str, losses: Losses) -> dict[str, object]:
    """A batchEmbedContents.  Raises Malformed for what the API itself refuses."""
    top = Taker(body, "", losses)
    top.take("model")
    form = top.text("encoding_format")
    if form and form not in FORMATS:
        raise Malformed(f"encoding_format: expected {' or '.join(FORMATS)}")
    more: dict[str, object] = {"model": f"models/{model}"}
    if (dimensions := top.take("dimensions")) is not None:
        if not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1:
            raise Malformed("dimensions: expected a positive number")
        more["outputDimensionality"] = dimensions
    texts = _texts(top.take("input"), losses)
    top.rest()
    return {"requests": [{**more, "content": {"parts": [{"text": one}]}} for one in texts]}


def _texts(value: object, losses: Losses) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given:
        raise Malformed("input: expected text or a list of texts")
    texts = [one for one in given if isinstance(one, str)]
    if len(texts) < len(given):
        losses.lose("input", TOKENS)
    elif len(texts) > TEXTS_MAX:
        losses.lose("input", f"at most {TEXTS_MAX} texts")
    return texts


def asked(body: Json, model: str) -> Json:
    """What an answer has to know of its request."""
    given = body.get("input")
    count = len(given) if isinstance(given, list) else 1
    return {"model": model, "encoding_format": body.get("encoding_format"), "count": count}


def said(document: Json, of: Json) -> tuple[dict[str, object], tuple[str, ...]]:
    """The answer to `asked`, and what of it could not be told.

    Raises ValueError unless there is a vector for each text.
    """
    vectors = [_vector(one) for one in listed(document.get("embeddings"))]
    if len(vectors) != of["count"]:
        raise ValueError("it has not one vector for each text")
    data = [
        {"object": "embedding", "index": at, "embedding": _encoded(vector, of["encoding_format"])}
        for at, vector in enumerate(vectors)
    ]
    tokens = mapping(document.get("usageMetadata")).get("promptTokenCount")
    usage = {"prompt_tokens": tokens, "total_tokens": tokens} if tokens is not None else None
    made: dict[str, object] = {"object": "list", "data": data, "model": of["model"], "usage": usage}
    return made, (USAGE,) if usage is None else ()


def _vector(value: object) -> list[float]:
    values = listed(mapping(value).get("values"))
    numbers = [n for n in values if isinstance(n, int | float) and not isinstance(n, bool)]
    if not numbers or len(numbers) < len(values):
        raise ValueError("a vector is missing")
    return numbers


def _encoded(vector: list[float], form: object) -> object:
    """As a list, or as base64 of 32-bit floats, the lowest byte first."""
    if form != "base64":
        return vector
    packed = array("f", vector)
    if byteorder == "big":
        packed.byteswap()
    return b64encode(packed.tobytes()).decode()

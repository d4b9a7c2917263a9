"""An example of each request field of OpenAI's and Gemini's embeddings."""

from collections.abc import Mapping
from typing import Any

from proxy.gateway.translation.field_names_embeddings import BATCH, GEMINI_EMBEDDINGS_PARTS
from support.media import SOMETHING, Json

EMBEDDINGS: Mapping[str, Json] = {
    "model": {},
    "input": {"input": ["time", "people"]},
    "dimensions": {"dimensions": 64},
    "encoding_format": {"encoding_format": "base64"},
    "input_type": {"input_type": "clustering"},
    "truncate": {"truncate": "NONE"},
    "user": {"user": "ann"},
}
_SETTINGS: Mapping[str, Any] = {
    "taskType": "CLUSTERING",
    "title": "a",
    "outputDimensionality": 64,
    "autoTruncate": False,
    "mimeType": "text/plain",
    "documentOcr": True,
    "audioTrackExtraction": True,
}


def _parts(*parts: Any) -> Json:
    return {"content": {"parts": [*parts]}}


_ONE: Mapping[str, Json] = {
    "model": {"model": "models/r"},
    "content.role": {"content": {"role": "user", "parts": [{"text": "hi"}]}},
    "content.parts[].text": _parts({"text": "time"}),
    **{name: {name: value} for name, value in _SETTINGS.items()},
    **{
        f"embedContentConfig.{name}": {"embedContentConfig": {name: value}}
        for name, value in _SETTINGS.items()
    },
    **{
        f"content.parts[].{name}.*": _parts({"text": "hi", name: SOMETHING})
        for name in GEMINI_EMBEDDINGS_PARTS
    },
}
HI = _parts({"text": "hi"})


def gemini_embeddings(name: str) -> Json:
    """A request that has the field, alone or in a batch."""
    if not name.startswith(BATCH):
        return HI | _ONE[name]
    return {"requests": [HI | _ONE[name.removeprefix(BATCH)]]}


def with_purpose(body: Json) -> Json:
    """As Cohere wants it, if it says none: Gemini's field, or that of OpenAI's dialect."""
    if "input" in body:
        return {"input_type": "search_query"} | body
    if "requests" in body:
        return {"requests": [with_purpose(one) for one in body["requests"]]}
    said = "taskType" in body or "taskType" in body.get("embedContentConfig", {})
    return body if said else {"taskType": "RETRIEVAL_QUERY"} | body

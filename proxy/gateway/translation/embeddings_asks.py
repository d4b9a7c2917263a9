"""Translates requests for embeddings: from OpenAI's and Gemini's API, to those and to Cohere's.

https://platform.openai.com/docs/api-reference/embeddings, https://ai.google.dev/api/embeddings,
https://docs.cohere.com/reference/embed (2026-11).  OpenAI's API has no word for what a vector is
for; `input_type` and `truncate` are what others of its dialect take
(https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html).
"""

from collections.abc import Callable, Mapping

from proxy.gateway.translation.embeddings_neutral import Wanted
from proxy.gateway.translation.losses import Json, Losses, Malformed, Taker
from proxy.gateway.translation.neutral import Setting, Settings, Target

FORMATS = ("float", "base64")
# The caller's API → the APIs of those who serve it, where it is not their own.
REACHED: Mapping[str, tuple[str, ...]] = {
    "embeddings": ("gemini", "cohere"),
    "gemini_embeddings": ("openai", "cohere"),
}
TEXTS_MAX = {"openai": 2048, "gemini": 100, "cohere": 96}  # of one call
TOKENS = "token ids belong to one vocabulary; send text"
APART = "the texts of one call have one purpose and one size"
UNSAID = "Cohere must be told: search_query, search_document, classification or clustering"
# Words for what a vector is for, by the APIs that have them.
GEMINIS = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}
COHERES = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
_FROM_GEMINI = {theirs: ours for ours, theirs in GEMINIS.items()}
_FROM_OPENAI = {
    **{theirs: ours for ours, theirs in COHERES.items()},
    **{"query": "query", "passage": "document", "document": "document"},
}
CUTS = ("NONE", "START", "END")  # of a text that is too long: refuse it, or cut off which end
# Providers of OpenAI's dialect that call the size something else.
# https://docs.mistral.ai/api, https://docs.voyageai.com/reference/embeddings-api (2026-11)
DIMENSIONS = {"mistral": "output_dimension", "voyage": "output_dimension"}


def translated(api: str, body: Json, target: Target, losses: Losses) -> dict[str, object]:
    """The request in the target's API.  Raises Malformed for what the caller's own API refuses."""
    wanted = _READS[api](body, losses)
    most = TEXTS_MAX[target.api]
    if len(wanted.texts) > most:
        losses.need(wanted.texts_field, f"at most {most} texts")
    left = Settings(wanted.settings, losses)
    written = _WRITES[target.api](wanted, target, left, losses)
    left.rest()
    return written


def asked(api: str, body: Json, model: str) -> Json:
    """What an answer has to know of its request."""
    given = body.get("requests" if api == "gemini_embeddings" else "input")
    count = len(given) if isinstance(given, list) else 1
    form = {"encoding_format": body.get("encoding_format"), "batch": "requests" in body}
    return {"model": model, "count": count, **form}


# -- reading --------------------------------------------------------------------------------------


def _openai(body: Json, losses: Losses) -> Wanted:
    top = Taker(body, "", losses)
    top.take("model")
    form = top.text("encoding_format")
    if form and form not in FORMATS:
        raise Malformed(f"encoding_format: expected {' or '.join(FORMATS)}")
    into: dict[str, Setting] = {}
    _dimensions(top, into, "dimensions")
    _word(top, into, "purpose", _FROM_OPENAI, "input_type")
    _word(top, into, "truncate", {one: one for one in CUTS}, "truncate")
    texts = _inputs(top.take("input"), losses)
    top.rest()
    return Wanted(texts=texts, texts_field="input", purpose_field="input_type", settings=into)


def _inputs(value: object, losses: Losses) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given:
        raise Malformed("input: expected text or a list of texts")
    texts = [one for one in given if isinstance(one, str)]
    if len(texts) < len(given):
        losses.need("input", TOKENS)
    return texts


def _gemini(body: Json, losses: Losses) -> Wanted:
    """One content, or a batch of them, whose settings have to be the same."""
    top = Taker(body, "", losses)
    batch = top.has("requests")
    ones = top.each("requests") if batch else [top]
    if not ones:
        raise Malformed("requests: expected at least one")
    texts: list[str] = []
    settings: dict[str, Setting] = {}
    for number, one in enumerate(ones):
        into = _settings(one)
        texts.append(_content(one))
        if not number:
            settings = into
        for name in settings.keys() ^ into.keys():
            losses.lose((settings.get(name) or into[name]).field, APART)
        for name in settings.keys() & into.keys():
            if settings[name] != into[name]:
                losses.lose(into[name].field, APART)
    if batch:
        top.rest()
    return Wanted(
        texts=texts,
        texts_field="requests" if batch else "content",
        purpose_field=ones[0].name("taskType"),
        settings=settings,
    )


def _settings(one: Taker) -> dict[str, Setting]:
    """Of one content; a newer form has them in an object of their own."""
    one.take("model")
    into: dict[str, Setting] = {}
    inner = one.inner("embedContentConfig", "embed_content_config")
    for of in (one, inner) if inner is not None else (one,):
        _word(of, into, "purpose", _FROM_GEMINI, "taskType", "task_type")
        _dimensions(of, into, "outputDimensionality", "output_dimensionality")
        if isinstance(cut := of.take("autoTruncate", "auto_truncate"), bool):
            into["truncate"] = Setting("END" if cut else "NONE", of.name("autoTruncate"))
    if inner is not None:
        inner.rest()
    return into


def _content(one: Taker) -> str:
    """Its text; several parts of one content would be one vector, and other media are not read."""
    content = one.inner("content")
    if content is None:
        raise Malformed(f"{one.name('content')}: missing")
    content.take("role")
    texts = []
    for part in content.each("parts"):
        if part.has("text"):
            texts.append(part.text("text"))
        part.rest()
    if len(texts) > 1:
        content.losses.need(content.name("parts"), "one text becomes one vector")
    content.rest()
    one.rest()
    return "".join(texts)


def _dimensions(of: Taker, into: dict[str, Setting], *keys: str) -> None:
    if (value := of.take(*keys)) is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Malformed(f"{of.name(keys[0])}: expected a positive number")
    into["dimensions"] = Setting(value, of.name(keys[0]))


def _word(
    of: Taker, into: dict[str, Setting], name: str, known: Mapping[str, str], *keys: str
) -> None:
    """A setting in one of several words; any other is lost."""
    if said := of.text(*keys):
        if said in known:
            into[name] = Setting(known[said], of.name(keys[0]))
        else:
            of.losses.lose(of.name(keys[0]), said)


# -- writing --------------------------------------------------------------------------------------


def _to_openai(
    wanted: Wanted, target: Target, left: Settings, _losses: Losses
) -> dict[str, object]:
    body: dict[str, object] = {"model": target.model, "input": wanted.texts}
    left.copy({"dimensions": DIMENSIONS.get(target.provider, "dimensions")}, body)
    return body


def _to_gemini(
    wanted: Wanted, target: Target, left: Settings, _losses: Losses
) -> dict[str, object]:
    more: dict[str, object] = {"model": f"models/{target.model}"}
    left.copy({"dimensions": "outputDimensionality"}, more)
    if (purpose := left.take("purpose")) is not None:
        more["taskType"] = GEMINIS[str(purpose)]
    return {"requests": [{**more, "content": {"parts": [{"text": one}]}} for one in wanted.texts]}


def _to_cohere(wanted: Wanted, target: Target, left: Settings, losses: Losses) -> dict[str, object]:
    body: dict[str, object] = {"model": target.model, "texts": wanted.texts}
    body["embedding_types"] = ["float"]
    left.copy({"dimensions": "output_dimension", "truncate": "truncate"}, body)
    purpose = left.peek("purpose")
    if purpose in COHERES:
        body["input_type"] = COHERES[str(left.take("purpose"))]
    else:
        losses.need(wanted.purpose_field, UNSAID)
    return body


_READS: Mapping[str, Callable[[Json, Losses], Wanted]] = {
    "embeddings": _openai,
    "gemini_embeddings": _gemini,
}
_WRITES: Mapping[str, Callable[[Wanted, Target, Settings, Losses], dict[str, object]]] = {
    "openai": _to_openai,
    "gemini": _to_gemini,
    "cohere": _to_cohere,
}

"""Gemini: thoughts are outside of the candidates' count, cached tokens inside the prompt's.

A stream is server-sent events with `alt=sse`, else one JSON array that grows; every chunk carries
the usage so far.
"""

from collections.abc import Iterator
from random import Random

from evaluation.standin.answers import (
    TOOL_ARGUMENTS,
    Answer,
    Json,
    Request,
    Script,
    Step,
    Tokens,
    counted,
    encode,
    identifier,
    script,
    sse,
)

CHUNK_TOKENS = 8  # Gemini sends few, large chunks
EMBEDDING_SIZE = 32


def prompt_tokens(body: Json) -> int:
    """Tokens of contents, system instruction and tools; one more for each content."""
    contents = body.get("contents") or []
    given = [contents, body.get("systemInstruction"), body.get("tools")]
    return len(contents) + counted([_texts(part) for part in given])


def answer(request: Request) -> Answer:
    """`POST …/models/M:generateContent` and `:streamGenerateContent`."""
    body = request.body
    settings = body.get("generationConfig") or {}
    said = script(
        request,
        asked_tokens=prompt_tokens(body),
        limit=settings.get("maxOutputTokens"),
        thinks="thinkingConfig" in settings,
    )
    stream = request.path.endswith(":streamGenerateContent")
    events = stream and request.query.get("alt") == "sse"
    if not stream:
        steps = [Step(encode(_whole(request, said)), said.tokens.output_total)]
    else:
        chunks = [*_chunks(request, said)]
        steps = [Step(sse(c), n) for n, c in chunks] if events else [*_array(chunks)]
    overload = error_document(503, "The model is overloaded. Please try again later.")
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream" if events else "application/json; charset=UTF-8",
        stream=stream,
        model=request.model,
        tokens=said.tokens,
        error_event=sse(overload) if events else b"," + encode(overload) + b"]",
        operation="gemini.generate",
    )


def count(request: Request) -> Answer:
    """`POST …:countTokens`, which costs nothing."""
    total = prompt_tokens(request.body.get("generateContentRequest") or request.body)
    details = [{"modality": "TEXT", "tokenCount": total}]
    document = {"totalTokens": total, "promptTokensDetails": details}
    return Answer(
        steps=(Step(encode(document)),), model=request.model, operation="gemini.count_tokens"
    )


def embeddings(request: Request) -> Answer:
    """`POST …:embedContent` and `:batchEmbedContents`: no usage in the answer."""
    asked = request.body.get("requests")
    contents = [item.get("content") for item in asked or [request.body]]
    random = Random(request.seed)
    vectors = [{"values": [random.uniform(-1, 1) for _ in range(EMBEDDING_SIZE)]} for _ in contents]
    document = {"embeddings": vectors} if asked else {"embedding": vectors[0]}
    tokens = sum(1 + counted(_texts(content)) for content in contents)
    return Answer(
        steps=(Step(encode(document)),),
        model=request.model,
        tokens=Tokens(input=tokens),
        reported=False,
        operation="gemini.embeddings",
    )


def error_document(status: int, message: str) -> Json:
    """Google's error body, for `status`."""
    kinds = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        503: "UNAVAILABLE",
    }
    kind = kinds.get(status, "INTERNAL")
    return {"error": {"code": status, "message": message, "status": kind}}


def _texts(document: object) -> object:
    """`document` without roles and the like: only what is under `text` counts."""
    if isinstance(document, dict):
        return [v if k == "text" else _texts(v) for k, v in document.items()]
    if isinstance(document, list):
        return [_texts(item) for item in document]
    return None


def _usage(request: Request, said: Script, candidates: int) -> Json:
    tokens = said.tokens
    prompt = tokens.input_total
    usage: Json = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": candidates,
        "totalTokenCount": prompt + candidates + tokens.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "serviceTier": request.steering.service_tier or "standard",
    }
    if tokens.reasoning:
        usage["thoughtsTokenCount"] = tokens.reasoning
    if tokens.cache_read:
        usage["cachedContentTokenCount"] = tokens.cache_read
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens.cache_read}]
    return usage


def _response(
    request: Request, said: Script, parts: list[Json], candidates: int, finish: str = ""
) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(request, said, candidates),
        "modelVersion": request.model,
        "responseId": identifier("", request.seed, length=22),
    }


def _shows_thoughts(request: Request) -> bool:
    thinking = (request.body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return bool(
        thinking.get("includeThoughts") or thinking.get("include_thoughts")
    )  # both are taken


def _finish(said: Script) -> str:
    return "MAX_TOKENS" if said.cut_short else "STOP"


def _call(said: Script) -> Json:
    return {"functionCall": {"name": said.tool, "args": TOOL_ARGUMENTS}}


def _whole(request: Request, said: Script) -> Json:
    parts: list[Json] = []
    if said.thoughts and _shows_thoughts(request):
        parts.append({"text": said.thought, "thought": True})
    if said.words or not said.tool:
        parts.append({"text": said.text})
    if said.tool:
        parts.append(_call(said))
    return _response(request, said, parts, said.tokens.output, _finish(said))


def _chunks(request: Request, said: Script) -> Iterator[tuple[int, Json]]:
    """Output tokens and document of each chunk; the last one has the finish reason."""
    hidden = len(said.thoughts)
    if said.thoughts and _shows_thoughts(request):
        part = {"text": said.thought, "thought": True}
        yield hidden, _response(request, said, [part], 0)
        hidden = 0
    groups = [
        said.words[at : at + CHUNK_TOKENS] for at in range(0, len(said.words), CHUNK_TOKENS)
    ] or [()]
    sent = 0
    for number, group in enumerate(groups, 1):
        sent += len(group)
        last = number == len(groups) and not said.tool
        part = {"text": "".join(group)}
        finish = _finish(said) if last else ""
        yield hidden + len(group), _response(request, said, [part], sent, finish)
        hidden = 0
    if said.tool:
        whole = _response(request, said, [_call(said)], said.tokens.output, _finish(said))
        yield said.tool_tokens, whole


def _array(chunks: list[tuple[int, Json]]) -> Iterator[Step]:
    """The chunks as one JSON array, written piece by piece."""
    for number, (tokens, chunk) in enumerate(chunks):
        yield Step((b",\r\n" if number else b"[") + encode(chunk), tokens)
    yield Step(b"]\n")

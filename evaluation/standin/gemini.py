"""Gemini: the candidates' count excludes thoughts, the prompt's count includes cached tokens.

A stream is server-sent events with `alt=sse`, else one growing JSON array; every chunk has the
usage so far.
"""

from collections.abc import Iterator
from random import Random

from evaluation.standin.answers import (
    Answer,
    Json,
    Reply,
    Request,
    Step,
    Tokens,
    counted,
    encode,
    identifier,
    make_reply,
    sse,
)

CHUNK_TOKENS = 8  # Gemini sends few, large chunks
EMBEDDING_SIZE = 32


def prompt_tokens(body: Json) -> int:
    """Tokens of contents, system instruction and tools, plus one per content."""
    contents = body.get("contents") or []
    given = [contents, body.get("systemInstruction"), body.get("tools")]
    return len(contents) + counted([_texts(part) for part in given])


def answer(request: Request) -> Answer:
    """`POST …/models/M:generateContent` and `:streamGenerateContent`."""
    body = request.body
    settings = body.get("generationConfig") or {}
    reply = make_reply(
        request,
        prompt_tokens=prompt_tokens(body),
        limit=settings.get("maxOutputTokens"),
        thinks="thinkingConfig" in settings,
    )
    stream = request.path.endswith(":streamGenerateContent")
    events = stream and request.query.get("alt") == "sse"
    if not stream:
        steps = [Step(encode(_whole(request, reply)), reply.tokens.output_total)]
    else:
        chunks = [*_chunks(request, reply)]
        steps = [Step(sse(c), n) for n, c in chunks] if events else [*_array(chunks)]
    overload = error_document(503, "The model is overloaded. Please try again later.")
    return Answer(
        steps=tuple(steps),
        content_type="text/event-stream" if events else "application/json; charset=UTF-8",
        stream=stream,
        model=request.model,
        tokens=reply.tokens,
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
    batch = request.body.get("requests")
    contents = [item.get("content") for item in batch or [request.body]]
    random = Random(request.seed)
    vectors = [{"values": [random.uniform(-1, 1) for _ in range(EMBEDDING_SIZE)]} for _ in contents]
    document = {"embeddings": vectors} if batch else {"embedding": vectors[0]}
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
    """The values of `text` in `document`: roles and the like do not count."""
    if isinstance(document, dict):
        return [v if k == "text" else _texts(v) for k, v in document.items()]
    if isinstance(document, list):
        return [_texts(item) for item in document]
    return None


def _usage(request: Request, reply: Reply, candidates: int) -> Json:
    tokens = reply.tokens
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
    request: Request, reply: Reply, parts: list[Json], candidates: int, finish: str = ""
) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(request, reply, candidates),
        "modelVersion": request.model,
        "responseId": identifier("", request.seed, length=22),
    }


def _shows_thoughts(request: Request) -> bool:
    thinking = (request.body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return bool(thinking.get("includeThoughts") or thinking.get("include_thoughts"))  # both work


def _finish(reply: Reply) -> str:
    return "MAX_TOKENS" if reply.cut_short else "STOP"


def _call(reply: Reply) -> Json:
    return {"functionCall": {"name": reply.tool, "args": reply.arguments}}


def _whole(request: Request, reply: Reply) -> Json:
    parts: list[Json] = []
    if reply.thoughts and _shows_thoughts(request):
        parts.append({"text": reply.thought, "thought": True})
    if reply.words or not reply.tool:
        parts.append({"text": reply.text})
    if reply.tool:
        parts.append(_call(reply))
    return _response(request, reply, parts, reply.tokens.output, _finish(reply))


def _chunks(request: Request, reply: Reply) -> Iterator[tuple[int, Json]]:
    """Output tokens and document of each chunk; the last one has the finish reason."""
    hidden = len(reply.thoughts)
    if reply.thoughts and _shows_thoughts(request):
        part = {"text": reply.thought, "thought": True}
        yield hidden, _response(request, reply, [part], 0)
        hidden = 0
    groups = [
        reply.words[at : at + CHUNK_TOKENS] for at in range(0, len(reply.words), CHUNK_TOKENS)
    ] or [()]
    sent = 0
    for number, group in enumerate(groups, 1):
        sent += len(group)
        last = number == len(groups) and not reply.tool
        part = {"text": "".join(group)}
        finish = _finish(reply) if last else ""
        yield hidden + len(group), _response(request, reply, [part], sent, finish)
        hidden = 0
    if reply.tool:
        whole = _response(request, reply, [_call(reply)], reply.tokens.output, _finish(reply))
        yield reply.tool_tokens, whole


def _array(chunks: list[tuple[int, Json]]) -> Iterator[Step]:
    """The chunks as one JSON array, written piece by piece."""
    for number, (tokens, chunk) in enumerate(chunks):
        yield Step((b",\r\n" if number else b"[") + encode(chunk), tokens)
    yield Step(b"]\n")

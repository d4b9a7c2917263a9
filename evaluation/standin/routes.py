"""Chooses the dialect of a request by the end of its path, whatever the prefix."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

import msgspec

from evaluation.standin import (
    anthropic,
    anthropic_batches,
    bedrock,
    cohere,
    dashscope,
    gemini,
    ollama,
    openai_chat,
    openai_files,
    openai_media,
    openai_responses,
    steering,
)
from evaluation.standin.answers import Answer, Json, Request, Step, encode, identifier

POSTS: Mapping[str, Callable[[Request], Answer]] = {
    "/chat/completions": openai_chat.answer,
    "/responses/input_tokens": openai_responses.count,
    "/responses": openai_responses.answer,
    "/embeddings": openai_files.embeddings,
    "/messages/count_tokens": anthropic.count,
    "/messages": anthropic.answer,
    ":generateContent": gemini.answer,
    ":streamGenerateContent": gemini.answer,
    ":countTokens": gemini.count,
    ":embedContent": gemini.embeddings,
    ":batchEmbedContents": gemini.embeddings,
    "/images/generations": openai_media.images,
    "/v2/chat": cohere.answer,
    "/v2/embed": cohere.embeddings,
    "/api/chat": ollama.answer,
    "/api/embed": ollama.embeddings,
    "/services/aigc/text-generation/generation": dashscope.answer,
    "/converse": bedrock.answer,
    "/converse-stream": bedrock.answer,
    "/invoke": bedrock.invoke,
    "/invoke-with-response-stream": bedrock.invoke,
}
# The error document by a part of the path; OpenAI's by default.
ERRORS: Mapping[str, Callable[[int, str], Json]] = {
    "/messages": anthropic.error_document,
    "/v1beta/": gemini.error_document,
    "/v2/": cohere.error_document,
    "/services/": dashscope.error_document,
    "/api/": ollama.error_document,
    "/model/": bedrock.error_document,
}


class Shelves:
    """The state that one running stand-in keeps between calls."""

    def __init__(self) -> None:
        self.openai = openai_files.Shelf(batch_line)
        self.anthropic = anthropic_batches.Batches(batch_line)


def read(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """Parse a request; `raw` is the body without content coding.  Raises ValueError."""
    path, _, query = target.partition("?")
    body: object = {}
    if raw and "json" in headers.get("content-type", "json"):
        body = msgspec.json.decode(raw)
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    model, steered = steering.read(headers, str(body.get("model") or _model_in(path)))
    return Request(
        method=method,
        path=path,
        query=dict(parse_qsl(query)),
        headers=headers,
        body=body,
        steering=steered,
        model=model,
        seed=hashlib.sha256(path.encode() + b"\0" + raw).hexdigest(),
    )


def answer(request: Request, shelves: Shelves, raw: bytes) -> Answer:
    """The answer of the provider behind `request.path`, or the error that the steering sets."""
    if request.steering.status >= 400:
        return error(request, request.steering.status, "This error was requested.")
    found = _post(request, shelves, raw) if request.method == "POST" else _get(request, shelves)
    if found is None:
        return error(request, 404, f"No such endpoint: {request.method} {request.path}.")
    if found.kept is not None:
        shelves.openai.keep_response(found.kept)
    return found


def error(request: Request, status: int, message: str) -> Answer:
    """The dialect's own error document."""
    headers = {"x-request-id": identifier("req_", request.seed)}
    if request.steering.retry_after_s is not None:
        headers["retry-after"] = f"{request.steering.retry_after_s:g}"
    document = error_document(request.path, request.headers, status, message)
    return Answer(
        steps=(Step(encode(document)),), status=status, headers=headers, model=request.model
    )


def error_document(path: str, headers: Mapping[str, str], status: int, message: str) -> Json:
    """The error body of the provider behind `path`."""
    if "anthropic-version" in headers:
        return anthropic.error_document(status, message)
    if "x-goog-api-key" in headers:
        return gemini.error_document(status, message)
    found = (document for part, document in ERRORS.items() if part in path)
    return next(found, openai_chat.error_document)(status, message)


def batch_line(path: str, body: Json, seed: str) -> tuple[int, Json]:
    """The answer to one line of a batch: status and document.  It differs by batch (`seed`)."""
    try:
        request = read("POST", path, {"content-type": "application/json"}, encode(body))
        request = replace(request, seed=seed)
    except ValueError as failure:
        return 400, openai_chat.error_document(400, str(failure))
    respond = next((r for ending, r in POSTS.items() if path.endswith(ending)), None)
    if respond is None or request.steering.status >= 400:
        status = request.steering.status if respond else 404
        return status, openai_chat.error_document(status, "This line cannot be answered.")
    return 200, msgspec.json.decode(respond(request).steps[0].data)


def _post(request: Request, shelves: Shelves, raw: bytes) -> Answer | None:
    for ending, respond in POSTS.items():
        if request.path.endswith(ending):
            return respond(request)
    kind = request.headers.get("content-type", "")
    if request.path.endswith("/audio/transcriptions"):
        return openai_media.transcription(request.seed, raw, kind)
    if request.path.endswith("/files"):
        return shelves.openai.upload(raw, kind)
    if request.path.endswith("/messages/batches"):
        return shelves.anthropic.create(request.body)
    if request.path.endswith("/batches"):
        return shelves.openai.create(request.body)
    return None


def _get(request: Request, shelves: Shelves) -> Answer | None:
    before, _, last = request.path.rpartition("/")
    item, host = before.rpartition("/")[2], request.headers.get("host", "")
    fixed: Mapping[str, Callable[[], Answer | None]] = {
        "": lambda: Answer(steps=(Step(b"{}"),)),  # Claude Code starts with HEAD /
        "models": openai_files.models,
        "content": lambda: shelves.openai.file(item, content=True),
        "results": lambda: shelves.anthropic.results(item),
    }
    if last in fixed:
        return fixed[last]()
    kept: Mapping[str, Callable[[], Answer | None]] = {
        "/messages/batches": lambda: shelves.anthropic.poll(last, host),
        "/batches": lambda: shelves.openai.poll(last),
        "/files": lambda: shelves.openai.file(last, content=False),
        "/responses": lambda: shelves.openai.response(last),
    }
    return next((fetch() for ending, fetch in kept.items() if before.endswith(ending)), None)


def _model_in(path: str) -> str:
    """The model in a path: Gemini's `…/models/M:verb`, Bedrock's `/model/M/verb`."""
    _, found, rest = path.rpartition("/models/")
    if found:
        return unquote(rest.partition(":")[0])
    _, _, rest = path.partition("/model/")
    return unquote(rest.rpartition("/")[0])

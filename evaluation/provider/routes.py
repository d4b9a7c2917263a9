"""Which dialect a request speaks, by the end of its path; any prefix before it is fine."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

import msgspec

from evaluation.provider import (
    anthropic,
    gemini,
    openai_chat,
    openai_files,
    openai_responses,
    steering,
)
from evaluation.provider.answers import Answer, Json, Request, Step, encode, identifier

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
}


def read(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """The request as the dialects see it; `raw` is the body, decoded.  Raises ValueError."""
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


def answer(request: Request, shelf: openai_files.Shelf, raw: bytes) -> Answer:
    """What the provider behind `request.path` says, errors that were asked for included."""
    if request.steering.status >= 400:
        return error(request, request.steering.status, "This error was asked for.")
    found = (_post if request.method == "POST" else _get)(request, shelf, raw)
    return found or error(request, 404, f"There is nothing at {request.method} {request.path}.")


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
    """The error body of whoever owns `path`."""
    if "/messages" in path or "anthropic-version" in headers:
        return anthropic.error_document(status, message)
    if "/v1beta/" in path or "x-goog-api-key" in headers:
        return gemini.error_document(status, message)
    return openai_chat.error_document(status, message)


def batch_line(path: str, body: Json, seed: str) -> tuple[int, Json]:
    """One line of a batch: status and document.  The same line in another batch says another."""
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


def _post(request: Request, shelf: openai_files.Shelf, raw: bytes) -> Answer | None:
    for ending, respond in POSTS.items():
        if request.path.endswith(ending):
            return respond(request)
    if request.path.endswith("/files"):
        return shelf.upload(raw, request.headers.get("content-type", ""))
    if request.path.endswith("/batches"):
        return shelf.create(request.body)
    return None


def _get(request: Request, shelf: openai_files.Shelf, _raw: bytes) -> Answer | None:
    path = request.path
    if path in ("", "/"):  # Claude Code says HEAD / first
        return Answer(steps=(Step(b"{}"),))
    if path.endswith("/models"):
        return openai_files.models()
    before, _, last = path.rpartition("/")
    if before.endswith("/batches"):
        return shelf.poll(last)
    if before.endswith("/files"):
        return shelf.file(last, content=False)
    if last == "content":
        return shelf.file(before.rpartition("/")[2], content=True)
    return None


def _model_in(path: str) -> str:
    """The model that Gemini's paths name: `…/models/M:verb`."""
    _, found, rest = path.rpartition("/models/")
    return unquote(rest.partition(":")[0]) if found else ""

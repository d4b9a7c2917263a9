"""The calls to damage: responses of the stand-in in every dialect, and recordings if any."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evaluation.standin import routes, sessions
from evaluation.standin.answers import Answer

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "responses"
RECORDED_BYTES_MAX = 16 * 1024  # a larger one would take as long as many
JSON = (("content-type", "application/json"),)
FOLDERS = {"google": "gemini", "google_vertex": "vertex", "dashscope": "qwen"}
FAMILIES = {
    "anthropic": "anthropic",
    "gemini": "gemini",
    "vertex": "gemini",
    "bedrock": "bedrock",
    "cohere": "cohere",
    "ollama": "ollama",
}
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """A call as in the journal; `messages` are (up, opcode and payload) of a WebSocket."""

    name: str
    method: str = "POST"
    target: str
    provider: str
    request_headers: Headers = JSON
    request: bytes = b""
    status: int = 200
    headers: Headers = JSON
    response: bytes = b""
    messages: tuple[tuple[bool, bytes], ...] = ()

    @property
    def family(self) -> str:
        """The provider's dialect."""
        return FAMILIES.get(self.provider, "openai")


PROMPT = "time people year"
TURNS = [{"role": "user", "content": PROMPT}]
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CLAUDE = {"model": "claude-sonnet-5-5", "max_tokens": 99, "messages": TURNS}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "stream": True}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
BEDROCK = {"messages": [{"role": "user", "content": [{"text": PROMPT}]}]}
SSE_ASKED = (*JSON, ("x-dashscope-sse", "enable"))
QWEN = {"model": "qwen-plus", "input": {"messages": TURNS}, "parameters": {"max_tokens": 99}}
BOUNDARY = "a-boundary"
FORM = (("content-type", f"multipart/form-data; boundary={BOUNDARY}"),)
FIELDS = (
    f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt-4o-transcribe\r\n'
    f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n'
    f"content-type: audio/wav\r\n\r\n{'RIFF' * 2_000}\r\n--{BOUNDARY}--\r\n"
).encode()
GEMINI_MODEL = "/v1beta/models/gemini-2.5-flash"
BEDROCK_MODEL = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"

ASKED: tuple[tuple[str, str, object], ...] = (
    ("openai", "/v1/chat/completions", {"model": "gpt-5.4", "messages": TURNS, "tools": TOOLS}),
    ("openai", "/v1/chat/completions", {"model": "gpt-5.4", "messages": TURNS, **USAGE}),
    ("openai", "/v1/responses", {"model": "gpt-5.4", "input": PROMPT, "tools": []}),
    ("openai", "/v1/responses", {"model": "gpt-5.4", "input": TURNS, "stream": True}),
    ("openai", "/v1/embeddings", {"model": "text-embedding-3-small", "input": [PROMPT]}),
    ("openai", "/v1/images/generations", {"model": "gpt-image-1", "prompt": PROMPT}),
    ("anthropic", "/v1/messages", CLAUDE | {"tools": [{"name": "find"}]}),
    ("anthropic", "/v1/messages", CLAUDE | THINKING),
    ("anthropic", "/v1/messages/count_tokens", CLAUDE),
    ("gemini", f"{GEMINI_MODEL}:generateContent", CONTENTS),
    ("gemini", f"{GEMINI_MODEL}:streamGenerateContent?alt=sse", CONTENTS),
    ("gemini", f"{GEMINI_MODEL}:streamGenerateContent", CONTENTS),
    ("gemini", f"{GEMINI_MODEL}:embedContent", {"content": CONTENTS["contents"][0]}),
    ("mistral", "/v1/chat/completions", {"model": "mistral-large-4", "messages": TURNS}),
    ("deepseek", "/chat/completions", {"model": "deepseek-chat", "messages": TURNS, **USAGE}),
    ("groq", "/openai/v1/chat/completions", {"model": "llama-3.3", "messages": TURNS, **USAGE}),
    ("cohere", "/v2/chat", {"model": "command-a", "messages": TURNS}),
    ("cohere", "/v2/chat", {"model": "command-a", "messages": TURNS, "stream": True}),
    ("cohere", "/v2/embed", {"model": "embed-v4.0", "texts": [PROMPT]}),
    ("ollama", "/api/chat", {"model": "llama3.2", "messages": TURNS, "options": {"seed": 1}}),
    ("ollama", "/api/embed", {"model": "nomic", "input": [PROMPT]}),
    ("qwen", "/api/v1/services/aigc/text-generation/generation", QWEN),
    ("bedrock", f"{BEDROCK_MODEL}/converse", BEDROCK),
    ("bedrock", f"{BEDROCK_MODEL}/converse-stream", BEDROCK),
    ("bedrock", f"{BEDROCK_MODEL}/invoke-with-response-stream", CLAUDE),
)
TOLD: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    (
        "openai",
        "/v1/realtime?model=gpt-realtime",
        (
            {"type": "conversation.item.create", "item": {"content": [{"text": PROMPT}]}},
            {"type": "response.create"},
            {"type": "response.create"},
        ),
    ),
    (
        "openai",
        "/v1/responses",
        ({"type": "response.create", "model": "gpt-5.4", "input": PROMPT},) * 2,
    ),
    (
        "gemini",
        "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
        (
            {"setup": {"model": "models/gemini-live-2.5-flash"}},
            {"clientContent": {"turns": CONTENTS["contents"], "turnComplete": True}},
        ),
    ),
)


@cache
def every() -> tuple[RecordedCall, ...]:
    """Every call, always in the same order."""
    return (*_answered(), *_batches(), *_told(), *_recorded())


def _answered() -> Iterator[RecordedCall]:
    for number, (provider, target, body) in enumerate(ASKED):
        yield _ask(f"standin/{number}", provider, target, json.dumps(body).encode(), JSON)
    qwen = json.dumps(QWEN).encode()
    target = "/api/v1/services/aigc/text-generation/generation"
    yield _ask("standin/dashscope-stream", "qwen", target, qwen, SSE_ASKED)
    yield _ask("standin/form", "openai", "/v1/audio/transcriptions", FIELDS, FORM)


def _ask(name: str, provider: str, target: str, body: bytes, headers: Headers) -> RecordedCall:
    request = routes.read("POST", target, dict(headers), body)
    answer = routes.answer(request, routes.Shelves(), body)
    return RecordedCall(
        name=name,
        target=target,
        provider=provider,
        request_headers=headers,
        request=body,
        status=answer.status,
        headers=(("content-type", answer.content_type), *answer.headers.items()),
        response=b"".join(step.data for step in answer.steps),
    )


def _batches() -> Iterator[RecordedCall]:
    """The download of a finished batch: one JSON value per line, each an item to charge."""
    shelves = routes.Shelves()
    requests = [{"custom_id": name, "params": CLAUDE} for name in "abc"]
    batch_id = json.loads(shelves.anthropic.create({"requests": requests}).steps[0].data)["id"]
    target = f"/v1/messages/batches/{batch_id}/results"
    yield _downloaded("anthropic", target, shelves.anthropic.results(batch_id))
    body = {"model": "gpt-5.4", "messages": TURNS}
    url = "/v1/chat/completions"
    lines = [json.dumps({"custom_id": name, "url": url, "body": body}) for name in "abc"]
    head = "content-disposition: form-data; name=file; filename=in.jsonl"
    form = f"--{BOUNDARY}\r\n{head}\r\n\r\n{chr(10).join(lines)}\r\n--{BOUNDARY}--\r\n"
    uploaded = shelves.openai.upload(form.encode(), FORM[0][1])
    made = shelves.openai.create({"input_file_id": _field(uploaded, "id"), "endpoint": url})
    shelves.openai.poll(_field(made, "id"))
    output = _field(shelves.openai.poll(_field(made, "id")), "output_file_id")
    content = shelves.openai.file(output, content=True)
    yield _downloaded("openai", f"/v1/files/{output}/content", content)


def _field(answer: Answer | None, name: str) -> str:
    return str(json.loads(answer.steps[0].data)[name]) if answer else ""


def _downloaded(provider: str, target: str, answer: Answer | None) -> RecordedCall:
    if answer is None:
        raise ValueError(f"the stand-in serves nothing at {target}")
    return RecordedCall(
        name=f"standin/{provider}-batch",
        method="GET",
        target=target,
        provider=provider,
        headers=(("content-type", answer.content_type),),
        response=answer.steps[0].data,
    )


def _told() -> Iterator[RecordedCall]:
    for provider, target, messages in TOLD:
        session = sessions.find(target, {})
        if session is None:
            raise ValueError(f"the stand-in holds no conversation at {target}")
        said = [(False, document) for document in session.open()]
        for message in messages:
            said.append((True, dict(message)))  # type: ignore[call-overload]  # an object
            said += [(False, document) for document in session.respond(said[-1][1])]
        yield RecordedCall(
            name=f"standin{target}",
            method="GET",
            target=target,
            provider=provider,
            status=101,
            headers=(),
            messages=tuple((up, b"\x01" + json.dumps(document).encode()) for up, document in said),
        )


def _recorded() -> Iterator[RecordedCall]:
    manifest = RECORDED / "manifest.jsonl"
    for line in manifest.read_text().splitlines() if manifest.is_file() else ():
        case = json.loads(line)
        body = (RECORDED / case["file"]).read_bytes()
        if len(body) > RECORDED_BYTES_MAX:
            continue
        method, _, target = case["endpoint"].partition(" ")
        request = (case["request"] or {}) | {"model": case["request_model"]}
        messages = []
        if case["status"] == 101:
            frames = [json.loads(frame) for frame in body.splitlines()]
            messages = [
                (frame["direction"] == "sent", b"\x01" + json.dumps(frame["data"]).encode())
                for frame in frames
            ]
        yield RecordedCall(
            name=f"recorded/{case['file']}",
            method=method,
            target=target,
            provider=FOLDERS.get(case["provider"], case["provider"]),
            request=json.dumps(request).encode(),
            status=case["status"],
            headers=tuple(case["headers"].items()),
            response=b"" if messages else body,
            messages=tuple(messages),
        )

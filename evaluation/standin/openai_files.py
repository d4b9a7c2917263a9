"""OpenAI's files, batches and stored responses; embeddings and models.

A batch is validated when it is created, in progress at the first poll and completed at the second.
"""

import base64
import struct
from collections.abc import Callable
from email.parser import BytesParser
from itertools import count
from random import Random
from typing import Any

import msgspec

from evaluation.standin.answers import (
    CREATED,
    Answer,
    Json,
    Request,
    Step,
    Tokens,
    counted,
    encode,
    identifier,
)

KEPT_MAX = 1_000  # files, batches and responses each; then the oldest is dropped
EMBEDDING_SIZE = 64
MODELS = ("gpt-5.4", "gpt-5.4-mini", "gpt-4.1", "gpt-4o-mini", "text-embedding-3-small")
ENDED = ("completed", "failed", "cancelled")


class Shelf:
    """Files, batches and responses of one running stand-in."""

    def __init__(self, ask: Callable[[str, Json, str], tuple[int, Json]]) -> None:
        """`ask(path, body, seed)` answers one line of a batch: status and document."""
        self._ask = ask
        self._files: dict[str, tuple[Json, bytes]] = {}
        self._batches: dict[str, Json] = {}
        self._responses: dict[str, Json] = {}
        self._made = count()  # numbers files and batches

    def upload(self, raw: bytes, content_type: str) -> Answer | None:
        """`POST /v1/files`, multipart; None if it contains no file."""
        fields = form(raw, content_type)
        if "file" not in fields:
            return None
        _, purpose = fields.get("purpose", ("", b"batch"))
        filename, content = fields["file"]
        return _json(self._keep(filename or "file", content, purpose.decode()), "openai.files")

    def file(self, file_id: str, *, content: bool) -> Answer | None:
        """`GET /v1/files/{id}` and its `/content`."""
        if file_id not in self._files:
            return None
        about, data = self._files[file_id]
        if not content:
            return _json(about, "openai.files")
        return Answer(
            steps=(Step(data),), content_type="application/octet-stream", operation="openai.files"
        )

    def keep_response(self, response: Json) -> None:
        """Keep a response unless its request said `store: false`."""
        self._responses[response["id"]] = response
        _trim(self._responses)

    def response(self, response_id: str) -> Answer | None:
        """`GET /v1/responses/{id}`, which repeats the usage and costs nothing."""
        found = self._responses.get(response_id)
        return None if found is None else _json(found, "openai.responses.fetch")

    def create(self, body: Json) -> Answer | None:
        """`POST /v1/batches`; None if the input file is unknown."""
        source = str(body.get("input_file_id"))
        if source not in self._files:
            return None
        batch_id = identifier("batch_", f"{source}/{next(self._made)}", length=32)
        batch: Json = {
            "id": batch_id,
            "object": "batch",
            "endpoint": body.get("endpoint"),
            "errors": None,
            "input_file_id": source,
            "completion_window": body.get("completion_window", "24h"),
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": CREATED,
            "metadata": body.get("metadata"),
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
        }
        self._batches[batch_id] = batch
        _trim(self._batches)
        return _json(batch, "openai.batches")

    def poll(self, batch_id: str) -> Answer | None:
        """`GET /v1/batches/{id}`: advances the batch by one state."""
        batch = self._batches.get(batch_id)
        if batch is None:
            return None
        if batch["status"] == "validating":
            batch["status"] = "in_progress"
        elif batch["status"] not in ENDED:
            self._complete(batch)
        return _json(batch, "openai.batches")

    def _complete(self, batch: Json) -> None:
        lines, failed = [], 0
        for line in self._files[batch["input_file_id"]][1].splitlines():
            if not line.strip():
                continue
            item = msgspec.json.decode(line)
            seed = f"{batch['id']}/{item['custom_id']}"
            status, document = self._ask(item["url"], item["body"], seed)
            failed += status >= 400
            response = {
                "status_code": status,
                "request_id": identifier("", seed, length=32),
                "body": document,
            }
            lines.append(
                {
                    "id": identifier("batch_req_", seed, length=32),
                    "custom_id": item["custom_id"],
                    "response": response,
                    "error": None,
                }
            )
        output = b"".join(encode(line) + b"\n" for line in lines)
        about = self._keep("output.jsonl", output, "batch_output")
        counts = {"total": len(lines), "completed": len(lines) - failed, "failed": failed}
        batch |= {
            "status": "completed",
            "output_file_id": about["id"],
            "completed_at": CREATED,
            "request_counts": counts,
        }

    def _keep(self, filename: str, content: bytes, purpose: str) -> Json:
        file_id = identifier("file-", f"{filename}/{next(self._made)}")
        about = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": CREATED,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        self._files[file_id] = (about, content)
        _trim(self._files)
        return about


def form(raw: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    """File name ("" if it has none) and content of each field of a multipart form."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + raw)
    found: dict[str, tuple[str, bytes]] = {}
    for part in message.get_payload() if message.is_multipart() else ():
        content = part.get_payload(decode=True)  # type: ignore[union-attr]  # parts are messages
        if isinstance(content, bytes):
            name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
            found[str(name)] = (str(part.get_filename() or ""), content)  # type: ignore[union-attr]
    return found


def embeddings(request: Request) -> Answer:
    """`POST …/embeddings`; `input` is text, texts, or lists of token ids."""
    given = request.body.get("input")
    texts = given if isinstance(given, list) and not _is_ids(given) else [given]
    tokens = sum(len(t) if isinstance(t, list) else counted(t) for t in texts)
    size = request.body.get("dimensions") or EMBEDDING_SIZE
    random = Random(request.seed)
    data = []
    for index in range(len(texts)):
        vector = [random.uniform(-1, 1) for _ in range(size)]
        packed = base64.b64encode(struct.pack(f"<{size}f", *vector)).decode()
        shown = packed if request.body.get("encoding_format") == "base64" else vector
        data.append({"object": "embedding", "index": index, "embedding": shown})
    document = {
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Answer(
        steps=(Step(encode(document)),),
        model=request.model,
        tokens=Tokens(input=tokens),
        operation="openai.embeddings",
    )


def models() -> Answer:
    """`GET …/models`."""
    data = [{"id": m, "object": "model", "created": CREATED, "owned_by": "system"} for m in MODELS]
    return _json({"object": "list", "data": data}, "openai.models")


def _json(document: Json, operation: str) -> Answer:
    return Answer(steps=(Step(encode(document)),), operation=operation)


def _is_ids(given: list[object]) -> bool:
    return bool(given) and isinstance(given[0], int)


def _trim(kept: dict[str, Any]) -> None:
    while len(kept) > KEPT_MAX:
        del kept[next(iter(kept))]

"""Anthropic's message batches: in progress at the first poll, ended at the second."""

from collections.abc import Callable
from itertools import count

from evaluation.standin import anthropic
from evaluation.standin.answers import Answer, Json, Step, encode, identifier

KEPT_MAX = 1_000  # batches; then the oldest is dropped
CREATED_AT = "2026-09-21T13:33:20Z"
EXPIRES_AT = "2026-09-22T13:33:20Z"
PATH = "/v1/messages/batches"


class Batches:
    """The batches of one running stand-in."""

    def __init__(self, ask: Callable[[str, Json, str], tuple[int, Json]]) -> None:
        """`ask(path, body, seed)` answers one request of a batch: status and document."""
        self._ask = ask
        self._batches: dict[str, tuple[Json, list[Json]]] = {}
        self._made = count()

    def create(self, body: Json) -> Answer:
        """`POST /v1/messages/batches`."""
        requests = [*(body.get("requests") or ())]
        batch_id = identifier("msgbatch_01", str(next(self._made)))
        batch: Json = {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": _counts(processing=len(requests)),
            "created_at": CREATED_AT,
            "expires_at": EXPIRES_AT,
            "ended_at": None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
        }
        self._batches[batch_id] = (batch, requests)
        while len(self._batches) > KEPT_MAX:
            del self._batches[next(iter(self._batches))]
        return _answer(encode(batch))

    def poll(self, batch_id: str, host: str) -> Answer | None:
        """`GET /v1/messages/batches/{id}`: in progress once, then ended.

        The results have an absolute URL at `host`, which an SDK requests directly.
        """
        if batch_id not in self._batches:
            return None
        batch, requests = self._batches[batch_id]
        answer = _answer(encode(batch))
        if batch["processing_status"] == "in_progress":
            lines = [self._line(batch_id, request) for request in requests]
            failed = sum(line["result"]["type"] == "errored" for line in lines)
            batch |= {
                "processing_status": "ended",
                "ended_at": CREATED_AT,
                "results_url": f"http://{host}{PATH}/{batch_id}/results",
                "request_counts": _counts(succeeded=len(lines) - failed, errored=failed),
            }
        return answer

    def results(self, batch_id: str) -> Answer | None:
        """`GET /v1/messages/batches/{id}/results`: one JSON value per line."""
        if batch_id not in self._batches:
            return None
        _, requests = self._batches[batch_id]
        lines = [encode(self._line(batch_id, request)) + b"\n" for request in requests]
        return _answer(b"".join(lines), "application/binary")

    def _line(self, batch_id: str, request: Json) -> Json:
        custom_id = request.get("custom_id")
        path, seed = "/v1/messages", f"{batch_id}/{custom_id}"
        status, document = self._ask(path, request.get("params") or {}, seed)
        if status >= 400:
            error = anthropic.error_document(status, "This request cannot be answered.")
            return {"custom_id": custom_id, "result": {"type": "errored", "error": error}}
        usage = document["usage"] | {"service_tier": "batch"}
        result = {"type": "succeeded", "message": document | {"usage": usage}}
        return {"custom_id": custom_id, "result": result}


def _counts(**counts: int) -> Json:
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return {name: counts.get(name, 0) for name in names}


def _answer(data: bytes, content_type: str = "application/json") -> Answer:
    return Answer(steps=(Step(data),), content_type=content_type, operation="anthropic.batches")

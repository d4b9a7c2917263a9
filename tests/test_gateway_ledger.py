"""A provider that bills what it then loses: its ledger is our rows and what they leave open.

Every class of failure, whole and streamed, through the whole product.  An attempt that may have
been billed costs NULL and is not repeated; one that was not billed costs 0.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evaluation.standin import processes
from evaluation.standin.processes import Serving
from pricing import TariffBook
from proxy.door.callers import hashed
from proxy.metering.documents import price_document
from proxy.settings.sources import load
from support.sdks import openai

pytestmark = pytest.mark.slow  # a product of its own
TOKEN = "tmt_" + "l" * 43
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
ANSWERS = "gpt-5.4-mini"  # whoever fails over comes here


@dataclass(frozen=True, slots=True)
class Failure:
    """How a model of this provider fails.  `status` 0: it closes the connection."""

    status: int
    billed: bool
    follows: bool  # whether the gateway asks the next candidate
    body: Mapping[str, object] = field(default_factory=dict)


def _error(code: str, **more: object) -> dict[str, object]:
    return {"error": {"message": "no", "type": code, "code": code}, **more}


# A model for each class: all of them have a price.
FAILURES: Mapping[str, Failure] = {
    "gpt-4o": Failure(504, billed=True, follows=False),
    "gpt-4o-mini": Failure(502, billed=True, follows=False),
    "gpt-4.1": Failure(0, billed=True, follows=False),
    "gpt-4.1-mini": Failure(500, True, False, _error("server_error", usage=USAGE)),
    "gpt-4.1-nano": Failure(500, False, True, _error("server_error")),
    "gpt-5": Failure(503, billed=False, follows=True),
    "gpt-5-mini": Failure(429, False, True, _error("rate_limit_exceeded")),
    "gpt-5-nano": Failure(400, False, False, _error("invalid_request_error")),
    "gpt-5.1": Failure(401, False, False, _error("invalid_api_key")),
}


class Provider(BaseHTTPRequestHandler):
    """Books what it did in `ledger`, and answers by the model."""

    ledger: list[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model, stream = body["model"], body.get("stream", False)
        failure = FAILURES.get(model)
        if failure is None or failure.billed:
            self.ledger.append(model)
        if failure is None:
            self._answer(model, stream=stream)
        elif failure.status:
            self._say(failure.status, json.dumps(failure.body).encode(), "application/json")
        else:
            self.close_connection = True

    def _answer(self, model: str, *, stream: bool) -> None:
        shared = {"id": "chatcmpl-1", "created": 1, "model": model}
        if not stream:
            message = {"role": "assistant", "content": "Bonjour"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = shared | {"object": "chat.completion", "choices": [choice], "usage": USAGE}
            self._say(200, json.dumps(whole).encode(), "application/json")
            return
        shared |= {"object": "chat.completion.chunk"}
        delta = {"index": 0, "delta": {"content": "Bonjour"}, "finish_reason": "stop"}
        chunks = [shared | {"choices": [delta]}, shared | {"choices": [], "usage": USAGE}]
        said = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in chunks)
        self._say(200, said + b"data: [DONE]\n\n", "text/event-stream")

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


ROUTES = "".join(
    f"""
[gateway.routes."{model}"]
deadline_s = 5
candidates = [
  {{ provider = "openai", model = "{model}" }}, {{ provider = "openai", model = "{ANSWERS}" }},
]
"""
    for model in FAILURES
)
SETTINGS = f"""
[gateway.keys.openai]
provider = "openai"
value = "env:GATEWAY_KEY"
[gateway.callers.search]
token_hash = "{hashed(TOKEN)}"
{ROUTES}
"""


@pytest.fixture
def ledger() -> list[str]:
    """The models of all calls that the provider billed."""
    return []


@pytest.fixture
def served(ledger: list[str], tmp_path: Path) -> Iterator[Serving]:
    """A product of its own before that provider, which closes no pool for the next test."""
    handler = type("Booking", (Provider,), {"ledger": ledger})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        upstreams = {"openai": f"http://127.0.0.1:{server.server_address[1]}"}
        settings = processes.FAST_ROWS + SETTINGS
        environ = {"GATEWAY_KEY": "sk-T0SECRET-ledger"}
        with processes.serve(
            tmp_path / "p", upstreams, settings=settings, environ=environ
        ) as found:
            yield found
        server.shutdown()


def price(model: str) -> Decimal:
    """What the provider charges for a call: by its tariff, for what it booked."""
    document = {
        "at": "2026-11-20T00:00:00Z",
        "provider": "openai",
        "path": "/v1/chat/completions",
        "request": {"model": model, "messages": []},
        "response": {
            "model": model,
            "choices": [{"finish_reason": "stop", "message": {"content": "x"}}],
            "usage": USAGE,
        },
    }
    priced: Any = price_document(document, TariffBook.load(), load(None, {}))
    assert priced["status"] == "exact", priced
    return Decimal(str(priced["usd"]))


def call(served: Serving, model: str, *, stream: bool) -> str:
    """Ask a route; what came of it."""
    base_url = f"{served.proxy_url}/gateway/v1"
    asked: Any = [{"role": "user", "content": "time"}]
    with openai.OpenAI(base_url=base_url, api_key=TOKEN, max_retries=0) as client:
        try:
            said: Any = client.chat.completions.create(model=model, messages=asked, stream=stream)
            if not stream:
                return str(said.choices[0].message.content)
            return "".join(one.choices[0].delta.content or "" for one in said if one.choices)
        except openai.APIError as error:
            return type(error).__name__


@pytest.mark.parametrize("stream", [False, True])
def test_rows_and_what_they_leave_open_are_the_ledger(
    served: Serving, ledger: list[str], stream: bool
) -> None:
    """Attempt for attempt, and in sum; nobody pays twice without a row that says so."""
    for name, failure in FAILURES.items():
        came = call(served, name, stream=stream)
        assert (came == "Bonjour") == failure.follows, (name, came)
    attempts = sum(1 + failure.follows for failure in FAILURES.values())
    rows = [row for row in served.calls_when(attempts) if row["candidate"]]
    assert len(rows) == attempts
    known, open_ = Decimal(0), Decimal(0)
    for row in rows:
        model = str(row["candidate"]).removeprefix("openai/")
        said = (row["cost_usd"], row["cost_status"])
        if model == ANSWERS:
            assert (Decimal(str(said[0])), said[1]) == (price(model), "exact"), row
            known += price(model)
        elif FAILURES[model].billed:
            assert said == (None, "unpriced"), row
            open_ += price(model)
        else:
            assert said == ("0", "not_billed"), row
    assert known + open_ == sum(map(price, ledger))
    assert len(ledger) == sum(row["cost_usd"] != "0" for row in rows)

"""Asks litellm and any-llm what they would send to a provider, and what they make of its answer.

Runs in the environment of `make oracles`, which has none of our packages.  Reads a list of cases as
JSON, and prints as many results.  Nothing leaves this machine: a server on loopback is the
provider, and repeats the answer of the case.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

KEY = "sk-nobody"
# How litellm is told whom to ask, by the API: the last one has it ask in Responses.
PREFIXES = {"anthropic": "anthropic", "gemini": "gemini", "responses": "openai/responses"}


class _Provider(BaseHTTPRequestHandler):
    """Remembers what it was asked."""

    answer = b""
    stream = False
    asked: Any = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        _Provider.asked = json.loads(body)
        self.send_response(200)
        kind = "text/event-stream" if self.stream else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _litellm(case: Mapping[str, Any], url: str) -> Any:
    litellm = import_module("litellm")
    model = f"{PREFIXES[case['api']]}/{case['model']}"
    return litellm.completion(**case["body"], model=model, api_base=url, api_key=KEY)


def _any_llm(case: Mapping[str, Any], url: str) -> Any:
    any_llm = import_module("any_llm")
    asked = {"provider": case["api"], "model": case["model"], "api_base": url, "api_key": KEY}
    return any_llm.completion(**case["body"], **asked)


ASKS: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "litellm": _litellm,
    "any-llm": _any_llm,
}


def _plain(said: Any, *, stream: bool) -> Any:
    return [one.model_dump() for one in said] if stream else said.model_dump()


def _result(case: Mapping[str, Any], url: str) -> dict[str, Any]:
    """What was sent, what the caller got; or why nothing came of it."""
    _Provider.asked = None
    _Provider.answer, _Provider.stream = case["answer"].encode(), case["body"].get("stream", False)
    try:
        said = _plain(ASKS[case["library"]](case, url), stream=_Provider.stream)
        error = ""
    except Exception as raised:  # noqa: BLE001 — whatever a library raises is its answer
        said, error = None, f"{type(raised).__name__}: {raised}"
    return {"sent": _Provider.asked, "said": said, "error": error}


def main() -> None:
    """All cases, one after another, from standard input to standard output."""
    argparse.ArgumentParser(
        prog="python -m trials.oracles.asking", description=__doc__
    ).parse_args()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch prices when imported
    cases = json.load(sys.stdin)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        out, sys.stdout = sys.stdout, sys.stderr  # litellm prints hints
        results = [_result(case, url) for case in cases]
        json.dump(results, out)
        server.shutdown()


if __name__ == "__main__":
    main()

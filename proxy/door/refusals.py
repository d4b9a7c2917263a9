"""Answers of the gateway's own that refuse, in the form that the caller's SDK reads."""

from collections.abc import Mapping

import msgspec

from proxy.door.request import model_in_path
from proxy.door.wire import with_headers
from proxy.gateway.translation.answers import error_of
from proxy.relay.answers import error_answer, relay_answer
from proxy.relay.routes import Refusal

GEMINI = ("/v1beta", "/v1alpha")  # where its API begins


def refused(
    refusal: Refusal, path: str, *, lives: bool, more: Mapping[str, str] | None = None
) -> bytes:
    """A whole answer; `more` are headers.  OpenAI's SDKs and Anthropic's read the same form."""
    if path.startswith(GEMINI) or model_in_path(path):
        told = f"Taximeter: {refusal.message}"
        document = msgspec.json.decode(error_of("gemini", refusal.status, told))
        made = relay_answer(refusal.status, document, error=refusal.kind, keep_alive=lives)
    else:
        made = error_answer(refusal.status, refusal.kind, refusal.message, keep_alive=lives)
    return with_headers(made, more) if more else made

"""Rows of `calls` as the console or the store gives them, with the columns that decisions need."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property

import msgspec

from proxy.gateway.failures import Fault, What, what

ROWS_MAX = 50_000  # of a history: the newest; each has its receipt, so that is 200 MB
# The first part of `endpoint` → the dialect that routes go by; others have no operation of the
# gateway's.
DIALECTS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"}
STAYED = ("hit", "moved", "broken")  # words of `sticky` after the first call of a session
# endpoint → operation as `proxy.gateway.facts` calls it.
OPERATIONS = {
    "openai.chat": "chat",
    "openai.responses": "responses",
    "openai.embeddings": "embeddings",
    "anthropic.messages": "messages",
    "gemini.generate_content": "generate_content",
}


class HistoryRow(msgspec.Struct, kw_only=True, dict=True):
    """One row; the names are those of the columns."""

    ts: str
    call_id: str = ""
    session_id: str = ""
    user_id: str = ""
    team: str = ""
    feature: str = ""
    prompt_name: str = ""
    provider: str
    endpoint: str = ""
    operation: str = ""
    request_model: str = ""
    response_model: str = ""
    stream: bool = False
    attempt: int = 1
    http_status: int = 0
    outcome: str = "ok"
    usage: dict[str, Decimal] = {}
    input_tokens_total: int | None = None
    output_tokens_total: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal | None = None
    cost_status: str = ""
    reasons: list[str] = []
    receipt: str = "{}"
    duration_us: int = 0
    first_token_us: int | None = None
    first_visible_us: int | None = None
    tool_calls: int = 0
    tags: dict[str, str] = {}
    request_id: str = ""
    route: str = ""
    route_version: str = ""
    candidate: str = ""
    propensity: float | None = None
    route_reason: str = ""
    sticky: str = ""
    success: bool = False
    judged: bool = False  # somebody said so; else it follows from how the call ended

    @cached_property
    def at_s(self) -> float:
        """When it began, in seconds since the epoch."""
        return datetime.fromisoformat(self.ts).timestamp()

    @property
    def label(self) -> str:
        """`provider/model`, as a candidate of a route is named."""
        return self.candidate or f"{self.provider}/{self.request_model or self.response_model}"

    @property
    def gateway_operation(self) -> str:
        """What the gateway calls the operation; "" if it has none like it."""
        return OPERATIONS.get(self.endpoint, "")

    @property
    def dialect(self) -> str:
        """Which dialect the request was in."""
        return DIALECTS.get(self.endpoint.partition(".")[0], "")

    @property
    def failure(self) -> str:
        """Why there was no whole answer, in the words of `proxy.gateway.failures`; "" if there was.

        A caller that left is no failure of the provider's.
        """
        if self.outcome in ("ok", "client_gone"):
            return ""
        if self.outcome == "unreachable":
            return What.NOT_SENT
        if self.outcome in ("upstream_cut", "stream_error") and self.first_token_us is not None:
            return What.CUT
        return what(Fault(status=self.http_status)).value

    @property
    def duration_s(self) -> float:
        """From request to the last byte."""
        return self.duration_us / 1e6

    @property
    def first_token_s(self) -> float | None:
        """To the first token; None for one that was not streamed."""
        return None if self.first_token_us is None else self.first_token_us / 1e6


def decoded(rows: Iterable[Mapping[str, object]]) -> list[HistoryRow]:
    """Rows in order of time.  Raises msgspec.ValidationError for others."""
    found = msgspec.convert(list(rows), list[HistoryRow], strict=False)
    return sorted(found, key=lambda row: (row.ts, row.call_id))

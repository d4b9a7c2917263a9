"""What is asked of the usage and cost APIs, and where their next page is.  Pure.

https://platform.openai.com/docs/api-reference/usage,
https://docs.claude.com/en/api/admin-api/usage-cost/get-cost-report and
https://openrouter.ai/docs/api-reference/analytics/get-activity (read 2026-11-29).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from proxy.invoices.statement import Row, StatementError

Parameters = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Api:
    """An API: its usual address, the header that has the key, and what to ask for some days."""

    base_url: str
    header: Callable[[str], Mapping[str, str]]
    questions: Callable[[date, date, bool], Sequence[tuple[str, Parameters]]]


def next_page(page: Row) -> str:
    """The token of the next page; "" if this is the last.  Raises StatementError."""
    if not page.get("has_more"):
        return ""
    token = page.get("next_page")
    if not isinstance(token, str) or not token:
        raise StatementError("the answer says that there is more, and not where")
    return token


def _openai(first: date, last: date, by_key: bool) -> Sequence[tuple[str, Parameters]]:
    ends = [("start_time", _epoch(first)), ("end_time", _epoch(last + timedelta(days=1)))]
    ends.append(("bucket_width", "1d"))
    project = [("group_by", "project_id")] if by_key else []
    usage = [("group_by", name) for name in ("model", "batch", "service_tier")]
    return [
        ("/organization/costs", [*ends, ("limit", "180"), ("group_by", "line_item"), *project]),
        *(
            (f"/organization/usage/{kind}", [*ends, ("limit", "31"), *names, *project])
            for kind, names in (("completions", usage), ("embeddings", usage[:1]))
        ),
    ]


def _anthropic(first: date, last: date, by_key: bool) -> Sequence[tuple[str, Parameters]]:
    ends = [("starting_at", _instant(first)), ("ending_at", _instant(last + timedelta(days=1)))]
    ends += [("bucket_width", "1d"), ("limit", "31")]
    workspace = [("group_by[]", "workspace_id")] if by_key else []
    usage = [("group_by[]", "model"), ("group_by[]", "service_tier")]
    return [
        ("/organizations/cost_report", [*ends, ("group_by[]", "description"), *workspace]),
        ("/organizations/usage_report/messages", [*ends, *usage, *workspace]),
    ]


def _openrouter(first: date, last: date, by_key: bool) -> Sequence[tuple[str, Parameters]]:
    return [("/activity", [])]  # of the last 30 days that are over


def _bearer(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


APIS: Mapping[str, Api] = {
    "openai": Api("https://api.openai.com/v1", _bearer, _openai),
    "anthropic": Api(
        "https://api.anthropic.com/v1",
        lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
        _anthropic,
    ),
    "openrouter": Api("https://openrouter.ai/api/v1", _bearer, _openrouter),
}


def _instant(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _epoch(day: date) -> str:
    return str(int(datetime.combine(day, time(), UTC).timestamp()))

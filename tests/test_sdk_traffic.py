"""Traffic and batches through the whole product: every call has its row, and it is right."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.request import Request, urlopen

import pytest

from evaluation.standin import processes, traffic
from evaluation.standin.workload import PROJECT
from support.product import Product
from support.sdks import openai

CALLS = 150
SEED = 58  # among its calls are errors of each kind, cuts, and streams that their reader leaves


def test_a_subscription_through_the_proxy(product: Product) -> None:
    """The relay notes the kind of the credential, and only that; the row has both prices."""
    feature, token = "subscription", "sk-ant-oat01-0123456789abcdefghij"
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "x"}],
    }
    request = Request(
        f"{product.served.proxy_url}/anthropic/v1/messages",
        json.dumps(body).encode(),
        {
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            "x-taximeter-feature": feature,
        },
    )
    with urlopen(request) as answer:
        answer.read()
    [row] = product.served.calls_when(1, feature=feature)
    assert (row["credential_kind"], row["cost_status"]) == ("claude_oauth", "not_billed")
    assert row["reasons"] == ["plan:claude"]
    assert Decimal(str(row["cost_usd"])) == 0
    assert row["list_status"] == "exact"
    assert Decimal(str(row["list_usd"])) > 0
    assert token not in json.dumps(row, default=str)


@pytest.mark.thorough
def test_every_call_of_mixed_traffic_has_its_row(product: Product) -> None:
    """As many rows as calls, with the statuses, models and usage that the provider answered."""
    upstream, served = product.upstream, product.served
    processes.clear_journal(upstream)
    tally = asyncio.run(traffic.run(served.proxy_url, rate=100, calls=CALLS, seed=SEED, speed=30))
    rows = served.calls_when(CALLS, timeout_s=40, project=PROJECT)
    journal = processes.get_json(f"{upstream}/__standin/journal")["exchanges"]
    answers = [exchange["answered"] for exchange in journal]
    assert tally.calls == len(rows) == len(answers) == CALLS
    assert Counter(row["http_status"] for row in rows) == Counter(a["status"] for a in answers)

    whole = [a for a in answers if a["outcome"] == "ok" and a["usage"] and a["reported"]]
    reported = [row for row in rows if row["outcome"] == "ok" and row["usage_origin"] == "reported"]
    assert not Counter(map(_of_row, reported)) - Counter(map(_of_answer, whole))
    outcomes = Counter(row["outcome"] for row in rows)
    assert len(whole) - len(reported) <= outcomes["client_gone"]  # left after the last byte
    assert outcomes["stream_error"] == _count(answers, "error_event")
    assert outcomes["upstream_cut"] == _count(answers, "cut")
    assert outcomes["http_error"] == sum(a["status"] >= 400 for a in answers)

    unknown = [row for row in rows if row["outcome"] == "ok" and row["cost_usd"] is None]
    assert unknown == []
    assert {row["team"] for row in rows} >= {"support", "search", "engineering", "research"}


def test_a_batch_is_charged_by_item_once_and_at_half_price(product: Product) -> None:
    """Polls cost nothing, and a second download of the output charges nothing again."""
    served = product.served
    lines = [
        {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        for name in ("a", "b")
        for body in [
            {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "time people"}]}
        ]
    ]
    with openai.OpenAI(
        base_url=f"{served.proxy_url}/openai/v1",
        api_key="sk-standin-batch",
        default_headers={"x-taximeter-feature": "sdk-batch"},
    ) as client:
        content = "\n".join(map(json.dumps, lines)).encode()
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        polls = 0
        while batch.status != "completed":
            batch = client.batches.retrieve(batch.id)
            polls += 1
        output = [client.files.content(str(batch.output_file_id)).text for _ in range(2)]
    assert output[0] == output[1]
    used = [json.loads(line)["response"]["body"]["usage"] for line in output[0].splitlines()]
    tokens_in = sum(usage["prompt_tokens"] for usage in used)
    tokens_out = sum(usage["completion_tokens"] for usage in used)
    calls, items = 2 + polls + 2, len(lines)
    rows = served.calls_when(calls + items, feature="sdk-batch")
    charged = [row for row in rows if row["input_tokens_total"]]
    assert (len(rows), len(charged)) == (calls + items, items)
    # USD 0.15 and 0.60 a million tokens: https://developers.openai.com/api/docs/pricing
    standard = (tokens_in * Decimal("0.15") + tokens_out * Decimal("0.60")) / 1_000_000
    assert sum(Decimal(row["cost_usd"]) for row in charged) == standard / 2
    assert sum(Decimal(row["cost_usd"] or 0) for row in rows) == standard / 2


def _count(answers: Iterable[Mapping[str, Any]], outcome: str) -> int:
    return sum(a["outcome"] == outcome for a in answers)


def _of_answer(answer: Mapping[str, Any]) -> tuple[object, ...]:
    usage = answer["usage"]
    written = usage["cache_write"] + usage["cache_write_1h"]
    totals = (usage["input_total"], usage["output_total"])
    return (answer["model"], *totals, usage["cache_read"], written, usage["reasoning"])


def _of_row(row: Mapping[str, Any]) -> tuple[object, ...]:
    totals = (row["input_tokens_total"], row["output_tokens_total"])
    cached = (row["cache_read_tokens"], row["cache_write_tokens"])
    return (row["response_model"], *totals, *cached, row["reasoning_tokens"])

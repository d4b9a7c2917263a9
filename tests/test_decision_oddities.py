"""Whatever rows there are, a comparison and a recommendation are answers, never a traceback."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from evaluation.decisions import compare_page, recommend_page
from evaluation.decisions.calls import Calls
from evaluation.decisions.compared import compare
from evaluation.decisions.recommended import recommend
from evaluation.decisions.routes_file import routes_toml
from evaluation.decisions.wanted import wanted
from evaluation.reports.rows import Stored
from exporters.clickhouse.observed import COLUMNS
from exporters.record import Record
from proxy.commands.terminal import Column, fitting
from proxy.settings import sources
from support import deciding
from support.deciding import BEGAN_US, BOOK

MODELS = ("gpt-5.4", "gpt-5.4-mini", "claude-sonnet-4-5", "", 'x "y"\n')
METERS = ("input", "output", "cache_read", "output.reasoning", "cache_write_5m", "unheard_of")
LIMITS = ((), ("p95_ttft<1s",), ("cost<0.01", "quality>=50%", "safety>=0.9"), ("error_rate<50%",))
WEIGHTS = ((), ("quality=4,cost=3,latency=2,safety=1",), ("cost=1",), ("p95_ttft=1,error_rate=0",))


def odd(chance: random.Random, number: int, models: list[str]) -> Record:
    """A call in which anything may be missing."""
    pick = chance.choice
    model = pick(models)
    return Record(
        ts_us=BEGAN_US + chance.randrange(10 ** chance.randint(3, 12)),
        call_id=str(UUID(int=number + 1)),
        session_id=pick(("", "a", f"s{number // 3}")),
        provider=pick(("openai", "anthropic")),
        request_model=model,
        response_model=model,
        operation=pick(("chat", "chat", "embeddings", "")),
        stream=pick((True, False)),
        http_status=pick((200, 200, 400, 429, 500, 0)),
        outcome=pick(("ok", "ok", "http_error", "client_gone")),
        finish_reason=pick(("stop", "length", "")),
        usage={
            name: Decimal(pick((0, 1, 900, 5000)))
            for name in chance.sample(METERS, chance.randint(0, 4))
        },
        input_tokens_total=pick((None, 0, 10, 5000)),
        output_tokens_total=pick((None, 5)),
        cost_usd=pick((None, Decimal(0), Decimal("0.001"), Decimal(5))),
        cost_status=pick(("exact", "partial")),
        duration_us=pick((0, 1, 10**6, 10**9)),
        first_token_us=pick((None, 0, 5 * 10**5)),
        request_bytes=pick((0, 300)),
        attempt=pick((1, 1, 2)),
        route=pick(("", "a")),
        propensity=pick((None, 0.5, 1.0)),
        request_id=pick(("", "q")),
        attributes=pick(({}, {"request.reasoning.level": "high"})),
    )


def a_run(chance: random.Random, models: list[str], seed: int) -> Stored | None:
    """None, or one whose answers may be missing."""
    if chance.random() < 0.4:
        return None
    names = [f"openai/{model or 'z'}" for model in models]
    rates = {name: chance.choice((0.0, 0.5, 1.0)) for name in names}
    costs = {name: chance.choice((0.0, 0.01)) for name in names}
    run = deciding.run_of(rates, costs, chance.choice((1, 2, 40)), seed=seed)
    for each in run.results:
        each.status = chance.choice((each.status, each.status, "error", "not_run"))
        each.cost_usd = chance.choice((each.cost_usd, each.cost_usd, None))
        each.cluster = chance.choice(("", "one", "two"))
    return run


@pytest.mark.parametrize("seed", range(12))
def test_any_rows_are_answered(seed: int, tmp_path: Path) -> None:
    """In JSON, as a page and as routes that can be read."""
    chance = random.Random(seed)
    models = chance.sample(MODELS, chance.randint(1, 4))
    records = [odd(chance, at, models) for at in range(chance.choice((1, 2, 5, 30, 80)))]
    sums, rows = deciding.observed(records)
    calls, run = Calls.read(list(COLUMNS), rows), a_run(chance, models, seed)
    compared = compare(sums, calls, wanted(chance.choice(LIMITS), chance.choice(WEIGHTS), ()), run)
    assert msgspec.json.encode(compared)
    assert escape(compared.verdict.said) in compare_page.page(compared, None, "now")
    assert all(0 <= (each.on_frontier or 0) <= 1 for each in compared.candidates)
    made = recommend(sums, calls, BOOK, run)
    assert msgspec.json.encode(made)
    assert recommend_page.summary(made) in recommend_page.page(made, None, "now")
    config = sources.load(None, {})
    packaged = sources.defaults()["providers"]
    text = routes_toml(made, config, packaged, datetime.now(UTC))
    file = tmp_path / "routes.toml"
    file.write_text(text, encoding="utf-8")
    assert len(sources.load(file, {}).gateway.routes) <= len(sums)


def test_a_column_needs_no_title() -> None:
    """Numbers of rows have none, in a terminal too."""
    assert list(fitting([Column("number", "", number=True)], [["1"]], 80)) == [0]

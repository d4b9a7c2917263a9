"""A small load test of a stand-in, without the command around it."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from evaluation.loadtest.mix import Mix, Request
from evaluation.loadtest.money import Cap, Money
from evaluation.loadtest.run import Order, document, planned, quoted, run
from evaluation.loadtest.slo import slos
from evaluation.loadtest.target import target
from evaluation.standin.server import serving
from proxy.metering.book import tariff_book
from proxy.settings.config import Config
from support.histories import MINI

SMALL = Request(input_tokens=50, output_tokens=60)
Found = dict[str, Any]


def order(config: Config, port: int, **more: Any) -> Order:
    """A small test of a stand-in, which is priced as OpenAI's mini model."""
    usual: dict[str, Any] = {
        "loads": [40.0],
        "shape": "poisson",
        "cv": 3.0,
        "trace_s": (),
        "seconds": 0.5,
        "warm_up_s": 0.0,
        "limits": slos(["p95_ttft<1s"]),
        "mix": Mix("a test", lambda count, chance: [SMALL] * count),
        "drain_s": 5.0,
        "timeout_s": 5.0,
    }
    return Order(
        config=config,
        book=tariff_book(config),
        target=target(config, f"http://127.0.0.1:{port}", MINI, unbilled=False),
        seed=1,
        run_id="test",
        credential="",
        **usual | more,
    )


def document_of(config: Config, steering: dict[str, str], cap: str = "1", **more: Any) -> Found:
    """The document of a test of a stand-in that is steered like this."""

    async def whole() -> Found:
        async with serving(steering=steering) as (_, port):
            wanted = order(config, port, **more)
            steps = planned(wanted)
            money = Money(wanted.target, wanted.book, datetime.now(UTC))
            purse = (money, Cap(Decimal(cap)))
            cost = quoted(wanted, steps, money)
            done = await run(wanted, steps, purse, lambda one: None)
            return document(wanted, cost, purse[1], done)

    return asyncio.run(whole())

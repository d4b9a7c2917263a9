"""Runs a load test: its steps one after another, through the proxy or to an address."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from evaluation.loadtest import ladder, prompts, schedule
from evaluation.loadtest.mix import Mix
from evaluation.loadtest.money import Cap, Money, Quote, quote
from evaluation.loadtest.outcomes import Outcome, bursts, figures
from evaluation.loadtest.sending import Due, Generator, warmed
from evaluation.loadtest.slo import Slo
from evaluation.loadtest.target import ADDRESS, ROUTE, Target
from evaluation.runs import through_proxy, wire
from evaluation.runs.sender import tls_of
from pricing import TariffBook
from pricing.charge import plain
from proxy.probes import READY
from proxy.settings.config import Config

PROBE_S = 5.0
TAG = "x-taximeter-loadtest"  # of every call, so that histories can leave them out


class Refused(Exception):
    """The target must not be loaded; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do, checked."""

    config: Config
    book: TariffBook
    target: Target
    mix: Mix
    rates: Sequence[float]
    shape: str
    cv: float
    trace_s: Sequence[float]
    seconds: float
    warm_up_s: float
    limits: Sequence[Slo]
    seed: int
    run_id: str
    credential: str
    timeout_s: float
    drain_s: float


def planned(order: Order) -> list[list[Due]]:
    """The requests of each step.  Raises ValueError for what cannot be planned."""
    steps = []
    for number, rate in enumerate(order.rates):
        chance = np.random.default_rng([order.seed, number])
        seconds = order.warm_up_s + order.seconds
        times = schedule.due(order.shape, rate, seconds, chance, cv=order.cv, trace_s=order.trace_s)
        if not times:
            raise ValueError(f"no request in {seconds:g} s at {rate:g}/s; take a longer --seconds")
        requests = order.mix.plan(len(times), chance)
        steps.append(
            [
                Due(at, request, f"{order.seed}/{number}/{at_number}")
                for at_number, (at, request) in enumerate(zip(times, requests, strict=True))
            ]
        )
    return steps


def made(order: Order, due: Due) -> wire.Outgoing:
    """The request itself."""
    target = order.target
    gateway = target.kind == ROUTE
    return prompts.outgoing(target.provider, target.model, due.request, due.seed, gateway=gateway)


def quoted(order: Order, steps: Sequence[Sequence[Due]], money: Money) -> Quote:
    """What all steps cost."""
    return quote(money, ((due.request, made(order, due)) for step in steps for due in step))


async def run(
    order: Order,
    steps: Sequence[Sequence[Due]],
    purse: tuple[Money, Cap],
    told: Callable[[Outcome], None],
) -> list[dict[str, object]]:
    """The figures of each step.  Raises Refused, OSError and what `proxied` raises."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connector = TCPConnector(limit=0, ssl=tls_of(order.config))
    found = []
    async with _base(order) as base, ClientSession(connector=connector, trust_env=False) as session:
        if order.target.kind == ADDRESS:
            await _not_ours(session, base)
        for rate, step in zip(order.rates, steps, strict=True):
            if stop.is_set():
                break
            generator = Generator(
                config=order.config,
                book=order.book,
                target=order.target,
                money=purse[0],
                cap=purse[1],
                session=session,
                base_url=base,
                headers=_headers(order),
                make=lambda due: made(order, due),
                timeout_s=order.timeout_s,
                drain_s=order.drain_s,
            )
            outcomes = await generator.run(step, stop, told)
            found.append({"rate_per_s": rate, **_step(order, outcomes, stopped=stop.is_set())})
    return found


def knee(order: Order, steps: Sequence[Mapping[str, object]]) -> dict[str, object] | None:
    """Of a ladder; None of a single rate."""
    if len(order.rates) < 2 or not steps:
        return None
    times = [one for one in order.limits if one.at is not None]
    return ladder.knee(steps, has_slo=bool(times))


def _step(order: Order, outcomes: Sequence[Outcome], *, stopped: bool) -> dict[str, object]:
    counted = warmed(outcomes, order.warm_up_s)
    seconds = order.seconds
    if stopped and counted:
        seconds = min(seconds, max(one.due_s for one in counted) + 1e-3)
    return {
        **figures(counted, order.limits, seconds),
        "warm_up": len(outcomes) - len(counted),
        "bursts": bursts(counted),
        "stopped": stopped,
    }


def _headers(order: Order) -> dict[str, str]:
    target = order.target
    if target.kind == ADDRESS:
        return wire.key_header(target.provider, order.credential)
    sent = {TAG: order.run_id}
    if target.kind == ROUTE:
        return sent | ({"authorization": f"Bearer {order.credential}"} if order.credential else {})
    if order.config.proxy.token:
        sent["x-taximeter-token"] = order.config.proxy.token
    return sent | wire.key_header(target.provider, order.credential)


@asynccontextmanager
async def _base(order: Order) -> AsyncIterator[str]:
    """What paths are put after."""
    if order.target.kind == ADDRESS:
        yield order.target.address
        return
    async with through_proxy.proxied(order.config) as url:
        door = "gateway" if order.target.kind == ROUTE else order.target.provider.name
        yield f"{url}/{door}"


async def _not_ours(session: ClientSession, base: str) -> None:
    """An address that is a Taximeter spends somebody's money, whatever `--unbilled` says."""
    parts = urlsplit(base)
    url = f"{parts.scheme}://{parts.netloc}{READY}"
    try:
        timeout = ClientTimeout(total=PROBE_S)
        async with session.get(url, timeout=timeout, allow_redirects=False) as answer:
            found = await answer.json(content_type=None)
    except (ClientError, TimeoutError, ValueError):
        return
    if isinstance(found, dict) and "instance" in found:
        raise Refused(
            f"{base} is a Taximeter, behind which somebody bills; name a route or PROVIDER/MODEL"
        )


def document(
    order: Order, cost: Quote, cap: Cap, steps: Sequence[dict[str, object]]
) -> dict[str, object]:
    """For JSON."""
    return {
        "run_id": order.run_id,
        "target": order.target.name,
        "mix": order.mix.what,
        "shape": order.shape,
        "cv": order.cv if order.shape == "gamma" else None,
        "seed": order.seed,
        "seconds": order.seconds,
        "warm_up_s": order.warm_up_s,
        "rates_per_s": list(order.rates),
        "quote": {
            "requests": cost.requests,
            "expected_usd": None if cost.expected is None else plain(cost.expected),
            "most_usd": None if cost.most is None else plain(cost.most),
        },
        "max_usd": plain(cap.max_usd),
        "spent_usd": plain(cap.spent),
        "steps": list(steps),
        "knee": knee(order, steps),
    }

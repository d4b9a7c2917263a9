"""Runs a load test: its steps one after another, through the proxy or to an address."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from evaluation.loadtest import ladder, prompts, schedule
from evaluation.loadtest.loops import Loop
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
    """What to do, checked.

    `loads` are rates; with `rounds`, numbers of requests in flight, each of which is followed by
    so many others less one.
    """

    config: Config
    book: TariffBook
    target: Target
    mix: Mix
    loads: Sequence[float]
    rounds: int = 0
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

    @property
    def axis(self) -> str:
        """What its loads are."""
        return ladder.IN_FLIGHT if self.rounds else ladder.RATE


@dataclass(frozen=True, slots=True)
class Done:
    """One step: its figures for JSON, and the outcomes that they are of."""

    load: float
    figures: dict[str, object]
    counted: Sequence[Outcome]


def planned(order: Order) -> list[list[Due]]:
    """The requests of each step.  Raises ValueError for what cannot be planned."""
    most = order.rounds * max(order.loads)
    if most > schedule.COUNT_MAX:
        raise ValueError(
            f"more than {schedule.COUNT_MAX:,} requests; lower --concurrency or --rounds"
        )
    steps = []
    for number, load in enumerate(order.loads):
        chance = np.random.default_rng([order.seed, number])
        times = [0.0] * int(load * order.rounds) if order.rounds else _due(order, load, chance)
        requests = order.mix.plan(len(times), chance)
        steps.append(
            [
                Due(at, request, f"{order.seed}/{number}/{at_number}")
                for at_number, (at, request) in enumerate(zip(times, requests, strict=True))
            ]
        )
    return steps


def _due(order: Order, rate: float, chance: np.random.Generator) -> list[float]:
    seconds = order.warm_up_s + order.seconds
    times = schedule.due(order.shape, rate, seconds, chance, cv=order.cv, trace_s=order.trace_s)
    if not times:
        raise ValueError(f"no request in {seconds:g} s at {rate:g}/s; take a longer --seconds")
    return times


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
) -> list[Done]:
    """What became of each step.  Raises Refused, OSError and what `proxied` raises."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    connector = TCPConnector(limit=0, ssl=tls_of(order.config))
    found = []
    async with _base(order) as base, ClientSession(connector=connector, trust_env=False) as session:
        if order.target.kind == ADDRESS:
            await _not_ours(session, base)
        for load, step in zip(order.loads, steps, strict=True):
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
            loop = Loop(generator, stop, told)
            if order.rounds:
                outcomes = await loop.closed(step, int(load))
            else:
                outcomes = await loop.open(step)
            found.append(_done(order, load, outcomes, stopped=stop.is_set()))
    return found


def knee(order: Order, done: Sequence[Done]) -> dict[str, object] | None:
    """Of a ladder; None of a single load."""
    steps = [ladder.Step(one.load, one.counted) for one in done if one.counted]
    if len(order.loads) < 2 or not steps:
        return None
    return ladder.knee(steps, order.limits, closed=order.rounds > 0)


def _done(order: Order, load: float, outcomes: Sequence[Outcome], *, stopped: bool) -> Done:
    closed, seconds = order.rounds > 0, order.seconds
    if closed:  # the first round begins all at once, so it is the warm-up
        counted = list(outcomes[int(load) :])
        seconds = sum(one.ended_s for one in counted) / load  # that each place was taken
    else:
        counted = warmed(outcomes, order.warm_up_s)
        if stopped and counted:
            seconds = min(seconds, max(one.due_s for one in counted) + 1e-3)
    figured = {
        ladder.RATE: None,
        ladder.IN_FLIGHT: None,
        order.axis: load,
        **figures(counted, order.limits, seconds),
        "warm_up": len(outcomes) - len(counted),
        "bursts": None if closed else bursts(counted),
        "stopped": stopped,
    }
    return Done(load, figured, counted)


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


def document(order: Order, cost: Quote, cap: Cap, done: Sequence[Done]) -> dict[str, object]:
    """For JSON."""
    return {
        "run_id": order.run_id,
        "target": order.target.name,
        "mix": order.mix.what,
        "loop": "closed" if order.rounds else "open",
        "loads": list(order.loads),
        "seed": order.seed,
        **_times(order),
        "quote": {
            "requests": cost.requests,
            "expected_usd": None if cost.expected is None else plain(cost.expected),
            "most_usd": None if cost.most is None else plain(cost.most),
        },
        "max_usd": plain(cap.max_usd),
        "spent_usd": plain(cap.spent),
        "steps": [one.figures for one in done],
        "knee": knee(order, done),
    }


def _times(order: Order) -> dict[str, object]:
    """What makes the times of each loop; null in the other."""
    if order.rounds:
        names = ("shape", "cv", "seconds", "warm_up_s")
        return {**dict.fromkeys(names), "rounds": order.rounds}
    return {
        "shape": order.shape,
        "cv": order.cv if order.shape == "gamma" else None,
        "seconds": order.seconds,
        "warm_up_s": order.warm_up_s,
        "rounds": None,
    }

"""Recorded calls of a world whose truth is known, as rows of the store; priced by the tariffs."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
from numpy.random import Generator

from evaluation.history.rows import HistoryRow, decoded
from evaluation.history.turns import Traffic, traffic
from evaluation.whatif.study import Asked
from pricing.bill import price
from pricing.book import TariffBook
from pricing.charge import plain
from pricing.usage import Meter, Subcall, Usage
from proxy.gateway.decision import decide, unit_of
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Candidate, Route
from proxy.gateway.live import Live
from proxy.gateway.options import CandidateOptions, GatewayOptions, RouteOptions
from proxy.gateway.when import parse

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
MINI, LARGE, OTHER = "openai/gpt-5.4-mini", "openai/gpt-5.4", "mistral/mistral-large-2512"


@cache
def book() -> TariffBook:
    """The shipped tariffs."""
    return TariffBook.load()


def route(*candidates: tuple[str, str], name: str = "assistant", **more: object) -> Route:
    """A route of `provider/model` with its condition; all speak OpenAI's dialect."""
    options = [
        CandidateOptions(provider=label.partition("/")[0], model=label.partition("/")[2], when=when)
        for label, when in candidates
    ]
    return Route(
        options=RouteOptions(name=name, candidates=tuple(options), **more),  # type: ignore[arg-type]
        candidates=tuple(
            Candidate(options=one, dialect="openai", when=parse(one.when) if one.when else None)
            for one in options
        ),
    )


def row(at_s: float, label: str, given: int, made: int, **more: object) -> dict[str, object]:
    """One call that took a second; `cached` of its input were read from a cache."""
    provider, _, model = label.partition("/")
    at = BEGIN + timedelta(seconds=at_s)
    cached = int(str(more.pop("cached", 0)))
    usage = {Meter.INPUT: given - cached, Meter.OUTPUT: made}
    if cached:
        usage[Meter.CACHE_READ] = cached
    one = Subcall(provider=provider, model=model, at=at, usage=Usage(usage))
    charge = price([one], book())
    assert charge.usd is not None
    texts = {meter.value: str(quantity) for meter, quantity in usage.items()}
    subcall = {
        "provider": provider,
        "model": model,
        "at": at.isoformat(),
        "origin": "reported",
        "usage": texts,
        "terms": {},
    }
    return {
        "ts": at.isoformat(),
        "call_id": f"call-{at_s:.6f}",
        "provider": provider,
        "endpoint": "openai.chat",
        "operation": "chat",
        "request_model": model,
        "response_model": model,
        "http_status": 200,
        "usage": texts,
        "input_tokens_total": given,
        "output_tokens_total": made,
        "cache_read_tokens": cached,
        "cost_usd": plain(charge.usd),
        "cost_status": "exact",
        "receipt": json.dumps({"subcalls": [subcall], "basis": {}}),
        "duration_us": 1_000_000,
    } | more


def rows_of(found: Sequence[Mapping[str, object]]) -> list[HistoryRow]:
    """As the store would give them."""
    return decoded(found)


@dataclass(frozen=True, slots=True)
class World:
    """Two models; short prompts and long ones.  The large model writes more, and is slower."""

    served: Route  # in force: its decisions, with its own exploration
    calls: int = 400
    rate: float = 1.0
    sessions: int = 0  # turns of a session; 0: none
    judged: tuple[float, float] = (0.0, 0.0)  # share with feedback of those that failed, succeeded

    def rows(self, chance: Generator) -> Iterator[dict[str, object]]:
        """Calls with the propensities of the decision that sent them."""
        at_s = 0.0
        for number in range(self.calls):
            at_s += float(chance.exponential(1 / self.rate))
            given = int(chance.choice([200, 4000])) + int(chance.integers(50))
            session = f"s{number // self.sessions}" if self.sessions else ""
            facts = Facts(input_tokens=given, session=session)
            unit = unit_of(facts, float(chance.random()))
            choice = decide(self.served, facts, Live(), 0.0, unit).order[0]
            label = self.served.candidates[choice.candidate].options.label
            made, seconds = outcome(label, given, chance)
            success = bool(chance.random() < success_rate(label, given))
            yield row(
                at_s,
                label,
                given,
                made,
                session_id=session,
                duration_us=int(seconds * 1e6),
                request_id=f"r{number}",
                route=self.served.options.name,
                route_version=self.served.options.version,
                candidate=label,
                propensity=choice.probability,
                sticky="hit" if session and number % self.sessions else "",
                success=success,
                judged=bool(chance.random() < self.judged[success]),
            )

    def traffic(self, seed: int) -> Traffic:
        """The same for the same seed."""
        return traffic(rows_of(list(self.rows(np.random.default_rng(seed)))))


def outcome(label: str, given: int, chance: Generator) -> tuple[int, float]:
    """(output tokens, seconds) of a call."""
    usual = {MINI: 100, LARGE: 160, OTHER: 120}[label] + (40 if given > 2000 else 0)
    made = max(int(chance.poisson(usual)), 1)
    speed = {MINI: 100.0, LARGE: 60.0, OTHER: 80.0}[label]
    return made, 0.2 + made / speed * float(chance.lognormal(0.0, 0.2))


def success_rate(label: str, given: int) -> float:
    """How often a call serves its purpose: the small model is worse at long prompts."""
    return {MINI: 0.6, LARGE: 0.9, OTHER: 0.8}[label] if given > 2000 else 0.95


def true_mean_usd(label_of: Callable[[int], str], calls: int, seed: int) -> float:
    """What a policy costs a call in this world."""
    chance, total = np.random.default_rng(seed), 0.0
    for _ in range(calls):
        given = int(chance.choice([200, 4000])) + int(chance.integers(50))
        label = label_of(given)
        made, _ = outcome(label, given, chance)
        total += usd(label, given, made)
    return total / calls


@cache
def usd(label: str, given: int, made: int) -> float:
    """The price of a call."""
    return float(str(row(0.0, label, given, made)["cost_usd"]))


def asked(*routes: Route, **more: object) -> Asked:
    """A study of these routes."""
    return Asked(
        routes=routes,
        in_force=more.pop("in_force", {}),  # type: ignore[arg-type]
        options=GatewayOptions(),
        limits=more.pop("limits", {}),  # type: ignore[arg-type]
        book=book(),
        **more,  # type: ignore[arg-type]
    )

"""`/api/routes`: the gateway's routes, with the live state of their candidates."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from time import time

import msgspec
from aiohttp import web

from proxy.canaries.notice import words
from proxy.console.asking import ASKED, reply
from proxy.door.measured import Conditions, KnownCanaries
from proxy.door.shared_pools import SharedPools
from proxy.gateway import pools, shutting
from proxy.gateway.canary import begun, needed
from proxy.gateway.filters import keys_of
from proxy.gateway.limits import limit_class, pool
from proxy.gateway.live import CALLS_MIN, FAILING_SHARE, STALE_S
from proxy.gateway.measured import ANY_SIZE, SIZES, Figures
from proxy.gateway.options import CandidateOptions, RouteOptions
from proxy.gateway.pools import Pool
from proxy.query.asked import Mistake, near
from proxy.settings.config import Config
from proxy.settings.places import Places

PATH = "/api/routes"


class RoutesApi:
    """The handler.  It reads what the relays share, as they do."""

    def __init__(self, config: Config) -> None:
        places = Places(config.data)
        self._gateway = config.gateway
        self._pools = SharedPools(places.gateway_pools)
        self._measured = Conditions(places.gateway_live)
        self._canaries = KnownCanaries(places)

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.list)]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """All routes of the configuration; `name` chooses one."""
        name = request[ASKED].one("name")
        known = self._gateway.routes
        if name and name not in known:
            hint = near(name, known) if known else "the configuration has none"
            raise Mistake(f"unknown route {name!r}", hint, "name")
        return reply([self._route(one) for one in known.values() if name in ("", one.name)])

    def _route(self, route: RouteOptions) -> dict[str, object]:
        """As it is configured, with what is known of its candidates now."""
        shares = {one.candidate: one.share for one in route.split}
        return {
            "route": route.name,
            "version": route.version,
            "order": route.order,
            "canary": self._canary(route),
            "score": asdict(route.score),
            "explore": route.explore,
            "deadline_s": route.deadline_s,
            "retry_ambiguous": route.retry_ambiguous,
            "regions": route.regions,
            "data_policy": route.data_policy,
            "drop": route.drop,
            "candidates": [
                {"number": number, "share": shares.get(number), **self._candidate(one)}
                for number, one in enumerate(route.candidates)
            ],
        }

    def _canary(self, route: RouteOptions) -> dict[str, object] | None:
        """None: the route has none."""
        if route.canary is None:
            return None
        found = self._canaries.of(route) or begun(route, 0.0)
        return {
            "number": route.canary.candidate,
            "candidate": found.candidate,
            "share": found.share,
            "state": found.state,
            "words": words(found),  # how it fares, as the end of a sentence about it
            "confidence": route.canary.confidence,
            "evidence_needed": round(needed(1 - route.canary.confidence), 6),
            "rollback": route.canary.rollback,
            "began_at": _instant(found.began_at) if found.began_at else None,
            "judged_at": _instant(found.looked_at) if found.looked_at else None,
            "ended_at": _instant(found.ended_at) if found.ended_at else None,
            "sessions": found.canary.units,
            "sessions_of_others": found.others.units,
            "findings": [msgspec.to_builtins(one) for one in found.verdict.findings],
        }

    def _candidate(self, one: CandidateOptions) -> dict[str, object]:
        at, figures = self._measured.figures(one.label)
        every = next((each for each in figures if each.size == ANY_SIZE), None)
        fresh = time() - at <= STALE_S
        failing = every and every.calls >= CALLS_MIN and every.error_share >= FAILING_SHARE
        return {
            "candidate": one.label,
            "when": one.when,
            "weight": one.weight,
            "quality": one.quality,
            "safety": one.safety,
            "failing": bool(fresh and failing),
            "state": _state(self._pools.seen(shutting.name(one.label)), time()),
            "measured_at": _instant(at) if figures else None,
            "stale": bool(figures) and not fresh,
            "measured": [_measured(each) for each in figures],
            "pools": list(self._pools_of(one)),
        }

    def _pools_of(self, one: CandidateOptions) -> Iterator[dict[str, object]]:
        now = time()
        for key in keys_of(one, self._gateway):
            found = self._pools.seen(pool(one.provider, key, one.model))
            opens = pools.opens_at(found, now)
            yield {
                "key": key,  # its name in the configuration
                "limits": limit_class(one.provider, one.model),
                "state": _state(found, now),
                "opens_at": _instant(opens) if opens > now else None,
                # As the provider told last, less what was sent since.
                "requests_left": int(found.room) if found.room_at else None,
                "told_at": _instant(found.room_at) if found.room_at else None,
            }


def _state(found: Pool, now: float) -> str:
    """`full`: no 429 came, but the provider said that there is no room for a request."""
    if found.closed_until:
        return "closed" if now < found.closed_until else "half_open"
    return "full" if pools.opens_at(found, now) > now else "open"


def _measured(one: Figures) -> dict[str, object]:
    """Of one class of sizes, or of all requests: then neither bound is there."""
    bounds: Sequence[int | None] = (0, *SIZES, None)
    sized = one.size != ANY_SIZE
    return {
        "tokens_from": bounds[one.size] if sized else None,
        "tokens_below": bounds[one.size + 1] if sized else None,
        "calls": one.calls,
        "error_share": one.error_share,
        "first_token_s": one.first_token_s,
        "first_token_p95_s": one.first_token_p95_s,
        "total_s": one.total_s,
        "total_p95_s": one.total_p95_s,
    }


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")

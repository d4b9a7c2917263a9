"""`/api/tariffs`: the tariffs that price calls, to search; of one model with its whole history."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from pricing import Tariff, TariffBook, published
from pricing.near_names import near_names
from pricing.published import Document
from proxy.console.asking import ASKED, reply
from proxy.metering.unpriced import command
from proxy.query.asked import Asked, Mistake, near

LIMIT, LIMIT_MAX = 50, 1_000  # models of one answer
OFFSET_MAX = 1_000_000


class TariffsApi:
    """Handlers over the meter's own book; `directory` is that of the user's own files."""

    def __init__(self, book: TariffBook, directory: Path | None) -> None:
        self._book, self._directory = book, directory

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/tariffs", self.list),
            web.get("/api/tariffs/{provider}/{model:.+}", self.one),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """The models that a search finds: own prices first, then by provider and name."""
        question = request[ASKED]
        provider = question.one("provider")
        if provider and provider not in self._book.providers:
            hint = near(provider, sorted(self._book.providers))
            raise Mistake(f"no tariff of provider {provider!r}", hint, "provider")
        return reply(await asyncio.to_thread(self._found, question, provider))  # may decode files

    def _found(self, question: Asked, provider: str) -> Document:
        limit = question.number("limit", LIMIT, 1, LIMIT_MAX)
        offset = question.number("offset", 0, 0, OFFSET_MAX)
        own = _flag(question, "own")
        words = question.one("search").lower().split()
        models = [
            (*key, periods)
            for key, periods in published.by_model(self._book, provider).items()
            if own in (None, key[2]) and _has(periods, words)
        ]
        models.sort(key=lambda each: not each[2])
        following = offset + limit
        now = datetime.now(UTC)
        return {
            "version": self._book.version,
            "providers": sorted(self._book.providers),
            "directory": self._path(),
            "total": len(models),
            "next": following if following < len(models) else None,
            "tariffs": [
                {**_line(periods, now), "own": is_own, "replaced": self._replaced(periods, now)}
                for *_, is_own, periods in models[offset:following]
            ],
        }

    def _replaced(self, periods: Sequence[Tariff], now: datetime) -> bool:
        """Whether an own price is charged instead of this shipped one."""
        provider, name = periods[0].provider, periods[0].names[0]
        if self._book.is_own(periods[0]) or not self._book.names_own(provider, name):
            return False
        charged = self._book.find(provider, name, now)
        return charged is not None and self._book.is_own(charged)

    async def one(self, request: web.Request) -> web.StreamResponse:
        """The price of a name that calls may have; the newest period first."""
        provider, model = request.match_info["provider"], request.match_info["model"]
        found = await asyncio.to_thread(self._history, provider, model)
        if not found["periods"]:
            close = await asyncio.to_thread(near_names, self._book, provider, model)
            hint = f"did you mean {close[0]}?" if close else command(provider, model)
            text = f"no tariff prices {provider}/{model}"
            return reply({"error": f"{text}; {hint}", "hint": hint}, 404)
        return reply(found)

    def _history(self, provider: str, model: str) -> Document:
        now = datetime.now(UTC)
        current = self._book.find(provider, model, now)
        periods = [
            one
            for layer in self._book.history(provider, model)
            for one in reversed(list(self._periods(layer, current)))
        ]
        return {
            "provider": provider,
            "model": model,
            "version": self._book.version,
            "directory": self._path(),
            "add": command(provider, model),
            "periods": periods,
        }

    def _periods(self, layer: Sequence[Tariff], current: Tariff | None) -> Iterator[Document]:
        """`changed`: the standard prices that differ from those of the period before."""
        for before, one in zip((None, *layer), layer, strict=False):
            yield {
                **published.head(one),
                "id": one.id,
                "names": one.names,
                "own": self._book.is_own(one),
                "in_force": one is current,
                "changed": published.step(before, one) if before else "",
                "via": one.via,
                "where": f"{one.file}:{one.line}",
                "by_completion": one.by_completion,
                "minimum_usd": None if one.minimum_usd is None else str(one.minimum_usd),
                "rates": list(published.rates(one)),
                "factors": published.factors(one),
            }

    def _path(self) -> str | None:
        return None if self._directory is None else str(self._directory)


def _line(periods: Sequence[Tariff], now: datetime) -> dict[str, Any]:
    """A model: the price that holds now, else the last; `state` says which."""
    current = published.in_force(periods, now)
    shown = current or periods[-1]
    ahead = shown.start is not None and shown.start > now
    state = "in force" if current else "begins later" if ahead else "ended"
    return {
        **published.head(shown),
        "state": state,
        "periods": len(periods),
        "standard": published.standard(shown),
    }


def _has(periods: Sequence[Tariff], words: Sequence[str]) -> bool:
    """Whether every word is in the provider or in a name."""
    text = "\n".join(f"{one.provider}/{name}" for one in periods for name in one.names).lower()
    return all(word in text for word in words)


def _flag(question: Asked, name: str) -> bool | None:
    text = question.one(name)
    return None if not text else question.choice(name, ("true", "false")) == "true"

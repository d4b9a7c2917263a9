"""Reads ROUTES.toml: routes to try, in the words of `[gateway.routes]`, and limits to simulate.

```toml
[gateway.routes.assistant]          # or [routes.assistant]
candidates = [{ provider = "mistral", model = "mistral-small-latest" }]

[limits."mistral/mistral-small-latest"]
calls_per_minute = 300
tokens_per_minute = 500_000
```
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.simulation import Limit
from evaluation.simulation.bucket import Counted
from evaluation.whatif.service import pool_of
from proxy.gateway import filters
from proxy.gateway.filters import Route
from proxy.settings.config import Config
from proxy.settings.sources import SettingsError
from proxy.settings.typed import Layer, nearest

# How providers count.  Anthropic does not count input that is read from its cache
# (https://platform.claude.com/docs/en/api/rate-limits, 2026-11); tokens a minute are input alone
# for Gemini (https://ai.google.dev/gemini-api/docs/rate-limits), input and output for OpenAI.
LIMITS: Mapping[str, Counted] = {
    "calls_per_minute": "calls",
    "input_tokens_per_minute": "input",
    "output_tokens_per_minute": "output",
    "tokens_per_minute": "tokens",
}
UNCACHED, INPUT_ALONE = ("anthropic",), ("gemini", "vertex")


@dataclass(frozen=True, slots=True)
class RoutesFile:
    """What the file says: a layer for the settings, its routes' names, and limits by pool."""

    layer: Layer
    names: Sequence[str]
    limits: Mapping[str, tuple[Limit, ...]]


def read(file: Path) -> RoutesFile:
    """The file.  Raises SettingsError with every mistake, and OSError."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError((f"{file}: invalid TOML: {error}",)) from error
    gateway = dict(table.pop("gateway", {}))
    if "routes" in table:
        gateway["routes"] = {**gateway.get("routes", {}), **table.pop("routes")}
    mistakes: list[str] = []
    limits = _limits(table.pop("limits", {}), file, mistakes)
    names = gateway.get("routes", {})
    if not isinstance(names, Mapping) or not names:
        mistakes.append(f"{file}: no route; write one as [gateway.routes.NAME]")
    if mistakes:
        raise SettingsError(tuple(mistakes))
    layer = Layer(str(file), {**table, "gateway": gateway}, file.absolute().parent)
    return RoutesFile(layer, list(names), limits)


def _limits(table: object, file: Path, mistakes: list[str]) -> dict[str, tuple[Limit, ...]]:
    found: dict[str, tuple[Limit, ...]] = {}
    if not isinstance(table, Mapping):
        mistakes.append(f"{file}: limits: expected a table by provider/model")
        return found
    for label, given in table.items():
        at = f'limits."{label}"'
        provider, _, model = str(label).partition("/")
        if not model or not isinstance(given, Mapping):
            mistakes.append(f'{at}: expected [limits."PROVIDER/MODEL"] with limits a minute')
            continue
        each = [_limit(f"{at}.{name}", name, n, provider, mistakes) for name, n in given.items()]
        found[pool_of(str(label))] = tuple(one for one in each if one is not None)
    return found


def _limit(at: str, name: str, number: Any, provider: str, mistakes: list[str]) -> Limit | None:
    counts = LIMITS.get(name)
    if counts is None:
        mistakes.append(f"{at}: unknown limit{nearest(name, LIMITS)}")
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
        mistakes.append(f"{at}: expected a number above 0, got {number!r}")
        return None
    if counts == "input" and provider in UNCACHED:
        counts = "uncached"
    if counts == "tokens" and provider in INPUT_ALONE:
        counts = "input"
    return Limit(counts, float(number))


def proposed(config: Config, names: Sequence[str]) -> tuple[list[Route], list[str]]:
    """The routes by these names, and notes on what is taken for granted of them.

    A candidate whose provider has no key yet is taken to have one: the routes are a proposal.
    """
    notes, found = [], []
    for name in names:
        route = filters.route(config.gateway.routes[name], config.gateway, config.providers)
        for one in route.candidates:
            if one.blocked:
                notes.append(f"{one.options.label}: {one.blocked}; simulated as if it were there")
        candidates = tuple(replace(one, blocked="") for one in route.candidates)
        found.append(replace(route, candidates=candidates))
    return found, list(dict.fromkeys(notes))

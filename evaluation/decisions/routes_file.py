"""A `routes.toml` to review: today's candidates with what is recommended, as a canary.  Pure.

Keys are named by where they come from, never by their value.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from evaluation.decisions.calls import NO_MODEL
from evaluation.decisions.change import CANARY_SHARE, Change
from evaluation.decisions.recommended import Recommendation
from proxy.settings.config import Config, Provider

ROUTES_MAX = 20
NAME_MAX = 64
PROVIDER = ("base_url", "dialect", "api_path", "region", "deployment", "billing")
NOBODY = "# Nobody can use these routes yet: `taximeter keys add NAME` prints lines to add here."


def routes_toml(
    found: Recommendation, config: Config, packaged: Mapping[str, Mapping[str, Any]], now: datetime
) -> str:
    """The file.  Candidates of providers that are not configured are left out and named.

    `packaged` are the providers of the packaged settings; what differs from them is written too.
    """
    spent = [name for name in found.spend if not name.endswith(f"/{NO_MODEL}")]
    known = [name for name in spent if name.partition("/")[0] in config.providers]
    foreign = [name for name in spent if name not in known]
    recommended = _best(found.changes, known)
    routed = known[:ROUTES_MAX]
    providers = {name.partition("/")[0] for name in routed}
    providers |= {change.to.partition("/")[0] for change in recommended.values()}
    lines = [
        "# Made by `taximeter recommend` to be reviewed; nothing is in force until it is part of",
        "# your configuration.  `taximeter routes check --config FILE` says what is missing.",
        *(f"# Left out, as its provider is not configured: {_plain(name)}" for name in foreign),
        "",
        *(
            line
            for name in sorted(providers)
            for line in _provider(config.providers[name], packaged)
        ),
        *_keys(config, sorted(providers)),
        *_callers(config),
    ]
    taken: set[str] = set()
    for name in routed:
        lines += _route(name, recommended.get(name), found.changes, taken, now)
    return "\n".join(lines)


def _best(changes: Sequence[Change], known: Sequence[str]) -> dict[str, Change]:
    """The best recommended switch of each candidate; changes are in order."""
    chosen: dict[str, Change] = {}
    for one in changes:
        if one.kind == "model" and one.conclusion == "recommended" and one.to in known:
            chosen.setdefault(one.candidate, one)
    return chosen


def _provider(one: Provider, packaged: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Its settings, as far as they are not the packaged ones."""
    before = packaged.get(one.name, {})
    given = {name: getattr(one, name) for name in PROVIDER}
    other = {
        name: value
        for name, value in given.items()
        if value != before.get(name, getattr(Provider(name=one.name), name))
    }
    if other or one.name not in packaged:
        yield f"[providers.{_key(one.name)}]"
        yield from (f"{name} = {_text(value)}" for name, value in other.items())
        yield ""


def _keys(config: Config, providers: Sequence[str]) -> Iterator[str]:
    """Those that are configured; where there is none, the usual variable."""
    for key in config.gateway.keys.values():
        if key.provider in providers:
            yield f"[gateway.keys.{_key(key.name)}]"
            yield f"provider = {_text(key.provider)}"
            yield f"value = {_text(key.value)}\n"
    keyed = {key.provider for key in config.gateway.keys.values()}
    for provider in providers:
        if provider not in keyed:
            variable = re.sub(r"[^A-Z0-9]", "_", provider.upper())
            yield f"[gateway.keys.{_key(provider)}]"
            yield f"provider = {_text(provider)}"
            yield f"value = {_text(f'env:{variable}_API_KEY')}\n"


def _callers(config: Config) -> Iterator[str]:
    """Those that are configured, who may then ask for the new routes by their names."""
    if not config.gateway.callers:
        yield f"{NOBODY}\n"
    for caller in config.gateway.callers.values():
        yield f"[gateway.callers.{_key(caller.name)}]"
        yield f"token_hash = [{', '.join(map(_text, caller.hashes))}]"
        if caller.tags:
            tags = ", ".join(f"{_key(name)} = {_text(text)}" for name, text in caller.tags.items())
            yield f"tags = {{ {tags} }}"
        yield ""


def _route(
    name: str, change: Change | None, changes: Sequence[Change], taken: set[str], now: datetime
) -> Iterator[str]:
    for one in changes:
        if one.candidate == name and one is not change:
            yield f"# {one.conclusion}: {_plain(one.title)}"
    if change is not None:
        saving = change.saving_share.value or 0.0
        yield f"# recommended: {_plain(change.title)}; expected to save {saving:.0%} of its cost"
        yield f"# canary: {_plain(change.canary)}"
    yield f"[gateway.routes.{_key(_slug(name, taken))}]"
    yield f'version = "{now:%Y-%m-%d}"'
    yield "candidates = ["
    for each in (name, change.to) if change else (name,):
        provider, _, model = each.partition("/")
        yield f"  {{ provider = {_text(provider)}, model = {_text(model)} }},"
    yield "]"
    if change is not None:
        yield (
            f"split = [{{ candidate = 0, share = {1 - CANARY_SHARE:g} }},"
            f" {{ candidate = 1, share = {CANARY_SHARE:g} }}]"
        )
    yield ""


def _slug(name: str, taken: set[str]) -> str:
    """A name for a route, made of the model's."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.partition("/")[2].lower()).strip("-._") or "route"
    plain, number = plain[: NAME_MAX - 4], 1
    found = plain
    while found in taken:
        number += 1
        found = f"{plain}-{number}"
    taken.add(found)
    return found


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(value)


def _plain(text: str) -> str:
    """In a comment, which ends with its line."""
    return "".join(each if each.isprintable() else "?" for each in text)

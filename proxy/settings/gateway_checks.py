"""Checks `[gateway]`: each part alone, and against the others and the providers.  No I/O.

No message quotes where a key comes from or a token's hash: somebody may have written the secret.
"""

import re
from collections.abc import Iterator

from proxy.gateway import when
from proxy.gateway.options import (
    HASH_PREFIX,
    MODALITIES,
    ORDERS,
    CanaryOptions,
    CandidateOptions,
    GatewayOptions,
    RouteOptions,
)
from proxy.gateway.translation.fields import endings, is_known
from proxy.settings.config import Config
from proxy.settings.notify_checks import unknown_targets
from proxy.settings.typed import nearest

# Dialects in which the gateway asks: as its callers do, or translated.
SPOKEN = frozenset(("openai", "anthropic", "gemini", "cohere"))
RESERVED = "gateway"  # the first path segment of this door
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
TAG = re.compile(r"[a-z0-9_.-]{1,64}")
SOURCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[/~][^\x00-\x1f]*|command:\s*\S[^\x00-\x1f]*")
HASH = re.compile(rf"{HASH_PREFIX}[0-9a-f]{{64}}")
EXPLORE_MAX = 0.5
CONFIDENCE_MIN = 0.5
ROUNDING = 1e-9  # of shares that add up to 1


def gateway_mistakes(config: Config) -> Iterator[str]:
    """All mistakes in `[gateway]`, each with its key."""
    gateway = config.gateway
    if RESERVED in config.providers:
        yield f"providers.{RESERVED}: this name is the gateway's; choose another"
    for table in ("keys", "callers", "routes", "aliases"):
        for name in getattr(gateway, table):
            if not NAME.fullmatch(name):
                yield (
                    f"gateway.{table}.{name}: invalid name; use up to 64 of a-z, 0-9, '.', '_' "
                    "and '-', starting with a letter or digit"
                )
    if gateway.retry_share_max > 1:
        yield f"gateway.retry_share_max: expected at most 1, got {gateway.retry_share_max:g}"
    yield from _key_mistakes(config)
    yield from _caller_mistakes(gateway)
    for name, target in gateway.aliases.items():
        at = f"gateway.aliases.{name}"
        if name in gateway.routes:
            yield f"{at}: a route has this name too; choose another"
        yield from _model_mistakes(at, target, config)
    for model in gateway.models.values():
        at = f"gateway.models.{model.name}"
        yield from _model_mistakes(at, model.name, config)
        if model.context_tokens is not None and model.context_tokens < 1:
            yield f"{at}.context_tokens: expected a number above 0, got {model.context_tokens}"
        for one in model.modalities:
            if one not in MODALITIES:
                yield f"{at}.modalities: unknown modality {one!r}{nearest(one, MODALITIES)}"
    for route in gateway.routes.values():
        yield from _route_mistakes(route, config)


def _key_mistakes(config: Config) -> Iterator[str]:
    for key in config.gateway.keys.values():
        at = f"gateway.keys.{key.name}"
        yield from _provider_mistakes(f"{at}.provider", key.provider, config)
        if not SOURCE.fullmatch(key.value):
            yield (
                f"{at}.value: expected where the key is, never the key itself: env:NAME, "
                "file:/PATH or command:PROGRAM ARGUMENTS"
            )


def _caller_mistakes(gateway: GatewayOptions) -> Iterator[str]:
    owners: dict[str, str] = {}
    for caller in gateway.callers.values():
        at = f"gateway.callers.{caller.name}"
        if not caller.hashes or not all(map(HASH.fullmatch, caller.hashes)):
            yield (
                f"{at}.token_hash: expected {HASH_PREFIX} and 64 hexadecimal digits; make a token "
                f"with: taximeter keys add {caller.name}"
            )
        for one in caller.hashes:
            if owners.setdefault(one, caller.name) != caller.name:
                yield f"{at}.token_hash: gateway.callers.{owners[one]} has the same token"
        for name in caller.tags:
            if not TAG.fullmatch(name):
                yield f"{at}.tags.{name}: invalid tag; use up to 64 of a-z, 0-9, '_', '.' and '-'"
        known = [*gateway.routes, *gateway.aliases]
        for name in caller.routes:
            if name not in known and "/" not in name and "*" not in name:
                yield f"{at}.routes: unknown route {name!r}{nearest(name, known)}"


def _route_mistakes(route: RouteOptions, config: Config) -> Iterator[str]:
    at = f"gateway.routes.{route.name}"
    seen: set[tuple[str, str, str]] = set()
    for number, one in enumerate(route.candidates):
        where = f"{at}.candidates[{number}]"
        yield from _candidate_mistakes(where, one, config)
        what = (one.label, one.key, one.when)
        if what in seen:
            yield f"{where}: this candidate is listed twice"
        seen.add(what)
    if not route.candidates:
        yield f"{at}.candidates: expected at least one"
    if route.order not in ORDERS:
        yield f"{at}.order: unknown order {route.order!r}{nearest(route.order, ORDERS)}"
    if not all(field.strip() for field in route.drop):
        yield f"{at}.drop: expected names of fields, got an empty one"
    if route.order == "weights" and not any(one.weight > 0 for one in route.candidates):
        yield f'{at}.candidates: order "weights" needs a weight above 0'
    if not 0 <= route.explore <= EXPLORE_MAX:
        yield f"{at}.explore: expected 0 to {EXPLORE_MAX}, got {route.explore:g}"
    if not 0 < route.deadline_s < float("inf"):
        yield f"{at}.deadline_s: expected a number above 0, got {route.deadline_s:g}"
    for part in ("quality", "latency", "cost", "safety"):
        if not 0 <= getattr(route.score, part) < float("inf"):
            yield f"{at}.score.{part}: expected a number of at least 0"
    yield from _split_mistakes(f"{at}.split", route)
    if route.canary is not None:
        yield from _canary_mistakes(f"{at}.canary", route, route.canary, config)


def _candidate_mistakes(at: str, one: CandidateOptions, config: Config) -> Iterator[str]:
    yield from _provider_mistakes(f"{at}.provider", one.provider, config)
    if not one.model:
        yield f"{at}.model: required"
    keys = config.gateway.keys
    if one.key and one.key not in keys:
        yield f"{at}.key: unknown key {one.key!r}{nearest(one.key, keys)}"
    elif one.key and keys[one.key].provider != one.provider:
        yield f"{at}.key: {one.key} is a key of {keys[one.key].provider}, not of {one.provider}"
    if not 0 <= one.weight < float("inf"):
        yield f"{at}.weight: expected a number of at least 0, got {one.weight:g}"
    for name in ("quality", "safety"):
        value = getattr(one, name)
        if value is not None and not 0 <= value <= 1:
            yield f"{at}.{name}: expected 0 to 1, got {value:g}"
    if one.when:
        try:
            when.parse(one.when)
        except when.Invalid as error:
            hint = nearest(error.unknown, [*when.NAMES, "tags.NAME"]) if error.unknown else ""
            yield f"{at}.when: {error}{hint}"


def _split_mistakes(at: str, route: RouteOptions) -> Iterator[str]:
    arms = [arm.candidate for arm in route.split]
    for arm in arms:
        if not 0 <= arm < len(route.candidates):
            yield f"{at}: no candidate {arm}; the first is 0, the last {len(route.candidates) - 1}"
    if len(set(arms)) < len(arms):
        yield f"{at}: a candidate has two shares"
    if any(not 0 < arm.share <= 1 for arm in route.split):
        yield f"{at}: expected shares above 0 and up to 1"
    elif arms and abs(sum(arm.share for arm in route.split) - 1) > ROUNDING:
        yield f"{at}: the shares add up to {sum(arm.share for arm in route.split):g}, not to 1"


def _canary_mistakes(
    at: str, route: RouteOptions, canary: CanaryOptions, config: Config
) -> Iterator[str]:
    arms = {arm.candidate: arm.share for arm in route.split}
    if canary.candidate not in arms or len(arms) < 2:
        yield (
            f"{at}.candidate: expected an arm of split, beside which there is another; "
            f"got {canary.candidate}"
        )
    places = [one for one in arms if 0 <= one < len(route.candidates)]
    labels = {one: route.candidates[one].label for one in places}
    mine = labels.pop(canary.candidate, "")
    if mine in labels.values():
        yield f"{at}.candidate: another arm is {mine} too, and rows could not tell them apart"
    if not CONFIDENCE_MIN <= canary.confidence < 1:
        yield (
            f"{at}.confidence: expected {CONFIDENCE_MIN:g} or more, below 1, "
            f"got {canary.confidence:g}"
        )
    for name in ("first_token_s", "total_s"):
        value = getattr(canary, name)
        if value is not None and not 0 < value < float("inf"):
            yield f"{at}.{name}: expected a number above 0, got {value:g}"
    if not 0 <= canary.dearer < float("inf"):
        yield f"{at}.dearer: expected a number of at least 0, got {canary.dearer:g}"
    yield from unknown_targets(f"{at}.notify", canary.notify, config)


def _model_mistakes(at: str, name: str, config: Config) -> Iterator[str]:
    provider, slash, model = name.partition("/")
    if not slash or not model:
        yield f"{at}: expected provider/model, got {name!r}"
    else:
        yield from _provider_mistakes(at, provider, config)


def _provider_mistakes(at: str, name: str, config: Config) -> Iterator[str]:
    if name not in config.providers:
        yield f"{at}: unknown provider {name!r}{nearest(name, config.providers)}"


def gateway_warnings(config: Config) -> Iterator[str]:
    """What is valid and cannot work: candidates that no call can reach."""
    gateway = config.gateway
    keyed = {key.provider for key in gateway.keys.values()}
    if gateway.insecure:
        yield "gateway.insecure: whoever reaches the port can spend on your keys"
    elif gateway.routes and not gateway.callers:
        yield "gateway.callers: nobody can use the routes; run: taximeter keys add NAME"
    for route in gateway.routes.values():
        for field in route.drop:
            if not is_known(field):
                at = f"gateway.routes.{route.name}.drop"
                yield f"{at}: no API has a field {field!r}{nearest(field, endings())}"
        for number, one in enumerate(route.candidates):
            at = f"gateway.routes.{route.name}.candidates[{number}]"
            if not config.providers[one.provider].base_url:
                yield f"{at}: unreachable: providers.{one.provider}.base_url is not set"
            dialect = config.providers[one.provider].dialect
            if dialect not in SPOKEN:
                yield f"{at}: its provider speaks {dialect}, which no caller of the gateway does"
            if one.provider not in keyed:
                yield f"{at}: no key: add one for {one.provider} to [gateway.keys]"

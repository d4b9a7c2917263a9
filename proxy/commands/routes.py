"""`taximeter routes`: lists and checks the gateway's routes, and explains what one would do."""

import argparse
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from pricing.charge import Status, plain
from pricing.money import amount
from proxy.commands import terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.terminal import Column, Exit
from proxy.door import keys, prices
from proxy.door.foreign import Foreign, foreign
from proxy.door.measured import Conditions, KnownCanaries
from proxy.door.request import Sender, facts_of, input_tokens
from proxy.door.shared_pools import SharedPools
from proxy.gateway import filters, names, shutting
from proxy.gateway.decision import Choice, Decision, decide, unit_of
from proxy.gateway.facts import OPERATIONS, Facts, Json
from proxy.gateway.filters import Route, keys_of
from proxy.gateway.limits import pool
from proxy.gateway.live import STALE_S, Condition, Live
from proxy.gateway.options import CandidateOptions, RouteOptions
from proxy.gateway.pools import Pool
from proxy.metering.book import tariff_book
from proxy.settings.config import Config
from proxy.settings.gateway_checks import gateway_warnings
from proxy.settings.places import Places
from proxy.settings.typed import nearest

APIS = {operation: end for end, (_, operation) in OPERATIONS.items()}
ROUTES = (
    Column("route", "route"),
    Column("number", "", number=True),
    Column("candidate", "candidate"),
    Column("order", "order"),
    Column("share", "share", number=True),
    Column("when", "when"),
    Column("canary", "canary"),
)
CHOICES = (
    Column("number", "", number=True),
    Column("candidate", "candidate"),
    Column("probability", "first with", number=True),
    Column("usd", "cost", money=True),
    Column("reason", "because"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = [common_again()]
    for action, help in (
        ("list", "list the routes and their candidates"),
        ("check", "report candidates that cannot be reached and keys that are missing"),
    ):
        actions.add_parser(action, help=help, description=help, parents=shared)
    help = "show who would serve a request, in which order, and why"
    explain = actions.add_parser("explain", help=help, description=help, parents=shared)
    explain.add_argument("route", metavar="NAME", help="a route, an alias or provider/model")
    explain.add_argument("request", metavar="FILE", help="the request's body as JSON; -: stdin")
    help = "the API that the body is for (default: by its fields)"
    explain.add_argument("--api", choices=sorted(APIS), default="", help=help)
    explain.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE")
    explain.add_argument("--caller", default="", metavar="NAME", help="a name in gateway.callers")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    match arguments.action:
        case "list":
            return show(config, as_json=arguments.json)
        case "check":
            return check(config, as_json=arguments.json)
        case _:
            return explain(config, arguments)


def show(config: Config, *, as_json: bool) -> Exit:
    """Print the routes as they are configured."""
    canaries = KnownCanaries(Places(config.data))
    rows = [
        {
            "route": route.name,
            "number": str(number),
            "candidate": one.label,
            "order": route.order,
            "share": next((f"{a.share:g}" for a in route.split if a.candidate == number), ""),
            "when": one.when,
            "canary": _canary(canaries, route) if _watches(route, number) else "",
        }
        for route in config.gateway.routes.values()
        for number, one in enumerate(route.candidates)
    ]
    if as_json:
        terminal.emit({"routes": rows, "aliases": dict(config.gateway.aliases)})
        return Exit.OK
    if rows:
        terminal.show(ROUTES, rows)
    else:
        terminal.say("There is no route. docs/gateway.md shows how to write one.")
    for name, model in config.gateway.aliases.items():
        terminal.say(f"alias {name} = {model}")
    return Exit.OK


def _watches(route: RouteOptions, candidate: int) -> bool:
    """Whether a candidate is the route's canary."""
    return route.canary is not None and route.canary.candidate == candidate


def _canary(canaries: KnownCanaries, route: RouteOptions) -> str:
    """How the route's canary fares; "" if it has none."""
    if route.canary is None:
        return ""
    standing = canaries.of(route)
    return "not judged yet" if standing is None else standing.state.replace("_", " ")


def check(config: Config, *, as_json: bool) -> Exit:
    """FAILED: a candidate cannot be reached, or a key is missing."""
    found = [*gateway_warnings(config), *keys.problems(config.gateway.keys, os.environ)]
    if as_json:
        terminal.emit({"problems": found})
    else:
        for one in found:
            terminal.say(one)
        if not found:
            gateway = config.gateway
            counts = f"{len(gateway.routes)} routes, {len(gateway.keys)} keys"
            terminal.say(f"{counts}, {len(gateway.callers)} callers: nothing is missing.")
    return Exit.FAILED if found else Exit.OK


def explain(config: Config, arguments: argparse.Namespace) -> Exit:
    """Print the decision for one request, as the relays of this data directory would make it."""
    try:
        route = _route(config, arguments.route)
        body = _body(arguments.request)
        tags = dict(tag.split("=", 1) for tag in arguments.tag)
        facts = _facts(config, body, arguments, tags)
    except (OSError, ValueError) as error:
        terminal.say(f"routes: {error}", sys.stderr)
        return Exit.MISTAKE
    found = foreign(msgspec.json.encode(body), body, route, facts)
    facts = replace(facts, foreign=found.why)
    at = datetime.now(UTC)
    now = at.timestamp()
    live = _live(config, route, facts, at)
    decision = decide(route, facts, live, now, unit_of(facts, random.random()))
    canary = _canary(KnownCanaries(Places(config.data)), route.options)
    if arguments.json:
        terminal.emit(_document(route, facts, live, decision, found) | {"canary": canary or None})
    else:
        _say(route, facts, live, decision)
        if canary:
            terminal.say(f"The route's canary: {canary}.")
        for label, made in found.requests.items():
            if made.losses:
                terminal.say(f"{label} would be sent without {', '.join(made.losses)}.")
    return Exit.OK if decision.order else Exit.FAILED


def _live(config: Config, route: Route, facts: Facts, at: datetime) -> Live:
    """Prices; and what a proxy that serves here knows of limits, failures and times."""
    places, now = Places(config.data), at.timestamp()
    measured = Conditions(places.gateway_live, lambda: now, lambda: now)
    shared = SharedPools(places.gateway_pools, lambda: now, lambda: now)
    shares = os.access(places.gateway_pools, os.R_OK | os.W_OK)  # looking would make it

    def opens(one: CandidateOptions) -> float:
        named = keys_of(one, config.gateway) if shares else ()
        times = (shared.opens_at(pool(one.provider, key, one.model), now) for key in named)
        return min(times, default=0.0)

    def known(label: str, condition: Condition) -> Condition:
        fresh = now - measured_at <= STALE_S and len(labels) > 1
        state = shared.seen(shutting.name(label)) if shares else Pool()
        return shutting.judged(condition, state, now, fresh=fresh)[0]

    labels = [one.options.label for one in route.candidates]
    measured_at = measured.at(now)
    found = measured.of(labels, facts.input_tokens if route.counts else None)
    out = KnownCanaries(places).rolled_back(route.options)
    priced = prices.conditions(route, facts, tariff_book(config), at)
    conditions = tuple(
        replace(
            known(labels[n], one),
            usd=price.usd,
            rates=price.rates,
            closed_until=opens(route.candidates[n].options),
            rolled_back=n == out,
        )
        for n, (one, price) in enumerate(zip(found, priced, strict=True))
    )
    shared.close()
    return Live(at=measured_at, conditions=conditions)


def _route(config: Config, name: str) -> Route:
    found = names.find(name, config.gateway, config.providers)
    if found is None:
        known = [*config.gateway.routes, *config.gateway.aliases]
        raise ValueError(f"unknown route {name!r}{nearest(name, known)}")
    return filters.route(found, config.gateway, config.providers)


def _body(file: str) -> Json:
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{file} is no JSON object: {error}") from None


def _facts(
    config: Config, body: Json, arguments: argparse.Namespace, tags: dict[str, str]
) -> Facts:
    path = APIS[arguments.api] if arguments.api else _guessed(body)
    sender = Sender(tags=tags, caller=arguments.caller)
    facts = facts_of(path, body, sender, datetime.now(UTC))
    tokens = input_tokens(facts.operation, body, config.metering.count_bytes_max)
    return replace(facts, input_tokens=tokens)


def _guessed(body: Json) -> str:
    """The path of the API that has such bodies; Anthropic's requests state `max_tokens`."""
    if "contents" in body:
        return APIS["generate_content"]
    if "input" in body:
        texts = "instructions" in body or "max_output_tokens" in body or "tools" in body
        return APIS["responses" if texts or isinstance(body["input"], list) else "embeddings"]
    anthropic = "system" in body or "anthropic_version" in body
    return APIS["messages" if anthropic else "chat"]


def _document(
    route: Route, facts: Facts, live: Live, decision: Decision, found: Foreign
) -> dict[str, object]:
    def choice(one: Choice) -> dict[str, object]:
        cost = live.conditions[one.candidate].usd
        label = route.candidates[one.candidate].options.label
        translated = found.requests.get(label)
        return {
            "number": one.candidate,
            "candidate": label,
            "translated": translated is not None,
            "losses": [] if translated is None else translated.losses,
            "probability": one.probability,
            "reason": one.reason,
            "usd": None if cost is None else plain(cost),
        }

    return {
        "route": route.options.name,
        "version": route.options.version,
        "facts": {
            "operation": facts.operation,
            "input_tokens": facts.input_tokens,
            "max_tokens": facts.max_tokens,
            "tools": facts.tools,
            "schema": facts.schema,
            "modalities": sorted(facts.modalities),
            "effort": facts.effort,
            "stream": facts.stream,
            "session": bool(facts.session),
        },
        "candidates": [choice(one) for one in decision.order],
        "excluded": [choice(one) for one in decision.excluded],
        "assigned": decision.assigned,
    }


def _say(route: Route, facts: Facts, live: Live, decision: Decision) -> None:
    kinds = " and ".join(sorted(facts.modalities))
    terminal.say(f"{facts.operation} of {facts.input_tokens:,} tokens, {kinds}\n")
    rows = []
    for one in (*decision.order, *decision.excluded):
        out = one in decision.excluded
        rows.append(
            {
                "number": str(one.candidate),
                "candidate": route.candidates[one.candidate].options.label,
                "probability": "out" if out else f"{one.probability:.1%}",
                "usd": amount(live.conditions[one.candidate].usd, Status.ESTIMATED),
                "reason": one.reason,
            }
        )
    terminal.show(CHOICES, rows)
    if not decision.order:
        terminal.say("No candidate can serve this request.", sys.stderr)

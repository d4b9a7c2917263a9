"""Whom a load test may load: a route of the gateway, a configured model, or an address of this
machine.  Anybody else is refused: load that was not asked for is an attack.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from evaluation.runs import keys, wire
from evaluation.runs.plan import Candidate
from pricing.plan import LOCAL
from proxy.gateway import names
from proxy.query.asked import near
from proxy.settings.checks import is_loopback
from proxy.settings.config import Config, Provider

ROUTE, MODEL, ADDRESS = "route", "model", "address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go.  `billed` are all who may bill them; () for an address nobody bills."""

    name: str
    kind: str
    provider: Provider  # whose dialect is spoken
    model: str  # as requests name it
    billed: tuple[Candidate, ...]
    attempts: int = 1  # of one request that may be billed, at most
    address: str = ""  # of kind ADDRESS: the base URL


def target(config: Config, name: str, model: str, *, unbilled: bool) -> Target:
    """The target of that name.  Raises ValueError with what to do for one that is not allowed."""
    if "://" in name:
        return _address(name, model, unbilled=unbilled)
    if model or unbilled:
        raise ValueError(
            "--send-model and --unbilled are for an address such as http://127.0.0.1:8000"
        )
    known = [*config.gateway.routes, *config.gateway.aliases]
    if name in known:
        return _route(config, name)
    provider, slash, asked = name.partition("/")
    if not slash or not asked or provider not in config.providers:
        choices = [*known, *(f"{one}/MODEL" for one in config.providers)]
        raise ValueError(
            f"--target {name}: only what is configured, or an address of this machine, may be"
            f" loaded; {near(name, choices, (*known, 'PROVIDER/MODEL'))}"
        )
    found = config.providers[provider]
    if not wire.speaks(found):
        dialects = ", ".join(wire.WRITERS)
        raise ValueError(f"--target {name}: cannot speak its dialect; it must be one of {dialects}")
    if not found.base_url:
        raise ValueError(f"--target {name}: set providers.{provider}.base_url first")
    one = Candidate(found, asked)
    return Target(name=name, kind=MODEL, provider=found, model=asked, billed=(one,))


def _route(config: Config, name: str) -> Target:
    route = names.find(name, config.gateway, config.providers)
    assert route is not None  # it is listed
    candidates = tuple(
        Candidate(config.providers[one.provider], one.model) for one in route.candidates
    )
    spoken = next((one for one in candidates if wire.speaks(one.provider)), None)
    if spoken is None:
        raise ValueError(f"--target {name}: no candidate speaks a dialect that a test can")
    attempts = len(candidates) if route.retry_ambiguous else 1
    return Target(
        name=name,
        kind=ROUTE,
        provider=spoken.provider,
        model=name,
        billed=candidates,
        attempts=attempts,
    )


def _address(url: str, model: str, *, unbilled: bool) -> Target:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("--target: invalid port") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not is_loopback(host):
        raise ValueError(
            f"--target {host or url}: not an address of this machine; load a configured target:"
            " a route, or PROVIDER/MODEL"
        )
    if parts.username or parts.query or parts.fragment:
        raise ValueError("--target: an address without user, query or fragment")
    if not model:
        raise ValueError(
            "--target with an address needs --send-model NAME, as its requests name it"
        )
    path = parts.path.rstrip("/").removesuffix("/v1")
    base = f"{parts.scheme}://{host if ':' not in host else f'[{host}]'}:{port or 80}{path}"
    maker, slash, name = model.partition("/")
    provider = Provider(
        name=maker if slash else "local", base_url=base, billing=LOCAL if unbilled else ""
    )
    asked = name if slash else model
    billed = () if unbilled else (Candidate(provider, asked),)
    return Target(
        name=url, kind=ADDRESS, provider=provider, model=asked, billed=billed, address=base
    )


def credential(
    config: Config, target: Target, environ: Mapping[str, str], *, variable: str, insecure: bool
) -> str:
    """The caller's token, or the provider's first key; never logged.  Raises ValueError."""
    if target.kind == ROUTE:
        found = environ.get(variable, "")
        if not found and not insecure:
            raise ValueError(
                f"set a caller's token in ${variable} (taximeter keys add NAME makes one)"
            )
        return found
    if target.kind == ADDRESS:  # whoever it is, no configured key is its business
        return keys.from_environment(target.provider, environ).secret
    return keys.found(config, [target.provider], environ)[target.provider.name][0].secret

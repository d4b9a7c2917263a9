"""What callers may write as a model: a route's name, an alias, or `provider/model`."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from proxy.gateway.options import CandidateOptions, GatewayCaller, GatewayOptions, RouteOptions


def find(asked: str, gateway: GatewayOptions, providers: Collection[str]) -> RouteOptions | None:
    """The route of this name; of an alias or a model, one that leads nowhere else."""
    if asked in gateway.routes:
        return gateway.routes[asked]
    provider, _, model = gateway.aliases.get(asked, asked).partition("/")
    if provider not in providers or not model:
        return None
    return RouteOptions(name=asked, candidates=(CandidateOptions(provider=provider, model=model),))


def allows(caller: GatewayCaller, asked: str) -> bool:
    """Whether a caller may ask for this name."""
    return not caller.routes or any(fnmatchcase(asked, pattern) for pattern in caller.routes)


def listed(gateway: GatewayOptions, caller: GatewayCaller | None) -> list[str]:
    """The names that a caller may ask for, models by `provider/model` left out."""
    names: Iterable[str] = (*gateway.routes, *gateway.aliases)
    return sorted(name for name in names if caller is None or allows(caller, name))

"""The keys that a run calls providers with: those of `[gateway.keys]`, else the environment's.

No message and no representation has a key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from evaluation.runs.plan import PlanError
from pricing.plan import LOCAL
from proxy.door.keys import resolve
from proxy.settings.checks import is_loopback
from proxy.settings.config import Config, Provider

VARIABLES: Mapping[str, tuple[str, ...]] = {  # where it is not PROVIDER_API_KEY
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "qwen": ("DASHSCOPE_API_KEY",),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key by its name in `[gateway.keys]`, which is "" for one from the environment."""

    name: str
    secret: str = field(repr=False)


Keys = Mapping[str, tuple[Key, ...]]  # by provider; one of each at least


def variables(provider: Provider) -> tuple[str, ...]:
    """The environment variables that may hold the provider's key."""
    name = "".join(c if c.isalnum() else "_" for c in provider.name).upper()
    return VARIABLES.get(provider.name, (f"{name}_API_KEY",))


def found(config: Config, providers: Iterable[Provider], environ: Mapping[str, str]) -> Keys:
    """All keys of each provider, in the order of the configuration.

    Where some are configured the environment is not asked: its key may be another account's.
    Raises PlanError; a command that a key comes from may take a while.
    """
    known: dict[str, tuple[Key, ...]] = {}
    missing = {}
    for provider in {one.name: one for one in providers}.values():
        try:
            known[provider.name] = _of(config, provider, environ)
        except PlanError as error:
            missing[provider.name] = str(error)
    if missing:
        raise PlanError("\n".join(missing.values()))
    return known


def from_environment(provider: Provider, environ: Mapping[str, str]) -> Key:
    """The provider's key, empty for one on this machine that has none.  Raises PlanError."""
    names = variables(provider)
    secret = next(filter(None, map(environ.get, names)), "")
    if not secret and not _is_here(provider):
        raise PlanError(
            f"{provider.name}: set its key in {' or '.join(names)}, or add one to [gateway.keys]"
        )
    return Key("", secret)


def _of(config: Config, provider: Provider, environ: Mapping[str, str]) -> tuple[Key, ...]:
    configured = [key for key in config.gateway.keys.values() if key.provider == provider.name]
    read, wrong = [], []
    for key in configured:
        try:
            read.append(Key(key.name, resolve(key, environ)))
        except ValueError as error:
            wrong.append(f"gateway.keys.{key.name}: {error}")
    if read:
        return tuple(read)
    if wrong:
        raise PlanError("\n".join(wrong))
    return (from_environment(provider, environ),)


def _is_here(provider: Provider) -> bool:
    """Whether it runs on this machine, where a key is seldom needed."""
    return provider.billing == LOCAL or is_loopback(urlsplit(provider.base_url).hostname or "")

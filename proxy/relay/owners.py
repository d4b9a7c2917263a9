"""Which provider a path without a provider's name belongs to.  No I/O.

Several providers have the same paths, so a prefix alone may send a call, and its caller's key, to
the wrong one.  What else a call says decides: the host it was meant for, and the marks of a
provider, which are headers and query parameters that only its callers send.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from proxy.settings.config import Provider

Pairs = Iterable[tuple[bytes, bytes]]
NOTHING: Pairs = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A prefix of a provider; `shared` if others have it too: then a mark must confirm it."""

    prefix: str
    pattern: re.Pattern[str]
    provider: Provider
    shared: bool


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The providers between which nothing decides."""

    candidates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Signs:
    """What a call says besides its path."""

    headers: Mapping[str, str] = field(default_factory=dict)  # by lower-case name
    query: str = ""

    @classmethod
    def of(cls, headers: Pairs, query: str) -> "Signs":
        """From raw headers."""
        pairs = (
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers
        )
        return cls(dict(pairs), query)

    def bear(self, mark: str) -> bool:
        """Whether they have `mark`: `header`, `header: start of its value`, or `?parameter`."""
        if mark.startswith("?"):
            names = (pair.partition("=")[0] for pair in self.query.split("&"))
            return mark[1:] in names
        name, colon, start = mark.partition(":")
        value = self.headers.get(name.strip().lower())
        return value is not None and (not colon or value.startswith(start.strip()))


class Owners:
    """The claims of all providers, the longest prefix first."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._claims = sorted(
            (
                Claim(prefix, _pattern(prefix), provider, shared)
                for provider in providers.values()
                for prefixes, shared in ((provider.owns, False), (provider.shares, True))
                for prefix in prefixes
            ),
            key=lambda claim: len(claim.prefix),
            reverse=True,
        )
        hosts = [(urlsplit(one.base_url).hostname or "", one) for one in providers.values()]
        count = Counter(host for host, _ in hosts)
        self._hosts = {host: provider for host, provider in hosts if _telling(host, count)}
        # Names that are the beginning of a path of others, such as Azure's /openai/deployments/.
        self.contested = frozenset(
            first
            for claim in self._claims
            if (first := claim.prefix[1:].partition("/")[0]) in providers
            and claim.provider.name != first
        )

    def find(
        self, path: str, signs: Signs, named: Provider | None = None
    ) -> Provider | Ambiguous | None:
        """Who owns `path`; None if nobody does.  `named` is the provider that it begins with."""
        if named is None and (meant := self._hosts.get(_hostname(signs.headers.get("host", "")))):
            return meant
        claims = [claim for claim in self._claims if claim.pattern.match(path)]
        marked = [
            claim
            for claim in claims
            if (claim.provider.base_url or not named) and any(map(signs.bear, claim.provider.marks))
        ]
        if marked:
            return _only(marked)
        owner = next((claim for claim in claims if not claim.shared), None)
        if named is not None:
            return owner.provider if owner else named
        longest = len(owner.prefix) if owner else 0
        shared = [claim for claim in claims if claim.shared and len(claim.prefix) > longest]
        return _only(shared) if shared else owner.provider if owner else None


def _telling(host: str, count: Mapping[str, int]) -> bool:
    """Whether a host names one provider, rather than a machine of ours."""
    return "." in host and not host.replace(".", "").isdigit() and count[host] == 1


def _only(claims: list[Claim]) -> Provider | Ambiguous:
    """The provider of the longest of `claims`, unless several have one as long."""
    best = [claim for claim in claims if len(claim.prefix) == len(claims[0].prefix)]
    names = {claim.provider.name: claim.provider for claim in best}
    return best[0].provider if len(names) == 1 else Ambiguous(tuple(sorted(names)))


def _pattern(prefix: str) -> re.Pattern[str]:
    """`*` matches any text, and a `$` at the end the end of the path."""
    whole, end = (prefix[:-1], "$") if prefix.endswith("$") else (prefix, "")
    return re.compile(".*".join(map(re.escape, whole.split("*"))) + end)


def _hostname(host: str) -> str:
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()

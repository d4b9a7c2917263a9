"""Which provider a path belongs to, and which part of the path is sent there.  No I/O.

`/{provider}/rest` goes to that provider; a bare provider path such as `/v1/messages` goes to its
owner (`proxy.relay.owners`); a leading `/~team=search,feature=chat` only tags the call.  The rest
of the path is forwarded undecoded: `%3A`, doubled slashes and the query stay as they are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from proxy.relay.owners import NOTHING, Ambiguous, Owners, Pairs, Signs
from proxy.settings.config import Provider

TAGS_MAX = 32  # per call; more are ignored
TAG_NAME_CHARACTERS_MAX = 64
TAG_VALUE_CHARACTERS_MAX = 256  # longer values are cut
PATH_CHARACTERS_SHOWN = 80  # of a path, in a refusal
TARGET_CHARACTERS_CACHED_MAX = 256
TOKEN_TAG = "token"  # not a tag, but the proxy's token from clients that cannot set headers

TAG_NAME = re.compile(rf"[a-z0-9_.-]{{1,{TAG_NAME_CHARACTERS_MAX}}}")
# A dot segment, after decoding: at the provider it could climb out of the base URL's path.
_DOT_SEGMENT = re.compile(r"(?:^|[/\\])\.\.?(?:[/\\]|$)")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes.  `target` is what is sent upstream: base path + rest, in origin form."""

    provider: Provider
    target: str
    tags: Mapping[str, str]
    token: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a path is refused: an HTTP status, a class for machines, a sentence for people."""

    status: int
    kind: str
    message: str
    token: str = ""


class Routes:
    """The routing table, made once."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers
        self._base_paths = {
            name: urlsplit(provider.base_url).path.rstrip("/")
            for name, provider in providers.items()
        }
        self._owners = Owners(providers)
        self._repeated = lru_cache(maxsize=1024)(self._of_path)  # callers use few paths

    def find(self, target: str, headers: Pairs = NOTHING) -> Route | Refusal:
        """The route of a request target in origin or absolute form.

        The host of an absolute form is ignored: a call can only go to a configured provider.
        """
        if "?" in target or len(target) > TARGET_CHARACTERS_CACHED_MAX:
            return self._find(target, headers)
        return self._repeated(target) or self._find(target, headers)

    def _of_path(self, target: str) -> Route | Refusal | None:
        """The route, if the path alone decides: no header can change it."""
        path = _origin_form(target)
        if path.startswith("/~"):
            path = "/" + path[2:].partition("/")[2]
        name = path[1:].partition("/")[0]
        told = name in self._providers and name not in self._owners.contested
        return self._find(target, NOTHING) if told else None

    def _find(self, target: str, headers: Pairs) -> Route | Refusal:
        path, mark, query = _origin_form(target).partition("?")
        tags: dict[str, str] = {}
        if path.startswith("/~"):
            segment, slash, path = path[2:].partition("/")
            path = slash + path
            try:
                tags = _tags(segment)
            except ValueError as error:
                return Refusal(400, "bad_tags", str(error))
        token = tags.pop(TOKEN_TAG, "")
        if "." in unquote(path) and _DOT_SEGMENT.search(unquote(path)):
            text = "paths with '.' or '..' segments are not forwarded."
            return Refusal(400, "bad_path", text, token)
        provider, rest = self._owner(path, headers, query)
        if isinstance(provider, Ambiguous):
            return _ambiguous(provider, path, token)
        if provider is None:
            return Refusal(
                404,
                "unknown_path",
                "no provider has this path. Begin it with a provider's name, as in "
                "/openai/v1/chat/completions.",
                token,
            )
        if not provider.base_url:
            return Refusal(
                404,
                "provider_not_configured",
                f"provider {provider.name!r} has no address. Set "
                f"providers.{provider.name}.base_url in the configuration.",
                token,
            )
        sent = self._base_paths[provider.name] + rest
        return Route(provider, (sent or "/") + mark + query, tags, token)

    def _owner(
        self, path: str, headers: Pairs, query: str
    ) -> tuple[Provider | Ambiguous | None, str]:
        name, slash, rest = path[1:].partition("/")
        named = self._providers.get(name)
        if named is not None and name not in self._owners.contested:
            return named, slash + rest
        found = self._owners.find(path, Signs.of(headers, query), named)
        if found is named and named is not None:
            return named, slash + rest
        if isinstance(found, Provider):  # its base path is part of a bare path, or is put before it
            path = path.removeprefix(self._base_paths[found.name])
        return found, path


def _ambiguous(found: Ambiguous, path: str, token: str) -> Refusal:
    names = found.candidates
    text = (
        f"several providers have this path: {', '.join(names)}. Begin it with the name of one, "
        f"as in /{names[0]}{path[:PATH_CHARACTERS_SHOWN]}"
    )
    return Refusal(400, "ambiguous_path", text, token)


def _origin_form(target: str) -> str:
    """`http://host/path` → `/path`; a target that begins with a slash is returned as it is."""
    if target.startswith("/"):
        return target
    _, scheme, rest = target.partition("://")
    if not scheme:
        return "/" + target  # the asterisk of `OPTIONS *`: owned by nobody
    start = min((at for mark in "/?" if (at := rest.find(mark)) >= 0), default=len(rest))
    return rest[start:] if rest[start : start + 1] == "/" else "/" + rest[start:]


def own_path(target: str) -> str:
    """The path of a target in any form, without its query."""
    return _origin_form(target).partition("?")[0]


def _tags(segment: str) -> dict[str, str]:
    """`team=search,feature=chat` as a mapping.  Raises ValueError that says what to write."""
    tags: dict[str, str] = {}
    for pair in segment.split(",")[:TAGS_MAX]:
        name, equals, value = pair.partition("=")
        name = unquote(name).lower()
        if not equals or not TAG_NAME.fullmatch(name):
            raise ValueError("write tags as /~name=value,name=value/, for example /~team=search/.")
        tags[name] = unquote(value)[:TAG_VALUE_CHARACTERS_MAX]
    return tags

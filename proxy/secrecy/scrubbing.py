"""Replaces every credential in heads and targets by `***`, so that they can be stored.  No I/O.

Names are kept as sent.  `patterns` defines what counts as a credential.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_plus

from proxy.secrecy.patterns import HIDDEN, SECRET_VALUE, SECRET_VALUE_CHARACTERS_MIN, is_secret

_URL_PASSWORD = r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
_SECRET_VALUE = re.compile(rf"{SECRET_VALUE}|{_URL_PASSWORD}")
# `name=value` outside the query itself: matrix parameters, fragments, a URL inside a value.
_PAIR = re.compile(r"(?<![^/;?&#,\s])([^/;?&#,\s=]+)=([^/;?&#,\s]+)")
_SUBPROTOCOL_SECRET = re.compile(r"(?i)key|token|secret|auth|bearer|[^,\s]{41,}")
_NAME_BYTES_CACHED_MAX = 128  # longer names must not fill the cache
_TARGET_CHARACTERS_CACHED_MAX = 128


def scrubbed_target(target: str) -> str:
    """A path with its query, credentials replaced."""
    if len(target) <= _TARGET_CHARACTERS_CACHED_MAX and "?" not in target:
        return _repeated_target(target)
    return _scrubbed_target(target)


def _scrubbed_target(target: str) -> str:
    path, mark, query = target.partition("?")
    path = "/".join(map(_scrubbed_text, path.split("/"))) if "%" in path else _scrubbed_text(path)
    if query:
        query = "&".join(map(_scrubbed_parameter, query.split("&")))
    return (path + mark + query).encode("utf-8", "replace").decode()


def scrubbed_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags with credentials replaced."""
    return {
        name: HIDDEN if is_secret(name) else _SECRET_VALUE.sub(HIDDEN, value)
        for name, value in tags.items()
    }


def scrubbed_document(value: object) -> object:
    """Decoded JSON with credentials replaced: by the name of their field, or by their form."""
    if isinstance(value, Mapping):
        return {
            _scrubbed_text(str(name)): HIDDEN
            if isinstance(field, str | list | tuple | Mapping) and is_secret(str(name).lower())
            else scrubbed_document(field)
            for name, field in value.items()
        }
    if isinstance(value, list | tuple):
        return [scrubbed_document(one) for one in value]
    return _scrubbed_text(value) if isinstance(value, str) else value


def scrubbed_pair(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    """A header with credentials replaced; its name is as sent."""
    name, value = pair
    key, secret = _known(name) if len(name) <= _NAME_BYTES_CACHED_MAX else _new(name)
    return (key, HIDDEN) if secret else _scrubbed_value(key, value)


def _scrubbed_value(key: str, value: bytes) -> tuple[str, str]:
    """The header `key`, which does not name a credential; its value may hold one all the same."""
    text = value.decode("utf-8", "replace")
    if b"?" in value:
        text = scrubbed_target(text)
    elif len(value) >= SECRET_VALUE_CHARACTERS_MIN or b"=" in value or b"://" in value:
        text = _scrubbed_text(text)
    if key.lower() == "sec-websocket-protocol" and _SUBPROTOCOL_SECRET.search(text):
        return key, HIDDEN
    return key, text


def _new(name: bytes) -> tuple[str, bool]:
    """A header name as text, and whether it names a credential."""
    key = name.decode("latin-1")
    return key, is_secret(key.lower())


_known = lru_cache(maxsize=1024)(_new)  # real callers send the same few names again and again
_repeated_target = lru_cache(maxsize=1024)(_scrubbed_target)


def _scrubbed_parameter(parameter: str) -> str:
    name, equals, _ = parameter.partition("=")
    if equals and is_secret(unquote_plus(name).lower()):
        return name + equals + HIDDEN
    return _scrubbed_text(parameter)


def _scrubbed_text(text: str) -> str:
    """A part of a path, query or header; replaced completely if its secret is percent-encoded."""
    if "%" in text:
        plain = unquote_plus(text)
        if plain != text and _scrubbed_plain(plain) != plain:
            return HIDDEN
    return _scrubbed_plain(text)


def _scrubbed_plain(text: str) -> str:
    if "=" in text:
        text = _PAIR.sub(_scrubbed_match, text)
    return _SECRET_VALUE.sub(HIDDEN, text)


def _scrubbed_match(pair: re.Match[str]) -> str:
    name = pair[1]
    return f"{name}={HIDDEN}" if is_secret(name.lower()) else pair[0]

"""Functions of OpenAI's Responses stand in namespaces; elsewhere a function has one name.

So a function's name begins with that of its namespace there, and a call of it is told apart again.
"""

import re
from collections.abc import Mapping

from proxy.gateway.translation.values import listed, mapping, text

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # of a function, at OpenAI and at Anthropic


def joined(namespace: str, name: str) -> str:
    """The one name."""
    return f"{namespace}__{name}" if namespace else name


def apart(tools: object) -> Mapping[str, tuple[str, str]]:
    """One name → the namespace and the name, of a request's tools."""
    found: dict[str, tuple[str, str]] = {}
    for one in map(mapping, listed(tools)):
        if one.get("type") == "namespace":
            namespace = text(one.get("name"))
            for inner in map(mapping, listed(one.get("tools"))):
                name = text(inner.get("name"))
                found[joined(namespace, name)] = namespace, name
    return found

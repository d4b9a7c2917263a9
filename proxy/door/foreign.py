"""Candidates that speak another dialect than the caller: the request in theirs, or why not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from proxy.gateway.facts import Facts, Json
from proxy.gateway.filters import Route, speaks
from proxy.gateway.translation import requests
from proxy.gateway.translation.losses import Malformed, Refused
from proxy.gateway.translation.neutral import Target
from proxy.gateway.translation.requests import Translated
from proxy.gateway.translation.signatures import MARK, MARK_64

UNCARRIED = "it cannot carry {}; `drop` of the route lists what may be left out"
SIGNED = "the conversation has thoughts that another provider signed"
# In a body as its caller's SDK writes it, a thought that was signed elsewhere.
_FOREIGN = {
    "responses": re.compile(rb'"encrypted_content"\s*:\s*"' + MARK.encode()),
    "anthropic": re.compile(rb'"(?:signature|data)"\s*:\s*"' + MARK.encode()),
    "gemini": re.compile(rb'"thought_?[sS]ignature"\s*:\s*"' + MARK_64.encode()),
}


class Named(Protocol):
    """A provider, as the settings have it."""

    @property
    def dialect(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """By a candidate's label: its request, or why there is none."""

    requests: Mapping[str, Translated] = field(default_factory=lambda: MappingProxyType({}))
    why: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def foreign(body: bytes, document: Json, route: Route, facts: Facts) -> Foreign:
    """What is to be known of a route's candidates before the decision."""
    made: dict[str, Translated] = {}
    why: dict[str, str] = {}
    api = requests.APIS.get((facts.dialect, facts.operation), "")
    own = _FOREIGN.get(api)
    signed = own is not None and own.search(body) is not None
    for one in route.candidates:
        label, to = one.options.label, one.api(facts.operation)
        if speaks(one, facts):
            if signed:
                why[label] = SIGNED
        elif to in requests.reached(api):
            target = Target(api=to, provider=one.options.provider, model=one.options.model)
            try:
                made[label] = requests.translate(
                    api, document, target, route.options.drop, stream=facts.stream
                )
                why[label] = ""
            except Refused as error:
                why[label] = UNCARRIED.format(error)
            except Malformed as error:
                why[label] = str(error)
    return Foreign(requests=made, why=why)

"""Counts a prompt's tokens for callers of Anthropic's `count_tokens`, where nobody else would: its
candidates speak other dialects, which have no such question."""

import asyncio
from dataclasses import dataclass

from pricing.usage import Meter
from proxy.exchange import CountRequest
from proxy.gateway.facts import Facts, Json
from proxy.gateway.filters import Route
from proxy.gateway.translation.requests import WRITES
from proxy.tokens import tokens

OPERATION = "count_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """An answer of our own.  `origin` says how good it is: counted or estimated."""

    input_tokens: int
    origin: str
    candidate: str  # provider/model that the count is for


async def counted(document: Json, route: Route, facts: Facts, bytes_max: int) -> Counted | None:
    """The prompt's tokens at the first candidate that could serve it translated; None: none could,
    or it is not what was asked."""
    if facts.operation != OPERATION:
        return None
    able = (one for one in route.candidates if one.dialect in WRITES and not one.blocked)
    first = next(able, None)
    if first is None:
        return None
    request = CountRequest(request=document)
    found = await asyncio.to_thread(
        tokens.count, first.dialect, first.options.model, request, bytes_max
    )
    number = int(found.usage.quantities.get(Meter.INPUT, 0))
    return Counted(input_tokens=number, origin=found.usage.origin, candidate=first.options.label)

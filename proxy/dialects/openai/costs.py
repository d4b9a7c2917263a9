"""The cost that a provider states in its usage block, or beside it."""

from decimal import Decimal

from proxy.dialects.openai.usage import Block
from proxy.dialects.values import decimal, integer, mapping

USD_PER_TICK = Decimal(1).scaleb(-10)  # https://docs.x.ai/docs/guides/cost-tracking


def stated_usd(body: Block, before: Decimal | None = None) -> Decimal | None:
    """What a body says the call cost, in its usage block or beside it; else `before`."""
    for block in (mapping(body.get("usage")), body):
        if (cost := reported_usd(block)) is not None:
            return cost
    return before


def reported_usd(usage: Block) -> Decimal | None:
    """The cost that the provider reports, in USD.

    xAI `cost_in_usd_ticks`, OpenRouter `cost` (credits are USD), Perplexity `cost.total_cost`,
    DeepInfra `estimated_cost`.
    """
    ticks = integer(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks * USD_PER_TICK
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    return decimal(usage.get("estimated_cost") if cost is None else cost)

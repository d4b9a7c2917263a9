"""Writes negotiated discounts that a bill shows as tariffs to lay over the shipped ones.  Pure.

Only factors that hold for a model on every day of the comparison: what began or ended within it is
for a person to date.
"""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from pricing.usage import Meter
from proxy.invoices.cells import Cell
from proxy.invoices.prices import Found, factors
from proxy.invoices.statement import INPUT, OUTPUT, READ, WHOLE, WRITE

# Items of a bill → meters of a tariff.
_METERS = {
    item: tuple(meter for meter in Meter if meter.split(".")[0].startswith(item))
    for item in (INPUT, OUTPUT, READ, WRITE)
}


def overlay(provider: str, cells: Sequence[Cell], source: str, checked: date) -> str | None:
    """A tariff file with a factor for each group of models; None if there is no discount.

    `source` is where the figures come from, for the receipts.
    """
    lanes = [one for one in factors(cells) if one.always and one.models[0]]
    if not lanes:
        return None
    parts = [_head(provider, source, checked)]
    models = sorted({one.models[0] for one in lanes})
    seen = {one.model for one in cells if one.metered_usd > 0 and one.model}
    whole = {model: _whole(model, lanes, cells) for model in models}
    common = set(whole.values())
    if len(common) == 1 and None not in common and set(models) == seen:
        (factor,) = common
        assert factor is not None
        parts.append(_factor("invoice", factor, (), ()))
        return "\n".join(parts)
    for number, model in enumerate(models, 1):
        if (factor := whole[model]) is not None:
            parts.append(_factor(f"invoice-{number}", factor, (model,), ()))
            continue
        for lane in lanes:
            if lane.models == (model,) and lane.items[0] in _METERS:
                name = f"invoice-{number}-{lane.items[0]}"
                parts.append(_factor(name, lane.factor, (model,), _METERS[lane.items[0]]))
    return "\n".join(parts) if len(parts) > 1 else None


def _whole(model: str, lanes: Sequence[Found], cells: Sequence[Cell]) -> Decimal | None:
    """The one factor of all that a model costs; None if its parts have several."""
    ours = [one for one in lanes if one.models == (model,)]
    items = {one.item for one in cells if one.model == model and one.metered_usd > 0}
    same = {one.factor for one in ours}
    whole = {item for one in ours for item in one.items} >= items - {"other"}
    return ours[0].factor if len(same) == 1 and (whole or items == {WHOLE}) else None


def _head(provider: str, source: str, checked: date) -> str:
    return (
        f"# Discounts that the bill shows; `taximeter reconcile` found them.  Check them against\n"
        f"# the contract before you use them: docs/own-prices.md.\n"
        f"provider = {json.dumps(provider)}\n"
        f"source = {json.dumps(source)}\n"
        f"checked = {checked}\n"
    )


def _factor(name: str, factor: Decimal, models: tuple[str, ...], meters: tuple[str, ...]) -> str:
    lines = ["[[factors]]", f"name = {json.dumps(name)}", f"factor = {factor.normalize():f}"]
    if models:
        lines.append(f"models = {json.dumps(list(models))}")
    if meters:
        lines.append(f"apply = {json.dumps(list(meters))}")
    return "\n".join(lines) + "\n"

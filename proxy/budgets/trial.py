"""What a given call would meet: whether a budget counts it, and lets it pass.  Pure."""

from collections.abc import Mapping
from decimal import Decimal

from pricing.budget import ANY, Budget
from pricing.budget_state import fits, never_fits
from pricing.charge import plain
from proxy.budgets.evaluation import Standing
from proxy.budgets.shown import state_name


def trial(
    budget: Budget, call: Mapping[str, str], amount: Decimal, standing: Standing | None
) -> dict[str, object]:
    """`amount` is what the call holds back, in the budget's unit; `standing` None: not counted."""
    differs = [
        {"dimension": name, "wanted": wanted, "given": call.get(name, "")}
        for name, wanted in budget.scope.items()
        if wanted not in (ANY, call.get(name, ""))
    ]
    found: dict[str, object] = {
        "name": budget.name,
        "counts": standing is not None,
        "differs": differs,
        "action": budget.action,
        "amount": plain(amount),
    }
    if standing is None:
        says = f"Budget {budget.name} does not count this call."
        return found | {"answer": "passes", "says": says}
    answer, says = _answer(budget, standing, amount)
    window = standing.window
    return found | {
        "key": dict(standing.key),
        "state": state_name(standing),
        "window_start": window.start.isoformat(),
        "window_end": None if window.end is None else window.end.isoformat(),
        "answer": answer,
        "says": says,
        "status": budget.status if answer == "refused" else None,
    }


def _answer(budget: Budget, standing: Standing, amount: Decimal) -> tuple[str, str]:
    """(passes | shadowed | refused | unknown, a sentence)."""
    spend = standing.spend
    if budget.limit is None:
        return "passes", f"Budget {budget.name} has no limit."
    if spend is None:
        return "unknown", "What it holds is not known yet: the store has not answered."
    unit = "USD" if budget.unit == "usd" else budget.unit
    sizes = f"{plain(spend.committed)} of {plain(budget.limit)} {unit} are spent or held back"
    if fits(budget, spend, amount):
        return "passes", f"{sizes}: it fits."
    why = "it can never fit" if never_fits(budget, amount) else "it does not fit"
    if budget.action in ("block", "throttle"):
        return "refused", f"{sizes}: {why}, so it is refused with {budget.status}."
    if budget.action == "shadow":
        return "shadowed", f"{sizes}: {why}; it passes, marked as one that would be refused."
    return "passes", f"{sizes}: {why}; it passes, since this budget only alerts."

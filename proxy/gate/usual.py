"""What calls usually use, from their rows: what `reserve = "typical"` holds back, and who served.

The 99th percentile of what the last calls of a budget counted, by the model that was asked for; so
one call in a hundred may use more than was held back for it.  And which model serves a name: rows,
and so budgets, name the one that served, which a request does not know.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal

from exporters.record import Record
from pricing.budget import Budget
from proxy.gate.rules import Rules, Typical

SAMPLE_MIN, SAMPLE_MAX = 100, 1_000  # calls; with fewer the worst case is held back
MODELS_MAX = 1_000  # pairs of a budget and a model, and names with the model that serves them
PERCENTILE = 0.99


def asked(provider: str, model: str) -> str:
    """How a model that was asked for is named in the rules."""
    return f"{provider}/{model}"


class Usual:
    """Begins with what an earlier meter had found."""

    def __init__(self, earlier: Rules) -> None:
        self._typical = {name: dict(models) for name, models in earlier.typical.items()}
        self._samples: dict[tuple[str, str], deque[Decimal]] = {}
        self.served = dict(earlier.served)

    def observe(self, record: Record, facts: Mapping[str, str], budgets: Iterable[Budget]) -> None:
        """Count one row; `facts` is what scopes may name of it."""
        if record.outcome != "ok" or not record.request_model or record.is_socket:
            return
        name = asked(record.provider, record.request_model)
        served = record.response_model
        if name in self.served or (served not in ("", record.request_model)):
            self._serves(name, served or record.request_model)
        for budget in budgets:
            amount = _amount(record, budget)
            if amount is None or budget.matches(facts) is None:
                continue
            key = budget.name, name
            sample = self._samples.get(key)
            if sample is None:
                if len(self._samples) >= MODELS_MAX:
                    self._samples.clear()
                sample = self._samples[key] = deque(maxlen=SAMPLE_MAX)
            sample.append(amount)

    def _serves(self, name: str, model: str) -> None:
        if len(self.served) >= MODELS_MAX and name not in self.served:
            self.served.clear()
        self.served[name] = model

    def typical(self) -> Typical:
        """By budget and model asked for; what a new meter has not seen often is as it was."""
        for (budget, name), sample in self._samples.items():
            if len(sample) >= SAMPLE_MIN:
                rank = int(PERCENTILE * (len(sample) - 1))
                self._typical.setdefault(budget, {})[name] = sorted(sample)[rank]
        return {budget: dict(models) for budget, models in self._typical.items()}


def _amount(record: Record, budget: Budget) -> Decimal | None:
    """What a row counts; None: unknown, or the budget holds back something else."""
    if budget.reserve != "typical" or budget.unit == "calls":
        return None
    if budget.unit == "usd":
        return record.cost_usd
    tokens = record.input_tokens_total
    return None if tokens is None else Decimal(tokens + (record.output_tokens_total or 0))

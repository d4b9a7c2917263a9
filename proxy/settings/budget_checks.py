"""Checks the budgets: each alone, and against providers, key names and targets.  No I/O."""

import re
from collections.abc import Collection, Iterator, Mapping

from pricing.budget import ANY, CHOICES, DIMENSIONS, TAG, Budget, mistakes
from pricing.window import CALENDAR, TOTAL, zones
from proxy.settings.config import Config
from proxy.settings.notify_checks import unknown_targets
from proxy.settings.typed import nearest

FINGERPRINT = re.compile(r"k_[0-9a-f]+")


def budget_mistakes(budget: Budget, config: Config) -> Iterator[str]:
    """All mistakes in one `[budgets.NAME]`, each with its key."""
    at = f"budgets.{budget.name}"
    for field, what in mistakes(budget):
        key = f"{at}.{field}" if field else at
        hint = "" if "has no effect" in what else _hint(budget, field)
        yield f"{key}: {what}{hint}"
    provider = budget.scope.get("provider", ANY)
    if provider and ANY not in provider and provider not in config.providers:
        hint = nearest(provider, config.providers)
        yield f"{at}.scope.provider: unknown provider {provider!r}{hint}"
    yield from _key_mistakes(f"{at}.scope.key", budget.scope.get("key", ANY), config.key_names)
    yield from unknown_targets(f"{at}.notify", budget.notify, config)


def unseen(budget: Budget, seen: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Warnings: values in the scope that no call has had, by the dimensions that `seen` holds.

    They are no mistakes: the first such call may still come.
    """
    for name, value in budget.scope.items():
        if value != ANY and name in seen and value not in seen[name]:
            hint = nearest(value, seen[name])
            yield f"budgets.{budget.name}.scope.{name}: {value!r} is not known yet{hint}"


def idle(budget: Budget) -> Iterator[str]:
    """Warnings: options that change nothing.  No mistakes: the budget does what it is for."""
    if budget.unknown_usd is not None and budget.unit != "usd":
        yield f"budgets.{budget.name}.unknown_usd: has no effect with limit_{budget.unit}"


def _key_mistakes(at: str, key: str, names: Mapping[str, str]) -> Iterator[str]:
    """Rows name a key by its configured name, else by its fingerprint."""
    if not key or ANY in key or key in names.values():
        return
    if key in names:
        yield f'{at}: rows show {key} by its name in key_names; write "{names[key]}"'
    elif not FINGERPRINT.fullmatch(key):
        hint = nearest(key, names.values()) or "; give it a name in [key_names] first"
        yield f"{at}: unknown key {key!r}{hint}"


def _hint(budget: Budget, field: str) -> str:
    """A suggestion for a value that is nearly right."""
    name = field.removeprefix("scope.")
    if name != field and not name.startswith(TAG) and name not in DIMENSIONS:
        return nearest(name, [*DIMENSIONS, f"{TAG}NAME"])
    if field == "timezone":
        return nearest(budget.timezone, zones())
    if field == "period" and (close := nearest(budget.period, [*CALENDAR, TOTAL, "rolling 24h"])):
        return close if "did you mean" in close else ""
    if field in CHOICES and isinstance(value := getattr(budget, field), str):
        close = nearest(value, [str(one) for one in CHOICES[field]])
        return close if "did you mean" in close else ""
    return ""

"""The budgets in force: those of the configuration, and those that were made by API.

The latter lie in one file of the state directory.  A budget of the configuration can only be
changed there.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from pricing.budget import Budget
from proxy.journal.disk import write_atomically
from proxy.settings.budget_checks import budget_mistakes
from proxy.settings.config import Config
from proxy.settings.typed import Layer, SettingsReader

log = logging.getLogger(__name__)

BUDGETS_MAX = 1_000
AMOUNTS = ("limit_usd", "anomaly_usd", "unknown_usd")  # may be text, which loses no digit
Document = dict[str, Any]


class InvalidBudget(ValueError):
    """A budget that cannot be; the message has every mistake, each with its key."""


class ConfiguredBudget(ValueError):
    """The budget is in the configuration file, which no request changes."""


class _File(msgspec.Struct):
    budgets: dict[str, Document] = {}
    limits: dict[str, str] = {}  # of all budgets, as they were when the file was written


@dataclass(frozen=True, slots=True)
class _Budgets:
    budgets: Mapping[str, Budget] = field(default_factory=lambda: MappingProxyType({}))


class Registry:
    """`problems` says which budgets are not in force and why; metering goes on without them."""

    def __init__(self, config: Config, path: Path) -> None:
        self._config = config
        self._path = path
        self.problems: list[str] = []
        self._unreadable = False
        self._own: dict[str, Budget] = {}
        self._invalid: dict[str, Document] = {}  # kept as they are, for somebody to correct
        saved = self._load()
        for name, document in saved.budgets.items():
            if name in config.budgets:
                log.warning("Budget %s is in the configuration now; that one counts.", name)
                continue
            try:
                self._own[name] = self.parsed(name, document)
            except InvalidBudget as error:
                self._invalid[name] = document
                self._problem(f"budget {name} is not in force: {error}")
        self._limits = saved.limits

    def _load(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except (OSError, msgspec.DecodeError) as error:
            self._unreadable = True
            self._problem(f"cannot read {self._path} ({error}): its budgets are not in force")
            return _File()

    def _problem(self, what: str) -> None:
        log.error("%s", what[:1].upper() + what[1:])
        self.problems.append(what)

    @property
    def budgets(self) -> dict[str, Budget]:
        """All budgets by name, those of the configuration first."""
        return {**self._config.budgets, **self._own}

    def is_configured(self, name: str) -> bool:
        """Whether the configuration file has it."""
        return name in self._config.budgets

    def parsed(self, name: str, document: Mapping[str, Any]) -> Budget:
        """A budget from a document with the keys of `[budgets.NAME]`.  Raises InvalidBudget."""
        table = dict(document) | {key: _amount(document[key]) for key in AMOUNTS if key in document}
        reader = SettingsReader()
        reader.overlay(Layer("", {"budgets": {name: table}}, Path()))
        read = reader.read(_Budgets)
        wrong = list(reader.mistakes)
        budget = read.budgets.get(name) if read is not None else None
        if budget is not None and not wrong:
            wrong += budget_mistakes(budget, self._config)
        if wrong or budget is None:
            raise InvalidBudget("\n".join(wrong) or f"budgets.{name}: expected a table")
        return budget

    def changeable(self, name: str) -> None:
        """Raises ConfiguredBudget if the file has this budget."""
        if self.is_configured(name):
            raise ConfiguredBudget(
                f"budget {name} is in the configuration file; change it there and reload"
            )

    def put(self, budget: Budget) -> None:
        """Add or replace a budget.  Raises OSError, and ConfiguredBudget."""
        self.changeable(budget.name)
        if budget.name not in self._own and len(self._own) >= BUDGETS_MAX:
            raise ValueError(f"there are {BUDGETS_MAX} budgets already; remove one first")
        self._invalid.pop(budget.name, None)
        self._save({**self._own, budget.name: budget})

    def remove(self, name: str) -> None:
        """Remove a budget.  Raises KeyError, OSError and ConfiguredBudget."""
        self.changeable(name)
        rest = dict(self._own)
        if self._invalid.pop(name, None) is None:
            del rest[name]
        self._save(rest)

    def changed_limits(self) -> Iterator[str]:
        """Names of the budgets whose limit is another one than when this was last asked."""
        limits = {name: _limit(budget) for name, budget in self.budgets.items()}
        changed = [name for name in limits if self._limits.get(name, limits[name]) != limits[name]]
        if limits != self._limits:
            self._limits = limits
            with suppress(OSError, ValueError):  # else it is asked again at the next start
                self._save(self._own)
        yield from changed

    def _save(self, own: dict[str, Budget]) -> None:
        if self._unreadable:
            raise ValueError(self.problems[0])
        documents = self._invalid | {name: document(budget) for name, budget in own.items()}
        write_atomically(self._path, msgspec.json.encode(_File(documents, self._limits)))
        self._own = own


def document(budget: Budget) -> Document:
    """A budget with the keys of `[budgets.NAME]` that are not as by default; amounts are text."""
    usual = Budget(name="")
    found: Document = {}
    for one in fields(budget):
        value = getattr(budget, one.name)
        if one.name == "name" or value == getattr(usual, one.name):
            continue
        plain = dict(value) if isinstance(value, Mapping) else value
        found[one.name] = f"{plain:f}" if isinstance(plain, Decimal) else plain
    return found


def _limit(budget: Budget) -> str:
    return "" if budget.limit is None else f"{budget.limit:f} {budget.unit}"


def _amount(value: object) -> object:
    """A number that was sent as text; anything else is checked by its type."""
    if not isinstance(value, str):
        return value
    try:
        return Decimal(value)
    except InvalidOperation:
        return value

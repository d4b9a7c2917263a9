"""The variables of a dashboard: which there are, what may be chosen, and how a choice becomes SQL.

A text that a viewer chose is bound, never written into SQL.  Only what the file itself offers, and
numbers, may stand in SQL as they are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.query.asked import VALUES_MAX, Mistake, near

ALL = "$__all"  # as Grafana writes it in addresses, too
PREFIX = "var-"
OFFERED = ("custom", "interval", "constant")  # types whose values are in the file
TYPED = "textbox"
ASKED = "query"  # the type whose values are in the store
SOURCE = "datasource"  # chooses a database in Grafana; here there is one
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Variable:
    """What the file says of one."""

    name: str
    kind: str
    label: str
    query: str  # of ASKED: SQL
    multi: bool
    include_all: bool
    options: tuple[str, ...]
    default: tuple[str, ...]

    def chosen(self, values: Sequence[str]) -> "Choice":
        """A choice.  Raises Mistake for one that is not offered."""
        values = tuple(value for value in values if value)
        if ALL in values or not values:
            if self.include_all:
                return Choice(self)
            raise Mistake(f"no value for {self.name}", "give one", PREFIX + self.name)
        if len(values) > (VALUES_MAX if self.multi else 1):
            hint = f"{VALUES_MAX} at most" if self.multi else "give one"
            raise Mistake(f"{self.name} has too many values", hint, PREFIX + self.name)
        for value in values:
            if self.kind in OFFERED and value not in self.options:
                hint = near(value, self.options)
                raise Mistake(f"invalid {self.name} {value[:100]!r}", hint, PREFIX + self.name)
            if self.kind == TYPED and not _NUMBER.fullmatch(value):
                hint = f"{self.name} is a number"
                raise Mistake(f"invalid {self.name} {value[:100]!r}", hint, PREFIX + self.name)
        return Choice(self, values)


@dataclass(frozen=True, slots=True)
class Choice:
    """Chosen values of a variable; none means all."""

    variable: Variable
    values: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        return not self.values


@dataclass(slots=True)
class Bound:
    """Values to bind in a statement, by the names that it has for them."""

    values: dict[str, object] = field(default_factory=dict)

    def written(self, choice: Choice, form: str) -> str:
        """The SQL of `${x:form}`; of `$x` and `${x}` if `form` is "".

        Raises ValueError for a form that is not one of ours, and for All where there is no list.
        """
        name, kind = choice.variable.name, choice.variable.kind
        if choice.is_all:
            raise ValueError(f"${name} can be All here; it belongs into $__conditionalAll")
        if form in ("raw", "csv") or (form == "" and not choice.variable.multi):
            if kind in (*OFFERED, TYPED):
                return ",".join(choice.values)
            raise ValueError(
                f"${name} is a text that a viewer chose; write ${{{name}:singlequote}}"
            )
        if form not in ("", "singlequote", "sqlstring"):
            hint = near(form, ("singlequote", "sqlstring", "csv", "raw"))
            raise ValueError(f"unknown format ${{{name}:{form}}}; {hint}")
        for index, value in enumerate(choice.values):
            self.values[f"{name}_{index}"] = value
        return ",".join(f"{{{name}_{index}:String}}" for index in range(len(choice.values)))


def variables(document: Mapping[str, Any]) -> dict[str, Variable]:
    """Those of a dashboard by name, without the data source."""
    return {
        each["name"]: _variable(each)
        for each in document["templating"]["list"]
        if each["type"] != SOURCE
    }


def choices(known: Mapping[str, Variable], given: Mapping[str, Sequence[str]]) -> dict[str, Choice]:
    """The choice of each variable, by `var-NAME`.  Raises Mistake for names and values."""
    names = {PREFIX + name: name for name in known}
    for name in given:
        if name.startswith(PREFIX) and name not in names:
            raise Mistake(f"unknown variable {name[:100]!r}", near(name, names), name)
    return {
        name: variable.chosen(given.get(full, variable.default))
        for full, name in names.items()
        for variable in (known[name],)
    }


def _variable(document: Mapping[str, Any]) -> Variable:
    current = document.get("current", {}).get("value", ())
    query = document.get("query", "")
    options = [str(each["value"]) for each in document.get("options", ())]
    return Variable(
        name=document["name"],
        kind=document["type"],
        label=document.get("label") or document["name"],
        query=query if isinstance(query, str) else query["rawSql"],
        multi=bool(document.get("multi")),
        include_all=bool(document.get("includeAll")),
        options=tuple(each for each in options if each != ALL),
        default=(current,) if isinstance(current, str) else tuple(current),
    )

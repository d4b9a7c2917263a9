"""The dashboards of grafana/, read once, and what a page needs of them to draw them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from proxy.dashboards.times import step_s
from proxy.dashboards.variables import Variable, variables
from proxy.query.asked import near

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
POINTS_OF_A_COLUMN = 10  # steps for each of the 24 columns of a panel, if it does not say how many
# What of a panel is shown: all but its queries.
SHOWN = ("id", "type", "title", "description", "gridPos", "fieldConfig", "options", "links")
T = TypeVar("T")


class Missing(LookupError):
    """There is no such dashboard, panel, target or variable; says which is near."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel as the file has it."""

    document: Mapping[str, Any]

    def step_s(self, seconds: float) -> int:
        """The step of a range of so many seconds."""
        points = self.document.get("maxDataPoints")
        points = points or self.document["gridPos"]["w"] * POINTS_OF_A_COLUMN
        return step_s(seconds, points, self.document.get("interval") or "")

    def targets(self) -> dict[str, str]:
        """The SQL of each target."""
        return {each["refId"]: each["rawSql"] for each in self.document.get("targets", ())}


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    document: Mapping[str, Any]
    variables: Mapping[str, Variable]
    panels: Mapping[str, Panel]

    def panel(self, panel_id: str) -> Panel:
        """Raises Missing."""
        return _found(self.panels, panel_id, f"{self.title} has no panel")

    def variable(self, name: str) -> Variable:
        """Raises Missing."""
        return _found(self.variables, name, f"{self.title} has no variable")

    def shown(self) -> dict[str, object]:
        """What a page draws it from; SQL stays here."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.document["description"],
            "time": self.document["time"],
            "refresh": self.document["refresh"],
            "variables": [_shown(each) for each in self.variables.values()],
            "panels": [
                {name: each.document[name] for name in SHOWN if name in each.document}
                for each in self.panels.values()
            ],
        }


@cache
def boards() -> Mapping[str, Board]:
    """All by their uid, in the order of their titles."""
    found = sorted(_read(FOLDER), key=lambda board: board.title)
    return {board.uid: board for board in found}


def board(uid: str) -> Board:
    """Raises Missing."""
    return _found(boards(), uid, "there is no dashboard")


def _read(folder: Path) -> Iterator[Board]:
    for path in sorted(folder.glob("*.json")):
        document = msgspec.json.decode(path.read_bytes())
        panels = {str(each["id"]): Panel(each) for each in document["panels"]}
        yield Board(document["uid"], document["title"], document, variables(document), panels)


def _shown(variable: Variable) -> dict[str, object]:
    return {
        "name": variable.name,
        "label": variable.label,
        "type": variable.kind,
        "multi": variable.multi,
        "include_all": variable.include_all,
        "options": variable.options,
        "default": variable.default,
    }


def _found(known: Mapping[str, T], name: str, wrong: str) -> T:
    if name not in known:
        raise Missing(f"{wrong} {name[:100]!r}; {near(name, known)}")
    return known[name]

"""`Notice`: something that a person must know, as a value that every target can render.

A notice fires, and may be resolved later by one with the same `id` and an end.  Its id is fixed:
the same occasion has the same id on every machine and after every restart, so it is sent once.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from exporters.notify.alert import Alert, Severity

Kind = Literal["budget", "forecast", "anomaly", "loss", "evaluation", "head", "canary", "test"]
Fact = str | int | float | bool | tuple[int | float | str, ...] | dict[str, str] | None
CUT = "…"
RESOLVED = "#resolved"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What to tell.  `text` is a sentence with its numbers, `action` says what to do about it.

    `also` are the ids of other occasions that this one message covers.  `until` is the
    instant after which the id cannot recur and may be forgotten; None: only room decides.
    """

    id: str
    kind: Kind
    name: str  # of the alert or the budget: stable
    title: str
    text: str
    severity: Severity
    started_at: datetime  # aware, UTC
    ended_at: datetime | None = None  # None: it fires
    action: str = ""
    also: tuple[str, ...] = ()
    until: datetime | None = None
    labels: Mapping[str, str] = {}  # what distinguishes notices of one name
    facts: Mapping[str, Fact] = {}  # by machine-readable name, in the order to show

    @property
    def resolved(self) -> bool:
        """Whether it announces the end."""
        return self.ended_at is not None

    @property
    def key(self) -> str:
        """The id of this message: firing and resolved are two."""
        return self.id + RESOLVED if self.resolved else self.id

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.ended_at or self.started_at

    @property
    def head(self) -> str:
        """The word that begins a message: its severity, or that it is over."""
        return "RESOLVED" if self.resolved else self.severity.upper()

    @property
    def alert(self) -> Alert:
        """As an alert, for Alertmanager's format and the log."""
        return Alert(
            name=self.name,
            severity=self.severity,
            summary=self.text,
            action=self.action,
            started_at=self.started_at,
            ended_at=self.ended_at,
            labels=self.labels,
        )

    def shown(self) -> list[tuple[str, str]]:
        """The facts as people read them: (name, value), each on one line."""
        return [
            (name.replace("_", " "), one_line(_shown(value))) for name, value in self.facts.items()
        ]


def loss_notice(alert: Alert, node: str = "") -> Notice:
    """An alert about a loss of our own as a notice; its id is none that a budget can have."""
    labels = ",".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
    where = {"node": node} if node else {}
    return Notice(
        id=f"loss/{node}:{alert.name}[{labels}]:{alert.started_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        kind="loss",
        name=alert.name,
        title=alert.title,
        text=alert.summary,
        action=alert.action,
        severity=alert.severity,
        started_at=alert.started_at,
        ended_at=alert.ended_at,
        until=alert.ended_at or alert.started_at,
        labels=alert.labels,
        facts={**where, **alert.labels},
    )


def cut(text: str, most: int) -> str:
    """`text` in at most `most` characters, visibly cut."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def plain(text: str) -> str:
    """`text` without what JSON cannot hold: lone surrogates, from headers that are not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def one_line(text: str) -> str:
    """`text` without line breaks and control characters, which could pose as text of ours."""
    return "".join(c if c.isprintable() else " " for c in text)


def _shown(value: Fact) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {each}" for name, each in value.items()) or "all calls"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)

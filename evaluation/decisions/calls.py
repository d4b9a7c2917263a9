"""Calls as columns, from the document of `exporters.clickhouse.observed`; what of them succeeded.

Whether a call succeeded is what somebody said (feedback), else how it ended: see
`exporters.clickhouse.success`.  Whether answers are right on the same work comes from a run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.statistics.clusters import Floats

NO_MODEL = "(none)"


@dataclass(frozen=True)  # no slots: its columns are made when asked for
class Calls:
    """Rows of calls, by column; all have the same length."""

    columns: Mapping[str, Sequence[Any]]

    @classmethod
    def read(cls, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> "Calls":
        """From rows in the order of `names`."""
        flipped = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        return cls(dict(zip(names, flipped, strict=True)))

    def __len__(self) -> int:
        return len(self.columns["provider"])

    def numbers(self, name: str) -> Floats:
        """A column of numbers; NaN is unknown."""
        return np.asarray(
            [np.nan if each is None else float(each) for each in self.columns[name]], np.float64
        )

    @cached_property
    def candidates(self) -> NDArray[np.object_]:
        """`provider/model` of each call."""
        pairs = zip(self.columns["provider"], self.columns["model"], strict=True)
        return np.asarray([candidate(*pair) for pair in pairs], object)

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """The session of each call, numbered from 0."""
        return numbered(self.columns["cluster"])

    @property
    def succeeded(self) -> Floats:
        """1 for each call that succeeded, as a report counts successes."""
        return self.numbers("success")

    @property
    def judged(self) -> Floats:
        """1 for each call of which somebody said whether it succeeded."""
        return self.numbers("judged")

    @cached_property
    def failed(self) -> Floats:
        """1 for each call that did not end ok, as a report counts errors."""
        return np.asarray([each != "ok" for each in self.columns["outcome"]], np.float64)

    @property
    def evaluated(self) -> list[str]:
        """What is to be said about calls that evaluations made, which are no work of the user's."""
        count = sum(map(bool, self.columns["is_eval"]))
        where = "leave them out with --tag eval-run="
        return [f"{count:,} of the calls are of evaluations; {where}"] if count else []


def candidate(provider: str, model: str) -> str:
    """`provider/model`; a call may have no model, such as one that was refused at once."""
    return f"{provider}/{model or NO_MODEL}"


def numbered(labels: Sequence[object]) -> NDArray[np.int64]:
    """Equal labels as equal numbers, from 0 in the order of their coming."""
    known: dict[object, int] = {}
    return np.asarray([known.setdefault(each, len(known)) for each in labels], np.int64)

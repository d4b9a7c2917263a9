"""A suite as a value: its cases, its version, and which half of it reports hide."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from evaluation.checks.case import Case, digest

HALVED_FROM = 20  # cases; a smaller suite has no hidden half, as either would show nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Cases in the order of their ids, so that the order of files and lines does not matter."""

    name: str
    cases: tuple[Case, ...]
    description: str = ""
    licence: str = ""
    canary: str = ""  # an answer that has it comes from a model that was trained on the suite
    temperature: float | None = None  # None: the provider's default
    judge: str = ""  # provider/model; "": the one given to the run, or none
    whole: bool = False  # no half of it is hidden
    hidden: frozenset[str] = field(default=frozenset(), init=False)  # ids

    def __post_init__(self) -> None:
        object.__setattr__(self, "cases", tuple(sorted(self.cases, key=lambda case: case.id)))
        if not self.whole and len(self.cases) >= HALVED_FROM:
            object.__setattr__(self, "hidden", _hidden(self.cases))

    @property
    def version(self) -> str:
        """The hash of everything that changes what is asked or how it is judged."""
        return digest([sorted(case.digest for case in self.cases), self.temperature])

    @property
    def tasks(self) -> dict[str, int]:
        """Task → number of its cases."""
        return dict(sorted(Counter(case.task for case in self.cases).items()))


def _hidden(cases: Sequence[Case]) -> frozenset[str]:
    """By the hash of the cluster, so that no case's near copy shows what it asks.

    Adding a case moves no other one from half to half.
    """
    return frozenset(case.id for case in cases if int(digest(["half", case.group]), 16) % 2)

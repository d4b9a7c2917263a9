"""A progress bar of a run, where somebody looks at a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evaluation.runs.ledger import Ledger
from exporters.evaluation import EvalResult

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(slots=True)
class Shown:
    """Counts answers; shows nothing where there is no terminal."""

    total: int
    bar: "Progress | None" = None
    counts: dict[str, int] = field(default_factory=dict)

    def begin(self, ledger: Ledger) -> None:
        """Show what is there already."""
        for key, result in ledger.results.items():
            if ledger.finished(key):
                self.told(result)

    def told(self, result: EvalResult) -> None:
        """Count a result."""
        self.counts[result.status] = self.counts.get(result.status, 0) + 1
        if self.bar is not None:
            said = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in self.counts.items())
            self.bar.update(self.bar.task_ids[0], completed=sum(self.counts.values()), said=said)


@contextmanager
def progress(total: int) -> Iterator[Shown]:
    """A bar on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield Shown(total)
        return
    # Imported where somebody looks, as in `proxy.commands.terminal`.
    from rich import progress as rich_progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[said]}"),
    )
    with rich_progress.Progress(*columns, console=Console(stderr=True)) as bar:
        bar.add_task("answers", total=total, said="")
        yield Shown(total, bar)

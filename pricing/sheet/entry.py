"""One table of a tariff file, and its problems with their lines."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from pricing.sheet.lines import Lines

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One reason why a file does not load."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class TariffError(ValueError):
    """Every problem of a set of tariff files; `str` lists them, one a line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TariffEntry:
    """A table and its place in the file.  Reading it collects problems and never raises."""

    def __init__(
        self,
        table: Mapping[str, object],
        file: str,
        lines: Lines,
        block: tuple[int, int],
        problems: list[Problem],
    ) -> None:
        self.table = table
        self.file = file
        self.line = block[0]
        self._lines = lines
        self._block = block
        self._problems = problems

    def get(self, key: str, read: Callable[[object], T], default: D) -> T | D:
        """The value of `key`, converted by `read`; `default` if it is absent or wrong."""
        if key not in self.table:
            return default
        try:
            return read(self.table[key])
        except ValueError as error:
            self.problem(key, f"{key}: {error}")
            return default

    def need(self, key: str, read: Callable[[object], T], default: D) -> T | D:
        """Like `get`, of a key that must be there."""
        if key not in self.table:
            self.problem("", f"{key} is missing")
        return self.get(key, read, default)

    def only(self, allowed: Set[str]) -> None:
        """Refuse every key that is not in `allowed`."""
        for key in self.table:
            if key not in allowed:
                self.problem(key, f"unknown key {key!r}")

    def problem(self, near: str, message: str) -> None:
        """Report a problem at the first line of this entry that contains `near`."""
        line = self._lines.find(self._block, near) if near else self.line
        self._problems.append(Problem(self.file, line, message))

    @property
    def problem_count(self) -> int:
        """How many problems the file has so far."""
        return len(self._problems)

    def top(self, kind: str) -> list["TariffEntry"]:
        """The tables under `[[kind]]`, for the entry that is the whole file."""
        return [
            self._part(item, self._lines.entry(kind, index))
            for index, item in enumerate(self._tables(kind))
        ]

    def named(self, kind: str) -> list[tuple[str, "TariffEntry"]]:
        """The tables `[kind.name]` by name, for the entry that is the whole file."""
        found = self.table.get(kind, {})
        if not isinstance(found, dict):
            self.problem(kind, f"expected tables [{kind}.NAME]")
            return []
        return [
            (name, self._part(item, self._lines.entry(f"{kind}.{name}", 0)))
            for name, item in found.items()
            if isinstance(item, dict)
        ]

    def inner(self, key: str) -> list["TariffEntry"]:
        """The tables of the array `key`."""
        tables = self._tables(key)
        lines = [self._lines.item(self._block, key, index) for index in range(len(tables))]
        after = [*(max(a, b - 1) for a, b in pairwise(lines)), self._block[1]]
        return [
            self._part(item, (line, end))
            for item, line, end in zip(tables, lines, after, strict=False)
        ]

    def _part(self, table: Mapping[str, object], block: tuple[int, int]) -> "TariffEntry":
        return TariffEntry(table, self.file, self._lines, block, self._problems)

    def _tables(self, key: str) -> list[Mapping[str, object]]:
        found = self.table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            self.problem(key, f"{key} must be a list of tables")
            return []
        return found

"""Finds the line of an entry in a tariff file, which a TOML decoder does not report."""

import re
from collections.abc import Iterator

HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\-\"]+)\s*\]\]?")
STRING_OR_COMMENT = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")


class Lines:
    """The lines of a file, and where its tables begin."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._headers = [
            (number, found[1])
            for number, line in enumerate(self._lines, 1)
            if (found := HEADER.match(line))
        ]

    def entry(self, kind: str, index: int) -> tuple[int, int]:
        """First and last line of the `index`-th table `kind`, including its sub-tables."""
        starts = [number for number, name in self._headers if name == kind]
        if index >= len(starts):
            return 1, len(self._lines)
        start = starts[index]
        later = (n for n, name in self._headers if n > start and not name.startswith(f"{kind}."))
        return start, next(later, len(self._lines) + 1) - 1

    def item(self, block: tuple[int, int], key: str, index: int) -> int:
        """Line of the `index`-th table in the array `key` of a block."""
        dotted = [n for n, name in self._headers if block[0] < n <= block[1] and key in name]
        if dotted:
            return dotted[min(index, len(dotted) - 1)]
        lines = list(self._openings(block, key))
        return lines[index] if index < len(lines) else self.find(block, key)

    def find(self, block: tuple[int, int], needle: str) -> int:
        """First line of a block that contains `needle`, else its first line."""
        for number in range(block[0], block[1] + 1):
            if needle in self._lines[number - 1]:
                return number
        return block[0]

    def _openings(self, block: tuple[int, int], key: str) -> Iterator[int]:
        """Lines at which a table opens directly inside the array `key = [ ... ]`."""
        depth = 0
        begun = re.compile(rf"^\s*{re.escape(key)}\s*=\s*\[")
        for number in range(block[0], block[1] + 1):
            line = STRING_OR_COMMENT.sub("", self._lines[number - 1])
            if depth == 0 and not begun.match(line):
                continue
            for sign in line:
                if sign == "{" and depth == 1:
                    yield number
                depth += (sign in "[{") - (sign in "]}")
            if depth == 0:
                return

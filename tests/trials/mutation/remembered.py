"""What earlier runs found, so that a run that was stopped goes on where it was.

A verdict holds while the mutant and the test that gave it are the same: for one that was noticed,
the file that noticed it; for one that was not, all files that were asked.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from trials.mutation.mutants import Mutant
from trials.mutation.running import Verdict


class Memory:
    """Verdicts in a file, one a line; only ever appended to."""

    def __init__(self, root: Path, file: Path) -> None:
        self._root = root
        self._file = file
        self._digests: dict[str, str] = {}  # of test files
        self._known: dict[str, str] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                key, noticed_by = json.loads(line)
                self._known[key] = noticed_by

    def recall(self, mutant: Mutant, tests: Sequence[str]) -> Verdict | None:
        """The verdict of an earlier run, if it still holds."""
        for test in tests:
            if self._known.get(self._key(mutant, (test,))) == test:
                return Verdict(test)
        return Verdict("") if self._known.get(self._key(mutant, tests)) == "" else None

    def keep(self, mutant: Mutant, tests: Sequence[str], verdict: Verdict) -> None:
        """Remember a verdict."""
        asked = (verdict.noticed_by,) if verdict.noticed_by else tuple(tests)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([self._key(mutant, asked), verdict.noticed_by]) + "\n")

    def _key(self, mutant: Mutant, tests: Sequence[str]) -> str:
        """Of one test that noticed, or of all that did not."""
        parts = [mutant.change.module, mutant.text, *map(self._digest, tests)]
        return sha256("\0".join(parts).encode()).hexdigest()[:32]

    def _digest(self, test: str) -> str:
        if test not in self._digests:
            self._digests[test] = sha256((self._root / test).read_bytes()).hexdigest()
        return self._digests[test]

"""The ledger of a run: a file that only grows, from which a run goes on after any end.

Its first line is the run.  Before each call a line says what that may cost at most, after it one
what it did cost; each judged answer is a line.  A torn last line is dropped.  A call that was
under way when everything died counts with all that it may have cost.
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from evaluation.runs.plan import Key
from exporters.evaluation import FINISHED, EvalResult, EvalRun

FINAL = ("pass", "fail", "not_run")  # an error of the provider is tried again


class TakenError(Exception):
    """Another process is working on the run."""


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line: one of its fields is set."""

    run: EvalRun | None = None
    identity: str = ""
    began: str = ""  # number of a call
    most_usd: Decimal | None = None
    ended: str = ""
    usd: Decimal | None = None  # None: unknown, so it counts with `most_usd`
    result: EvalResult | None = None


@dataclass(slots=True)
class Ledger:
    """One run's file, open for adding.  Close it to let another process go on."""

    path: Path
    run: EvalRun
    identity: str
    results: dict[Key, EvalResult] = field(default_factory=dict)
    open_calls: dict[str, Decimal] = field(default_factory=dict)
    spent_usd: Decimal = Decimal(0)
    _fd: int = -1
    _calls: int = 0

    @property
    def committed_usd(self) -> Decimal:
        """What was spent, and what calls of an earlier process may have cost."""
        return self.spent_usd + sum(self.open_calls.values(), Decimal(0))

    def finished(self, key: Key) -> bool:
        """Whether the answer is there, and need not be paid for again."""
        found = self.results.get(key)
        return found is not None and found.status in FINAL

    def begin(self, most_usd: Decimal) -> str:
        """Note a call before it is sent; returns its number."""
        self._calls += 1
        number = f"{os.getpid()}.{self._calls}"
        self.open_calls[number] = most_usd
        self._add(Entry(began=number, most_usd=most_usd))
        return number

    def end(self, number: str, usd: Decimal | None) -> None:
        """Note what the call cost; None is unknown, and counts as the most it can be."""
        most = self.open_calls.pop(number)
        self.spent_usd += most if usd is None else usd
        self._add(Entry(ended=number, usd=usd))

    def add(self, result: EvalResult) -> None:
        """Note a result."""
        self.results[result.model, result.case_id, result.sample] = result
        self._add(Entry(result=result))

    def update(self, run: EvalRun) -> None:
        """Note that the run's state changed."""
        self.run = run
        self._add(Entry(run=run, identity=self.identity))

    def close(self) -> None:
        os.close(self._fd)

    def _add(self, entry: Entry) -> None:
        data = memoryview(msgspec.json.encode(entry) + b"\n")
        while data:
            data = data[os.write(self._fd, data) :]

    def _take(self, entry: Entry) -> None:
        if entry.run is not None:
            self.run, self.identity = entry.run, entry.identity
        elif entry.began:
            self.open_calls[entry.began] = entry.most_usd or Decimal(0)
        elif entry.ended:
            most = self.open_calls.pop(entry.ended, Decimal(0))
            self.spent_usd += most if entry.usd is None else entry.usd
        elif entry.result is not None:
            result = entry.result
            self.results[result.model, result.case_id, result.sample] = result


def create(directory: Path, run: EvalRun, identity: str) -> Ledger:
    """Begin a ledger."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / f"{run.run_id}.jsonl"
    ledger = Ledger(path, run, identity)
    ledger._fd = _locked(path)
    ledger.update(run)
    return ledger


def unfinished(directory: Path, identity: str) -> Ledger | None:
    """The newest run with this identity that has not finished, opened to go on.

    Raises TakenError if another process is at it.
    """
    for path in sorted(directory.glob("*.jsonl"), reverse=True):
        entries = list(_entries(path))
        heads = [entry for entry in entries if entry.run is not None]
        if not heads or heads[-1].identity != identity:
            continue
        last = heads[-1].run
        assert last is not None
        if last.state == FINISHED:
            return None
        ledger = Ledger(path, last, identity)
        ledger._fd = _locked(path)
        for entry in _entries(path):  # once more: now nobody else adds to it
            ledger._take(entry)
        _drop_torn_end(ledger._fd)
        return ledger
    return None


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise TakenError(f"run {path.stem} is under way in another process") from None
    return fd


def _drop_torn_end(fd: int) -> None:
    """Cut off a last line without an end, so that the next one is whole."""
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    os.ftruncate(fd, data.rfind(b"\n") + 1)


def _entries(path: Path) -> Iterator[Entry]:
    decoder = msgspec.json.Decoder(Entry)
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue  # of another version, or torn by a full disk: its call is paid for again

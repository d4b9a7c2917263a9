"""Compares what providers report with our own count, by provider and model.

A window of the latest sampled calls decides whether a ratio leaves its band; the store has all.
Nothing here changes a price.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec

from exporters.clickhouse.query import Filter, bounds
from exporters.record import Record
from exporters.series import Family, Labels, Value, gauge
from proxy.tokens.audit import band

WINDOW = 200  # calls of each kind that a ratio is made of
CALLS_MIN = 20  # fewer decide nothing
EVIDENCE_MAX = 3  # calls named, those that differ most
SERIES_MAX = 500  # of provider, model and kind: callers choose names of models
ROWS_MAX = 1_000
KINDS = ("input", "output")


class Asking(Protocol):
    """The part of `exporters.clickhouse.store.Store` that is needed."""

    async def ask(self, sql: str, parameters: Mapping[str, object]) -> list[dict[str, object]]: ...


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Reported tokens by counted ones, of one kind; `expected_error` is a share of those."""

    provider: str
    model: str
    kind: str
    calls: int
    reported: int
    counted: int
    ratio: float | None
    expected_error: float
    within: bool
    evidence: tuple[str, ...] = ()  # call ids


def compared(
    provider: str,
    model: str,
    kind: str,
    *,
    calls: int,
    tokens: tuple[int, int],
    evidence: tuple[str, ...] = (),
) -> Comparison:
    """Of (reported, counted) `tokens`.  Too few calls are within any band."""
    reported, counted = tokens
    error = band(model)
    ratio = reported / counted if counted else None
    within = calls < CALLS_MIN or ratio is None or abs(ratio - 1) <= error
    return Comparison(
        provider=provider,
        model=model,
        kind=kind,
        calls=calls,
        reported=reported,
        counted=counted,
        ratio=None if ratio is None else round(ratio, 4),
        expected_error=error,
        within=within,
        evidence=evidence,
    )


@dataclass(slots=True)
class _Window:
    calls: deque[tuple[str, int, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def compared(self, provider: str, model: str, kind: str) -> Comparison:
        tokens = sum(one[1] for one in self.calls), sum(one[2] for one in self.calls)
        far = sorted(self.calls, key=lambda one: -abs(one[1] - one[2]))[:EVIDENCE_MAX]
        evidence = tuple(call for call, _, _ in far)
        calls = len(self.calls)
        return compared(provider, model, kind, calls=calls, tokens=tokens, evidence=evidence)


class Audits:
    """The latest sampled calls of this process."""

    def __init__(self) -> None:
        self.counted = 0
        self.not_kept = 0  # calls of models beyond SERIES_MAX
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def observe(self, record: Record) -> None:
        """Take a new record, sampled or not."""
        pairs = (
            ("input", record.input_tokens_total, record.counted_input_tokens),
            ("output", record.output_tokens_total, record.counted_output_tokens),
        )
        self.counted += record.counted_input_tokens is not None
        model = record.response_model or record.request_model
        for kind, reported, counted in pairs:
            if reported is None or counted is None:
                continue
            key = record.provider, model, kind
            if key not in self._windows and len(self._windows) >= SERIES_MAX:
                self.not_kept += 1
                continue
            window = self._windows.setdefault(key, _Window())
            window.calls.append((record.call_id, reported, counted))

    def status(self) -> dict[str, object]:
        """For the health check: how many were counted, and which ratios are beyond their band."""
        found = [window.compared(*key) for key, window in self._windows.items()]
        beyond = [msgspec.to_builtins(one) for one in found if not one.within]
        return {"counted": self.counted, "not_kept": self.not_kept, "beyond": beyond}

    def families(self) -> Iterator[Family]:
        """The ratio of each model of which enough calls were counted, and its expected error."""
        ratios: list[tuple[Labels, Value]] = []
        errors: list[tuple[Labels, Value]] = []
        for key, window in self._windows.items():
            one = window.compared(*key)
            labels = (
                ("taximeter.provider", one.provider),
                ("taximeter.model", one.model),
                ("taximeter.kind", one.kind),
            )
            if one.ratio is not None and one.calls >= CALLS_MIN:
                ratios.append((labels, one.ratio))
                errors.append((labels, one.expected_error))
        help = "Tokens that the provider reports, by those of our own count of the same calls."
        yield gauge("taximeter.audit.ratio", "", help, *ratios)
        help = "By how much the ratio may differ from 1, given how well the model can be counted."
        yield gauge("taximeter.audit.expected_error", "", help, *errors)


async def comparisons(
    store: Asking,
    since: datetime | None,
    until: datetime | None = None,
    filters: Sequence[Filter] = (),
) -> list[Comparison]:
    """All sampled calls of a period, by provider, model and kind.

    Raises TransientError if the store does not respond.
    """
    parameters: dict[str, object] = {}
    conditions = bounds(since, until, parameters)
    conditions += [one.sql(parameters) for one in filters]
    also = "".join(f" AND {one}" for one in conditions)
    found = []
    for kind in KINDS:
        reported, counted = f"t.{kind}_tokens_total", f"t.counted_{kind}_tokens"
        difference = f"-abs(toInt64({reported}) - toInt64({counted}))"
        rows = await store.ask(
            "SELECT t.provider AS provider,"
            " if(t.response_model = '', t.request_model, t.response_model) AS model,"
            f" count() AS calls, sum({reported}) AS reported, sum({counted}) AS counted,"
            f" arraySlice(arraySort(groupArray(10000)(({difference}, toString(t.call_id)))),"
            f" 1, {EVIDENCE_MAX}) AS evidence FROM calls AS t"
            f" WHERE {counted} IS NOT NULL AND {reported} IS NOT NULL{also}"
            f" GROUP BY provider, model ORDER BY calls DESC, provider, model LIMIT {ROWS_MAX}",
            parameters,
        )
        found += [_comparison(msgspec.convert(row, _Row), kind) for row in rows]
    return found


class _Row(msgspec.Struct):
    provider: str
    model: str
    calls: int
    reported: int
    counted: int
    evidence: tuple[tuple[int, str], ...]


def _comparison(row: _Row, kind: str) -> Comparison:
    return compared(
        row.provider,
        row.model,
        kind,
        calls=row.calls,
        tokens=(row.reported, row.counted),
        evidence=tuple(call for _, call in row.evidence),
    )

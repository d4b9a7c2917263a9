"""Writes runs and results of evaluations, and the SQL that reads them with what they cost.

It has a thread and a client of its own, and waits until the exporter of the rows has created the
schema.  Writing something again replaces it.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec
from clickhouse_connect.driver.client import Client

from exporters.clickhouse.dsn import parse_dsn
from exporters.clickhouse.store import Row, Scalar
from exporters.clickhouse.writer import Writer, insert
from exporters.evaluation import (
    RESULT_COLUMNS,
    RESULT_FIELDS,
    RUN_COLUMNS,
    RUN_FIELDS,
    EvalResult,
    EvalRun,
    Evaluation,
)

RUNS_MAX = 1_000  # of a list

RUNS = f"SELECT {', '.join(RUN_COLUMNS)} FROM eval_runs FINAL ORDER BY ts DESC LIMIT {RUNS_MAX}"
RUN = f"SELECT {', '.join(RUN_COLUMNS)} FROM eval_runs FINAL WHERE run_id = {{run:String}}"
RESULTS = (
    f"SELECT {', '.join(RESULT_COLUMNS)} FROM eval_results FINAL WHERE run_id = {{run:String}}"
    " ORDER BY model, case_id, sample"
)


def costs(table: str) -> str:
    """SQL: what the calls of a run cost and took, by model, case and sample; judge's apart.

    `table` has the newest prices.  `unknown` counts calls whose cost is not known, `partial` those
    whose cost is a lower bound.
    """
    return (
        "SELECT t.tags['eval-model'] AS model, t.tags['eval-case'] AS case_id,"
        " toUInt32OrZero(t.tags['eval-sample']) AS sample,"
        " t.tags['eval-role'] = 'judge' AS is_judge,"
        " count() AS calls, sum(t.cost_usd) AS cost_usd,"
        " countIf(t.cost_usd IS NULL) AS unknown, countIf(t.cost_status = 'partial') AS partial,"
        " sum(t.duration_us) AS duration_us, max(t.attempt) AS attempt,"
        " groupUniqArray(t.service_tier) AS service_tiers,"
        " groupUniqArray(t.response_model) AS response_models,"
        " toString(argMax(t.call_id, t.ts)) AS call_id"  # the newest of them
        f" FROM {table} AS t WHERE t.tags['eval-run'] = {{run:String}}"
        " GROUP BY model, case_id, sample, is_judge ORDER BY model, case_id, sample, is_judge"
    )


class Answers(Protocol):
    """The query of `exporters.clickhouse.store.Store` that is needed here."""

    async def ask(self, sql: str, parameters: Mapping[str, Scalar]) -> list[Row]: ...


async def stored(store: Answers, run_id: str) -> dict[str, object] | None:
    """`run`, its `results`, and its `calls` by model, case and sample; None: not stored."""
    bound = {"run": run_id}
    runs = await store.ask(RUN, bound)
    if not runs:
        return None
    corrected = await store.ask("SELECT 1 FROM corrections LIMIT 1", {})
    calls = await store.ask(costs("priced_calls" if corrected else "calls"), bound)
    return {"run": runs[0], "results": await store.ask(RESULTS, bound), "calls": calls}


class Evaluations:
    """Writes evaluations.  Raises ValueError for an invalid DSN, otherwise what `Writer` raises."""

    def __init__(self, dsn: str, *, database: str = "taximeter") -> None:
        self.dsn = parse_dsn(dsn, database)
        self._writer = Writer("evaluations", self.dsn, self._prepare)

    async def write(self, evaluation: Evaluation) -> None:
        """Store runs and results."""
        await self._writer.do(lambda client: self._write(client, evaluation))

    async def close(self) -> None:
        """Wait for the insert in flight, then disconnect."""
        await self._writer.close()

    def _prepare(self, client: Client) -> None:
        client.database = self.dsn.database

    def _write(self, client: Client, evaluation: Evaluation) -> None:
        _insert(client, "eval_results", RESULT_COLUMNS, RESULT_FIELDS, evaluation.results)
        _insert(client, "eval_runs", RUN_COLUMNS, RUN_FIELDS, evaluation.runs)


def _insert(
    client: Client,
    table: str,
    names: Sequence[str],
    fields: Sequence[str],
    rows: Sequence[EvalRun | EvalResult],
) -> None:
    if not rows:
        return
    context = client.create_insert_context(table, names, column_oriented=True)
    columns = [[_value(getattr(row, name)) for row in rows] for name in fields]
    digest = blake2b(msgspec.json.encode(rows), digest_size=16).hexdigest()
    insert(client, context, columns, digest)


def _value(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value

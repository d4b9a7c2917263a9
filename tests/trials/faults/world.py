"""The product over real sockets: stand-in provider, ClickHouse test server, `taximeter serve`."""

import asyncio
import json
import os
import resource
import signal
import time
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evaluation.standin import processes
from evaluation.standin.processes import Row
from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.query import Filter, Query
from exporters.clickhouse.reports import report
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from support.clickhouse import ClickHouseServer

ROWS_MAX = 10_000
ORDER_MS = 50
INSERTS = (
    "SELECT ingested_at, min(ended) AS first_ms, max(ended) AS last_ms FROM (SELECT ingested_at,"
    " intDiv(toUnixTimestamp64Micro(ts) + duration_us, 1000) AS ended FROM calls"
    " WHERE team = {team:String}) GROUP BY ingested_at ORDER BY ingested_at"
)


async def sums(store: Store, group: str) -> Row:
    """Calls, distinct `sources`, `call_ids` and `span_ids`, tokens and cost of a team."""
    (row,) = await store.ask(
        "SELECT count() AS calls, uniqExact(source) AS sources, uniqExact(call_id) AS call_ids,"
        " uniqExact(span) AS span_ids, countIf(outcome = 'ok') AS ok,"
        " countIf(cost_status = 'exact') AS exact,"
        " sum(input_tokens_total) AS input_tokens_total,"
        " sum(output_tokens_total) AS output_tokens_total, sum(cost_usd) AS cost_usd"
        " FROM calls WHERE team = {team:String}",
        {"team": group},
    )
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What faults are done to.  `provider` is the URL of the stand-in."""

    folder: Path
    provider: str
    server: ClickHouseServer

    @property
    def dsn(self) -> str:
        """The server's, with timeouts for outages of seconds."""
        return f"{self.server.dsn}?connect_timeout_s=2&timeout_s=3"

    @contextmanager
    def serve(
        self,
        name: str,
        *,
        relays: int = 1,
        settings: str = "",
        tables: str = "",
        journal: str = "",
        variables: Mapping[str, str] = MappingProxyType({}),
        embedded: bool = False,
        port: int = 0,
        batch_age_s: float = 0.05,
    ) -> Iterator["Served"]:
        """Run `taximeter serve` with data of its own, in a database that all of them share.

        `settings` are top-level keys in TOML, `tables` whole tables, `journal` keys of that table;
        `variables` are set in its environment.  With the `name` and `port` of an earlier one, it is
        its successor.  `batch_age_s` is short, so that rows arrive at once.
        """
        dsn = "" if embedded else self.dsn
        text = (
            f'{settings}\n[store]\ndsn = "{dsn}"\nbatch_age_max_s = {batch_age_s}\n'
            f"[journal]\n{journal}\n" + tables
        )
        context = processes.serve(
            self.folder / name,
            {"openai": self.provider},
            port=port,
            relays=relays,
            settings=text,
            environ=variables,
        )
        with context as served:
            yield Served(served=served, world=self, embedded=embedded)

    def answers(self) -> list[dict[str, Any]]:
        """The exchanges of the provider since its journal was cleared."""
        found: list[dict[str, Any]] = processes.get_json(f"{self.provider}/__standin/journal")[
            "exchanges"
        ]
        return found

    async def rows(self, group: str) -> list[Row]:
        """The rows of a group of calls, from the server itself."""
        store = Store(self.dsn)
        try:
            return await store.calls(
                CallsQuestion(limit=ROWS_MAX, filters=(Filter("session", (group,)),))
            )
        except TransientError:
            return []
        finally:
            await store.close()

    async def sums(self, group: str) -> Row:
        """The sums over the rows of a group, from the server itself."""
        store = Store(self.dsn)
        try:
            return await sums(store, group)
        finally:
            await store.close()

    async def in_order(self, group: str) -> bool:
        """Whether calls were inserted in the order in which they ended.

        The rows of an insert share one `ingested_at`; clocks may overlap by `ORDER_MS`.
        """
        store = Store(self.dsn)
        try:
            inserts = await store.ask(INSERTS, {"team": group})
        finally:
            await store.close()
        return all(
            int(str(later["first_ms"])) >= int(str(earlier["last_ms"])) - ORDER_MS
            for earlier, later in pairwise(inserts)
        )

    async def rollup(self, group: str) -> Row:
        """The sums of the hourly rollup."""
        store = Store(self.dsn)
        try:
            found = (await report(store, Query(by=("team",)))).rows
        finally:
            await store.close()
        return next((row for row in found if row["team"] == group), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running `taximeter serve`, and its processes."""

    served: processes.Serving
    world: World
    embedded: bool = False

    @property
    def port(self) -> int:
        """The port of the proxy."""
        return int(self.served.proxy_url.rpartition(":")[2])

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.served.data / "data"

    def health(self) -> dict[str, Any]:
        """The state of every part by the console, whether or not one fails."""
        try:
            parts: dict[str, Any] = processes.get_json(f"{self.served.console_url}/api/health")
        except urllib.error.HTTPError as answer:
            parts = json.load(answer)
        except OSError:
            return {}
        found: dict[str, Any] = parts["parts"]
        return found

    def alerts(self) -> dict[str, Any]:
        """The alerts by the console."""
        found: dict[str, Any] = processes.get_json(f"{self.served.console_url}/api/alerts")
        return found

    def loop_lag(self) -> dict[str, int]:
        """The lag of the relays' event loops so far: see `proxy.relay.lag`."""
        return dict(self.health().get("meter", {}).get("loop_lag", {}))

    def open_calls(self) -> int:
        """Calls that are open, by the meter."""
        return int(self.health().get("meter", {}).get("open", 0))

    def processes(self, module: str, slot: int | None = None) -> list[int]:
        """Process ids of the "relay" processes (of one slot, if given) or of the "meter"."""
        pid = self.served.pid
        found = []
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if f"proxy.serving.{module}_process" in words and (
                slot is None or words[words.index("--slot") + 1] == str(slot)
            ):
                found.append(int(child))
        return found

    def kill(self, module: str, slot: int | None = None) -> list[int]:
        """`kill -9`; returns the process ids.  Raises LookupError if there is no such process."""
        victims = self.processes(module, slot)
        if not victims:
            raise LookupError(f"no {module} process to kill")
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        return victims

    async def restarted(
        self, module: str, slot: int | None, victims: list[int], timeout_s: float = 40.0
    ) -> float:
        """Seconds until another process has taken their place."""
        began = time.monotonic()
        while time.monotonic() - began < timeout_s:
            if set(self.processes(module, slot)) - set(victims):
                break
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    def limit_files(self, size: int) -> None:
        """Let no file of relays and meter grow beyond `size` bytes; -1: no limit."""
        for pid in (*self.processes("relay"), *self.processes("meter")):
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))

    def memory(self, module: str) -> int:
        """Anonymous memory of these processes together, in bytes."""
        total = 0
        for pid in self.processes(module):
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.split("RssAnon:")[1].split()[0]) * 1024
        return total

    def files(self, module: str) -> int:
        """Open descriptors of these processes together."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.processes(module))

    def disk(self) -> int:
        """Size of both journals in bytes."""
        folders = (self.data / "calls", self.data / "records")
        return sum(p.stat().st_size for folder in folders for p in folder.glob("*/*.seg"))

    async def rows(self, group: str) -> list[Row]:
        """The rows of a group of calls."""
        if not self.embedded:
            return await self.world.rows(group)
        try:
            return self.served.calls(ROWS_MAX, session_id=group)
        except (OSError, ValueError):
            return []

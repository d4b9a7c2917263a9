"""The meter as a process: follows the journals, exports the records, serves the console.

`python -m proxy.serving.meter_process --console-fd N --ready-fd M`, with the configuration as one
line of JSON on standard input; the end of the input means that the supervisor is gone.
"""

import argparse
import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import monotonic

from aiohttp import web

from exporters.record import Exporter, Record, decode
from exporters.series import Family
from proxy.budgets.budgets import Budgets
from proxy.budgets.spending import Counting
from proxy.canaries.canaries import Canaries
from proxy.console.console import Parts, console
from proxy.console.probes import Probes
from proxy.delivery import outlets
from proxy.delivery.audit import AuditDelivery
from proxy.delivery.contents import ContentDelivery, content_delivery
from proxy.delivery.delivery import Delivery, prune
from proxy.evidence.evidence import Corrected, Evidence, Sealing, kind_of_record
from proxy.evidence.heads import Heads
from proxy.health.alerts import Alerting
from proxy.health.observer import Observer
from proxy.metering.book import tariff_book
from proxy.metering.candidates import Candidates
from proxy.metering.cost_drift import Drifts
from proxy.metering.items import Items
from proxy.metering.recorder import Recorder
from proxy.metering.records import Metering
from proxy.metering.token_audits import Audits, comparisons
from proxy.metering.unpriced import Unpriced, unpriced
from proxy.metering.volumes import Delivering, Volumes
from proxy.network import server_tls
from proxy.notices.notices import Notices
from proxy.notices.outbox import Outbox
from proxy.notices.targets import loss_targets, targets
from proxy.repricing.run import Repricing
from proxy.retention.eraser import Eraser
from proxy.retention.schedule import keep_deleting
from proxy.serving import instance, process
from proxy.serving.backing_up import BackingUp
from proxy.serving.catching_up import CatchingUp
from proxy.serving.changes import note_start
from proxy.serving.opening import OPEN_S, open_store
from proxy.serving.pausing import Pausing
from proxy.serving.samples import Samples
from proxy.serving.tables import Closes, Tables, closed
from proxy.settings.config import Config
from proxy.settings.places import Places
from proxy.settings.retention import held

log = logging.getLogger(__name__)

FLUSH_S = 20.0  # for exporters when stopping; what is left is exported after the next start
OTLP_BATCH_ROWS = 512
CONSOLE_IDLE_S = 75.0  # for a request head to arrive, or the next one on a connection
PRUNE_S = 5.0  # between two checks for record segments that can be deleted


class MeterProcess:
    """Everything that lives in the meter's process, put together from the configuration."""

    def __init__(self, config: Config) -> None:
        config = replace(config, node=config.node or socket.gethostname())
        self._config, self._began = config, monotonic()
        self._places = places = Places(config.data)
        places.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.items = Items(places.items)
        book = tariff_book(config)
        self.volumes = Volumes(book.counters)
        self._book, self._candidates = book, Candidates(places)
        self._hints, self._audits, self._drifts = Unpriced(book), Audits(), Drifts()
        metering = Metering(config, book, self.items.claim, self.volumes)
        self.observer = Observer(
            config.data,
            profile=outlets.profile(config),
            names=outlets.names(config),
            journals=outlets.journals(config),
        )
        self.tables = tables = Tables(config)
        self.evidence = evidence = Evidence(config, tables.evidence)
        self.content = content_delivery(
            config, Sealing(tables.contents, evidence, lambda _: "content")
        )
        self.recorder = Recorder(
            config,
            metering.records,
            on_record=self._observe,
            contents=self.content.journal if self.content else None,
        )
        self.clickhouse, self.store = tables.rows, tables.store
        self.notices = Notices(Outbox(places.outbox), targets(config))
        self.budgets = self._make_budgets(config)
        counted = self.budgets.correcting(self.clickhouse.correct)
        corrects = Corrected(counted.correct, evidence)
        self.repricing = Repricing(config, self.store, corrects)
        self.probes = Probes(instance.name(config.data))
        self.audit = AuditDelivery(config, Sealing(tables.audit, evidence, lambda _: "audit"))
        self.heads = Heads(
            *(evidence, places.heads, self.notices, config.audit.notify, config.node)
        )
        counting = Counting(Delivering(self.clickhouse, self.volumes), self.budgets.spending)
        rows = Sealing(counting, evidence, kind_of_record)
        self.deliveries = [self._delivery(rows, config.store.batch_rows_max)]
        if spans := outlets.spans(config):
            self.deliveries.append(self._delivery(spans, OTLP_BATCH_ROWS))
        self.ways: list[Delivery[Record] | ContentDelivery | AuditDelivery]
        self.ways = [*self.deliveries, self.audit]
        if self.content:
            self.ways.append(self.content)
        turns = [*(way.turn for way in self.ways), self.recorder.turn, evidence.turn]
        self._pausing = Pausing(self.repricing, turns)
        self.eraser = Eraser(
            *(tables.erasing, places.erasing, self.audit.audit, self._pausing, held(config))
        )
        self.canaries = Canaries(config, self.store, self.audit.audit, self.notices)
        self.alerting = Alerting(
            *(config.alerts, places.alerts, self.status, self.notices),
            targets=loss_targets(config),
            node=config.node,
        )

    def _make_budgets(self, config: Config) -> Budgets:
        return Budgets(
            config,
            self._book,
            self.notices,
            ask=self.clickhouse.ask,
            among=self.tables.among,
            history=self.store.ask,
            writer=lambda: self.recorder.journal.writer,
            progress=lambda: self.recorder.progress.writers,
        )

    def _delivery(self, exporter: Exporter, rows_max: int) -> Delivery[Record]:
        return Delivery(
            self.observer.measured(exporter),
            self._places.records,
            self._places,
            decode,
            synced=self.recorder.journal.synced,
            rows_max=rows_max,
            age_max_s=self._config.store.batch_age_max_s,
        )

    def _console(self) -> web.Application:
        others = [way.delivery for way in (self.audit, self.content) if way is not None]
        catching_up = CatchingUp(self.deliveries[0], others, self.clickhouse)
        parts = Parts(
            store=self.store,
            book=self._book,
            status=self.status,
            metrics=self.metrics,
            alerts=self.alerting.shown,
            check=catching_up.check,
            unpriced=partial(unpriced, self.store, self._book),
            counted=partial(comparisons, self.store),
            repricing=self.repricing,
            eraser=self.eraser,
            content=self.content,
            audit=self.audit,
            probes=self.probes,
            budgets=self.budgets,
            backs_up=BackingUp(self._config, self.clickhouse, self._pausing),
            evaluations=self.tables.evaluations,
            feedback=self.tables.feedback,
            notices=self.notices,
            heads=self.heads,
            caught_up=catching_up.caught_up,
        )
        return console(self._config, parts)

    def _sampling(self) -> Samples:
        table, node = self.tables.samples, self._config.node
        alerts, budgets = self.alerting.shown, self.budgets.documents
        return Samples(table, node, status=self.status, alerts=alerts, budgets=budgets)

    def _observe(self, record: Record) -> None:
        self.observer.observe(record)
        for each in (self._hints, self._audits, self._drifts, self._candidates, self.budgets):
            each.observe(record)

    def status(self) -> dict[str, dict[str, object]]:
        """The health of all parts: the one source for console, metrics and alerts."""
        meter = {
            "uptime_s": round(monotonic() - self._began, 1),
            "journal_bytes": self.observer.journal_bytes(),
            "journal_bytes_max": outlets.journals(self._config),
            "audit": self._audits.status(),
            "drift": self._drifts.status(),
        }
        exporters = {
            way.name: way.status() | self.observer.status(way.name) for way in self.deliveries
        }
        content = {self.content.name: self.content.status()} if self.content else {}
        others = {
            self.audit.name: self.audit.status(),
            "budgets": self.budgets.status(),
            "evidence": self.evidence.status(),
        }
        own = {"meter": self.recorder.status() | meter, "relays": self.observer.relays.status()}
        return {**own, **exporters, **content, **others}

    def metrics(self) -> list[Family]:
        """All metrics of this process."""
        own = [*self.alerting.families(), *self._audits.families(), *self.budgets.families()]
        return self.observer.families(self.status()) + own

    async def _prune(self) -> None:
        """Delete record segments that every delivery has passed."""
        while True:
            await asyncio.sleep(PRUNE_S)
            passed = min(self.recorder.saved, *(delivery.passed for delivery in self.deliveries))
            await asyncio.to_thread(prune, self._places.records, passed)

    async def _follow(self) -> None:
        """Meter, once volume counters are known, or the store has not answered in time."""
        if self.volumes.names:
            with suppress(TimeoutError):
                async with asyncio.timeout(OPEN_S):
                    await self.volumes.ready.wait()
        await self.recorder.run()

    async def run(self, console_fds: str, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Run until `stop`; then read what the relays left, flush, and close."""
        await note_start(self._config, self._book.version, self.evidence.growth, self.audit.audit)
        await open_store(self.clickhouse, self.repricing)
        await self.observer.count_waiting(self.deliveries)
        runner = web.AppRunner(self._console(), access_log=None, keepalive_timeout=CONSOLE_IDLE_S)
        await runner.setup()
        tls = server_tls(self._config.console)
        for sock in process.inherited(console_fds):
            await web.SockSite(runner, sock, ssl_context=tls).start()
        others = (self._prune(), self.alerting.run(), self.notices.run(), self.heads.run())
        more = (keep_deleting(self._config, self.eraser), self._sampling().run())
        gateway = (self._candidates.run(), self.canaries.run())
        running = (*(way.run() for way in self.ways), *others, *more, *gateway)
        tasks = [asyncio.create_task(each) for each in running]
        tasks.append(asyncio.create_task(self.budgets.run(self.deliveries[0].drained)))
        if push := outlets.metrics(self.metrics, self._config):
            tasks.append(asyncio.create_task(push.run()))
        if self.volumes.names:
            counted, drained = self.clickhouse.counted, self.deliveries[0].drained
            tasks.append(asyncio.create_task(self.volumes.keep_reading(counted, drained)))
        follow = asyncio.create_task(self._follow())
        ready()
        await process.until(stop, follow, *tasks)
        follow.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self.recorder.drain()
                await asyncio.gather(*(way.drained() for way in self.ways))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, follow, return_exceptions=True)
        await self.recorder.upkeep()
        await self.heads.close()
        await self.alerting.close()
        self.budgets.close()
        await self.notices.close()
        await runner.cleanup()
        self.recorder.close()
        self.audit.close()
        if self.content:
            self.content.close()
        self.items.close()
        parts: list[Closes] = [delivery.exporter for delivery in self.deliveries]
        await closed([*parts, self.tables, *([push] if push else ())])  # a collector may hang


async def serve(config: Config, console_fds: str, ready_fd: int) -> None:
    """Run until SIGTERM or until the supervisor is gone."""
    stop, _ = process.signals()
    meter = MeterProcess(config)
    process.on_lame_duck(meter.probes.turn_unready)
    await meter.run(console_fds, lambda: process.tell_ready(ready_fd), stop)


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="taximeter meter")
    parser.add_argument("--console-fd", required=True)
    parser.add_argument("--ready-fd", type=int, default=-1)
    arguments = parser.parse_args()
    process.begin()
    asyncio.run(serve(process.configuration(), arguments.console_fd, arguments.ready_fd))


if __name__ == "__main__":
    main()

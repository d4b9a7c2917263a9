"""The meter as a process: follows the journals, exports the records, serves the console.

`python -m proxy.meter_process --console-fd N --ready-fd M` with the configuration as one line of
JSON on standard input; the end of standard input means that the supervisor is gone.
"""

import argparse
import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from aiohttp import web

from exporters.clickhouse import ClickHouse
from exporters.otel import from_config
from exporters.record import Exporter, TransientError
from exporters.store import Store
from pricing import TariffBook
from proxy import api, process
from proxy.config import Config
from proxy.delivery import Delivery
from proxy.items import Items
from proxy.meter import Meter
from proxy.metering import Metering

log = logging.getLogger(__name__)

FLUSH_S = 20.0  # how long a stop waits for exporters; what is left goes out after the next start
OTLP_BATCH_ROWS = 512


class MeterProcess:
    """Everything that lives in the meter's process, put together from the configuration."""

    def __init__(self, config: Config) -> None:
        config = replace(config, node=config.node or socket.gethostname())
        self._config = config
        self._began = monotonic()
        data = config.data
        state, records = data / "state", data / "records"
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        dsn = config.store.dsn or f"chdb://{data / 'chdb'}"
        tariffs = [config.metering.tariffs] if config.metering.tariffs else []
        self.items = Items(state / "items.sqlite")
        metering = Metering(config, TariffBook.load(*tariffs), self.items.claim)
        self.meter = Meter(config, data / "calls", records, state, metering.records)
        store = config.store
        self.clickhouse = ClickHouse(dsn, database=store.database, ttl_days=store.ttl_days)
        self.store = Store(dsn, database=store.database)
        self.deliveries = [self._delivery(self.clickhouse, store.batch_rows_max)]
        if spans := _spans(config):
            self.deliveries.append(self._delivery(spans, OTLP_BATCH_ROWS))

    def _delivery(self, exporter: Exporter, rows_max: int) -> Delivery:
        return Delivery(
            exporter,
            self._config.data / "records",
            self._config.data / "state",
            synced=self.meter.journal.synced,
            rows_max=rows_max,
            age_max_s=self._config.store.batch_age_max_s,
        )

    def status(self) -> dict[str, dict[str, object]]:
        """Health of the parts that live here."""
        return {
            "meter": self.meter.status() | {"uptime_s": round(monotonic() - self._began, 1)},
            **{delivery.exporter.name: delivery.status() for delivery in self.deliveries},
        }

    async def _open_store(self) -> None:
        """Make the schema now, so that the first look at the console finds it."""
        try:
            await self.clickhouse.open()
        except TransientError as error:
            log.warning("The store does not answer yet (%s); rows wait in the journal.", error)

    async def run(self, console_fd: int, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Work until `stop`; then read what the relays left, flush, and close."""
        await self._open_store()
        runner = web.AppRunner(
            api.application(self.store, self.status, self._config.console.host), access_log=None
        )
        await runner.setup()
        await web.SockSite(runner, process.inherited(console_fd)).start()
        tasks = [asyncio.create_task(delivery.run()) for delivery in self.deliveries]
        follow = asyncio.create_task(self.meter.run())
        ready()
        await stop.wait()
        follow.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self.meter.drain()
                await asyncio.gather(*(delivery.drained() for delivery in self.deliveries))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, follow, return_exceptions=True)
        await self.meter.upkeep()
        await runner.cleanup()
        for delivery in self.deliveries:
            await delivery.exporter.close()
        await self.store.close()
        self.meter.close()
        self.items.close()


def _spans(config: Config) -> Exporter | None:
    """The span exporter, where the configuration or the environment name an endpoint."""
    otlp = config.otlp
    return from_config(
        endpoint=otlp.endpoint,
        protocol=otlp.protocol,
        headers=otlp.headers,
        profile=otlp.profile,
        names={p.name: p.telemetry_name for p in config.providers.values() if p.telemetry_name},
    )


async def serve(config: Config, console_fd: int, ready_fd: int) -> None:
    """Run until SIGTERM or until the supervisor is gone."""
    stop, _ = process.signals()
    await MeterProcess(config).run(console_fd, lambda: process.tell_ready(ready_fd), stop)


def main() -> None:
    """Entry point of the process."""
    parser = argparse.ArgumentParser(prog="taximeter meter")
    parser.add_argument("--console-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, default=-1)
    arguments = parser.parse_args()
    process.log_to_stderr()
    asyncio.run(serve(process.configuration(), arguments.console_fd, arguments.ready_fd))


if __name__ == "__main__":
    main()

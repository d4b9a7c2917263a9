"""Backs up the data directory of a running meter, which pauses meanwhile; relays do not."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.record import TransientError
from proxy.backup import backup
from proxy.backup.backup import Manifest
from proxy.repricing.run import Repricing
from proxy.settings.config import Config

PAUSE_S = 60.0  # for the batch that is being delivered to be accepted


class BackingUp:
    """`turns` are the locks of everything that moves a cursor or writes records."""

    def __init__(
        self,
        config: Config,
        clickhouse: ClickHouse,
        repricing: Repricing,
        turns: Sequence[asyncio.Lock],
    ) -> None:
        self._config = config
        self._clickhouse = clickhouse
        self._repricing = repricing
        self._turns = turns

    async def __call__(self, to: Path) -> Manifest:
        """See `proxy.console.backup_api.BacksUp`.  A failed backup leaves nothing behind."""
        backup.check(self._clickhouse.dsn.directory, to, self._config.data)
        backup.begin(to)
        try:
            rows = await self._copied(to)
            return await asyncio.to_thread(backup.seal, to, self._clickhouse.dsn.database, rows)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, to, ignore_errors=True)
            raise

    async def _copied(self, to: Path) -> dict[str, int]:
        async with AsyncExitStack() as paused:
            paused.enter_context(self._repricing.alone())
            try:
                async with asyncio.timeout(PAUSE_S):
                    for turn in self._turns:
                        await paused.enter_async_context(turn)
            except TimeoutError:
                text = "rows are waiting for an exporter that does not accept them; retry later"
                raise TransientError(text) from None
            await asyncio.to_thread(backup.copy_files, self._config.data, to)
            return await self._clickhouse.back_up(to / backup.STORE)

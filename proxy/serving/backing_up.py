"""Backs up the data directory of a running meter, which pauses meanwhile; relays do not."""

import asyncio
import shutil
from pathlib import Path

from exporters.clickhouse.clickhouse import ClickHouse
from proxy.backup import backup
from proxy.backup.backup import Manifest
from proxy.serving.pausing import Pausing
from proxy.settings.config import Config


class BackingUp:
    """`pausing` holds everything that moves a cursor or writes records."""

    def __init__(self, config: Config, clickhouse: ClickHouse, pausing: Pausing) -> None:
        self._config = config
        self._clickhouse = clickhouse
        self._pausing = pausing

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
        async with self._pausing():
            await asyncio.to_thread(backup.copy_files, self._config.data, to)
            return await self._clickhouse.back_up(to / backup.STORE)

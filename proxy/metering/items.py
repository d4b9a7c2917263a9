"""Which batch items and background responses were charged: each exactly once.

The output of a batch may be downloaded many times, and a background response polled many times.
The first reading that shows an item charges it.  The ledger remembers which call that was, so that
only the same call, metered again after a crash, charges it again.
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from time import time

KEEP_S = 90 * 86_400  # providers keep outputs for about 30 days
PRUNE_EVERY = 10_000


class Items:
    """The ledger, in one SQLite file.  Raises sqlite3.Error if the disk fails."""

    def __init__(self, path: Path) -> None:
        # Calls whose tokens are counted are metered in threads; the lock admits one at a time.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS items"
            " (item BLOB PRIMARY KEY, source TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID"
        )
        self._claims = 0

    def claim(self, provider: str, items: Iterable[str], source: str) -> set[str]:
        """The items that this call, `source`, is the first to show."""
        mine = set()
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for item in items:
                key = hashlib.blake2b(f"{provider}\0{item}".encode(), digest_size=16).digest()
                self._db.execute(
                    "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (key, source, time()),
                )
                [owner] = self._db.execute(
                    "SELECT source FROM items WHERE item = ?", (key,)
                ).fetchone()
                if owner == source:
                    mine.add(item)
                self._claims += 1
            if self._claims >= PRUNE_EVERY:
                self._claims = 0
                self._db.execute("DELETE FROM items WHERE at < ?", (time() - KEEP_S,))
        return mine

    def close(self) -> None:
        self._db.close()

"""What has to wait until the journal has a call's frames: its dispatch, and its last bytes.

All calls of one turn of the event loop wait together, so their frames are one system call; with
`fsync = "always"`, one sync.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Settles(Protocol):
    """The part of a journal that is used here."""

    def settle(self) -> Awaitable[None] | None: ...


class Settling:
    """Runs actions once the frames that were appended before are settled."""

    def __init__(self, journal: Settles) -> None:
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._actions: list[Callable[[], None]] = []
        self._syncing: set[asyncio.Task[None]] = set()

    def then(self, action: Callable[[], None]) -> None:
        """Run `action` at the end of this turn of the loop, or when the disk has the frames.

        It must not raise.
        """
        if not self._actions:
            self._loop.call_soon(self._settle)
        self._actions.append(action)

    @property
    def pending(self) -> bool:
        """Whether some actions still wait."""
        return bool(self._actions or self._syncing)

    def _settle(self) -> None:
        actions, self._actions = self._actions, []
        synced = self._journal.settle()
        if synced is None:
            for action in actions:
                action()
            return
        task = asyncio.ensure_future(self._after(synced, actions))
        self._syncing.add(task)
        task.add_done_callback(self._syncing.discard)

    async def _after(self, synced: Awaitable[None], actions: list[Callable[[], None]]) -> None:
        await synced
        for action in actions:
            action()

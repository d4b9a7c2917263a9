"""Writes an entry of the audit log for a change that a command makes itself.

The running meter owns the log.  Without one, the entry waits in the journal for the next start.
"""

import asyncio
from contextlib import suppress
from pathlib import Path

import msgspec

from proxy.access.audit import Audit, NotAudited
from proxy.access.roles import COMMAND
from proxy.commands.console_client import TIMEOUT_S, request
from proxy.console.audit_api import PATH, ChangeMade
from proxy.delivery.delivery import Cursor
from proxy.serving.instance import TakenError, claimed
from proxy.settings.config import Config
from proxy.settings.places import Places


def note(config: Config, change: ChangeMade) -> None:
    """Write the entry before the change is made.  Raises OSError: then do not make it."""
    data = msgspec.json.encode(change)
    with request(config, PATH, method="POST", timeout_s=TIMEOUT_S, data=data) as answer:
        if answer is not None:
            return
    write(config, change)


def note_tariffs(config: Config, place: Path, change: ChangeMade) -> None:
    """The same for tariff files in `place`, if they are those of this data directory's meter."""
    configured = config.metering.tariffs
    if configured and configured.resolve() == place.resolve() and config.data.is_dir():
        note(config, change)


def write(config: Config, change: ChangeMade) -> None:
    """The same while no meter runs.  Raises OSError."""
    try:
        with claimed(config.data):
            asyncio.run(_write(config, change))
    except (TakenError, NotAudited) as error:
        raise OSError(str(error)) from None


async def _write(config: Config, change: ChangeMade) -> None:
    audit = Audit(config, _delivered_writer(Places(config.data)))
    try:
        await audit(COMMAND, change.action, change.target, change.before, change.after)
    finally:
        audit.close()


def _delivered_writer(places: Places) -> str:
    """The writer whose entries were delivered last; a new one must come after it."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode(places.cursor("audit").read_bytes(), type=Cursor).writer
    return ""

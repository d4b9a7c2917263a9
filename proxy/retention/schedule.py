"""Once a day, when a day has become too old for a project: deletes its rows and content."""

import asyncio
import logging
from datetime import UTC, datetime, time, timedelta

from exporters.clickhouse.erasing import CONTENT, ROWS
from exporters.clickhouse.selection import Selection
from exporters.record import TransientError
from proxy.access.audit import NotAudited
from proxy.access.roles import METER
from proxy.retention.eraser import Eraser
from proxy.settings.config import Config
from proxy.settings.retention import Limit, held, limits, table_days

log = logging.getLogger(__name__)

LOOK_S = 3600.0
FIRST_S = 60.0  # after the start, which has enough to do
RETRY_S = 300.0


async def keep_deleting(config: Config, eraser: Eraser) -> None:
    """Look every hour until cancelled.  Whole days go, as soon as their last row is too old."""
    await asyncio.sleep(FIRST_S)
    while True:
        try:
            await delete_old(config, eraser, datetime.now(UTC))
            wait_s = LOOK_S
        except (TransientError, NotAudited, OSError) as error:
            log.warning("Cannot delete old rows yet (%s); retrying.", error)
            wait_s = RETRY_S
        except Exception:  # a fault of ours here must not stop metering
            log.exception("Cannot delete old rows; retrying.")
            wait_s = RETRY_S
        await asyncio.sleep(wait_s)


async def delete_old(config: Config, eraser: Eraser, now: datetime) -> int:
    """Delete what is too old now; returns how many deletions that took."""
    done = 0
    await eraser.finish()
    for limit in limits(config):
        whose = Selection(before=first_kept(limit, now), project=limit.project, not_in=limit.others)
        action, kinds = ("content-expire", CONTENT) if limit.content_only else ("rows-expire", ROWS)
        erased = await eraser.erase(METER, action, _target(limit, whose), kinds, whose)
        done += bool(erased.deleted)
    if not held(config):  # else the tables have no TTL of their own
        for days, kinds in zip(table_days(config), (ROWS, CONTENT), strict=True):
            before = now - timedelta(days=days)
            target = f"by the store's own TTL, before {before:%Y-%m-%dT%H:%MZ}"
            action = "content-expire" if kinds is CONTENT else "rows-expire"
            of = [one for one in kinds if kinds is CONTENT or one != "content"]
            done += bool(await eraser.note_gone(METER, action, target, of, before))
    return done


def first_kept(limit: Limit, now: datetime) -> datetime:
    """The beginning of the first day that is kept."""
    day = now.astimezone(UTC).date() - timedelta(days=limit.days)
    return datetime.combine(day, time(), UTC)


def _target(limit: Limit, whose: Selection) -> str:
    project = "other projects" if limit.project is None else f"project {limit.project}"
    return f"{project}, before {whose.before:%Y-%m-%d}"

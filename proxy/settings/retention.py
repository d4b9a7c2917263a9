"""How long rows and content of each project are kept.  No I/O.

The meter deletes what is too old, with an entry in the audit log.  The tables' own TTL is a
backstop for the time when no meter runs: later than any of these, and none while there is a hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.settings.config import Config

GRACE_DAYS = 2  # from a row's limit to the table's own TTL
# In effect without end: a TTL is computed as a DateTime, which ends in 2106.
FOREVER_DAYS = 25_000
DAYS_MAX = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Whose rows are kept for how many days: of one project, or of all that are not in `others`."""

    days: int
    content_only: bool
    project: str | None = None
    others: tuple[str, ...] = ()


def limits(config: Config) -> Iterator[Limit]:
    """What is to be deleted once it is older; projects under a legal hold are in none."""
    named = tuple(sorted(config.retention))
    for content_only in (True, False):
        default = config.content.ttl_days if content_only else config.store.ttl_days
        yield Limit(days=default, content_only=content_only, others=named)
        for name in named:
            one = config.retention[name]
            days = one.content_days if content_only else one.rows_days
            if not one.legal_hold:
                yield Limit(days=days or default, content_only=content_only, project=name)


def held(config: Config) -> tuple[str, ...]:
    """The projects under a legal hold."""
    return tuple(sorted(name for name, one in config.retention.items() if one.legal_hold))


def table_days(config: Config) -> tuple[int, int]:
    """The TTL of the tables of rows and of content, in days."""
    if held(config):
        return FOREVER_DAYS, FOREVER_DAYS
    longest = [
        max(one.days for one in limits(config) if one.content_only is content_only)
        for content_only in (False, True)
    ]
    return longest[0] + GRACE_DAYS, longest[1] + GRACE_DAYS


def shortest_days(config: Config) -> int:
    """For how many days every row is there, so that sums can be compared with rows."""
    return min(one.days for one in limits(config) if not one.content_only)

"""`taximeter report --audit`: what providers report beside our own count of the same calls."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from exporters.clickhouse.store import Store
from exporters.record import TransientError
from proxy.commands import terminal
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit, count
from proxy.instants import instant
from proxy.metering.token_audits import CALLS_MIN, Comparison, comparisons
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

COLUMNS: Sequence[Column] = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("kind", "tokens"),
    Column("calls", "calls counted", number=True),
    Column("reported", "reported", number=True),
    Column("counted", "counted", number=True),
    Column("ratio", "ratio", number=True),
    Column("expected", "expected", number=True),
    Column("verdict", "verdict"),
)


def report(config: Config, *, since: str, until: str, as_json: bool) -> Exit:
    """Print a row for each provider, model and kind.  Raises ValueError for an invalid time."""
    try:
        rows = ask(config, "/api/counted", {"since": since, "until": until})
        if rows is None:
            rows = msgspec.to_builtins(asyncio.run(_from_store(config, since, until)))
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the calls: {error}")
        return Exit.FAILED
    if as_json:
        terminal.emit(rows)
    elif rows:
        terminal.show(COLUMNS, map(_cells, msgspec.convert(rows, list[Comparison])))
    else:
        terminal.say(f"No call since {since} was counted: see metering.audit_sample.")
    return Exit.OK


def _cells(one: Comparison) -> dict[str, str]:
    verdict = "as expected" if one.within else f"differs, as in {', '.join(one.evidence)}"
    return {
        "provider": one.provider,
        "model": one.model,
        "kind": one.kind,
        **{name: count(getattr(one, name)) for name in ("calls", "reported", "counted")},
        "ratio": "-" if one.ratio is None else f"{one.ratio:.3f}",
        "expected": f"1 ± {one.expected_error:.2f}",
        "verdict": "too few calls" if one.calls < CALLS_MIN else verdict,
    }


async def _from_store(config: Config, since: str, until: str) -> list[Comparison]:
    if not has_store(config):
        return []
    now = datetime.now(UTC)
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await comparisons(store, instant(since, now), instant(until, now) if until else None)
    finally:
        await store.close()

"""Reads a history of calls from the running console, whose process owns the embedded store.

Without one it opens the store.
"""

import argparse
import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime

from evaluation.history.rows import ROWS_MAX, HistoryRow, decoded
from exporters.clickhouse.calls_sql import CallsQuestion
from exporters.clickhouse.query import ROWS_MAX as PAGE_MAX
from exporters.clickhouse.store import Store
from proxy.commands import questions, terminal
from proxy.commands.console_client import ask
from proxy.instants import instant
from proxy.query.asked import Accepted, Asked, asked
from proxy.query.language import calls_question
from proxy.settings.config import Config
from proxy.settings.places import has_store, store_dsn

FILTERS = Accepted(filters=True)
_PAGES = Accepted(("since", "before", "before_id", "limit"), ("measure",), filters=True)
_SUCCESSES = ("measure", "successes")  # with each row whether it succeeded
PATH = "/api/calls"


def add_filters(parser: argparse.ArgumentParser) -> None:
    """`--team`, `--tag NAME=VALUE` and the others, as in `taximeter report`."""
    questions.add_question(parser, FILTERS)


def filtered(arguments: argparse.Namespace) -> questions.Pairs:
    """The filters that were given.  Raises Mistake."""
    return questions.pairs(arguments, FILTERS)


def since(text: str) -> datetime:
    """The beginning of a history: an age such as 14d, or a time.  Raises ValueError."""
    now = datetime.now(UTC)
    at = instant(text, now)
    if at >= now:
        raise ValueError(f"{text} is not in the past; write an age such as 14d")
    return at


def rows(config: Config, begin: datetime, filters: questions.Pairs) -> list[HistoryRow]:
    """The newest rows since then, ROWS_MAX at most, in order of time.

    Raises ValueError for a filter that is not understood, OSError and TransientError if the store
    cannot be read.
    """
    found = _from_console(config, begin, filters)
    if found is None:
        question = asked([("since", begin.isoformat()), _SUCCESSES, *filters], _PAGES)
        found = asyncio.run(_from_store(config, question))
    found.sort(key=lambda row: (row.ts, row.call_id))
    if len(found) >= ROWS_MAX:
        text = f"Only the newest {ROWS_MAX:,} rows are read; filter, or ask for a shorter history."
        terminal.say(text, sys.stderr)
    return found


def _from_console(
    config: Config, begin: datetime, filters: questions.Pairs
) -> list[HistoryRow] | None:
    found: list[HistoryRow] = []
    page: list[tuple[str, str]] = []
    while len(found) < ROWS_MAX:
        words = [
            ("since", begin.isoformat()),
            ("limit", str(PAGE_MAX)),
            _SUCCESSES,
            *filters,
            *page,
        ]
        answer = ask(config, PATH, words)
        if answer is None:
            return None
        found += decoded(answer)
        if len(answer) < PAGE_MAX:
            break
        page = [("before", answer[-1]["ts"]), ("before_id", answer[-1]["call_id"])]
    return found


async def _from_store(config: Config, question: Asked) -> list[HistoryRow]:
    if not has_store(config):
        return []
    now = datetime.now(UTC)
    wanted: CallsQuestion = replace(calls_question(question, now), limit=PAGE_MAX)
    store = Store(store_dsn(config), database=config.store.database)
    found: list[HistoryRow] = []
    try:
        while len(found) < ROWS_MAX:
            page = await store.calls(wanted)
            found += decoded(page)
            if len(page) < PAGE_MAX:
                break
            last = page[-1]
            at = datetime.fromisoformat(str(last["ts"]))
            wanted = replace(wanted, before=at, before_id=str(last["call_id"]))
    finally:
        await store.close()
    return found

"""`taximeter tariffs compare`: the book against newer copies of public price sets."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pricing import TariffBook
from pricing.upkeep.comparison import differences, load, names, unreviewed
from pricing.upkeep.review import reviewed
from proxy.commands import terminal
from proxy.commands.terminal import Column, Exit

COLUMNS = (
    Column("provider", "provider"),
    Column("model", "model"),
    Column("meter", "meter"),
    Column("when", "when"),
    Column("ours", "ours", number=True),
    Column("genai", "genai-prices", number=True),
    Column("litellm", "LiteLLM", number=True),
    Column("where", "our rule"),
)


def compare(
    book: TariffBook, sets: Mapping[str, Path], now: datetime, *, lines: bool, as_json: bool
) -> Exit:
    """Print the differences.  OK whatever differs: judging is for people.

    `sets` are files by set name; `lines` prints them as lines of the review file.
    """
    if not sets:
        terminal.say("compare: name at least one set: --genai FILE, --litellm FILE", sys.stderr)
        return Exit.MISTAKE
    try:
        listings = load(sets.get("genai"), sets.get("litellm"), names(book))
    except ValueError as error:
        terminal.say(f"compare: not such a price set: {error}", sys.stderr)
        return Exit.MISTAKE
    found = differences(book, listings, now)
    new, gone = unreviewed(found, reviewed(), sets)
    if as_json:
        terminal.emit({"new": [each.row() for each in new], "gone": [each.row() for each in gone]})
    elif lines:
        for each in new:
            terminal.say(each.line())
    else:
        terminal.say(f"{len(new)} differences to judge, of {len(found)} in all:")
        terminal.show(COLUMNS, [each.row() for each in new])
        terminal.say(f"\n{len(gone)} reviewed differences are gone:")
        terminal.show(COLUMNS, [each.row() for each in gone])
    return Exit.OK

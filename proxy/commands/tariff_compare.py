"""`taximeter tariffs compare`: compares the tariffs with newer copies of public price sets."""

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
    Column("where", "our rule", shed=1),
)


def compare(
    book: TariffBook, sets: Mapping[str, Path], now: datetime, *, lines: bool, as_json: bool
) -> Exit:
    """Print the differences.  OK even if there are some: they are for people to judge.

    `sets` are files by name of the set; `lines` prints differences as lines for the review file.
    """
    if not sets:
        terminal.say("compare: specify --genai FILE, --litellm FILE or both", sys.stderr)
        return Exit.MISTAKE
    try:
        listings = load(sets.get("genai"), sets.get("litellm"), names(book))
    except ValueError as error:
        terminal.say(f"compare: invalid price set: {error}", sys.stderr)
        return Exit.MISTAKE
    found = differences(book, listings, now)
    new, gone = unreviewed(found, reviewed(), sets)
    if as_json:
        terminal.emit({"new": [each.row() for each in new], "gone": [each.row() for each in gone]})
    elif lines:
        for each in new:
            terminal.say(each.line())
    else:
        terminal.say(f"{len(new)} differences to review, of {len(found)} in all:")
        terminal.show(COLUMNS, [each.row() for each in new])
        terminal.say(f"\n{len(gone)} reviewed differences no longer exist:")
        terminal.show(COLUMNS, [each.row() for each in gone])
    return Exit.OK

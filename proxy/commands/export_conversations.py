"""`taximeter export conversations`: one line per call, and a manifest with counts and digests."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from exporters.clickhouse.conversations import Selection, conversations
from exporters.clickhouse.file_writer import Target, copy_text
from exporters.clickhouse.s3_object import PREFIX, S3Object
from exporters.clickhouse.store import Store
from exporters.record import TransientError
from proxy.commands import audited, questions, stored, terminal
from proxy.commands.console_client import SILENCE_S, request
from proxy.commands.export_target import target, within
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Exit, count
from proxy.console.audit_api import ChangeMade
from proxy.console.export_api import PATH
from proxy.evidence.heads import newest
from proxy.exports import asked as asking
from proxy.exports.directory import LINES, MANIFEST, Directory, Manifest, Question
from proxy.exports.line import Lines
from proxy.secrecy.redaction import Redactor
from proxy.settings.config import Config
from proxy.settings.places import Places, has_store, store_dsn

HELP = "Write conversations with their decisions to a directory."
LINES_AT_ONCE = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's arguments."""
    questions.add_question(parser, asking.CONVERSATIONS)
    help = f"directory for {LINES} and its manifest, here or as {PREFIX}BUCKET/KEY"
    help = f"{help}; an export to here that broke off is resumed"
    parser.add_argument("--output", required=True, metavar="DIR", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the action.  Raises ValueError for a question or a directory that is not understood."""
    pairs, asked = questions.question(arguments, asking.CONVERSATIONS)
    wanted, _ = asking.selection(asked, datetime.now(UTC))
    to = target(arguments.output)
    config = stored_configuration(arguments)
    question = asking.question(wanted, pairs)
    try:
        if isinstance(to, Path):
            manifest, resumed = _write(config, wanted, Directory(to, question))
        else:
            manifest, resumed = _send(config, wanted, question, to), False
    except (TransientError, OSError, HTTPException) as error:
        terminal.say(f"Cannot export: {error or type(error).__name__}", sys.stderr)
        if isinstance(to, Path):
            terminal.say("What was written is kept.  Run the same command to go on.", sys.stderr)
        return Exit.FAILED
    if arguments.json:
        terminal.emit(manifest)
    else:
        _show(within(to, LINES), manifest, resumed=resumed)
    for note in stored.not_stored(config):
        terminal.say(f"Note: {note}.", sys.stderr)
    return Exit.OK


def _write(config: Config, wanted: Selection, to: Directory) -> tuple[Manifest, bool]:
    """Fill a directory; returns its manifest, and whether it had been begun before."""
    with to:
        resumed = to.counted.last is not None
        wanted = asking.again(wanted, to.question)
        _fill(config, wanted, to)
        kinds = tuple(sorted((*config.content.redact, *config.content.patterns)))
        left_out = tuple(wanted.left_out())
        head = newest(Places(config.data).heads)
        return to.finish(redacted=kinds, left_out=left_out, tree_head=head), resumed


def _send(config: Config, wanted: Selection, question: Question, to: S3Object) -> Manifest:
    """The same to S3, the manifest last."""
    with TemporaryDirectory(prefix="taximeter-") as scratch:
        made = Path(scratch) / "export"
        manifest, _ = _write(config, wanted, Directory(made, question))
        for name in (LINES, MANIFEST):
            copy_text(made / name, to.beside(name), Path(scratch) / "engine")
        return manifest


def _fill(config: Config, wanted: Selection, to: Directory) -> None:
    """Add the lines that are missing, from the running console or from the store."""
    sent = asking.parameters(to.question, to.counted.last)
    with request(config, f"{PATH}?{urlencode(sent)}", method="GET", timeout_s=SILENCE_S) as answer:
        if answer is not None:
            lines = (line.rstrip(b"\n") for line in answer)
            while some := list(islice(lines, LINES_AT_ONCE)):
                to.add(some)
            return
    if not has_store(config):  # this data directory was never served from
        return
    audited.write(config, ChangeMade("export", "conversations", after=to.question))
    asyncio.run(_from_store(config, wanted, to))


async def _from_store(config: Config, wanted: Selection, to: Directory) -> None:
    lines = Lines(Redactor(config.content.redact, config.content.patterns))
    store = Store(store_dsn(config), database=config.store.database)
    try:
        async for page in conversations(store, wanted, to.counted.last):
            to.add([lines.line(*one) for one in page])
    finally:
        await store.close()


def _show(lines: Target, made: Manifest, *, resumed: bool) -> None:
    for text in _said(lines, made):
        terminal.say(text)
    if resumed:
        terminal.say("The export had broken off and was resumed.")


def _said(lines: Target, made: Manifest) -> Iterator[str]:
    kinds = [(made.calls, "calls"), (made.refusals, "refusals"), (made.sockets, "sockets")]
    what = ", ".join(
        f"{count(number)} {name}" for number, name in kinds if number or name == "calls"
    )
    yield f"{lines}: {what}, {count(made.turns)} turns, {count(made.bytes)} bytes."
    if made.with_content < made.lines:
        without = count(made.lines - made.with_content)
        yield f"{without} of them have no content: it was not captured, or has expired."
    for text in made.left_out:
        yield f"Left out: {text}."
    yield f"SHA-256: {made.digests[LINES]}"

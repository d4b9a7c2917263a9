"""`taximeter audit verify`: whether rows, contents and entries are what they were when written."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from exporters.clickhouse.audit import AuditTable
from exporters.evidence.checking import Finding
from exporters.evidence.head import Head, heads_in
from exporters.record import TransientError
from proxy.commands import audit_source, terminal
from proxy.commands.arguments import Actions, common_again
from proxy.commands.stored import not_stored, stored_configuration
from proxy.commands.terminal import Exit
from proxy.console.evidence_api import since_in_us
from proxy.delivery import lag
from proxy.evidence import export
from proxy.evidence.verdict import Verdict, verdict
from proxy.settings.config import Config
from proxy.settings.places import Places

INSIDE = "evidence"  # where an export of something else has its evidence
SHOWN_MAX = 50  # findings in a terminal; --json has them all


def add_action(actions: Actions) -> None:
    """Add `verify` to the actions of `taximeter audit`."""
    help = "check that nothing was altered, removed or added; exit code 1 if something was"
    added = actions.add_parser("verify", parents=[common_again()], help=help, description=help)
    help = "compare only rows of calls since this time or age, such as 7d; heads are compared whole"
    added.add_argument("--since", default="", metavar="TIME", help=help)
    help = "also compare with the heads in this file, which somebody else kept"
    added.add_argument("--head", default="", metavar="FILE", help=help)
    help = "check what `taximeter audit export` wrote there, without a data directory"
    added.add_argument("--export", default="", metavar="DIR", help=help)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        since_us = since_in_us(arguments.since, datetime.now(UTC))
        if arguments.export and arguments.since:
            raise ValueError("--since is for the store; an export holds what it was asked for")
        kept = _kept(arguments.head)
        directory = _directory(arguments.export)
    except ValueError as error:
        terminal.say(f"audit verify: {error}", sys.stderr)
        return Exit.MISTAKE
    try:
        if directory:
            found = _check(audit_source.from_export(directory), kept)
        else:
            config = stored_configuration(arguments)
            opened = audit_source.opened(config, arguments.since, since_us, "verify")
            with opened as source:
                for sentence in _waiting(config) if source.is_offline else ():
                    terminal.say(sentence, sys.stderr)
                found = _check(source, kept)
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read the evidence: {error}", sys.stderr)
        return Exit.FAILED
    if arguments.json:
        terminal.emit(found)
    else:
        show(found)
    return Exit.OK if found.ok else Exit.FAILED


def show(found: Verdict) -> None:
    """Print a verdict."""
    findings = found.findings()
    for finding in findings[:SHOWN_MAX]:
        terminal.wrapped(_sentence(finding))
    if (more := len(findings) - SHOWN_MAX + found.unnamed) > 0:
        terminal.say(f"{more:,} more; --json names them.")
    for head in found.bad_heads:
        terminal.wrapped(f"head of {head.time}, {head.size:,} leaves: {head.reason}")
    for place in found.damaged:
        terminal.wrapped(f"damaged: {place}")
    word = "Verified" if found.ok else "NOT verified"
    terminal.wrapped(
        f"{word}: {found.checked:,} rows of {found.leaves:,} leaves are as they were written,"
        f" {found.erased:,} were deleted by entries in the log; heads that fit: {found.heads:,}."
    )
    if found.unheaded:
        terminal.wrapped(
            f"{found.unheaded:,} leaves are newer than the newest head: `taximeter audit head`"
            " signs one."
        )


def _sentence(finding: Finding) -> str:
    what = f"{finding.kind} {finding.call_id}" if finding.call_id else f"leaf {finding.number}"
    source = f" ({finding.source})" if finding.source else ""
    return f"{finding.what}: {what}{source}: {finding.reason}"


def _check(source: audit_source.Source, kept: list[Head]) -> Verdict:
    return verdict(source.lines, [*source.heads, *kept], source.damaged, source.erasures)


def _waiting(config: Config) -> Iterator[str]:
    """What is not in the store yet, in sentences: it is not compared."""
    places = Places(config.data)
    yield from not_stored(config)
    if waiting := lag.undelivered(places.audit, places.cursor(AuditTable.name)):
        start = "start `taximeter serve` to write them to it, then verify again"
        yield f"{waiting:,} entries of the audit log are not in the store yet; {start}"


def _kept(file: str) -> list[Head]:
    """The heads in the user's file.  Raises ValueError if it holds none."""
    if not file:
        return []
    try:
        found = heads_in(Path(file).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {file}: {error}") from None
    if not found:
        raise ValueError(f"{file} holds no head")
    return found


def _directory(text: str) -> Path | None:
    if not text:
        return None
    path = Path(text)
    if (path / INSIDE / export.LEAVES).is_file():
        return path / INSIDE
    if not (path / export.LEAVES).is_file():
        raise ValueError(f"{text} is not what `taximeter audit export` wrote: no leaves.jsonl")
    return path

"""`taximeter audit head` and `export`: what others need to check us.

They ask the running console, whose process owns tree and store; without one, they open both.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from exporters.evidence.head import Head
from exporters.record import TransientError
from proxy.commands import audit_source, audited, terminal
from proxy.commands.arguments import Actions, common_again
from proxy.commands.console_client import TIMEOUT_S, request
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Exit
from proxy.console.audit_api import ChangeMade
from proxy.console.evidence_api import HEAD_PATH, since_in_us
from proxy.evidence import export as files
from proxy.evidence import heads
from proxy.evidence.growth import Growth
from proxy.serving.instance import TakenError, claimed
from proxy.settings.config import Config
from proxy.settings.places import Places


def add_actions(actions: Actions) -> None:
    """Add these actions to `taximeter audit`."""
    help = "sign a head of the tree now, and print it: keep it on another machine"
    actions.add_parser("head", parents=[common_again()], help=help, description=help)
    help = "write leaves, rows and heads to a directory, for `taximeter audit verify --export`"
    added = actions.add_parser("export", parents=[common_again()], help=help, description=help)
    help = "new or empty directory; it will hold rows and captured content"
    added.add_argument("--output", required=True, metavar="DIR", help=help)
    help = "rows of calls since this time or age; all leaves are written"
    added.add_argument("--since", default="", metavar="TIME", help=help)


def head(arguments: argparse.Namespace) -> int:
    """Run `audit head`."""
    config = stored_configuration(arguments)
    try:
        with request(config, HEAD_PATH, method="POST", timeout_s=TIMEOUT_S, data=b"") as answer:
            written = None if answer is None else msgspec.json.decode(answer.read(), type=Head)
        terminal.emit(written or signed(config))
    except (OSError, TakenError) as error:
        terminal.say(f"Cannot sign a head: {error}", sys.stderr)
        return Exit.FAILED
    return Exit.OK


def export(arguments: argparse.Namespace) -> int:
    """Run `audit export`."""
    to = Path(arguments.output)
    try:
        since_in_us(arguments.since, datetime.now(UTC))
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise ValueError(f"{to} is not empty; choose a new directory")
    except ValueError as error:
        terminal.say(f"audit export: {error}", sys.stderr)
        return Exit.MISTAKE
    try:
        done = write_evidence(stored_configuration(arguments), to, arguments.since)
    except (OSError, TransientError) as error:
        terminal.say(f"Cannot export the evidence: {error}", sys.stderr)
        return Exit.FAILED
    if arguments.json:
        terminal.emit({"directory": str(to), **done})
    else:
        terminal.say(
            f"Wrote {done['leaves']:,} leaves, their rows and {done['heads']:,} heads to {to}."
        )
    return Exit.OK


def write_evidence(config: Config, to: Path, since: str = "") -> dict[str, int]:
    """Write what `audit verify --export` reads into a directory; returns how much.

    Raises OSError, TransientError, or ValueError for an invalid `since`.
    """
    since_us = since_in_us(since, datetime.now(UTC))
    with audit_source.opened(config, since, since_us, "export") as source:
        if source.is_offline:  # the console writes the entry itself
            change = ChangeMade("evidence-export", f"since {since or 'the start'}")
            audited.write(config, change)
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        leaves = files.write(source.lines, source.heads, to)
        return {"leaves": leaves, "heads": len(source.heads)}


def signed(config: Config) -> Head:
    """A head without a running meter.  Raises OSError, or TakenError if one starts meanwhile."""
    with claimed(config.data):
        growth = _growth(config)
        made = growth.key.head(growth.size, growth.root(), datetime.now(UTC), growth.node)
        heads.append(Places(config.data).heads, made)
        return made


def _growth(config: Config) -> Growth:
    """The tree as it is.  Raises OSError if there is none."""
    audit_source.state(config)
    places = Places(config.data)
    if not places.evidence_key.exists():
        raise OSError(audit_source.NO_TREE)
    return Growth(places.evidence_key, places.tree, 0)

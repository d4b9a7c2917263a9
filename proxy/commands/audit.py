"""`taximeter audit`: the audit log, and the evidence that nothing was changed."""

import argparse

from proxy.commands import audit_check, audit_evidence, audit_log, audit_prove
from proxy.commands.arguments import add_common

ACTIONS = {
    "log": audit_log.main,
    "verify": audit_check.main,
    "head": audit_evidence.head,
    "prove": audit_prove.main,
    "export": audit_evidence.export,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    audit_log.add_action(actions)
    audit_check.add_action(actions)
    audit_evidence.add_actions(actions)
    audit_prove.add_action(actions)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return ACTIONS[arguments.action_name](arguments)

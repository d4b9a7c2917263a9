"""`taximeter export`: writes conversations with their decisions, or the bill in FOCUS's columns.

Queries the running console, whose process owns the embedded store; without one, opens the store.
"""

import argparse
import sys
from collections.abc import Mapping
from types import ModuleType

from proxy.commands import export_conversations, export_focus, terminal
from proxy.commands.arguments import add_common, common_again
from proxy.commands.terminal import Exit

ACTIONS: Mapping[str, ModuleType] = {
    "conversations": export_conversations,
    "focus": export_focus,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="WHAT")
    for name, module in ACTIONS.items():
        added = actions.add_parser(
            name, parents=[common_again()], help=module.HELP, description=module.HELP
        )
        module.add_arguments(added)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        code: int = ACTIONS[arguments.action_name].main(arguments)
        return code
    except ValueError as error:
        terminal.say(f"export {arguments.action_name}: {error}", sys.stderr)
        return Exit.MISTAKE

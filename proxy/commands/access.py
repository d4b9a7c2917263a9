"""`taximeter access`: adds, lists and removes the named tokens of the console.

A change goes through the running console; without one, the file is changed here.
"""

import argparse
import json
import sys
from urllib.parse import quote

import msgspec

from proxy.access import tokens
from proxy.access.roles import Role
from proxy.commands import audited, terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.console_client import TIMEOUT_S, request
from proxy.commands.stored import existing_places
from proxy.commands.terminal import Column, Exit
from proxy.console.access_api import ONE, PATH, NewToken
from proxy.console.audit_api import ChangeMade
from proxy.settings.config import Config
from proxy.settings.places import Places

COLUMNS = (Column("name", "name"), Column("role", "role"), Column("added", "added"))
ROLES = {
    Role.VIEWER: "reads calls, spend and metrics",
    Role.FINANCE: "reads the same, and changes what concerns money",
    Role.AUDITOR: "also reads captured content and the audit log",
    Role.ADMIN: "may do everything",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    shared = [common_again()]
    help = "make a token and print it, this once"
    added = actions.add_parser("add", parents=shared, help=help, description=help)
    added.add_argument("name", metavar="NAME", help="whose token it is")
    meaning = "; ".join(f"{role} {text}" for role, text in ROLES.items())
    added.add_argument("--role", required=True, choices=list(map(str, Role)), help=meaning)
    help = "list the tokens by name"
    actions.add_parser("list", parents=shared, help=help, description=help)
    help = "remove a token and end its sessions"
    added = actions.add_parser("remove", parents=shared, help=help, description=help)
    added.add_argument("name", metavar="NAME")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    try:
        match arguments.action_name:
            case "add":
                return add(config, arguments.name, arguments.role, as_json=arguments.json)
            case "remove":
                return remove(config, arguments.name, as_json=arguments.json)
            case _:
                return show(config, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"access: {error}", sys.stderr)
        return Exit.MISTAKE
    except OSError as error:
        terminal.say(f"Cannot change the tokens: {error}", sys.stderr)
        return Exit.FAILED


def add(config: Config, name: str, role: str, *, as_json: bool) -> Exit:
    """Print the new token.  Raises ValueError for a name that is taken or invalid."""
    made = _ask(config, "POST", PATH, msgspec.json.encode(NewToken(name, Role(role))))
    if made is None:
        file = Places(config.data).access
        token, after = tokens.planned(file, name, Role(role))
        shown = after[-1].shown()
        audited.write(config, ChangeMade("access-add", name, after=shown))
        tokens.save(file, after)
        made = shown | {"token": token}
    if as_json:
        terminal.emit(made)
        return Exit.OK
    terminal.say(made["token"])
    terminal.say(
        f"This is the token of {name} (role {role}); it is not shown again.  The console now"
        " requires a token: a browser is asked for it; scripts send Authorization: Bearer TOKEN.",
        sys.stderr,
    )
    return Exit.OK


def remove(config: Config, name: str, *, as_json: bool) -> Exit:
    """Remove a token.  Raises ValueError if there is none of this name."""
    gone = _ask(config, "DELETE", ONE.format(name=quote(name, safe="")))
    if gone is None:
        file = Places(config.data).access
        found, rest = tokens.without(file, name)
        gone = found.shown()
        audited.write(config, ChangeMade("access-remove", name, before=gone))
        tokens.save(file, rest)
    if as_json:
        terminal.emit(gone)
    else:
        terminal.say(f"Removed the token of {name}.  Its sessions have ended.")
    return Exit.OK


def show(config: Config, *, as_json: bool) -> Exit:
    """Print the tokens by name.

    Raises SettingsError without a data directory, OSError or ValueError if the file is unreadable.
    """
    rows = [one.shown() for one in tokens.load(existing_places(config).access)]
    if as_json:
        terminal.emit(rows)
    elif rows:
        terminal.show(COLUMNS, rows)
    else:
        terminal.say("There is no named token.  Add one: taximeter access add NAME --role viewer")
    return Exit.OK


def _ask(
    config: Config, method: str, path: str, data: bytes | None = None
) -> dict[str, str] | None:
    """The running console's answer; None if none is running."""
    with request(config, path, method=method, timeout_s=TIMEOUT_S, data=data) as answer:
        if answer is None:
            return None
        decoded: dict[str, str] = json.load(answer)
        return decoded

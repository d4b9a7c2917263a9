"""`taximeter keys`: makes, lists and removes the tokens of the gateway's callers.

The configuration has their hashes; it belongs to its owner, so `add` prints the lines to put there.
"""

import argparse
import os
import re
import sys
import tomllib
from pathlib import Path

from proxy.commands import terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.terminal import Column, Exit
from proxy.door.callers import hashed, new_token
from proxy.journal.disk import write_atomically
from proxy.settings.config import Config
from proxy.settings.gateway_checks import NAME
from proxy.settings.sources import CONFIG_VARIABLE
from proxy.settings.typed import nearest

COLUMNS = (
    Column("name", "caller"),
    Column("tokens", "tokens", number=True),
    Column("tags", "tags"),
    Column("routes", "routes"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = [common_again()]
    for action, help in (
        ("add", "make a token, and print it and its lines for the configuration, this once"),
        ("remove", "take a caller out of the configuration file"),
    ):
        parsed = actions.add_parser(action, help=help, description=help, parents=shared)
        parsed.add_argument("name", metavar="NAME", help="of a caller, as in gateway.callers.NAME")
    help = "list the callers"
    actions.add_parser("list", help=help, description=help, parents=shared)


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    try:
        match arguments.action:
            case "add":
                return add(config, arguments.name, as_json=arguments.json)
            case "remove":
                file = arguments.config or os.environ.get(CONFIG_VARIABLE) or ""
                return remove(config, arguments.name, file, as_json=arguments.json)
            case _:
                return show(config, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"keys: {error}", sys.stderr)
        return Exit.MISTAKE
    except OSError as error:
        terminal.say(f"Cannot change the configuration: {error}", sys.stderr)
        return Exit.FAILED


def add(config: Config, name: str, *, as_json: bool) -> Exit:
    """Print a new token.  A caller that is there gets a second one, for the change."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r}: use up to 64 of a-z, 0-9, '.', '_' and '-'")
    token = new_token()
    known = config.gateway.callers.get(name)
    hashes = [*(known.hashes if known else ()), hashed(token)]
    quoted = ", ".join(f'"{one}"' for one in hashes)
    line = f"token_hash = {quoted if len(hashes) == 1 else f'[{quoted}]'}"
    if as_json:
        terminal.emit({"name": name, "token": token, "token_hash": hashed(token), "line": line})
        return Exit.OK
    terminal.say(token)
    told = f"This is the token of {name}; it is not shown again.  Put its hash into the "
    if known:
        told += f"configuration in place of what [gateway.callers.{_key(name)}] has:\n\n{line}\n\n"
        told += "Both tokens are valid then; take out the old hash once nobody uses it."
    else:
        told += f"configuration:\n\n[gateway.callers.{_key(name)}]\n{line}"
    terminal.say(told, sys.stderr)
    return Exit.OK


def show(config: Config, *, as_json: bool) -> Exit:
    """Print the callers, without hashes."""
    callers = config.gateway.callers.values()
    if as_json:
        terminal.emit(
            [
                {
                    "name": one.name,
                    "tokens": len(one.hashes),
                    "tags": dict(one.tags),
                    "routes": list(one.routes),
                }
                for one in callers
            ]
        )
    elif callers:
        rows = [
            {
                "name": one.name,
                "tokens": str(len(one.hashes)),
                "tags": ", ".join(f"{name}={value}" for name, value in one.tags.items()),
                "routes": ", ".join(one.routes) or "all",
            }
            for one in callers
        ]
        terminal.show(COLUMNS, rows)
    else:
        terminal.say("The gateway has no caller.  Add one: taximeter keys add NAME")
    return Exit.OK


def remove(config: Config, name: str, file: str, *, as_json: bool) -> Exit:
    """Take the caller's table out of the file, if that changes nothing else."""
    if name not in config.gateway.callers:
        raise ValueError(f"no caller is named {name!r}{nearest(name, config.gateway.callers)}")
    text = Path(file).read_text(encoding="utf-8") if file else ""
    left = _without(text, name)
    if left is None:
        where = file or "the configuration"
        raise ValueError(f"cannot take gateway.callers.{name} out of {where}; remove it by hand")
    path = Path(file).resolve()  # a link stays one
    mode = path.stat().st_mode
    write_atomically(path, left.encode())
    path.chmod(mode)
    if as_json:
        terminal.emit({"name": name, "removed": True})
    else:
        terminal.say(f"Removed {name} from {file}.  It is admitted until the next reload (SIGHUP).")
    return Exit.OK


def _without(text: str, name: str) -> str | None:
    """The TOML `text` without this caller; None unless nothing else changes."""
    header = rf"\[ *gateway *\. *callers *\. *(?:{re.escape(name)}|\"{re.escape(name)}\")"
    table = re.compile(
        rf"^{header}(?: *\.[^\]\n]*)? *\][^\n]*\n(?:(?!\[|\s*$)[^\n]+\n?)*", re.MULTILINE
    )
    left = table.sub("", text)
    try:
        before, after = tomllib.loads(text), tomllib.loads(left)
        before["gateway"]["callers"].pop(name)
    except (ValueError, KeyError):
        return None
    if not before["gateway"]["callers"]:
        before["gateway"].pop("callers")
    if not before["gateway"]:
        before.pop("gateway")
    return left if after == before else None


def _key(name: str) -> str:
    """`name` as a part of a TOML key."""
    return f'"{name}"' if "." in name else name

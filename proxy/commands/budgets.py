"""`taximeter budgets`: what budgets hold, how one adds up, and what a call would meet.

Asks the running console: what budgets hold is known to the meter alone.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pricing.budget import DIMENSIONS, TAG
from proxy.commands import terminal
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.commands.console_client import ask
from proxy.commands.terminal import Column, Exit
from proxy.console.budgets_api import PATH, TEST
from proxy.settings.config import Config

COLUMNS = (
    Column("budget", "budget"),
    Column("state", "state"),
    Column("spent", "spent", number=True),
    Column("limit", "limit", number=True),
    Column("percent", "%", number=True),
    Column("forecast", "forecast", number=True),
    Column("ends", "window ends"),
)
LINES = (Column("what", "what"), Column("amount", "amount", money=True), Column("says", "how"))
ALWAYS = ("spent", "forecast")  # lines that say so if they are unknown
UNITS = ("usd", "tokens", "calls")
Entry = Mapping[str, Any]  # of /api/budgets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", metavar="ACTION")
    shared = [common_again()]
    help = "show how a budget adds up"
    added = actions.add_parser("show", parents=shared, help=help, description=help)
    added.add_argument("name", metavar="NAME")
    help = "say what a call would meet"
    added = actions.add_parser("test", parents=shared, help=help, description=help)
    added.add_argument("name", metavar="NAME")
    added.add_argument(
        "--amount",
        default="0",
        metavar="NUMBER",
        help="what the call may cost, in the budget's unit",
    )
    for name in DIMENSIONS:
        added.add_argument(f"--{name}", default="", metavar=name.upper(), help=f"the call's {name}")
    added.add_argument(
        "--tag", action="append", default=[], metavar="NAME=VALUE", help="another tag of the call"
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    config = configuration(arguments)
    try:
        match arguments.action_name:
            case "show":
                return show(config, arguments.name, as_json=arguments.json)
            case "test":
                return test(config, arguments.name, _call(arguments), as_json=arguments.json)
            case _:
                return list_all(config, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"budgets: {error}", sys.stderr)
        return Exit.MISTAKE
    except OSError as error:
        terminal.say(f"Cannot ask for the budgets: {error}", sys.stderr)
        return Exit.FAILED


def list_all(config: Config, *, as_json: bool) -> Exit:
    """Print a line for each budget and key.  Raises OSError if no console answers."""
    entries = _ask(config, PATH, {})
    if as_json:
        terminal.emit(entries)
    elif entries:
        terminal.show(COLUMNS, map(_row, entries))
    else:
        terminal.say("There is no budget.  docs/budgets.md shows how to make one.")
    return Exit.OK


def show(config: Config, name: str, *, as_json: bool) -> Exit:
    """Print the arithmetic of one budget, key by key.  Raises ValueError if there is none."""
    entries = _ask(config, PATH, {"name": name})
    if not entries and name not in {one["name"] for one in _ask(config, PATH, {})}:
        raise ValueError(f"there is no budget {name}, or no call that it counts yet")
    if as_json:
        terminal.emit(entries)
        return Exit.OK
    for number, one in enumerate(entries):
        terminal.say("\n" * bool(number) + _title(one))
        terminal.show(LINES, _lines(one))
        for alert in one["alerts"]:
            since = f" since {_instant(alert['since'])}" if alert["since"] else ""
            terminal.say(f"firing: {alert['threshold']}{since}")
    return Exit.OK


def test(config: Config, name: str, call: Mapping[str, str], *, as_json: bool) -> Exit:
    """Print what a call would meet."""
    found = _ask(config, TEST.format(name=quote(name, safe="")), call)
    if as_json:
        terminal.emit(found)
        return Exit.OK
    terminal.say(f"{found['answer']}: {found['says']}")
    for one in found["differs"]:
        given = one["given"] or "(none)"
        terminal.say(f"  {one['dimension']} is {given}; the scope has {one['wanted'] or '(none)'}")
    return Exit.OK


def _call(arguments: argparse.Namespace) -> dict[str, str]:
    call = {name: value for name in DIMENSIONS if (value := getattr(arguments, name))}
    for tag in arguments.tag:
        name, equals, value = tag.partition("=")
        if not name or not equals:
            raise ValueError(f"--tag {tag}: expected NAME=VALUE")
        call[TAG + name] = value
    return {**call, "amount": arguments.amount}


def _ask(config: Config, path: str, query: Mapping[str, str]) -> Any:
    found = ask(config, path, query)
    if found is None:
        raise OSError("nothing is running here; start it with: taximeter serve")
    return found


def _row(one: Entry) -> dict[str, str]:
    unit = _unit(one)
    return {
        "budget": _name(one),
        "state": one["state"],
        "spent": _amount(one[f"counted_{unit}"], unit),
        "limit": _amount(one[f"limit_{unit}"], unit, none="none"),
        "percent": one["percent"] or "",
        "forecast": _amount(one[f"forecast_{unit}"], unit, none="-"),
        "ends": _instant(one["window_end"]) if one["window_end"] else "never",
    }


def _lines(one: Entry) -> Sequence[dict[str, str]]:
    """The sum, from rows to what is left."""
    unit = _unit(one)
    calls = f"{one['unknown_calls']} calls"
    if one["unmeasured_calls"]:
        calls += f", {one['unmeasured_calls']} without tokens: at least"
    known = {
        "rows": ("spent", "calls with a known price" if unit == "usd" else "all calls"),
        "+ unknown price": ("unknown", calls),
        "+ uncertain": ("uncertain", "what cut calls may have cost beyond their rows"),
        "+ held back": ("reserved", "by calls that are open"),
        "limit": ("limit", one["period"]),
        "left": ("left", ""),
        "forecast": ("forecast", one["forecast_method"] or "too little is known"),
        "forecast, 10 %": ("forecast_low", "of its own past errors"),
        "forecast, 90 %": ("forecast_high", ""),
    }
    return [
        {"what": what, "amount": _text(one[f"{name}_{unit}"]), "says": says}
        for what, (name, says) in known.items()
        if f"{name}_{unit}" in one and (one[f"{name}_{unit}"] is not None or name in ALWAYS)
    ]


def _title(one: Entry) -> str:
    end = _instant(one["window_end"]) if one["window_end"] else "for ever"
    as_of = f", as of {_instant(one['as_of'])}" if one["as_of"] else ", not known yet"
    return f"{_name(one)}: {one['state']}, {_instant(one['window_start'])} to {end}{as_of}"


def _name(one: Entry) -> str:
    values = ", ".join(f"{name}={value or '(none)'}" for name, value in one["key"].items())
    return f"{one['name']}[{values}]" if values else str(one["name"])


def _unit(one: Entry) -> str:
    return next(unit for unit in UNITS if f"limit_{unit}" in one)


def _amount(text: str | None, unit: str, none: str = "unknown") -> str:
    return none if text is None else f"{text} {'USD' if unit == 'usd' else unit}"


def _text(text: str | None) -> str:
    return "unknown" if text is None else text


def _instant(text: str | None) -> str:
    return "" if text is None else f"{text[:16].replace('T', ' ')} UTC"

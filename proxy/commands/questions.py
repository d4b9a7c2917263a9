"""The options of commands that ask about calls: the parameters of the API by the same names.

`team` is `--team`, `request_model` is `--request-model`; a tag is `--tag NAME=VALUE`, a negation
`--not NAME=VALUE`.  Days, and times without an offset, are those of this machine's time zone unless
`--tz` names another.
"""

import argparse

from exporters.clickhouse.dimensions import DIMENSIONS, TAG, Dimension
from exporters.clickhouse.query import ORDERS
from proxy.commands.local_zone import local_zone
from proxy.query.asked import MEANINGS, NOT, Accepted, Asked, Mistake, asked, near
from proxy.query.language import Defaults

Pairs = list[tuple[str, str]]
_PREFIX = "asked_"  # of destinations: `--key` and `--json` must not meet options of other kinds
_METAVARS = {
    **dict.fromkeys(("since", "until", "before"), "TIME"),
    **{
        "by": "NAMES",
        "measure": "NAMES",
        "limit": "N",
        "month": "YYYY-MM",
        "tz": "ZONE",
        "order": "NAME",
    },
}


def add_question(
    parser: argparse.ArgumentParser, accepted: Accepted, defaults: Defaults | None = None
) -> None:
    """Add an option for each parameter; `defaults` are for the help."""
    for name in (*accepted.once, *accepted.often):
        if name == "format":
            parser.add_argument("--csv", action="store_true", help="print CSV, for spreadsheets")
            continue
        meaning = MEANINGS.get(name, f"only entries with this {name}")
        if name == "order":
            meaning = f"{meaning}: {', '.join(ORDERS)} (default: {ORDERS[0]})"
        said = {} if defaults is None else {"since": defaults.since, "by": ",".join(defaults.by)}
        if said.get(name):
            meaning = f"{meaning} (default: {said[name]})"
        if name == "tz":
            meaning = f"{meaning} (default: that of this machine)"
        _add(parser, flag(name), name, _METAVARS.get(name, "VALUE"), meaning)
    if accepted.filters:
        _add_filters(parser)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    text = "Only calls with this value; given several times, with one of them; '' is none."
    group = parser.add_argument_group("filters", text)
    for one in DIMENSIONS.values():
        _add(group, flag(one.name), one.name, _metavar(one), one.meaning)
        if one.column:
            _add(group, flag(one.column), one.name, _metavar(one), argparse.SUPPRESS)
    _add(group, "--tag", "tag", "NAME=VALUE", "a tag of the caller's own")
    _add(group, "--not", "not", "NAME=VALUE", "only calls without this value of any of these")


def _add(
    parser: argparse._ActionsContainer, option: str, name: str, metavar: str, help: str
) -> None:
    help = help.replace("%", "%%") if help is not argparse.SUPPRESS else help
    parser.add_argument(
        option, action="append", dest=f"{_PREFIX}{name}", metavar=metavar, help=help
    )


def _metavar(one: Dimension) -> str:
    return "N" if one.kind is int else "VALUE"


def flag(name: str) -> str:
    """The option of a parameter."""
    return f"--{name.replace('_', '-')}"


def pairs(arguments: argparse.Namespace, accepted: Accepted) -> Pairs:
    """What was given, as parameters of the API.

    Raises Mistake for an option that has no meaning for this question, and for a tag or a negation
    that is not NAME=VALUE.
    """
    found: Pairs = []
    for destination, values in vars(arguments).items():
        if not destination.startswith(_PREFIX) or not values:
            continue
        name = destination.removeprefix(_PREFIX)
        if accepted.filters and name == "tag":
            found += [(f"{TAG}{key}", text) for key, text in map(_split, values)]
        elif accepted.filters and name == "not":
            found += [(f"{_name(key)}{NOT}", text) for key, text in map(_split, values)]
        elif name not in accepted.names:
            known = tuple(map(flag, (*accepted.once, *accepted.often)))
            raise Mistake(f"{flag(name)} has no meaning here", near(flag(name), known), name)
        else:
            found += [(name, text) for text in values]
    if "tz" in accepted.once and not any(name == "tz" for name, _ in found):
        found.append(("tz", local_zone()))
    return found


def question(arguments: argparse.Namespace, accepted: Accepted) -> tuple[Pairs, Asked]:
    """The parameters for the API, and the same read.  Raises Mistake."""
    found = pairs(arguments, accepted)
    return found, asked(found, accepted)


def form(arguments: argparse.Namespace) -> str:
    """`json`, `csv` or `table`.  Raises Mistake if both were asked for."""
    as_csv = getattr(arguments, "csv", False)
    if as_csv and arguments.json:
        raise Mistake("--json and --csv contradict each other", "give one of them", "format")
    return "csv" if as_csv else "json" if arguments.json else "table"


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Mistake(f"{text!r} is not NAME=VALUE", "write it as in team=search", "tag")
    return name, value


def _name(option: str) -> str:
    """The parameter that a word of an option means; tags are their callers' own."""
    return option if option.startswith(TAG) else option.replace("-", "_")

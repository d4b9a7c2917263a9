"""`taximeter tariffs`: the prices that calls are charged by."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from proxy.commands import (
    tariff_add,
    tariff_check,
    tariff_compare,
    tariff_import,
    tariff_list,
)
from proxy.commands.arguments import add_common, common_again, configuration
from proxy.metering.book import tariff_book


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the command line."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    shared = [common_again()]
    added = actions.add_parser("list", parents=shared, help="all, or those of one provider")
    added.add_argument("name", nargs="?", default="", metavar="PROVIDER")
    added = actions.add_parser("show", parents=shared, help="one model's prices in force now")
    added.add_argument("name", metavar="[PROVIDER/]MODEL")
    actions.add_parser("check", parents=shared, help="ages, changes, and who disagrees")
    help = "differences from public price sets that nobody has judged yet"
    added = actions.add_parser("compare", parents=shared, help=help)
    added.add_argument("--genai", type=Path, metavar="FILE", help="genai-prices' data.json")
    added.add_argument("--litellm", type=Path, metavar="FILE", help="LiteLLM's prices")
    added.add_argument("--lines", action="store_true", help="lines for pricing/upkeep/review.toml")
    help = "take the prices of a public price set into tariff files of your own"
    tariff_import.add_arguments(actions.add_parser("import", parents=shared, help=help))
    help = "add one model's price to the tariffs of your own, in dollars a million tokens"
    tariff_add.add_arguments(actions.add_parser("add", parents=shared, help=help))


def main(arguments: argparse.Namespace) -> int:
    """Entry of the command."""
    config = configuration(arguments)
    now = datetime.now(UTC)
    match arguments.action_name:
        case "import":
            return tariff_import.main(arguments, config, now.date())
        case "add":
            return tariff_add.main(arguments, config, now.date())
    book = tariff_book(config)
    match arguments.action_name:
        case "list":
            return tariff_list.list_tariffs(book, arguments.name, as_json=arguments.json)
        case "show":
            return tariff_list.show_model(book, arguments.name, as_json=arguments.json)
        case "check":
            return tariff_check.check(book, config.metering.tariffs, now, as_json=arguments.json)
        case _:
            sets = {"genai": arguments.genai, "litellm": arguments.litellm}
            given = {name: file for name, file in sets.items() if file}
            return tariff_compare.compare(
                book, given, now, lines=arguments.lines, as_json=arguments.json
            )

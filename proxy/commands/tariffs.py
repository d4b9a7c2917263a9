"""`taximeter tariffs`: lists, shows, checks and compares the tariffs in use."""

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
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    shared = [common_again()]
    added = actions.add_parser("list", parents=shared, help="list tariffs")
    added.add_argument("name", nargs="?", default="", metavar="PROVIDER")
    added = actions.add_parser("show", parents=shared, help="show a model's prices in force now")
    added.add_argument("name", metavar="[PROVIDER/]MODEL")
    help = "show ages of prices, upcoming changes, and differences from public price sets"
    actions.add_parser("check", parents=shared, help=help)
    help = "show unreviewed differences from public price sets"
    added = actions.add_parser("compare", parents=shared, help=help)
    added.add_argument("--genai", type=Path, metavar="FILE", help="data.json of genai-prices")
    added.add_argument("--litellm", type=Path, metavar="FILE", help="cost map of LiteLLM")
    help = "print lines for pricing/upkeep/review.toml"
    added.add_argument("--lines", action="store_true", help=help)
    help = "write the prices of a public price set to your own tariff files"
    tariff_import.add_arguments(actions.add_parser("import", parents=shared, help=help))
    help = "add one model's price to your own tariff files, in dollars per million tokens"
    tariff_add.add_arguments(actions.add_parser("add", parents=shared, help=help))


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
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

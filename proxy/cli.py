"""The command `taximeter`: arguments in, an exit code out; each command lives in its own module."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from exporters import connection
from pricing import TariffError
from proxy import settings
from proxy.child import environment, module
from proxy.commands import (
    checking,
    content,
    quote,
    receipts,
    report,
    reprice,
    run,
    serve,
    store_command,
    tariff_check,
    tariff_list,
    terminal,
)
from proxy.commands.terminal import Exit
from proxy.config import Config
from proxy.console.api import QUIET_S, instant
from proxy.console.content_api import Order
from proxy.instance import store_dsn, tariff_book
from proxy.settings import CONFIG_VARIABLE, SettingsError

FLAGS = {
    "data": "data",
    "host": "proxy.host",
    "port": "proxy.port",
    "console_port": "console.port",
    "relays": "relays",
}
EPILOG = """exit codes: 0 done; 1 something did not start or answer; 2 a mistake in arguments,
configuration or input; 3 the port or the data directory is in use; 4 a price is not known.
`run` exits with the command's own code."""

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="taximeter: %(levelname)s: %(message)s"
    )
    arguments, rest = _parser().parse_known_args(argv)
    if rest and arguments.command != "demo":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    action: Callable[[argparse.Namespace], int] = arguments.action
    try:
        return action(arguments)
    except SettingsError as error:
        if getattr(arguments, "json", False):
            terminal.emit({"mistakes": error.mistakes})
        for mistake in error.mistakes:
            terminal.say(mistake, sys.stderr)
        return Exit.MISTAKE
    except BrokenPipeError:  # `taximeter tariffs list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except (TariffError, OSError, ModuleNotFoundError) as error:
        terminal.say(str(error), sys.stderr)
        return Exit.MISTAKE
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as a shell has it


def _config(arguments: argparse.Namespace) -> Config:
    """The settings in force.  Raises SettingsError."""
    file = arguments.config or os.environ.get(CONFIG_VARIABLE)
    given = {key: getattr(arguments, flag, None) for flag, key in FLAGS.items()}
    flags = {key: value for key, value in given.items() if value is not None}
    config = settings.load(Path(file) if file else None, os.environ, flags)
    try:
        connection.parse(store_dsn(config), config.store.database)
    except ValueError as error:
        raise SettingsError((f"store.dsn: {error}",)) from error
    return config


def _serve(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    tariff_book(config)  # the meter would refuse it as well, with less to read
    reload = partial(_config, arguments)
    return serve.serve(config, as_json=arguments.json, reload=reload)


def _run(arguments: argparse.Namespace) -> int:
    command = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not command:
        terminal.say("run: name a command, as in: taximeter run -- python app.py", sys.stderr)
        return Exit.MISTAKE
    logging.getLogger().setLevel(logging.WARNING)  # the terminal is the command's
    config = _config(arguments)
    tariff_book(config)
    keep = arguments.data is not None
    return run.run(config, command, keep=keep, as_json=arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    """Become the demo: `proxy` may not import `evaluation`, and signals need no passing on."""
    os.execve(sys.executable, [*module("evaluation.demo"), *arguments.rest], environment())


def _price(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    return receipts.price(arguments.files, config, tariff_book(config), explain=arguments.explain)


def _tariffs(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    book = tariff_book(config)
    if arguments.action_name == "list":
        return tariff_list.list_tariffs(book, arguments.name, as_json=arguments.json)
    if arguments.action_name == "show":
        return tariff_list.show_model(book, arguments.name, as_json=arguments.json)
    private, now = config.metering.tariffs, datetime.now(UTC)
    return tariff_check.check(book, private, now, as_json=arguments.json)


def _report(arguments: argparse.Namespace) -> int:
    by = tuple(filter(None, arguments.by.split(",")))
    since, until = arguments.since, arguments.until
    config = _config(arguments)
    try:
        return report.report(config, since=since, until=until, by=by, as_json=arguments.json)
    except ValueError as error:  # an instant or a column that there is not
        terminal.say(f"report: {error}", sys.stderr)
        return Exit.MISTAKE


def _quote(arguments: argparse.Namespace) -> int:
    book = tariff_book(_config(arguments))
    now = datetime.now(UTC)
    try:
        at = instant(arguments.at, now) if arguments.at else now
        work = quote.workload(
            (arguments.input, arguments.output),
            arguments.cached,
            arguments.use,
            arguments.calls,
            at,
        )
        tiers = tuple(filter(None, arguments.tiers.split(",")))
        work = replace(work, tiers=(quote.BATCH,) if arguments.batch else tiers)
        providers = filter(None, arguments.providers.split(","))
        models = quote.models(book, arguments.models, providers, at)
        if not models:
            raise ValueError("name models, or --providers openai,anthropic")
    except ValueError as error:
        terminal.say(f"quote: {error}", sys.stderr)
        return Exit.MISTAKE
    return quote.show(quote.quotes(book, models, work), work, as_json=arguments.json)


def _reprice(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    order = reprice.order(arguments.since, arguments.until, arguments.tariffs)
    choice = reprice.Choice(dry_run=arguments.dry_run, yes=arguments.yes, as_json=arguments.json)
    try:
        return reprice.reprice(config, order, choice)
    except ValueError as error:  # an instant, or tariffs that do not load
        terminal.say(f"reprice: {error}", sys.stderr)
        return Exit.MISTAKE


def _content(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    whose = Order(call_id=arguments.call_id, user_id=arguments.user, before=arguments.before)
    try:
        if arguments.delete:
            return content.delete(config, whose, as_json=arguments.json)
        if not arguments.call_id or arguments.user or arguments.before:
            raise ValueError("name one call; --user and --before go with --delete")
        return content.show(config, arguments.call_id, as_json=arguments.json)
    except ValueError as error:
        terminal.say(f"content: {error}", sys.stderr)
        return Exit.MISTAKE


def _check(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    tariff_book(config)
    return checking.check(config, as_json=arguments.json)


def _store(arguments: argparse.Namespace) -> int:
    return store_command.check(
        _config(arguments),
        repair=arguments.repair,
        quiet_s=arguments.quiet,
        as_json=arguments.json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taximeter", description="Meters and prices LLM calls on their way.", epilog=EPILOG
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[argparse.Namespace], int], help: str) -> Parser:
        own = name == "demo"  # has a parser of its own, with --help
        added = commands.add_parser(name, help=help, description=help, add_help=not own)
        added.set_defaults(action=action)
        if not own:
            added.add_argument("--config", metavar="FILE", help=f"TOML; or {CONFIG_VARIABLE}")
            added.add_argument("--data", metavar="DIR", help="journal, embedded store, state")
            added.add_argument("--json", action="store_true", help="JSON for machines")
        return added

    added = command("serve", _serve, "Run the proxy, the meter and the console.")
    added.add_argument("--host", help="address of the proxy (127.0.0.1)")
    added.add_argument("--port", type=int, help="port of the proxy (4000); 0: any free one")
    added.add_argument("--console-port", type=int, help="port of the console (4001)")
    added.add_argument("--relays", type=int, metavar="N", help="relay processes (1)")
    added = command("run", _run, "Run a command and say at its end what its calls cost.")
    added.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    command("demo", _demo, "Show everything with a stand-in provider; needs no key.")
    added = command("price", _price, "Price call documents, one JSON object a line.")
    added.add_argument("files", nargs="*", metavar="FILE", help="- is standard input")
    added.add_argument("--explain", action="store_true", help="a receipt for people")
    _tariff_arguments(command("tariffs", _tariffs, "The prices that calls are charged by."))
    quote.add_arguments(command("quote", _quote, "What a workload costs, model by model."))
    added = command("report", _report, "What was spent.")
    added.add_argument("--since", default="24h", help="instant or age: 2026-11-01, 7d (24h)")
    added.add_argument("--until", default="", help="instant or age (now)")
    added.add_argument("--by", default="provider,model", help="columns, tag.NAME (provider,model)")
    added = command("reprice", _reprice, "Price stored calls again with the tariffs now installed.")
    added.add_argument("--since", required=True, help="instant or age: 2026-11-01, 7d")
    added.add_argument("--until", default="", help="instant or age (now)")
    added.add_argument("--tariffs", default="", metavar="DIR", help="laid over the installed ones")
    added.add_argument("--dry-run", action="store_true", help="show the differences, write nothing")
    added.add_argument("--yes", action="store_true", help="write them without asking")
    added = command("content", _content, "What was said in a call, if it was captured; deletion.")
    added.add_argument("call_id", nargs="?", default="", metavar="CALL_ID", help="as rows show it")
    added.add_argument("--delete", action="store_true", help="take it out of the store, for good")
    added.add_argument("--user", default="", metavar="NAME", help="with --delete: all of a user")
    added.add_argument("--before", default="", help="with --delete: instant or age: 2026-11-01, 7d")
    _store_arguments(command("store", _store, "Look after the store."))
    command("check", _check, "Check the configuration and the tariffs, and show the providers.")
    return parser


Parser = argparse.ArgumentParser


def _tariff_arguments(parser: Parser) -> None:
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    added = actions.add_parser("list", parents=[shared], help="all, or those of one provider")
    added.add_argument("name", nargs="?", default="", metavar="PROVIDER")
    added = actions.add_parser("show", parents=[shared], help="one model's prices in force now")
    added.add_argument("name", metavar="[PROVIDER/]MODEL")
    actions.add_parser("check", parents=[shared], help="ages, changes, and who disagrees")


def _store_arguments(parser: Parser) -> None:
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    help = "whether the store's sums are those of its rows, day by day; exit code 1 if not"
    added = actions.add_parser("check", help=help, description=help)
    added.add_argument("--repair", action="store_true", help="rebuild the sums of such days")
    added.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS)
    added.add_argument("--data", metavar="DIR", default=argparse.SUPPRESS)
    added.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    added.add_argument(
        "--quiet",
        type=int,
        default=QUIET_S,
        metavar="SECONDS",
        help=f"leave out days with rows newer than this ({QUIET_S})",
    )

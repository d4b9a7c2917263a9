"""The command `taximeter`: a table of commands, each imported only when it is run.

A command is named as text, `module:function`.  Its module has `add_arguments(parser)`, and the
function takes the parsed arguments and returns the exit code.  This table is the only place where
`proxy` may name `evaluation`.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

EPILOG = """exit codes: 0 success; 1 something failed to start or to respond; 2 invalid arguments,
configuration or input; 3 port or data directory in use; 4 unknown price.
`run` exits with the code of its command."""
INTERRUPTED = 130  # 128 + SIGINT, as in a shell


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table."""

    name: str
    target: str  # module:function
    help: str

    def load(self) -> ModuleType:
        """Import the command's module."""
        return import_module(self.target.partition(":")[0])

    def action(self) -> Callable[[argparse.Namespace], int]:
        """The function that runs the command."""
        action: Callable[[argparse.Namespace], int]
        action = getattr(self.load(), self.target.partition(":")[2])
        return action


SCHEDULER = "evaluation.schedules.process"  # beside `serve`, once a suite is scheduled
COMMANDS = (
    Command("serve", "proxy.commands.serve:main", "Run the proxy, the meter and the console."),
    Command("run", "proxy.commands.run:main", "Run a command and print what its calls cost."),
    Command("demo", "evaluation.standin.demo:main", "Try Taximeter without a key."),
    Command("report", "proxy.commands.report:main", "Report calls, tokens and cost."),
    Command("price", "proxy.commands.price:main", "Price call documents (JSON lines)."),
    Command("quote", "proxy.commands.quote:main", "Compare the cost of a workload across models."),
    Command("eval", "evaluation.commands.eval:main", "Evaluate models by your own cases."),
    Command(
        "simulate", "evaluation.commands.simulate:main", "Show what other routes would have done."
    ),
    Command("loadtest", "evaluation.commands.loadtest:main", "Test a target under your own load."),
    Command(
        "compare", "evaluation.commands.compare:main", "Compare models by cost, speed and quality."
    ),
    Command("recommend", "evaluation.commands.recommend:main", "Recommend what to change."),
    Command("tariffs", "proxy.commands.tariffs:main", "List, show, check and compare tariffs."),
    Command("reprice", "proxy.commands.reprice:main", "Reprice stored calls by today's tariffs."),
    Command("content", "proxy.commands.content:main", "Show or delete captured content."),
    Command("reconcile", "proxy.commands.reconcile:main", "Compare calls with a provider's bill."),
    Command("export", "proxy.commands.export:main", "Write conversations or the bill to files."),
    Command("import", "proxy.commands.import_:main", "Read exported conversations back."),
    Command("store", "proxy.commands.store:main", "Check the store."),
    Command("access", "proxy.commands.access:main", "Add, list and remove tokens of the console."),
    Command("audit", "proxy.commands.audit:main", "Show who changed what; verify rows."),
    Command("budgets", "proxy.commands.budgets:main", "Show budgets, and test one."),
    Command("backup", "proxy.commands.backup:main", "Back up the data directory."),
    Command("restore", "proxy.commands.restore:main", "Make a data directory from a backup."),
    Command("routes", "proxy.commands.routes:main", "List, check and explain gateway routes."),
    Command("keys", "proxy.commands.keys:main", "Add, list and remove callers of the gateway."),
    Command("notify", "proxy.commands.notify:main", "Test where alerts are sent."),
    Command("check", "proxy.commands.check:main", "Check the configuration."),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.  Without `argv` we are the process."""
    if argv is not None:
        return _run(argv, nullcontext)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
        return _run(sys.argv[1:], nullcontext)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _run(sys.argv[1:], _interruptible)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise while there is something to clean up.

    Before and after, while modules are imported and the interpreter ends, it would leave a
    traceback of nothing that matters.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(words: Sequence[str], acting: Callable[[], AbstractContextManager[None]]) -> int:
    named = next((word for word in words if not word.startswith("-")), "")
    chosen = next((command for command in COMMANDS if command.name == named), None)
    arguments = _parsed(words, chosen)
    if arguments.version:
        from importlib.metadata import version  # noqa: PLC0415 — takes half as long as --help

        print(f"taximeter {version('taximeter')}")
        return 0
    if chosen is None:  # argparse exits at an unknown command, so there was none
        _parser(None).print_help(sys.stderr)
        return 2
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="taximeter: %(levelname)s: %(message)s"
    )
    from proxy.commands.failures import exit_code  # noqa: PLC0415 — too slow for --help

    action = chosen.action()
    try:
        with acting():
            return action(arguments)
    except BrokenPipeError:  # `taximeter tariffs list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        code = exit_code(error, as_json=getattr(arguments, "json", False))
        if code is None:
            raise
        return code


def _parsed(words: Sequence[str], chosen: Command | None) -> argparse.Namespace:
    """The arguments.  Exits with 2 for unknown ones, and says which was probably meant."""
    parser = _parser(chosen)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        from proxy.query.asked import meant  # noqa: PLC0415 — too slow for --help

        word = unknown[0].partition("=")[0]
        advice = meant(word, _options(parser)) or "see --help"
        parser.error(f"{word} is not understood; {advice}")
    return arguments


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Every option of a parser and of the commands below it."""
    found = []
    for action in parser._actions:
        found += [one for one in action.option_strings if action.help is not argparse.SUPPRESS]
        if isinstance(action, argparse._SubParsersAction):
            found += [one for below in action.choices.values() for one in _options(below)]
    return found


def _parser(chosen: Command | None) -> argparse.ArgumentParser:
    """A parser of all commands, with the arguments of the `chosen` one."""
    parser = argparse.ArgumentParser(
        prog="taximeter",
        description="Meters and prices LLM calls as they pass through.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        added = parsers.add_parser(command.name, help=command.help, description=command.help)
        if command is chosen:
            command.load().add_arguments(added)
    return parser

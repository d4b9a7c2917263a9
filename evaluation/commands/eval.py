"""`taximeter eval`: runs suites over models and reports which is good enough, at what cost."""

import argparse
from collections.abc import Callable, Mapping

from evaluation.commands import eval_import, eval_judge, eval_report, eval_run, eval_schedule
from proxy.commands.arguments import add_common, common_again

ACTIONS: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("run a suite over models, through the proxy", eval_run.add_arguments),
    "report": ("report a run: accuracy, cost per success, differences", eval_report.add_arguments),
    "judge": ("check a judge against labels of people", eval_judge.add_arguments),
    "schedule": ("run a suite every week, beside serve", eval_schedule.add_arguments),
    "import": ("import results of Inspect, promptfoo or JUnit", eval_import.add_arguments),
}
MAINS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "run": eval_run.main,
    "report": eval_report.main,
    "judge": eval_judge.main,
    "schedule": eval_schedule.main,
    "import": eval_import.main,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_common(parser)
    actions = parser.add_subparsers(dest="action_name", required=True, metavar="ACTION")
    for name, (help, add) in ACTIONS.items():
        add(actions.add_parser(name, parents=[common_again()], help=help, description=help))


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return MAINS[arguments.action_name](arguments)

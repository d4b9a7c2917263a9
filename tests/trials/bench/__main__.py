"""`python -m trials.bench`: what proxies cost, ours among them, in one run.

Ratios first: absolute numbers are those of this machine.  Takes about five minutes, with `--quick`
less than one.  `--write` replaces the table and the plot in docs/performance.md.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from trials.bench.contenders import CONTENDERS, PEERS
from trials.bench.measuring import SCENARIOS, Bench, Plan, make_certificate
from trials.bench.report import Report

FULL = Plan(seconds=1.5, paced_s=3.0, rounds=3)
QUICK = Plan(seconds=0.4, paced_s=0.6, rounds=1)
PACED = frozenset(("plain call", "stream"))  # scenarios whose latency is measured


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, less precise")
    parser.add_argument("--peers", action="store_true", help=f"also {', '.join(PEERS)}; slow")
    parser.add_argument("--write", action="store_true", help="write into docs/performance.md")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--only", action="append", help="a scenario; may be repeated", default=[])
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    known = [scenario.name for scenario in SCENARIOS]
    if unknown := set(options.only) - set(known):
        parser.error(f"unknown scenario {min(unknown)!r} (one of: {', '.join(known)})")
    scenarios = [one for one in SCENARIOS if not options.only or one.name in options.only]
    contenders = {**CONTENDERS, **(PEERS if options.peers else {})}
    console, load = Console(stderr=True), os.getloadavg()[0]
    with TemporaryDirectory(prefix="taximeter-bench-") as name:
        bench = Bench(Path(name), make_certificate(Path(name)))
        with bench.running(contenders, scenarios), console.status("starting") as status:
            for scenario in scenarios:
                paced_s = plan.paced_s if scenario.name in PACED else 0.0
                bench.measure(
                    scenario,
                    Plan(seconds=plan.seconds, paced_s=paced_s, rounds=plan.rounds),
                    status.update,
                )
    given = " ".join(word for word in sys.argv[1:] if word != "--write")
    command = f"make bench BENCH='{given}'" if given else "make bench"
    report = Report(bench.table, bench.left_out, plan, command, load)
    if options.write:
        report.write()
    sys.stdout.write(report.json() if options.json else report.markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())

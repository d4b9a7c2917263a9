"""`python -m trials.bench.cost_check`: whether the relay became dearer than it was.

CPU time per plain call, as a share of what a plainly written aiohttp proxy takes in the same run:
a share that holds on other machines, and on this one while it does other work.  Each round measures
both; the median of the rounds counts.  Fails where it is more than a fifth above `SHARE`, and still
is when measured twice as often.
"""

import argparse
import statistics
import sys
from operator import truediv
from pathlib import Path
from tempfile import TemporaryDirectory

from trials.bench.contenders import CONTENDERS
from trials.bench.measuring import SCENARIOS, Bench, Plan, make_certificate

SHARE = 0.45  # 0.44 on 30 November 2026, docs/decisions/0038; 0.60 before 0024
WORSE_MAX = 1.2
ROUNDS = 9
ROUND_S = 0.6
US, THEM = "Taximeter", "plain aiohttp"


def measure(rounds: int, limit: float) -> tuple[float, float]:
    """µs per call, and the share; a share above `limit` is measured once more.

    Raises RuntimeError if one of the two cannot be measured.
    """
    plain = SCENARIOS[0]
    with TemporaryDirectory(prefix="taximeter-cost-") as name:
        bench = Bench(Path(name), make_certificate(Path(name)))
        with bench.running({one: CONTENDERS[one] for one in (THEM, US)}, (plain,)):
            for _ in range(2):
                bench.measure(plain, Plan(seconds=ROUND_S, paced_s=0, rounds=rounds))
                if bench.left_out:
                    raise RuntimeError(f"cannot measure: {bench.left_out}")
                us, them = (bench.table[one][plain.name].cpu_us for one in (US, THEM))
                share = statistics.median(map(truediv, us, them))
                if share <= limit:
                    break
    return statistics.median(us), share


def main() -> int:
    """Returns the exit code: 1 if calls cost more than they may."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.cost_check", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    limit = SHARE * WORSE_MAX
    cpu_us, share = measure(options.rounds, limit)
    sys.stdout.write(
        f"A call costs {cpu_us:.0f} µs of CPU, {share:.2f} of what plain aiohttp takes "
        f"({SHARE:.2f} is recorded, {limit:.2f} the most allowed).\n"
    )
    if share <= limit:
        return 0
    sys.stderr.write(
        "Calls became dearer. Find out where with make bench and a profile; if it is worth that, "
        "record the new share in tests/trials/bench/cost_check.py.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())

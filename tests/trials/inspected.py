"""`python -m trials.inspected`: a task of Inspect, run through the proxy, and its log imported.

The first run installs inspect-ai (83 packages) into the cache directory of `trials.clients`; where
that is impossible the trial is skipped, with the reason.  It checks that `taximeter eval import`
finds what Inspect found, that every answer is joined with its row, and that both cost the same; for
the archives that Inspect writes and for its JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from evaluation.imports.inspect_archive import Archive
from evaluation.standin import processes
from evaluation.standin.processes import Serving
from trials.clients import installing
from trials.clients.__main__ import CACHE

PACKAGES = ("inspect-ai", "openai")
TASK = Path(__file__).with_name("inspect_task.py")
MODEL, QUALITY = "gpt-5.4-mini", 0.75
CASES, EPOCHS = 20, 2
FORMATS = ("eval", "json")
RUN_TIMEOUT_S = 600.0
ERROR_CHARACTERS_MAX = 800


class TrialError(Exception):
    """A command failed; the message has the end of its errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of one log: by Inspect, by its import, and by the rows of its calls."""

    form: str
    right: int
    imported: int
    results: int
    joined: int
    usd: Decimal
    rows_usd: Decimal

    def faults(self) -> Iterator[str]:
        """What does not agree."""
        if self.results != CASES * EPOCHS or self.joined != self.results:
            yield f"{self.joined} of {self.results} results joined, of {CASES * EPOCHS} answers"
        if self.imported != self.right:
            yield f"{self.imported} right answers imported, and Inspect found {self.right}"
        if self.usd != self.rows_usd or not self.usd:
            yield f"the results cost {self.usd}, and their rows {self.rows_usd}"


def tried(cache: Path) -> Iterator[Found]:
    """What became of a log in each format.  Raises InstallError and TrialError."""
    interpreter = installing.python(cache, PACKAGES)
    with tempfile.TemporaryDirectory(prefix="taximeter-inspect-") as folder:
        data = Path(folder)
        cases = data / "capitals.jsonl"
        cases.write_text(_suite(), encoding="utf-8")
        options = ("--suite", str(cases), "--quality", f"{MODEL}={QUALITY}")
        with (
            processes.stand_in(data / "stand-in.log", *options) as (upstream, _),
            processes.serve(data, {"openai": upstream}, settings=processes.FAST_ROWS) as served,
        ):
            for form in FORMATS:
                log = _inspect(interpreter, served, cases, form)
                yield _imported(served, log, form)


def _suite() -> str:
    lines = ["+++", 'name = "capitals"', "+++"]
    for n in range(CASES):
        said = f"City {n}"
        case = {
            "id": f"capital-{n}",
            "task": "facts",
            "prompt": f"What is the capital of country {n}?",
            "checks": [{"kind": "contains", "value": said}],
            "reference": f"It is {said}.",
            "wrong": "It is a village.",
        }
        lines.append(json.dumps(case))
    return "\n".join(lines) + "\n"


def _inspect(interpreter: Path, served: Serving, cases: Path, form: str) -> Path:
    """Run the task; the log."""
    logs = served.data / f"logs-{form}"
    command = [str(interpreter), "-P", "-m", "inspect_ai", "eval", str(TASK)]
    command += ["-T", f"cases={cases}", "--model", f"openai/{MODEL}", "--epochs", str(EPOCHS)]
    command += ["--log-dir", str(logs), "--log-format", form, "--display", "plain"]
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environ = kept | {
        "HOME": str(served.data),  # where Inspect caches and traces
        "OPENAI_BASE_URL": f"{served.proxy_url}/~feature=inspect-{form}/openai/v1",
        "OPENAI_API_KEY": "sk-standin-inspect",
        "NO_PROXY": "127.0.0.1",
    }
    _done(command, environ)
    (log,) = logs.glob(f"*.{form}")
    return log


def _imported(served: Serving, log: Path, form: str) -> Found:
    where = ["--config", str(served.data / "taximeter.toml"), "--data", str(served.data / "data")]
    command = [sys.executable, "-m", "proxy", "eval"]
    rows = served.calls_when(CASES * EPOCHS, feature=f"inspect-{form}")
    said = json.loads(_done([*command, "import", str(log), *where, "--json"], dict(os.environ)))
    run = processes.get_json(f"{served.console_url}/api/evaluations/{said['run_id']}")
    results: list[dict[str, Any]] = run["results"]
    return Found(
        form=form,
        right=_right(log, form),
        imported=sum(result["status"] == "pass" for result in results),
        results=said["results"],
        joined=said["joined"],
        usd=sum((Decimal(str(result["cost_usd"] or 0)) for result in results), Decimal(0)),
        rows_usd=sum((Decimal(str(row["cost_usd"])) for row in rows), Decimal(0)),
    )


def _right(log: Path, form: str) -> int:
    """How many answers Inspect itself found right, by the results in its log."""
    if form == "json":
        document: Any = json.loads(log.read_text(encoding="utf-8"))
    else:
        document = Archive(log.read_bytes()).header()
    accuracy: float = document["results"]["scores"][0]["metrics"]["accuracy"]["value"]
    return round(accuracy * CASES * EPOCHS)


def _done(command: list[str], environ: dict[str, str]) -> str:
    """What a command printed.  Raises TrialError."""
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-ERROR_CHARACTERS_MAX:]
        raise TrialError(f"{' '.join(command[:6])}: {said}")
    return done.stdout


def main() -> int:
    """Returns the exit code: 1 if something does not agree."""
    parser = argparse.ArgumentParser(prog="python -m trials.inspected", description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="directory for installed clients")
    arguments = parser.parse_args()
    failed = False
    try:
        for found in tried(arguments.cache):
            faults = [*found.faults()]
            failed = failed or bool(faults)
            said = "; ".join(faults) or (
                f"{found.joined} answers joined, {found.right} right, ${found.usd}"
            )
            sys.stdout.write(f"log in .{found.form}: {said}\n")
    except installing.InstallError as error:
        sys.stdout.write(f"skipped: inspect-ai cannot be installed here: {error}\n")
    except TrialError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

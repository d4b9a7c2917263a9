"""`python -m trials.inspected`: a task of Inspect, run through the proxy, and its log imported.

The first run installs inspect-ai (83 packages) into the cache directory of `trials.clients`; where
that is impossible the trial is skipped, with the reason.  It checks that `taximeter eval import`
finds what Inspect found, that every answer is joined with its row, and that both cost the same:
from the archive that Inspect writes, and from the JSON that it makes of that.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from evaluation.imports import inspect_log
from evaluation.imports.imported import Imported
from evaluation.imports.inspect_archive import Archive
from evaluation.standin import processes
from evaluation.standin.processes import Serving
from trials.clients import installing
from trials.clients.__main__ import CACHE

PACKAGES = ("inspect-ai", "openai")
TASK = Path(__file__).with_name("inspect_task.py")
MODEL, QUALITY = "gpt-5.4-mini", 0.75
CASES = 30
FEATURE = "inspect"
OTHERS_MAX = 1
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
    rows_usd: Decimal  # of the responses that the log has
    others: int  # calls of no sample: Inspect asks a model once before it begins

    def faults(self) -> Iterator[str]:
        """What does not agree."""
        if self.results != CASES or self.joined != self.results:
            yield f"{self.joined} of {self.results} results joined, of {CASES} answers"
        if self.imported != self.right:
            yield f"{self.imported} right answers imported, and Inspect found {self.right}"
        if self.usd != self.rows_usd or not self.usd:
            yield f"the results cost {self.usd}, and their rows {self.rows_usd}"
        if self.others > OTHERS_MAX:
            yield f"{self.others} calls are of no sample"


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
            archive, as_json = _logs(interpreter, served, cases)
            right = _right(archive)
            yield _imported(served, archive, right)
            yield _imported(served, as_json, right)


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


def _logs(interpreter: Path, served: Serving, cases: Path) -> tuple[Path, Path]:
    """Run the task; its log, and the same in JSON."""
    inspect = [str(interpreter), "-P", "-m", "inspect_ai"]
    command = [*inspect, "eval", TASK.name, "-T", f"cases={cases}", "--model", f"openai/{MODEL}"]
    command += ["-M", "responses_api=false"]  # the stand-in knows the answers of chats
    logs = served.data / "logs"
    command += ["--log-dir", str(logs), "--display", "plain"]
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environ = kept | {
        "HOME": str(served.data),  # where Inspect caches and traces
        "OPENAI_BASE_URL": f"{served.proxy_url}/~feature={FEATURE}/openai/v1",
        "OPENAI_API_KEY": "sk-standin-inspect",
        "NO_PROXY": "127.0.0.1",
    }
    # Inspect looks for tasks below where it is started, and leaves files there.
    shutil.copyfile(TASK, served.data / TASK.name)
    _done(command, environ, served.data)
    (archive,) = logs.glob("*.eval")
    converted = served.data / "converted"
    command = [*inspect, "log", "convert", str(archive), "--to", "json"]
    _done([*command, "--output-dir", str(converted)], environ, served.data)
    (as_json,) = converted.rglob("*.json")
    return archive, as_json


def _imported(served: Serving, log: Path, right: int) -> Found:
    where = ["--config", str(served.data / "taximeter.toml"), "--data", str(served.data / "data")]
    command = [sys.executable, "-m", "proxy", "eval"]
    rows = served.calls_when(CASES, feature=FEATURE)
    said = json.loads(_done([*command, "import", str(log), *where, "--json"], dict(os.environ)))
    read = inspect_log.read_archive if log.suffix == ".eval" else _read_json
    outcomes = read(log.read_bytes()).outcomes
    ids = {response_id for outcome in outcomes for response_id in outcome.response_ids}
    theirs = [row for row in rows if row["response_id"] in ids]
    run = processes.get_json(f"{served.console_url}/api/evaluations/{said['run_id']}")
    results: list[dict[str, Any]] = run["results"]
    return Found(
        form=log.suffix,
        right=right,
        imported=sum(result["status"] == "pass" for result in results),
        results=said["results"],
        joined=said["joined"],
        usd=sum((Decimal(str(result["cost_usd"] or 0)) for result in results), Decimal(0)),
        rows_usd=sum((Decimal(str(row["cost_usd"])) for row in theirs), Decimal(0)),
        others=len(rows) - len(theirs),
    )


def _read_json(content: bytes) -> Imported:
    return inspect_log.read(json.loads(content))


def _right(archive: Path) -> int:
    """How many answers Inspect itself found right."""
    results = Archive(archive.read_bytes()).header()["results"]
    accuracy: float = results["scores"][0]["metrics"]["accuracy"]["value"]
    return round(accuracy * CASES)


def _done(command: list[str], environ: dict[str, str], folder: Path | None = None) -> str:
    """What a command printed that ran in `folder`.  Raises TrialError."""
    done = subprocess.run(
        command,
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
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
            sys.stdout.write(f"log in {found.form}: {said}\n")
    except installing.InstallError as error:
        sys.stdout.write(f"skipped: inspect-ai cannot be installed here: {error}\n")
    except TrialError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

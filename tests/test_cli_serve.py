"""`taximeter serve` and `report` as processes: one for each directory, found, and stopped."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.serving.instance import Instance, TakenError, claimed, find
from support.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "proxy")
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("TAXIMETER_")}


@contextmanager
def serving(data: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A running one, and what it says of itself."""
    arguments = ["serve", "--json", "--data", str(data), "--port", "0", "--console-port", "0"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=PLAIN,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        try:
            yield process, json.loads(line or "{}") or {"error": process.stderr.read()}
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A finished command."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, env=PLAIN, check=False
    )


def test_serve_from_start_to_end(tmp_path: Path) -> None:
    """It says where it is, serves there, refuses a second one, answers `report`, ends with 0."""
    data = tmp_path / "data"
    with serving(data) as (process, instance):
        assert json.loads((data / "serve.json").read_text()) == instance
        assert instance["pid"] == process.pid
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        with urllib.request.urlopen(f"{instance['console_url']}/api/health") as answer:
            assert answer.status == 200

        second = ask("serve", "--data", str(data), "--port", "0", "--console-port", "0")
        assert second.returncode == 3
        assert f"{data} is in use by another taximeter (process {process.pid}" in second.stderr

        port = str(instance["port"])
        taken = ask("serve", "--data", str(tmp_path / "other"), "--port", port)
        assert taken.returncode == 3
        assert f"Cannot listen on 127.0.0.1:{port}" in taken.stderr

        told = ask("report", "--data", str(data), "--json")
        assert (told.returncode, json.loads(told.stdout)) == (0, [])
        wrong = ask("report", "--data", str(data), "--by", "nonsense")
        assert wrong.returncode == 2
        assert "nonsense" in wrong.stderr

        process.terminate()
        assert process.wait(40) == 0
    assert not (data / "serve.json").exists()
    after = ask("report", "--data", str(data), "--since", "1h")  # from the store itself
    assert after.returncode == 0
    assert re.fullmatch(rf"No calls between 20\S+Z and 20\S+Z in {data}\.\n", after.stdout)


@pytest.mark.slow
def test_serve_again_after_kill(tmp_path: Path) -> None:
    """A supervisor that was killed leaves nothing that hinders the next one."""
    with serving(tmp_path) as (process, first):
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        with serving(tmp_path) as (_, second):
            assert "error" not in second
            assert second["pid"] != first["pid"]


def test_a_directory_has_one_holder(tmp_path: Path) -> None:
    """The lock is what counts, and the message has what `serve.json` knows."""
    with claimed(tmp_path), pytest.raises(TakenError, match="in use by another"), claimed(tmp_path):
        pytest.fail("held twice")
    with claimed(tmp_path) as lock:
        assert lock > 2


def test_serve_json_may_be_anything(tmp_path: Path) -> None:
    """A file that is not ours is not believed."""
    assert find(tmp_path) is None
    (tmp_path / "serve.json").write_text('{"pid": "x"}')
    assert find(tmp_path) is None
    assert "pid" in Instance.__struct_fields__


# Root may write anywhere, unless it gives that right up.
OBEYING = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override")


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0", "--console-port", "0"), ("run", "--", "true")]
)
def test_a_directory_that_cannot_be_written(command: tuple[str, ...], tmp_path: Path) -> None:
    """One line says which, and that is all."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    name, *more = command
    done = subprocess.run(
        [*OBEYING, *COMMAND, name, "--data", str(closed / "data"), *more],
        cwd=ROOT, capture_output=True, text=True, env=PLAIN, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert line.startswith("taximeter: ERROR: Taximeter failed to start: ")
    assert line.endswith(f"Permission denied: '{closed}/data'")
    assert (done.returncode, done.stdout) == (1, "")

"""Somebody new, in an empty directory: runs what the documents show, and nothing of ours is set."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.documents import ROOT, blocks, read, shell_lines

STOP_S = 60
README = read("README.md")
LINES = [line for block in blocks(README, "sh") for line in shell_lines(block)]


def line(beginning: str) -> str:
    """The one line of the README that begins so."""
    (found,) = (each for each in LINES if each.startswith(beginning))
    return found


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody in an empty directory."""

    cwd: Path
    environ: Mapping[str, str]

    def bash(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it; it must end well."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.cwd,
            env={**self.environ, **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done

    @contextmanager
    def started(self, command: str, until: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """It runs, and has printed a line with `until` in it; told to stop at the end."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.cwd,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            shown = ""
            try:
                while until not in shown:
                    said = process.stdout.readline()
                    assert said, shown
                    shown += said
                yield process, shown
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(STOP_S)


def newcomer(cwd: Path, **more: str) -> Newcomer:
    """With the taximeter of this environment, and nothing else of it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"HOME": str(cwd), "PATH": path, "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    return Newcomer(cwd, {**own, "PYTHONPATH": str(ROOT), **more})

"""Ctrl-C while a command is still starting ends it, without a traceback."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from support.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
FREE = ("--port", "0", "--console-port", "0")
# Of /proc/PID/status: the bits of signals that a process ignores, and that it handles itself.
MASK = re.compile(r"^Sig(Ign|Cgt):\s*([0-9a-f]+)$", re.MULTILINE)


def until_ours(pid: int) -> None:
    """Wait until our code runs: the interpreter ignores SIGPIPE and handles SIGINT before that."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        masks = dict(MASK.findall(Path(f"/proc/{pid}/status").read_text()))
        ignored, handled = (int(masks[name], 16) for name in ("Ign", "Cgt"))
        if ignored >> signal.SIGPIPE - 1 & 1 and not handled >> signal.SIGINT - 1 & 1:
            return
        time.sleep(0.002)
    raise TimeoutError


@pytest.mark.parametrize(
    ("words", "after_s"),
    [
        (("serve", *FREE), 0.0),
        (("serve", *FREE), 0.7),
        (("run", "--", "sleep", "60"), 0.7),
        (("demo", *FREE), 0.9),
        (("quote", "--providers", "openai"), 0.2),
    ],
)
def test_an_early_ctrl_c_leaves_no_traceback(
    words: tuple[str, ...], after_s: float, tmp_path: Path
) -> None:
    """At whatever moment: it ends by the signal, says it with 130, or stops in order."""
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", *words],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        # Whoever runs the tests in the background of a shell ignores it, and so would this.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        try:
            until_ours(process.pid)
            time.sleep(after_s)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of its group
            shown = process.communicate(timeout=PATIENCE_S)[0]
        finally:
            process.kill()
    assert process.returncode in (-signal.SIGINT, 130, 0), shown
    assert not re.search("Traceback|Exception|Error|ERROR", shown), shown

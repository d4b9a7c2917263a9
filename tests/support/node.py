"""Installs what the tests need from npm when it is first used, and runs scripts."""

import shutil
import subprocess
from pathlib import Path

INSTALL_TIMEOUT_S = 120.0


class NodeError(Exception):
    """Node, npm or a package is missing, or a script failed; the message says which."""


def packages(folder: Path) -> Path:
    """`folder/node_modules`, with what `folder/package.json` names.  Raises NodeError.

    No lock file is written: it would record which registry this machine uses.
    """
    modules = folder / "node_modules"
    if not shutil.which("node"):
        raise NodeError("node is not installed")
    if not modules.is_dir():
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(
                [*command, "--prefix", str(folder)],
                capture_output=True,
                timeout=INSTALL_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise NodeError(f"npm did not install {folder.name}'s packages: {failure}") from failure
        if done.returncode:
            shutil.rmtree(modules, ignore_errors=True)
            raise NodeError(f"npm install failed: {done.stderr.decode(errors='replace')[-500:]}")
    return modules


def run(script: Path, *arguments: str, timeout_s: float = 60.0) -> str:
    """Standard output of a script.  Raises NodeError with its errors if it fails."""
    done = subprocess.run(
        ["node", str(script), *arguments],
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise NodeError(f"{script.name} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode()

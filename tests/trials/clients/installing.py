"""Installs each client into an environment of its own, because generations of SDKs conflict.

The environments are cached outside the checkout, so that the next run installs nothing; delete the
cache directory to get the newest versions.
"""

import importlib.metadata
import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_TIMEOUT_S = 600.0
NODE_MAJOR = 24  # openai 7, ai 7 and @google/genai 3 require 22 or newer
INSTALLED = ".installed"  # in an environment: the packages installed there
ERROR_CHARS_MAX = 200


class InstallError(Exception):
    """A client cannot be installed here; the message says why."""


def python(cache: Path, packages: tuple[str, ...]) -> Path:
    """The interpreter of an environment with `packages`.  Raises InstallError."""
    folder = cache / "python" / re.sub(r"[^a-z0-9]+", "-", packages[0]).strip("-")
    interpreter = folder / "bin" / "python"
    stamp, wanted = folder / INSTALLED, "\n".join(packages)
    if stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet"]
    _run([*pip, *packages])
    stamp.write_text(wanted)
    return interpreter


def node(cache: Path, packages: tuple[str, ...]) -> tuple[str, Path]:
    """A recent Node, and a folder whose `node_modules` has `packages`.  Raises InstallError."""
    folder = cache / "node" / re.sub(r"[^a-z0-9]+", "-", packages[0]).strip("-")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    binary = f"node-{sys.platform}-{machine}"
    stamp, wanted = folder / INSTALLED, "\n".join(packages)
    if not (stamp.exists() and stamp.read_text() == wanted):
        if not shutil.which("npm"):
            raise InstallError("npm is not installed")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund"]
        _run([*command, "--prefix", str(folder), *packages, f"{binary}@{NODE_MAJOR}"])
        stamp.write_text(wanted)
    return str(folder / "node_modules" / binary / "bin" / "node"), folder


def python_version(interpreter: Path, package: str) -> str:
    """The version of a package in an environment."""
    name = re.split(r"[\[<>=]", package)[0]
    folders = [str(path) for path in interpreter.parents[1].glob("lib/*/site-packages")]
    found = importlib.metadata.distributions(name=name, path=folders)
    return next((one.version for one in found), "")


def node_version(folder: Path, package: str) -> str:
    """The version of a package in `folder/node_modules`."""
    name = re.sub(r"(?<=.)@.*", "", package)
    about = json.loads((folder / "node_modules" / name / "package.json").read_text())
    return str(about["version"])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise InstallError(f"{command[0]}: {failure}") from failure
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        raise InstallError(" ".join(errors)[:ERROR_CHARS_MAX] or f"{command[0]} failed")

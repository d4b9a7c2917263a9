"""The wheel holds all that the product needs, and runs where nothing else is."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import venv
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOPS = ("pricing", "exporters", "proxy", "evaluation")
SETUPTOOLS = PROJECT["tool"]["setuptools"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def test_every_package_is_packaged() -> None:
    """Each folder of code is a package, and one that the build looks for."""
    patterns = SETUPTOOLS["packages"]["find"]["include"]
    for top in TOPS:
        for path in (ROOT / top).rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), f"{path}: not in a package"
        assert any(fnmatch(top, pattern) for pattern in patterns), top


def test_every_data_file_is_packaged() -> None:
    """Tariffs, SQL, pages: each file beside the code matches a pattern of its package."""
    left_out = []
    for top in TOPS:
        for path in (ROOT / top).rglob("*"):
            if path.is_dir() or path.suffix == ".py" or "__pycache__" in path.parts:
                continue
            folder = next(each for each in path.parents if (each / "__init__.py").exists())
            package = folder.relative_to(ROOT).as_posix().replace("/", ".")
            patterns = SETUPTOOLS["package-data"].get(package, [])
            name = path.relative_to(folder).as_posix()
            if not any(fnmatch(name, pattern) for pattern in patterns):
                left_out.append(f"{package}: {name}")
    assert left_out == []


def test_the_versions_that_are_claimed_are_those_that_are_tested() -> None:
    """Classifiers, `make pythons`, the README, and the oldest that pip accepts."""
    classifiers = PROJECT["project"]["classifiers"]
    claimed = [last for one in classifiers if "." in (last := one.rpartition(" :: ")[2])]
    assert claimed == sorted(claimed, key=lambda version: int(version.partition(".")[2]))
    assert PROJECT["project"]["requires-python"] == f">={claimed[0]}"
    makefile, readme = ((ROOT / name).read_text("utf-8") for name in ("Makefile", "README.md"))
    assert re.findall(r"^PYTHONS := (.+)$", makefile, re.MULTILINE) == [" ".join(claimed)]
    assert f"Python {', '.join(claimed[:-1])} or {claimed[-1]}" in readme
    for pattern in re.findall(
        r"[\w*]+\.py", makefile.partition("VERSIONED :=")[2].partition(")")[0]
    ):
        assert list((ROOT / "tests").glob(f"test_{pattern}")), pattern


def test_the_licence_is_whole() -> None:
    """Apache-2.0, as pyproject.toml says."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.slow
def test_the_wheel_serves(tmp_path: Path) -> None:
    """Built, installed with its dependencies into an empty environment, it starts and answers."""
    source = tmp_path / "source"  # a build leaves files behind that the next one would pick up
    for top in TOPS:
        shutil.copytree(ROOT / top, source / top, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(source))
    (wheel,) = tmp_path.glob("taximeter-*.whl")
    assert any(name.endswith("LICENSE") for name in ZipFile(wheel).namelist())
    venv.create(tmp_path / "venv", with_pip=True)
    python, command = tmp_path / "venv/bin/python", tmp_path / "venv/bin/taximeter"
    run(str(python), "-m", "pip", "install", "--quiet", f"{wheel}[embedded]")
    run(str(command), "tariffs", "check", cwd=tmp_path)
    flags = ["--json", "--data", str(tmp_path / "data"), "--port", "0", "--console-port", "0"]
    with subprocess.Popen(
        [str(command), "serve", *flags], cwd=tmp_path, stdout=subprocess.PIPE, env=CLEAN
    ) as process:
        try:
            assert process.stdout is not None
            instance = json.loads(process.stdout.readline())
            for path, text in (("/", b"<html"), ("/static/main.js", b"import ")):
                with urllib.request.urlopen(instance["console_url"] + path) as answer:
                    assert text in answer.read()
        finally:
            process.terminate()
    assert process.returncode == 0


def run(*command: str, cwd: Path = ROOT) -> None:
    """Run it in `cwd`; its output is shown if it fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

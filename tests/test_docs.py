"""The documents tell the truth: commands run, links lead somewhere, options exist."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.settings import sources

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
START_S = 60


def commands() -> list[str]:
    """Every command of the README, comments taken off; a pipeline over lines is one."""
    found = []
    for block in BLOCKS:
        if "| \n" in block or "|\n" in block:
            found.append(block.strip())
        else:
            found += [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    return found


COMMANDS = commands()


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Mapping[str, str]]:
    """A directory to work in, with ports and data of its own."""
    (tmp_path / "taximeter.toml").write_text('[providers.mine]\nbase_url = "http://127.0.0.1:9"\n')
    bin_directory = Path(sys.executable).parent
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}",
        "TAXIMETER_DATA": str(tmp_path / "data"),
        "TAXIMETER_PROXY_PORT": "0",
        "TAXIMETER_CONSOLE_PORT": "0",
    }
    return tmp_path, environment


@contextmanager
def started(
    command: str, cwd: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """A command that serves until it is told to stop."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(START_S)
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.endswith((" run", "taximeter.toml"))])
def test_serving_commands_serve(command: str, place: tuple[Path, Mapping[str, str]]) -> None:
    """`make run` and `taximeter serve` print the three lines to paste; `check` says all is well."""
    cwd, environment = place
    where = ROOT if command.startswith("make") else cwd
    with started(command, where, environment) as process:
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if "console" in line:
                break
        assert "OPENAI_BASE_URL" in shown or "base URL" in shown or "proxy" in shown, shown


RUN_AS_THEY_ARE = [c for c in COMMANDS if c.startswith(("taximeter run", "echo"))]


@pytest.mark.parametrize("command", RUN_AS_THEY_ARE)
def test_commands_run_as_they_stand(command: str, place: tuple[Path, Mapping[str, str]]) -> None:
    """What the README shows works when it is pasted."""
    cwd, environment = place
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if command.startswith("echo"):
        assert "0.23" in done.stdout


def test_the_demo_and_the_report_run(place: tuple[Path, Mapping[str, str]]) -> None:
    """The demo shows a fare; the report answers from what is stored, here nothing."""
    cwd, environment = place
    [demo] = [c for c in COMMANDS if c.startswith("taximeter demo")]
    [report] = [c for c in COMMANDS if c.startswith("taximeter report")]
    quick = re.sub(r"--seconds \d+", "--seconds 2 --port 0 --console-port 0", demo)
    for command in (quick, f"{report} --json"):
        done = subprocess.run(
            command.split(), cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_make_targets_exist() -> None:
    """Every `make` target that a document names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"\bmake ([a-z-]+)", " ".join(_code(document.read_text()))))
        assert named <= targets, f"{document.name}: {sorted(named - targets)}"


def test_the_base_urls_are_those_that_serve_prints() -> None:
    """The lines to paste name the default address."""
    config = sources.load(None, {}, {"data": "/nowhere"})
    base = f"http://{config.proxy.host}:{config.proxy.port}"
    assert f"export OPENAI_BASE_URL={base}/openai/v1" in COMMANDS
    assert f"export ANTHROPIC_BASE_URL={base}/anthropic" in COMMANDS
    assert f"export GOOGLE_GEMINI_BASE_URL={base}/gemini" in COMMANDS


def test_every_command_of_the_readme_is_run_here() -> None:
    """A command that is added to the README must find a test above."""
    run = [c for c in COMMANDS if c.endswith((" run", "taximeter.toml"))] + RUN_AS_THEY_ARE
    others = ("taximeter demo", "taximeter report", "export ", "make ")
    assert [c for c in COMMANDS if c not in run and not c.startswith(others)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document is there."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(document: Path) -> None:
    """A path in backticks below one of our folders is a file or a folder."""
    pattern = r"`((?:pricing|exporters|proxy|evaluation|grafana|tests|docs)/[\w./-]*)`"
    for name in re.findall(pattern, document.read_text()):
        assert (ROOT / name).exists(), f"{document.name}: {name}"


def _code(text: str) -> list[str]:
    return [*re.findall(r"```sh\n(.*?)```", text, re.DOTALL), *re.findall(r"`(make [^`]+)`", text)]

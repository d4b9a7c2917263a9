"""The README runs, and what else the documents show is there.

`test_docs_walk` follows the demo and the page on own prices, `test_documents_truth` checks the
names in all of them.
"""

import json
import os
import re
import shlex
import shutil
import venv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from evaluation.standin import processes
from exporters.record import Record
from pricing import Meter, Status, Subcall, TariffBook, Usage, price
from proxy.probes import LIVE, READY
from proxy.serving.supervisor import FLUSH_S, MARGIN_S
from proxy.settings import sources
from support import names
from support.documents import MARKDOWN, ROOT, blocks, commands, name_of, read, spans
from support.newcomer import LINES, README, Newcomer, line, newcomer

# Lines that no test runs, and why.
NOT_RUN = {
    "docker compose": "there is no Docker here: tests/test_compose.py reads the file",
    "make ": "the targets exist, and `make run` is run; the others take minutes",
}


@pytest.fixture
def somebody(tmp_path: Path) -> Newcomer:
    """A newcomer whose ports are free ones, with the configuration that the README shows."""
    (toml,) = blocks(README, "toml")
    (tmp_path / "taximeter.toml").write_text(toml, encoding="utf-8")
    ports = {"TAXIMETER_PROXY_PORT": "0", "TAXIMETER_CONSOLE_PORT": "0"}
    return newcomer(tmp_path, **ports, TAXIMETER_DATA=str(tmp_path / "data"))


@pytest.mark.thorough
def test_serve_prints_the_lines_to_paste(somebody: Newcomer) -> None:
    """`taximeter serve` says how to point an SDK at it, and so does `make run`, which runs it."""
    with somebody.started(line("taximeter serve --config"), "console") as (_, shown):
        assert "export OPENAI_BASE_URL=http://127.0.0.1:" in shown
    make = Newcomer(ROOT, somebody.environ).bash("make --dry-run run")
    assert make.stdout.splitlines()[-1] == ".venv/bin/taximeter serve"


def test_the_configuration_is_five_lines_and_right(somebody: Newcomer) -> None:
    """`taximeter check` says what is in force: the provider that the file adds."""
    (toml,) = blocks(README, "toml")
    assert len([each for each in toml.splitlines() if each.strip()]) <= 5
    shown = somebody.bash(line("taximeter check")).stdout
    assert re.search(r"\nThe base URL of a provider is http://127\.0\.0\.1:\d+/PROVIDER:\n", shown)
    assert re.search(r"\nourgateway +https://llm\.", shown)


def test_the_price_is_the_one_in_the_text(somebody: Newcomer) -> None:
    """0.03 + 0.20 = 0.23 USD, and output tokens at a rate of 0."""
    shown = somebody.bash(line("echo ")).stdout
    assert shown.startswith("call: $0.23 (exact)\n")
    assert re.search(r"\noutput +4001 +0 per 1,000,000 +0 ", shown)


@pytest.mark.thorough
def test_a_program_is_metered(somebody: Newcomer) -> None:
    """`taximeter run` ends with the fare of what the program called."""
    (somebody.cwd / "app.py").write_text(
        "import json, os, urllib.request\n"
        "document = {'model': 'gpt-5.4-mini', 'messages': [{'role': 'user', 'content': 'Hi'}]}\n"
        "url = os.environ['OPENAI_BASE_URL'] + '/chat/completions'\n"
        "urllib.request.urlopen(url, json.dumps(document).encode()).read()\n",
        encoding="utf-8",
    )
    with processes.stand_in(somebody.cwd / "stand-in.log") as (upstream, _):
        done = somebody.bash(line("taximeter run"), OPENAI_BASE_URL=f"{upstream}/v1")
    assert re.match(r"Taximeter: 1 call, \d+ tokens in, \d+ out, \$0\.0", done.stderr)


# -- every line and every number ------------------------------------------------------------------


def test_every_line_of_the_readme_is_run() -> None:
    """A line that is added must find a test above, or a reason why not."""
    run = ("taximeter ", "curl ", "echo ", "export ", ". .venv", "python -m build")
    tools = ("uv tool install", "pipx install")
    assert [each for each in LINES if not each.startswith((*run, *tools, *NOT_RUN))] == []
    assert all(any(each.startswith(beginning) for each in LINES) for beginning in NOT_RUN)


@pytest.mark.slow  # builds a wheel and installs it where nothing else is
def test_the_wheel_is_built_and_installed(tmp_path: Path) -> None:
    """With the lines of the README; pip stands in for pipx, and takes the same argument."""
    source = tmp_path / "source"
    for top in names.PACKAGES:
        shutil.copytree(ROOT / top, source / top, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    venv.create(tmp_path / "venv", with_pip=True)
    who = newcomer(source)
    who.bash(line("python -m build"))
    elsewhere = f"{tmp_path}/venv/bin{os.pathsep}{os.environ['PATH']}"
    install = line("pipx install")
    quoted = install.split('"')[1]
    assert f'"{quoted}"' in line("uv tool install")
    who.bash(install.replace("pipx", "pip", 1), PATH=elsewhere, PYTHONPATH="")
    shown = who.bash("cd / && taximeter --version", PATH=elsewhere, PYTHONPATH="").stdout
    assert re.fullmatch(r"taximeter \d+\.\d+\.\d+\n", shown)


def test_the_environment_is_activated() -> None:
    """`make setup` leaves a taximeter that the line after it puts on the PATH."""
    done = Newcomer(ROOT, newcomer(ROOT).environ).bash(f"{line('. .venv')}\ncommand -v taximeter")
    assert done.stdout.strip().endswith(".venv/bin/taximeter")


def test_the_base_urls_are_those_that_serve_prints() -> None:
    """The lines to paste name the default address."""
    config = sources.load(None, {}, {"data": "/nowhere"})
    base = f"http://{config.proxy.host}:{config.proxy.port}"
    assert [each for each in LINES if each.startswith("export ")] == [
        f"export OPENAI_BASE_URL={base}/openai/v1",
        f"export ANTHROPIC_BASE_URL={base}/anthropic",
        f"export GOOGLE_GEMINI_BASE_URL={base}/gemini",
    ]


def test_the_record_is_one() -> None:
    """Its keys are columns, its sums are right, and its usage costs what it says."""
    (record,) = map(json.loads, blocks(README, "json"))
    assert record.keys() <= set(Record.__struct_fields__)
    usage = {Meter(name): quantity for name, quantity in record["usage"].items()}
    totals = Usage(usage)
    assert totals.input_tokens == record["input_tokens_total"]
    assert totals.output_tokens == record["output_tokens_total"]
    at = datetime(2026, 11, 20, tzinfo=UTC)
    call = Subcall(provider="anthropic", model=record["response_model"], at=at, usage=totals)
    charge = price([call], TariffBook.load())
    assert (charge.usd, charge.status) == (Decimal(record["cost_usd"]), Status.EXACT)


def test_the_unit_gives_a_stop_its_time() -> None:
    """systemd kills nothing that still drains, and starts what there is."""
    (unit,) = blocks(read("docs/operations.md"), "ini")
    settings = [each.partition("=")[::2] for each in unit.splitlines() if "=" in each]
    config = sources.load(None, {}, {"data": "/nowhere"})
    (stop_s,) = (int(value) for key, value in settings if key == "TimeoutStopSec")
    assert stop_s >= config.drain_timeout_s + MARGIN_S + FLUSH_S
    for key, value in settings:
        words = shlex.split(value)
        if key == "Environment":
            assert value.partition("=")[0] in names.variables()
        elif words[0].endswith("/taximeter"):
            assert names.mistake(words[1:]) == "", value


def test_the_pod_gives_a_stop_its_time() -> None:
    """Kubernetes waits for preStop, the drain and the flush, and probes what a relay answers."""
    (text,) = blocks(read("docs/operations.md"), "yaml")
    pod = yaml.safe_load(text)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environ = {each["name"]: each.get("value") for each in container["env"]}
    assert environ.keys() <= names.variables()
    drain_s = float(environ["TAXIMETER_DRAIN_TIMEOUT_S"])
    _, sleep_s = container["lifecycle"]["preStop"]["exec"]["command"]
    lame_duck_s = float(re.findall(r"TAXIMETER_LAME_DUCK_S=(\d+)", read("Dockerfile"))[0])
    needed_s = float(sleep_s) + lame_duck_s + drain_s + MARGIN_S + FLUSH_S
    assert pod["terminationGracePeriodSeconds"] == needed_s
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    config = sources.load(None, {}, {"data": "/nowhere"})
    assert ports == {"proxy": config.proxy.port, "console": config.console.port}
    for probe, path in (("startup", READY), ("readiness", READY), ("liveness", LIVE)):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "proxy"}
    dockerfile, compose = read("Dockerfile"), read("docker-compose.yml")
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
    assert f"image: {container['image']}\n" in compose
    (mount,) = container["volumeMounts"]
    assert f"TAXIMETER_DATA={mount['mountPath']} " in dockerfile


def test_make_targets_exist() -> None:
    """Every `make` target that a document names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for page in MARKDOWN:
        named = {words[1] for words in commands(read(name_of(page))) if words[0] == "make"}
        assert named <= targets, f"{page.name}: {sorted(named - targets)}"


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link and picture is there."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(name_of(page))):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    """A path in backticks below one of our folders is a file or a folder."""
    below = re.compile(rf"(?:{'|'.join((*names.PACKAGES, 'grafana', 'tests', 'docs'))})/[\w./-]*")
    for span in spans(read(name_of(page))):
        assert not below.fullmatch(span) or (ROOT / span).exists(), f"{page.name}: {span}"

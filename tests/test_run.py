"""`taximeter run`: the command does not notice, and the fare is told when it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

import pytest

from evaluation.standin import processes
from exporters.clickhouse.store import Store
from proxy.commands import fare, upstreams
from proxy.commands.run import what_next
from proxy.settings import sources
from support.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
CONFIGURED = {p.name: p.base_url for p in sources.load(None, {"HOME": "/"}).providers.values()}
HERE = "http://127.0.0.1:9"

CALLS = """
import openai, sys
client = openai.OpenAI(api_key="none", max_retries=0)
messages = [{"role": "user", "content": "Say something."}]
for model in ("gpt-4o-mini", "gpt-4o-mini", "nobody-1"):
    stream = client.chat.completions.create(
        model=model, messages=messages, stream=True, stream_options={"include_usage": True})
    for _ in stream:
        pass
print("asked", sys.stdin.read())
sys.exit(7)
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a stand-in provider."""
    with processes.stand_in(tmp_path_factory.mktemp("stand-in") / "log") as (url, _):
        yield url


def started(
    *arguments: str, environ: Mapping[str, str] | None = None, home: Path, session: bool = False
) -> "subprocess.Popen[str]":
    """`taximeter run` with these arguments."""
    plain = {name: value for name, value in os.environ.items() if name not in upstreams.VARIABLES}
    return subprocess.Popen(
        [sys.executable, "-m", "proxy", "run", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=session,
        env={**plain, "HOME": str(home), **(environ or {})},
    )


@pytest.mark.thorough
def test_run(stand_in: str, tmp_path: Path) -> None:
    """An application with the user's own OPENAI_BASE_URL is metered without knowing it.

    It keeps its streams and its exit code; the unknown model is told, and is not in the sum.
    """
    with started(
        "--json",
        *("--", sys.executable, "-c", CALLS),
        environ={"OPENAI_BASE_URL": f"{stand_in}/v1"},
        home=tmp_path,
    ) as process:
        out, err = process.communicate("through", timeout=PATIENCE_S)
    assert (process.returncode, out) == (7, "asked through\n"), err
    told = json.loads(err)
    assert told["total"]["calls"] == 3
    assert told["total"]["unpriced_calls"] == 1
    by_model = {row["model"]: row for row in told["models"]}
    assert by_model["gpt-4o-mini"]["calls"] == 2
    assert by_model["gpt-4o-mini"]["cost_usd"] == told["total"]["cost_usd"]
    assert by_model["nobody-1"]["cost_usd"] is None
    assert told["reasons"] == {"openai/nobody-1: unknown_model:nobody-1": 1}
    assert told["total"]["first_token_p50_us"] > 0
    assert not list(tmp_path.iterdir())  # nothing is left in the user's home

    shown = StringIO()
    fare.show(fare.Fare(**told), shown)
    first, head, *rows, reason, advice = shown.getvalue().splitlines()
    assert first.startswith("Taximeter: 3 calls, ")
    assert " out, ≥ $" in first
    assert head.split()[:3] == ["provider", "model", "calls"]
    assert [row.split()[1] for row in rows] == ["gpt-4o-mini", "nobody-1"]
    assert reason == "not fully priced: 1 x openai/nobody-1: unknown_model:nobody-1"
    assert "taximeter tariffs add openai/nobody-1 --input USD" in advice


CHILDREN = """
import os
from pathlib import Path
parent = Path(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read_text().split()
lines = [Path(f"/proc/{child}/cmdline").read_text() for child in parent]
print(*(name for name in ("relay", "meter") if any(f"{name}_process" in one for one in lines)))
"""
BUDGET = """
[budgets.all]
limit_usd = 5
period = "rolling 24h"
action = "block"
"""


@pytest.mark.thorough
@pytest.mark.parametrize(("settings", "running"), [("", "relay"), (BUDGET, "relay meter")])
def test_a_command_that_makes_no_call_has_no_meter(
    settings: str, running: str, tmp_path: Path
) -> None:
    """It starts with the first call; or at once, if relays have budgets to ask it about."""
    file = tmp_path / "taximeter.toml"
    file.write_text(settings)
    with started(
        *("--config", str(file), "--", sys.executable, "-c", CHILDREN), home=tmp_path
    ) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (out.strip(), err, process.returncode) == (running, "Taximeter: no calls.\n", 0)


@pytest.mark.thorough
async def test_the_fare_of_no_calls(store_dsn: str, database: str) -> None:
    """It is what an empty store would say."""
    store = Store(store_dsn, database=database)
    assert await fare.read(store) == fare.NO_CALLS
    await store.close()


def test_run_says_where_the_rows_are() -> None:
    """Or how to keep them."""
    assert what_next(None) == "The rows were thrown away; --data DIR keeps them."
    assert what_next(Path("my rows")).endswith("\n  taximeter report --data 'my rows'")


@pytest.mark.thorough
def test_run_passes_signals_on(tmp_path: Path) -> None:
    """SIGTERM reaches the command, whose end by it is the exit code a shell would give."""
    with started(
        *("--data", str(tmp_path / "kept"), "--", sys.executable, "-c"),
        "print('up', flush=True); import time; time.sleep(60)",
        home=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.splitlines() == ["Taximeter: no calls."]
    assert (tmp_path / "kept" / "chdb").is_dir()  # --data keeps it


@pytest.mark.thorough
def test_ctrl_c_is_for_the_command(tmp_path: Path) -> None:
    """The terminal sends it to all; the command decides what it means, and the fare is told."""
    script = """
import time
try:
    print('up', flush=True); time.sleep(60)
except KeyboardInterrupt:
    raise SystemExit(5)
"""
    with started("--", sys.executable, "-c", script, home=tmp_path, session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 5
    assert err == "Taximeter: no calls.\n"


def test_run_without_such_a_command(tmp_path: Path) -> None:
    """Exit code 127, as in a shell."""
    with started("--", "no-such-command-anywhere", home=tmp_path) as process:
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 127
    assert "no-such-command-anywhere: command not found" in err


def test_variables_of_sdks() -> None:
    """Each gets the path that its SDK expects before its own, and unset providers are left out."""
    added = upstreams.variables(upstreams.read({}, CONFIGURED), HERE, {})
    assert added["OPENAI_BASE_URL"] == f"{HERE}/openai/v1"
    assert added["OPENAI_API_BASE"] == f"{HERE}/openai/v1"
    assert added["ANTHROPIC_BASE_URL"] == f"{HERE}/anthropic"
    assert added["GOOGLE_GEMINI_BASE_URL"] == f"{HERE}/gemini"
    assert added["GROQ_BASE_URL"] == f"{HERE}/groq"
    assert added["CO_API_URL"] == f"{HERE}/cohere"
    assert added["DASHSCOPE_HTTP_BASE_URL"] == f"{HERE}/qwen/api/v1"
    assert added["DASHSCOPE_WEBSOCKET_BASE_URL"] == "ws://127.0.0.1:9/qwen/api-ws/v1/inference"
    assert added["OLLAMA_HOST"] == f"{HERE}/ollama"
    assert "AZURE_OPENAI_ENDPOINT" not in added
    assert "NO_PROXY" not in added


@pytest.mark.parametrize(
    ("variable", "value", "provider", "base_url", "path"),
    [
        (
            "OPENAI_BASE_URL",
            "https://eu.example.org/v1/",
            "openai",
            "https://eu.example.org",
            "/v1",
        ),
        ("OPENAI_BASE_URL", "https://gw.example.org/x", "openai", "https://gw.example.org/x", ""),
        ("AZURE_OPENAI_ENDPOINT", "https://r.example.org", "azure", "https://r.example.org", ""),
        (
            "DASHSCOPE_WEBSOCKET_BASE_URL",
            "wss://dashscope-intl.aliyuncs.com/api-ws/v1/inference",
            "qwen",
            "https://dashscope-intl.aliyuncs.com",
            "/api-ws/v1/inference",
        ),
    ],
)
def test_own_values_become_upstreams(
    variable: str, value: str, provider: str, base_url: str, path: str
) -> None:
    """What the user had set is where that provider is, so the call goes where it would have."""
    found = upstreams.read({variable: value}, CONFIGURED)
    assert found.base_urls == {provider: base_url}
    assert found.paths[variable] == path
    assert not found.unchanged


def test_values_that_contradict_are_left() -> None:
    """Two addresses for one provider cannot both be behind us; the second is not touched."""
    found = upstreams.read(
        {
            "OPENAI_BASE_URL": "https://a.example.org/v1",
            "OPENAI_API_BASE": "https://b.example.org/v1",
            "ANTHROPIC_BASE_URL": "https://user:secret@c.example.org",
            "OLLAMA_HOST": "0.0.0.0:11434",
        },
        CONFIGURED,
    )
    assert found.base_urls == {"openai": "https://a.example.org"}
    assert set(found.unchanged) == {"OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "OLLAMA_HOST"}
    assert not set(found.unchanged) & upstreams.variables(found, HERE, {}).keys()


def test_an_outgoing_proxy_is_not_for_us() -> None:
    """A command behind an HTTP proxy still reaches 127.0.0.1 directly."""
    environ = {"HTTP_PROXY": "http://proxy.example.org", "NO_PROXY": "example.org"}
    added = upstreams.variables(upstreams.read(environ, CONFIGURED), HERE, environ)
    assert added["NO_PROXY"] == "example.org,127.0.0.1"
    assert added["no_proxy"] == "127.0.0.1"

"""Agents that ignore base-URL variables, and commands that call providers past us."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.standin import processes
from proxy.commands import agents, upstreams
from proxy.commands.peers import connected
from proxy.settings import sources
from support.relay_bench import listening

ROOT = Path(__file__).parents[1]
CONFIGURED = {p.name: p.base_url for p in sources.load(None, {"HOME": "/"}).providers.values()}
HERE = "http://127.0.0.1:9"


def url(provider: str) -> str:
    return f"{HERE}/{provider}" if CONFIGURED[provider] else ""


def adapted(*command: str, **environ: str) -> agents.Adaptation:
    return agents.adapted(command, environ, url, "s1")


@pytest.mark.parametrize(
    "command",
    [
        ("codex", "exec", "hello"),
        ("/usr/local/bin/codex", "exec"),
        ("npx", "-y", "@openai/codex@latest", "exec"),
        ("node", "/opt/codex.js", "exec"),
    ],
)
def test_codex(command: tuple[str, ...]) -> None:
    """Codex, however it is started, gets its own option right behind its name."""
    found = adapted(*command).command
    at = next(n for n, word in enumerate(found) if "codex" in word)
    option = f'openai_base_url="{HERE}/openai/v1"'
    assert found == (*command[: at + 1], "-c", option, *command[at + 1 :])


def test_codex_with_a_choice_of_its_own() -> None:
    """What the user chose stays, and is said not to be metered."""
    for given in (("-c", "model_provider=azure"), ("--oss",)):
        found = adapted("codex", *given)
        assert found.command == ("codex", *given)
        assert "not metered" in found.note


def test_gemini() -> None:
    """Gemini CLI names no session itself: it sends a header of ours, beside the user's own."""
    found = adapted("gemini", GEMINI_API_KEY="k", GEMINI_CLI_CUSTOM_HEADERS="a: b")
    headers = "a: b, x-taximeter-session: s1"
    assert found.variables == {"GEMINI_CLI_CUSTOM_HEADERS": headers}
    assert not found.note
    assert "GEMINI_API_KEY" in adapted("npx", "@google/gemini-cli").note


def test_qwen() -> None:
    """Qwen Code goes to DashScope, and takes our base URL for its own: by host and by variable."""
    found = adapted("qwen", OPENAI_API_KEY="k")
    base = f"{HERE}/~via=dashscope.aliyuncs.com/qwen/compatible-mode/v1"
    assert found.variables == {"OPENAI_BASE_URL": base, "DASHSCOPE_PROXY_BASE_URL": base}
    assert not adapted("qwen", OPENAI_API_KEY="k", OPENAI_BASE_URL="http://a").variables


def test_opencode() -> None:
    """opencode gets a base URL for each provider that is configured, each as its SDK wants it."""
    found = adapted("opencode", "run").variables["OPENCODE_CONFIG_CONTENT"]
    providers = json.loads(found)["provider"]
    urls = {name: one["options"]["baseURL"] for name, one in providers.items()}
    assert urls["anthropic"] == f"{HERE}/anthropic/v1"
    assert urls["google"] == f"{HERE}/gemini/v1beta"
    assert "yours" in adapted("opencode", OPENCODE_CONFIG_CONTENT="{}").note


@pytest.mark.parametrize(
    ("command", "environ", "note"),
    [
        (("cline",), {}, f"{HERE}/openai/v1"),
        (("claude",), {"CLAUDE_CODE_USE_BEDROCK": "1"}, "CLAUDE_CODE_USE_BEDROCK"),
        (("aider", "--openai-api-base=http://a"), {}, "http://a"),
    ],
)
def test_told(command: tuple[str, ...], environ: dict[str, str], note: str) -> None:
    """Where nothing can be set, the user is told what to do."""
    found = adapted(*command, **environ)
    assert found.command == command
    assert note in found.note


@pytest.mark.parametrize("command", [("claude",), ("aider",), ("python", "codex.py"), ("./app",)])
def test_left_alone(command: tuple[str, ...]) -> None:
    """Agents that the variables are enough for, and everything else, start as they are."""
    assert adapted(*command) == agents.Adaptation(command=command)


def test_a_provider_in_the_variable_of_another() -> None:
    """DeepSeek in OPENAI_BASE_URL is DeepSeek, with its own prices."""
    environ = {
        "OPENAI_BASE_URL": "https://api.deepseek.com/v1",
        "OPENAI_API_BASE": "https://openrouter.ai/api/v1",
        "ANTHROPIC_BASE_URL": "https://api.anthropic.com",
        "OLLAMA_HOST": "http://127.0.0.1:1234",
    }
    found = upstreams.read(environ, CONFIGURED)
    added = upstreams.variables(found, HERE, environ)
    assert added["OPENAI_BASE_URL"] == f"{HERE}/deepseek/v1"
    assert added["OPENAI_API_BASE"] == f"{HERE}/openrouter/api/v1"
    assert added["ANTHROPIC_BASE_URL"] == f"{HERE}/anthropic"
    assert added["OLLAMA_HOST"] == f"{HERE}/ollama"


def test_together_and_litellm() -> None:
    """Together's SDK brings its own /v1; litellm's variables do not."""
    added = upstreams.variables(upstreams.read({}, CONFIGURED), HERE, {})
    assert added["TOGETHER_BASE_URL"] == f"{HERE}/together"
    assert added["TOGETHER_AI_API_BASE"] == f"{HERE}/together/v1"
    assert added["OPENROUTER_API_BASE"] == f"{HERE}/openrouter/api/v1"


async def test_connections_of_descendants() -> None:
    """A connection of a child counts, of whichever address family."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    code = (
        "import socket, subprocess, sys\n"
        "if len(sys.argv) > 2: subprocess.run([sys.executable, *sys.orig_argv[1:-1]])\n"
        "else:\n  s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "  print('up', flush=True); sys.stdin.read()"
    )
    async with listening(hold) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, str(port), "child"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        await process.stdout.readline()
        assert ("127.0.0.1", port) in await asyncio.to_thread(connected, process.pid)
        process.stdin.close()
        await process.wait()


PAST = """
import socket, sys, time
connection = socket.create_connection(("127.0.0.2", int(sys.argv[1])))
time.sleep(1.5)
"""
CODEX = """#!{python}
import json, sys, urllib.request
options = dict(o.split("=", 1) for flag, o in zip(sys.argv[1:], sys.argv[2:]) if flag == "-c")
base = json.loads(options["openai_base_url"])
body = json.dumps({{"model": "gpt-5.4-mini", "input": "life"}}).encode()
head = {{"content-type": "application/json", "user-agent": "codex_exec/0.171.0 (Debian)",
        "session-id": "s-1", "authorization": "Bearer x"}}
urllib.request.urlopen(urllib.request.Request(base + "/responses", body, head)).read()
"""


@pytest.mark.slow
def test_run_says_what_went_past(tmp_path: Path) -> None:
    """A command that calls a provider directly has no fare, and `run` says why."""
    with processes.stand_in(tmp_path / "log") as (up, _):
        port = up.rpartition(":")[2]
        config = tmp_path / "t.toml"
        # The stand-in listens on 127.0.0.1 alone: a plain listener is enough to be connected to.
        code = (
            "import socket, subprocess, sys\n"
            "s = socket.create_server(('127.0.0.2', 0)); port = str(s.getsockname()[1])\n"
            f"open({str(config)!r}, 'w').write("
            "f'[providers.openai]\\nbase_url = \"http://127.0.0.2:{port}\"\\n')\n"
            f"sys.exit(subprocess.call([sys.executable, '-m', 'proxy', 'run', '--config', "
            f"{str(config)!r}, '--', sys.executable, '-c', {PAST!r}, port]))"
        )
        assert port
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**plain(), "HOME": str(tmp_path)},
        )
    assert "Taximeter: no calls." in done.stderr
    assert "connected to openai itself, past Taximeter" in done.stderr


@pytest.mark.slow
def test_run_codex(tmp_path: Path) -> None:
    """`run -- codex` meters a program that reads nothing but Codex's own option."""
    program = tmp_path / "codex"
    program.write_text(CODEX.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with processes.stand_in(tmp_path / "log") as (up, _):
        done = subprocess.run(
            [sys.executable, "-m", "proxy", "run", "--json", "--", str(program), "exec"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**plain(), "HOME": str(tmp_path), "OPENAI_BASE_URL": f"{up}/v1"},
        )
    told = json.loads(done.stderr)
    assert told["total"]["calls"] == 1
    assert told["unmetered"] == []


def plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in upstreams.VARIABLES}

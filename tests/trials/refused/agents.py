"""Agents, each asked one question: how they are started, and what their output says went wrong."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("@anthropic-ai/claude-code", "@openai/codex")
AGENTS = ("Claude Code", "Codex")
QUESTION = "Say hi."


def command(agent: str, folder: Path, base: str) -> list[str]:
    """Asks `agent`, whose packages are in `folder`, through the proxy at `base`."""
    programs = folder / "node_modules" / ".bin"
    if agent == "Claude Code":
        return [str(programs / "claude"), "-p", QUESTION, "--output-format", "json"]
    option = f'openai_base_url="{base}/openai/v1"'  # it ignores OPENAI_BASE_URL
    asked = ["exec", "--json", "--skip-git-repo-check", "-c", option, QUESTION]
    return [str(programs / "codex"), *asked]


def environment(home: Path) -> Mapping[str, str]:
    """A home without settings, and no traffic but the call."""
    (home / ".codex").mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "CODEX_HOME": str(home / ".codex"),
        "CODEX_API_KEY": "sk-test",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def told(output: bytes) -> list[str]:
    """[what it was, what was said], as the programs of SDKs print it."""
    for document in documents(output):
        if status := document.get("api_error_status"):
            return [f"API Error {status}", str(document["result"])]
        if document.get("type") == "turn.failed":
            message = str(document["error"]["message"])
            return [message.partition(".")[0], message]
    return []


def documents(output: bytes) -> Iterator[dict[str, Any]]:
    """The lines that are JSON objects."""
    for line in output.splitlines():
        if line.startswith(b"{"):
            yield json.loads(line)

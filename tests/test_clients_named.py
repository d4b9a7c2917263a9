"""Which program made a call, and in which session: what real clients send."""

import pytest

from proxy.clients import client
from proxy.reading.heads import VALUE_CHARS_MAX
from proxy.reading.sessions import session

UUID = "0199c6a1-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"user-agent": "OpenAI/Python 3.54.0"}, "openai-python/3.54.0"),
        ({"user-agent": "AsyncOpenAI/Python 2.54.0"}, "openai-python/2.54.0"),
        ({"user-agent": "OpenAI/JS 7.59.0"}, "openai-node/7.59.0"),
        ({"user-agent": "Anthropic/JS 1.12.0"}, "anthropic-node/1.12.0"),
        ({"user-agent": "AsyncAnthropic/Python 2.12.0"}, "anthropic-python/2.12.0"),
        ({"user-agent": "Groq/Python 1.7.0"}, "groq-python/1.7.0"),
        ({"user-agent": "Cerebras/Python 1.60.0"}, "cerebras-python/1.60.0"),
        ({"user-agent": "Agents/Python 0.24.0"}, "openai-agents/0.24.0"),
        ({"user-agent": "claude-cli/2.1.197 (external, cli)"}, "claude-code/2.1.197"),
        (
            {"user-agent": "claude-cli/2.1.197 (external, sdk-py, agent-sdk/0.1.9)"},
            "claude-agent-sdk/0.1.9",
        ),
        ({"user-agent": "codex_cli_rs/0.171.0 (Debian 12; x86_64) xterm"}, "codex/0.171.0"),
        ({"user-agent": "codex_exec/0.171.0 (Debian 12)"}, "codex/0.171.0"),
        (
            {"user-agent": "GeminiCLI/0.61.0/gemini-3-pro (linux; x64; terminal)"},
            "gemini-cli/0.61.0",
        ),
        ({"user-agent": "GeminiCLI-vscode/0.61.0/gemini-3-pro (linux)"}, "gemini-cli/0.61.0"),
        ({"user-agent": "QwenCode/0.15.10 (linux; x64)"}, "qwen-code/0.15.10"),
        ({"user-agent": "opencode/1.18.33 ai-sdk/provider-utils/4.0.1"}, "opencode/1.18.33"),
        ({"user-agent": "Cline/3.9.1"}, "cline/3.9.1"),
        ({"user-agent": "OpenAI/JS 6.1.0", "x-title": "Cline"}, "cline"),
        ({"user-agent": "OpenAI/JS 6.1.0", "x-title": "My App"}, "openai-node/6.1.0"),
        ({"user-agent": "litellm/1.109.1", "x-title": "Aider"}, "aider"),
        ({"user-agent": "google-genai-sdk/3.4.0 gl-python/3.11.7"}, "google-genai-sdk/3.4.0"),
        ({"user-agent": "ai/7.0.173 ai-sdk/openai/4.0.118 runtime/node.js/24"}, "ai/7.0.173"),
        ({"user-agent": "ai-sdk/openai/4.0.118 runtime/node.js/24"}, "ai-sdk-openai/4.0.118"),
        ({"user-agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux"}, "boto3/1.44.5"),
        ({"user-agent": "aws-sdk-js/3.1164.0 ua/2.1 os/linux"}, "aws-sdk-js/3.1164.0"),
        (
            {
                "user-agent": "python-httpx/0.28.1",
                "x-fern-language": "Python",
                "x-fern-sdk-name": "cohere",
                "x-fern-sdk-version": "7.3.1",
            },
            "cohere-python/7.3.1",
        ),
        ({"user-agent": "ollama-python/0.6.3 (x86_64 linux) Python/3.11.7"}, "ollama-python/0.6.3"),
        ({"user-agent": "unknown/None; hf_hub/1.4.0; python/3.11"}, "hf_hub/1.4.0"),
        ({"user-agent": "dashscope/2.0.2; python/3.11.7; platform/Linux"}, "dashscope/2.0.2"),
        ({"user-agent": "curl/7.88.1"}, "curl/7.88.1"),
        ({"user-agent": "Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/140.0"}, "browser"),
        ({"user-agent": "something without a version"}, ""),
        ({"user-agent": "sk-secret/key"}, ""),
        ({}, ""),
    ],
)
def test_clients(headers: dict[str, str], name: str) -> None:
    """An agent by its own mark, else the SDK, each with its version."""
    assert client(headers) == name


@pytest.mark.parametrize(
    ("headers", "request_body", "name"),
    [
        ({"x-claude-code-session-id": UUID}, None, UUID),
        ({"session_id": UUID}, {"metadata": {"sessionId": "other"}}, UUID),
        ({}, {"metadata": {"sessionId": UUID, "promptId": "p"}}, UUID),  # Qwen Code
        ({}, {"model": "m", "request": {"session_id": UUID}}, UUID),  # Gemini CLI, Code Assist
        ({}, {"metadata": {"user_id": f"user_ab_account_cd_session_{UUID}"}}, UUID),
        ({}, {"metadata": {"user_id": f'{{"device_id":"a","session_id":"{UUID}"}}'}}, UUID),
        ({}, {"session_id": "x" * 999}, "x" * VALUE_CHARS_MAX),
        ({}, {"metadata": {"user_id": "u1"}}, ""),
        ({}, {"metadata": "text"}, ""),
        ({}, None, ""),
    ],
)
def test_sessions(headers: dict[str, str], request_body: object, name: str) -> None:
    """A header names the session, else the request where agents put it."""
    assert session(headers, request_body) == name

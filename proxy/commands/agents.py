"""What `taximeter run` does for agents that a base-URL variable is not enough for.

Each was read in its source or seen on the wire, November 2026 (docs/clients.md).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

# They start what follows, so the agent is one of their arguments.
LAUNCHERS = ("npx", "bunx", "pnpm", "pnpx", "yarn", "uvx", "pipx", "node", "bun", "deno", "env")
LAUNCHED_MAX = 6  # arguments of a launcher in which an agent is looked for
# Qwen Code turns on DashScope's cache and names its session only if its base URL has this in it
# (0.15), or equals this variable (0.24).
DASHSCOPE, DASHSCOPE_PROXY = "dashscope.aliyuncs.com", "DASHSCOPE_PROXY_BASE_URL"

Urls = Callable[[str], str]  # our URL of a provider; "" if it is not configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """How to start an agent: the whole command, variables to add, and what to tell the user."""

    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def adapted(
    command: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str
) -> Adaptation:
    """`command` as it must be started so that its calls come to us."""
    found = _agent(command)
    if found is None:
        return Adaptation(command=tuple(command))
    at, make = found
    given = tuple(command[at + 1 :])
    added, variables, note = make(given, environ, urls, session)
    whole = (*command[: at + 1], *added, *given)
    return Adaptation(command=whole, variables=variables, note=note)


def _agent(command: Sequence[str]) -> "tuple[int, Make] | None":
    """Where in `command` a known agent is, and what it needs."""
    reach = LAUNCHED_MAX if _name(command[0]) in LAUNCHERS else 1
    for at, word in enumerate(command[:reach]):
        if make := AGENTS.get(_name(word)):
            return at, make
    return None


def _name(word: str) -> str:
    """`/usr/bin/codex`, `codex.exe`, `@openai/codex@latest` and `gemini.js` without the rest."""
    path = PurePath(word)
    name = path.name.partition("@")[0] if not path.name.startswith("@") else path.name
    return name.removesuffix(".exe").removesuffix(".cmd").removesuffix(".js").lower()


Made = tuple[tuple[str, ...], Mapping[str, str], str]  # arguments, variables, a note
Make = Callable[[Sequence[str], Mapping[str, str], Urls, str], Made]


def _codex(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    """Codex ignores OPENAI_BASE_URL; its own option is `openai_base_url`."""
    own = [word for word in given if "base_url" in word or "model_provider" in word]
    if own or "--oss" in given:
        return (), {}, f"Codex keeps the provider you chose ({(*own, '--oss')[0]}): not metered."
    option = f"openai_base_url={json.dumps(urls('openai') + '/v1')}"
    return ("-c", option), {}, ""


def _claude(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    for name in ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"):
        if environ.get(name, "") not in ("", "0", "false"):
            return (
                (),
                {},
                f"Claude Code goes to a cloud of its own ({name}): not metered. Unset it.",
            )
    return (), {}, ""


def _gemini(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    """Gemini CLI names no session, but sends the headers that we ask for."""
    name = "GEMINI_CLI_CUSTOM_HEADERS"
    headers = ", ".join(filter(None, (environ.get(name), f"x-taximeter-session: {session}")))
    note = ""
    if not environ.get("GEMINI_API_KEY") and not environ.get("GOOGLE_API_KEY"):
        note = "Gemini CLI is metered with GEMINI_API_KEY, not with a Google login."
    return (), {name: headers}, note


def _qwen(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    if environ.get("OPENAI_BASE_URL"):
        return (), {}, ""
    host, _, provider = urls("qwen").rpartition("/")
    url = f"{host}/~via={DASHSCOPE}/{provider}/compatible-mode/v1"
    note = "Qwen Code is metered with --auth-type openai and OPENAI_API_KEY, not with a login."
    variables = {"OPENAI_BASE_URL": url, DASHSCOPE_PROXY: url}
    return (), variables, "" if environ.get("OPENAI_API_KEY") else note


# opencode's providers: its name for each, ours, and the path that its SDK expects.
OPENCODE = (
    ("openai", "openai", "/v1"),
    ("anthropic", "anthropic", "/v1"),
    ("google", "gemini", "/v1beta"),
    ("mistral", "mistral", "/v1"),
    ("deepseek", "deepseek", ""),
    ("xai", "xai", "/v1"),
    ("groq", "groq", "/openai/v1"),
    ("openrouter", "openrouter", "/api/v1"),
)


def _opencode(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    """opencode takes a base URL for each provider from its configuration, also from a variable."""
    name = "OPENCODE_CONFIG_CONTENT"
    if environ.get(name):
        return (), {}, f"opencode: {name} is yours; set the base URLs in it yourself."
    providers = {
        theirs: {"options": {"baseURL": url + path}}
        for theirs, ours, path in OPENCODE
        if (url := urls(ours))
    }
    return (), {name: json.dumps({"provider": providers})}, ""


def _cline(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    """Cline reads no variable, and keeps what it was told in a file of its own."""
    url = urls("openai") + "/v1"
    if given[:1] == ("auth",):
        return (), {}, ""
    return (
        (),
        {},
        (
            "Cline reads no variable. Before this command, or in the same `run -- sh -c '...'`: "
            f"cline auth -p openai-compatible -k KEY -m MODEL -b {url}"
        ),
    )


def _aider(given: Sequence[str], environ: Mapping[str, str], urls: Urls, session: str) -> Made:
    own = [word for word in given if word.startswith("--openai-api-base")]
    return (), {}, f"aider keeps the base URL you chose ({own[0]}): not metered." if own else ""


AGENTS: Mapping[str, Make] = {
    "codex": _codex,
    "claude": _claude,
    "claude-code": _claude,
    "gemini": _gemini,
    "gemini-cli": _gemini,
    "qwen": _qwen,
    "qwen-code": _qwen,
    "opencode": _opencode,
    "opencode-ai": _opencode,
    "cline": _cline,
    "aider": _aider,
    "aider-chat": _aider,
}

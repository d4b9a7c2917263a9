"""Which program made a call: from its headers.  No I/O.

A program that somebody runs (an agent) says more than the library in it, so its marks come first.
Seen on the wire or read in the source in November 2026: docs/clients.md.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

CLIENT_CHARS_MAX = 64
VALUE_CHARS_MAX = 512  # of a header that is looked at
CLIENTS_KEPT_MAX = 512  # whose name is remembered
_HEADERS = ("user-agent", "x-title", "x-fern-sdk-name", "x-fern-language", "x-fern-sdk-version")
_VERSION = r"v?(\d[\w.+-]{0,31})"
# Patterns of a User-Agent → name; the first group is the version.
_AGENTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (rf"\bagent-sdk/{_VERSION}", "claude-agent-sdk"),
        (rf"\bclaude-(?:cli|code)/{_VERSION}", "claude-code"),
        (rf"\bcodex[a-z_-]*/{_VERSION}", "codex"),
        (rf"\bGeminiCLI(?:-[\w-]+)?/{_VERSION}", "gemini-cli"),
        (rf"\bQwenCode/{_VERSION}", "qwen-code"),
        (rf"\bopencode/(?:[a-z]+/)?{_VERSION}", "opencode"),
        (rf"\baider/{_VERSION}", "aider"),
        (rf"\bCline(?:-[\w-]+)?/{_VERSION}", "cline"),
        (rf"\bRooCode/{_VERSION}", "roo-code"),
        (rf"\bKilo-?Code/{_VERSION}", "kilo-code"),
        (rf"\bAgents/Python {_VERSION}", "openai-agents"),
        (rf"\bspeakeasy-sdk/typescript {_VERSION}.*mistral", "mistralai-node"),
        (rf"\bspeakeasy-sdk/python {_VERSION}", "mistralai-python"),
        (rf"\bmistral-client-python/{_VERSION}", "mistralai-python"),
    )
)
# What agents write into OpenRouter's x-title, which others honour too.
_TITLES = frozenset(("aider", "cline", "kilo-code", "opencode", "roo-code", "zed"))
# The SDKs that Stainless generates: `AsyncOpenAI/Python 3.54.0`.
_GENERATED = re.compile(
    rf"(?:Async)?([A-Za-z]{{2,24}})/(Python|JS|Go|Java|Kotlin|Ruby|C#|PHP) {_VERSION}"
)
_LANGUAGES = {"js": "node", "javascript": "node", "typescript": "node", "c#": "dotnet"}
_PRODUCT = re.compile(rf"([A-Za-z][\w.@-]{{0,31}}(?:/[A-Za-z][\w.-]{{0,31}})?)/{_VERSION}")
_BROWSER = "mozilla"
_VERSIONED = re.compile(r"/[0-9][^/]*$")


def client(headers: Mapping[str, str]) -> str:
    """`name/version` of the program that made a call, or its name alone; "" if it does not say."""
    return _client(*(headers.get(name, "")[:VALUE_CHARS_MAX] for name in _HEADERS))


@lru_cache(CLIENTS_KEPT_MAX)
def _client(*values: str) -> str:
    """The program by the values of `_HEADERS`: a program sends the same with each call."""
    return next(_clients(dict(zip(_HEADERS, values, strict=True))), "")[:CLIENT_CHARS_MAX]


def name_of(client: str) -> str:
    """The name in `name/version`, as 010_spend.sql takes it."""
    return _VERSIONED.sub("", client)


def _clients(headers: Mapping[str, str]) -> Iterator[str]:
    agent = headers.get("user-agent", "")
    for pattern, name in _AGENTS:
        if found := pattern.search(agent):
            yield f"{name}/{found[1]}"
    title = headers.get("x-title", "").strip().lower().replace(" ", "-")
    if title in _TITLES:
        yield title
    if name := headers.get("x-fern-sdk-name", ""):
        language = headers.get("x-fern-language", "").lower()
        kind = _LANGUAGES.get(language, language)
        version = headers.get("x-fern-sdk-version", "")
        if re.fullmatch(r"[\w@./-]{1,32}", name) and re.fullmatch(_VERSION, version):
            yield f"{name}-{kind}/{version}" if kind.isalpha() else f"{name}/{version}"
    if found := _GENERATED.search(agent):
        language = found[2].lower()
        yield f"{found[1].lower()}-{_LANGUAGES.get(language, language)}/{found[3]}"
    for found in _PRODUCT.finditer(agent):
        if found[1].lower() == _BROWSER:
            yield "browser"
        else:
            yield f"{found[1].lower().replace('/', '-')}/{found[2]}"

"""Which vocabulary to count a model with, and what its chat format adds: see docs/tokens.md.

OpenAI's two vocabularies are exact for OpenAI's models.  All others are counted with one of them
and a factor per script: a vocabulary with few Chinese words needs more tokens for Chinese.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from proxy.tokens.encodings import CL100K, O200K
from proxy.tokens.images import Image, claude_tokens, gemini_tokens, openai_tokens, other_tokens

SAMPLE_CHARS = 2_048  # spread over a text to find its script
SHARE_MIN = 0.1  # of the sample: from here on another script is the text's script

# Kana before Han: Japanese text has both.
SCRIPTS = (
    ("kana", re.compile(r"[\u3040-\u30ff]")),
    ("han", re.compile(r"[\u3400-\u9fff]")),
    ("cyrillic", re.compile(r"[\u0400-\u04ff]")),
    ("arabic", re.compile(r"[\u0600-\u06ff]")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """How one family of models counts.

    `request`, `turn` and `tools` are tokens added per request, per message, and if there are tools;
    `forced_tools` if one must be called.  `roles`: the name of the role counts too.  `typescript`:
    tools are declarations, otherwise JSON with `tool` tokens around each.  `factors`: tokens of
    this family per token of `encoding`, by script; "latin" covers the rest.
    """

    encoding: str = O200K
    exact: bool = False  # the provider's own vocabulary and its published chat format
    request: int = 3
    turn: int = 4
    roles: bool = False
    typescript: bool = False
    tools: int = 90
    forced_tools: int = 90
    tool: int = 8
    thinking: int = 0
    stop: int = 0  # end-of-answer tokens that are billed as output
    hidden: bool = False  # reasoning is hidden, so that the answer is not all of the output
    factors: Mapping[str, float] = field(default_factory=dict)
    image: Callable[[Image, str], int] = other_tokens

    def factor(self, text: str) -> float:
        """Tokens of this family per token of `encoding`, for text in this script."""
        return self.factors.get(script(text), self.factors.get("latin", 1.0))


def script(text: str) -> str:
    """The script that determines a text's token count: one of `SCRIPTS`, or "latin"."""
    sample = text[:: max(1, len(text) // SAMPLE_CHARS)]
    if not sample.isascii():
        for name, letters in SCRIPTS:
            if len(letters.findall(sample)) >= SHARE_MIN * len(sample):
                return name
    return "latin"


def _scripts(
    latin: float, han: float, kana: float, cyrillic: float, arabic: float
) -> dict[str, float]:
    return {"latin": latin, "han": han, "kana": kana, "cyrillic": cyrillic, "arabic": arabic}


# https://developers.openai.com/cookbook/examples/how_to_count_tokens_with_tiktoken, section 6.
_OPENAI = Vocabulary(
    exact=True,
    turn=3,
    roles=True,
    typescript=True,
    tools=4,
    forced_tools=4,
    stop=1,
    image=openai_tokens,
)
_CLAUDE = Vocabulary(
    tools=497,
    forced_tools=592,
    tool=0,
    thinking=28,
    factors=_scripts(1.1, 1.2, 1.2, 1.2, 1.2),
    image=claude_tokens,
)
_QWEN = Vocabulary(
    request=8, tools=82, forced_tools=82, factors=_scripts(1.01, 0.90, 0.88, 1.24, 1.20)
)
_GEMINI = Vocabulary(
    request=0,
    turn=1,
    tools=0,
    forced_tools=0,
    factors=_scripts(1.03, 0.87, 0.68, 0.99, 1.09),
    image=gemini_tokens,
    hidden=True,
)
_DEEPSEEK = Vocabulary(request=3, turn=0, factors=_scripts(1.03, 0.83, 0.88, 1.14, 1.19))
_MISTRAL = Vocabulary(request=3, turn=1, factors=_scripts(1.03, 1.29, 0.99, 1.14, 0.96))
_LLAMA = Vocabulary(request=35, turn=0, factors=_scripts(1.0, 1.04, 0.93, 1.16, 1.23))

# The first match wins.  Names are matched anywhere, since hosts prefix and suffix them.
VOCABULARIES = tuple(
    (re.compile(pattern), vocabulary)
    for pattern, vocabulary in (
        # Harmony adds its own system message, which differs between hosts.
        ("gpt-oss", Vocabulary(request=67, turn=0, hidden=True)),
        ("search-preview|o1-mini|o1-preview", replace(_OPENAI, exact=False)),
        (r"gpt-[5-9].*chat", replace(_OPENAI, request=2)),
        (
            r"gpt-[5-9]|\bo[1-9]\b|codex",
            replace(_OPENAI, request=2, tools=85, forced_tools=84, hidden=True),
        ),
        (r"gpt-4o|gpt-4\.|chatgpt|gpt-(?:realtime|audio)|computer-use", _OPENAI),
        (
            r"gpt-4|gpt-3\.?5|text-embedding-(?:ada|3)|(?:davinci|babbage)-002",
            replace(_OPENAI, encoding=CL100K, stop=0),
        ),
        (
            r"claude-\D*(?:4[.-][7-9]|[5-9])(?!\d)",
            replace(_CLAUDE, tools=416, forced_tools=416, factors=_scripts(*[1.2] * 5)),
        ),
        (r"claude-\D*4[.-][56](?!\d)", _CLAUDE),
        (r"claude-(?:instant|\D*[23])", replace(_CLAUDE, tools=290, forced_tools=290)),
        ("claude", replace(_CLAUDE, tools=316, forced_tools=316)),
        (r"gemini-(?:1|2\.0)", replace(_GEMINI, turn=0, hidden=False)),
        ("gemini|learnlm", _GEMINI),
        ("gemma", replace(_GEMINI, turn=4, hidden=False)),
        ("deepseek", _DEEPSEEK),
        (
            r"qwen-?3\.[5-9]|qwen[4-9]",
            replace(_QWEN, factors=_scripts(1.04, 0.82, 0.68, 0.98, 0.97)),
        ),
        ("qwen|qwq|qvq|tongyi", _QWEN),
        ("mistral|mixtral|ministral|magistral|codestral|devstral|pixtral", _MISTRAL),
        ("llama", _LLAMA),
    )
)
UNKNOWN = Vocabulary()


def find(model: str) -> Vocabulary:
    """The vocabulary of `model`, as a provider or a host names it; else `UNKNOWN`."""
    name = model.lower()
    return next((found for pattern, found in VOCABULARIES if pattern.search(name)), UNKNOWN)

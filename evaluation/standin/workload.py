"""The workload of a company: teams, features, caches and errors.  Pure.

The same seed plans the same calls.  Steering headers of the stand-in provider produce the caches,
errors and latencies.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from evaluation.standin.answers import WORDS
from evaluation.standin.steering import PREFIX

PROJECT = "demo"  # of every call, to find its rows
KEYS = ("sk-standin-web", "sk-standin-batch", "sk-standin-research")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of one model by the company."""

    weight: int
    provider: str
    model: str
    team: str
    feature: str
    prompt_words: tuple[int, int] = (20, 400)
    output_tokens: tuple[int, int] = (20, 300)
    stream: bool = True
    tokens_per_s: float = 120.0
    steering: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "chat"  # chat | responses | embeddings | messages | count | gemini


TOOLS = [{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}]
CACHED = {"cache-read-tokens": "4096", "input-tokens": "5200"}

USES = (
    Use(weight=16, provider="openai", model="gpt-5.4-mini", team="support", feature="chat"),
    Use(
        weight=6,
        provider="openai",
        model="gpt-5.4-mini",
        team="support",
        feature="lookup",
        body={"tools": TOOLS},
        steering=CACHED,
    ),
    Use(
        weight=8,
        provider="openai",
        model="gpt-5.4",
        team="product",
        feature="assistant",
        kind="responses",
        body={"reasoning": {"effort": "medium"}},
    ),
    Use(
        weight=4,
        provider="openai",
        model="gpt-5.4",
        team="product",
        feature="summary",
        stream=False,
        body={"service_tier": "flex"},
        prompt_words=(400, 2_000),
    ),
    Use(
        weight=12,
        provider="openai",
        model="text-embedding-3-small",
        team="search",
        feature="index",
        kind="embeddings",
        stream=False,
    ),
    Use(
        weight=10,
        provider="anthropic",
        model="claude-sonnet-5-5",
        team="engineering",
        feature="code",
        kind="messages",
        tokens_per_s=80.0,
        steering={
            "cache-read-tokens": "18000",
            "cache-write-tokens": "900",
            "input-tokens": "19200",
        },
    ),
    Use(
        weight=3,
        provider="anthropic",
        model="claude-opus-5-5",
        team="engineering",
        feature="review",
        kind="messages",
        tokens_per_s=50.0,
        output_tokens=(150, 400),
        body={"thinking": {"type": "enabled", "budget_tokens": 2_048}},
        steering={"cache-write-1h-tokens": "3000", "input-tokens": "3600"},
    ),
    Use(
        weight=2,
        provider="anthropic",
        model="claude-sonnet-5-5",
        team="engineering",
        feature="code",
        kind="count",
        stream=False,
    ),
    Use(
        weight=10,
        provider="gemini",
        model="gemini-2.5-flash",
        team="search",
        feature="rerank",
        kind="gemini",
        stream=False,
        tokens_per_s=200.0,
        output_tokens=(5, 40),
    ),
    Use(
        weight=5,
        provider="gemini",
        model="gemini-2.5-pro",
        team="research",
        feature="reports",
        kind="gemini",
        body={"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    ),
    Use(
        weight=5,
        provider="deepseek",
        model="deepseek-v4-flash",
        team="research",
        feature="labels",
        stream=False,
        steering={"cache-read-tokens": "640", "input-tokens": "900"},
    ),
    Use(weight=4, provider="qwen", model="qwen-plus", team="support", feature="translate"),
    Use(weight=4, provider="mistral", model="mistral-large-2512", team="product", feature="drafts"),
)

BATCH = Use(
    weight=0,  # it has a pace of its own
    provider="anthropic",
    model="claude-sonnet-5-5",
    team="research",
    feature="labels",
    kind="messages",
    stream=False,
)
BATCH_REQUESTS = (4, 12)

# Errors, with their share of all calls.
TROUBLES: tuple[tuple[float, Mapping[str, str]], ...] = (
    (0.010, {"status": "429", "retry-after-s": "1"}),
    (0.006, {"status": "500"}),
    (0.004, {"status": "400"}),
    (0.004, {"error-after": "12"}),
    (0.003, {"cut-after": "15"}),
)
LEAVING = 0.01  # share of streams that their reader abandons
NO_USAGE = 0.15  # share of OpenAI streams whose caller does not request usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One call to make; `leave_after_bytes` is where its reader abandons it."""

    use: Use
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    leave_after_bytes: int | None = None


def plan(seed: int, speed: float = 1.0) -> Iterator[Planned]:
    """An endless sequence of calls; `speed` divides all times of the stand-in."""
    random = Random(seed)
    weights = [use.weight for use in USES]
    while True:
        use = random.choices(USES, weights)[0]
        steering = _pace(random, use, speed) | dict(use.steering) | _trouble(random)
        leaves = use.stream and random.random() < LEAVING
        yield Planned(
            use=use,
            path=_path(use),
            headers=_headers(random, use, steering),
            body=_body(random, use),
            leave_after_bytes=random.randint(1, 2_000) if leaves else None,
        )


def batch(random: Random) -> tuple[dict[str, str], dict[str, Any]]:
    """Headers and body of one batch of Anthropic's, which many requests of one team are."""
    size = random.randint(*BATCH_REQUESTS)
    requests = [{"custom_id": f"label-{n}", "params": _body(random, BATCH)} for n in range(size)]
    return _headers(random, BATCH, {}), {"requests": requests}


def _pace(random: Random, use: Use, speed: float) -> dict[str, str]:
    first_s = random.lognormvariate(-1.0, 0.5) / speed  # median 0.37 s
    return {
        "output-tokens": str(random.randint(*use.output_tokens)),
        "first-token-s": f"{first_s:.3f}",
        "tokens-per-s": f"{use.tokens_per_s * speed:g}",
        "slow-share": "0.03",
        "slow-factor": "4",
    }


def _trouble(random: Random) -> dict[str, str]:
    drawn = random.random()
    for share, steering in TROUBLES:
        if drawn < share:
            return dict(steering)
        drawn -= share
    return {}


def _headers(random: Random, use: Use, steering: Mapping[str, str]) -> dict[str, str]:
    headers = {PREFIX + name: value for name, value in steering.items()}
    headers["x-taximeter-project"] = PROJECT
    headers["x-taximeter-team"] = use.team
    headers["x-taximeter-feature"] = use.feature
    headers["x-taximeter-environment"] = random.choices(("production", "staging"), (9, 1))[0]
    headers["x-taximeter-user-id"] = f"user-{int(random.paretovariate(1.2)) % 200}"
    key = random.choice(KEYS)
    if use.provider == "anthropic":
        return headers | {"x-api-key": key, "anthropic-version": "2023-06-01"}
    if use.provider == "gemini":
        return headers | {"x-goog-api-key": key}
    return headers | {"authorization": f"Bearer {key}"}


def _path(use: Use) -> str:
    if use.kind == "gemini":
        verb = "streamGenerateContent?alt=sse" if use.stream else "generateContent"
        return f"/gemini/v1beta/models/{use.model}:{verb}"
    ends = {
        "chat": "chat/completions",
        "responses": "responses",
        "embeddings": "embeddings",
        "messages": "messages",
        "count": "messages/count_tokens",
    }
    prefix = "compatible-mode/v1" if use.provider == "qwen" else "v1"
    return f"/{use.provider}/{prefix}/{ends[use.kind]}"


def _body(random: Random, use: Use) -> dict[str, Any]:
    prompt = " ".join(random.choices(WORDS, k=random.randint(*use.prompt_words)))
    body: dict[str, Any] = {"model": use.model} | dict(use.body)
    if use.kind == "gemini":
        del body["model"]
        return body | {"contents": [{"role": "user", "parts": [{"text": prompt}]}]}
    if use.kind == "embeddings":
        return body | {"input": [prompt]}
    if use.stream:
        body["stream"] = True
    if use.kind == "responses":
        return body | {"input": prompt}
    if use.kind == "messages":
        body["max_tokens"] = 4_096
    elif use.kind == "chat" and use.stream and random.random() >= NO_USAGE:
        body["stream_options"] = {"include_usage": True}
    return body | {"messages": [{"role": "user", "content": prompt}]}

"""Writes requests of Anthropic's messages."""

from collections.abc import Iterator, Sequence

from proxy.gateway.translation import schemas, settings
from proxy.gateway.translation.ids import fitting
from proxy.gateway.translation.losses import Losses
from proxy.gateway.translation.media import as_text, is_public
from proxy.gateway.translation.neutral import (
    Ask,
    Cache,
    Choice,
    Media,
    Part,
    Result,
    Schema,
    Settings,
    Target,
    Text,
    Thinking,
    Thought,
    Tool,
    Turn,
    Use,
    arguments,
)
from proxy.gateway.translation.signatures import marked

Json = dict[str, object]
# The API demands a limit.  Every model of today can write this much: https://platform.claude.com/
# docs/en/about-claude/models/overview (2026-11).
MAX_TOKENS_USUAL = 32_000
ANSWER_TOKENS_USUAL = 8_192  # beside a budget for thinking
BUDGET_MIN = 1_024
EFFORTS = ("low", "medium", "high", "xhigh", "max")
TTLS = ("", "5m", "1h")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
THINKS = "not while it thinks"


def write(ask: Ask, target: Target, losses: Losses) -> Json:
    """The body; what it cannot have is lost."""
    body: Json = {"model": target.model}
    if ask.system:
        body["system"] = [one for part in ask.system for one in _part(part, losses)]
    body["messages"] = [_message(turn, losses) for turn in ask.turns]
    if ask.tools:
        body["tools"] = [_tool(one, losses) for one in ask.tools]
    _settings(Settings(ask.settings, losses), body)
    if ask.stream:
        body["stream"] = True
    return body


def _settings(left: Settings, body: Json) -> None:
    config: Json = {}
    thinking = _thinking(left, body)
    body["max_tokens"] = _max_tokens(left, thinking)
    _sampling(left, body, settings.thinks(thinking))
    left.copy({"stop": "stop_sequences"}, body)
    if (user := left.take("user")) is not None:
        body["metadata"] = {"user_id": user}
    if left.peek("effort") in EFFORTS:
        config["effort"] = left.take("effort")
    schema = left.take("schema")
    if isinstance(schema, Schema):  # always strict
        config["format"] = {"type": "json_schema", "schema": schemas.closed(schema.schema)}
    if config:
        body["output_config"] = config
    _choice(left, body, settings.thinks(thinking))
    left.mention("cache_key")
    left.rest()


def _thinking(left: Settings, body: Json) -> Thinking | None:
    thinking = left.peek("thinking")
    if left.peek("effort") == "none" and thinking is None:
        left.take("effort")
        thinking = Thinking("off")
    shown = left.peek("show_thoughts")
    if not isinstance(thinking, Thinking):
        if shown is False:
            left.take("show_thoughts")
        elif shown is True and left.take("show_thoughts"):  # to be shown, there must be some
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
            return Thinking("free")
        return None
    if thinking.kind == "budget" and thinking.budget < BUDGET_MIN:
        left.lose("thinking", f"at least {BUDGET_MIN}")
        return None
    left.take("thinking")
    made: Json = {"type": {"off": "disabled", "free": "adaptive"}.get(thinking.kind, "enabled")}
    if thinking.kind == "budget":
        made["budget_tokens"] = thinking.budget
    if (shown := left.take("show_thoughts")) is not None and thinking.kind != "off":
        made["display"] = "summarized" if shown else "omitted"
    body["thinking"] = made
    return thinking


def _max_tokens(left: Settings, thinking: Thinking | None) -> int:
    """The caller's limit, which a budget for thinking must fit into."""
    budget = thinking.budget if thinking is not None else 0
    usual = max(MAX_TOKENS_USUAL, budget + ANSWER_TOKENS_USUAL)
    wanted = left.peek("max_tokens")
    if isinstance(wanted, int) and wanted <= budget:
        left.lose("max_tokens", "at least the budget for thinking and one more")
    taken = left.take("max_tokens")
    return taken if isinstance(taken, int) else usual


def _sampling(left: Settings, body: Json, thinks: bool) -> None:
    """Temperatures go up to 1, and are 1 while it thinks."""
    temperature = left.peek("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        left.lose("temperature", "at most 1")
    elif thinks and temperature not in (None, 1):
        left.lose("temperature", THINKS)
    if thinks:
        left.lose("top_k", THINKS)
    left.copy(settings.ANTHROPIC, body)


def _choice(left: Settings, body: Json, thinks: bool) -> None:
    choice = left.peek("choice")
    if thinks and settings.forced(choice):
        left.lose("choice", THINKS)
    choice = left.take("choice")
    parallel = left.take("parallel")
    if "tools" not in body or (choice is None and parallel is None):
        return  # nothing to choose from, or nothing said
    choice = choice if isinstance(choice, Choice) else Choice("auto")
    made: Json = {"type": "tool" if choice.kind == "one" else choice.kind}
    if choice.kind == "one":
        made["name"] = choice.name
    if parallel is False and choice.kind != "none":
        made["disable_parallel_tool_use"] = True
    body["tool_choice"] = made


def _tool(tool: Tool, losses: Losses) -> Json:
    made: Json = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    made["input_schema"] = tool.schema or {"type": "object", "properties": {}}
    if tool.strict is not None:
        made["strict"] = tool.strict
    return made | _cached(tool.cache, losses)


def _message(turn: Turn, losses: Losses) -> Json:
    """What tools said comes first, as the API demands."""
    results = [part for part in turn.parts if isinstance(part, Result)]
    others = [part for part in turn.parts if not isinstance(part, Result)]
    if len(turn.parts) > 1:  # the API takes no empty texts
        others = [part for part in others if not isinstance(part, Text) or part.text]
    blocks = [one for part in (*results, *others) for one in _part(part, losses)]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return {"role": turn.role, "content": blocks[0]["text"]}
    return {"role": turn.role, "content": blocks}


def _part(part: Part, losses: Losses) -> Iterator[Json]:
    if isinstance(part, Text):
        if part.signature is not None:
            losses.lose(part.signature.field)
        yield {"type": "text", "text": part.text} | _cached(part.cache, losses)
    elif isinstance(part, Thought):
        yield from _thought(part, losses)
    elif isinstance(part, Use):
        yield _use(part, losses)
    elif isinstance(part, Result):
        yield _result(part, losses)
    elif (made := _media(part, losses)) is not None:
        yield made | _cached(part.cache, losses)


def _thought(thought: Thought, losses: Losses) -> Iterator[Json]:
    signature = thought.signature
    if signature is None or signature.signer != "anthropic":
        losses.lose(thought.field, "not signed by Anthropic")
    elif thought.hidden:
        yield {"type": "redacted_thinking", "data": signature.value}
    else:
        signed = marked(signature, "anthropic")
        yield {"type": "thinking", "thinking": thought.text, "signature": signed}


def _use(use: Use, losses: Losses) -> Json:
    if use.signature is not None:
        losses.lose(use.signature.field)
    made: Json = {"type": "tool_use", "id": fitting(use.id, "anthropic")}
    made |= {"name": use.name, "input": arguments(use, losses)}
    return made | _cached(use.cache, losses)


def _result(result: Result, losses: Losses) -> Json:
    made: Json = {"type": "tool_result", "tool_use_id": fitting(result.id, "anthropic")}
    made["content"] = _inside(result.parts, losses)
    if result.failed:
        made["is_error"] = True
    return made | _cached(result.cache, losses)


def _inside(parts: Sequence[Text | Media], losses: Losses) -> object:
    blocks = [one for part in parts for one in _part(part, losses)]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _media(media: Media, losses: Losses) -> Json | None:
    if media.detail:
        losses.lose(media.detail_field)
    source: Json | None = None
    if media.kind not in ("image", "document"):
        pass
    elif is_public(media.url):
        source = {"type": "url", "url": media.url}
    elif media.url:
        pass  # nobody else can read it
    elif media.mime in (IMAGES if media.kind == "image" else ("application/pdf",)):
        source = {"type": "base64", "media_type": media.mime, "data": media.data}
    elif media.kind == "document" and media.mime.startswith("text/"):
        text = as_text(media.data)
        if text is not None:
            source = {"type": "text", "media_type": "text/plain", "data": text}
    if source is None:
        losses.lose(media.field, media.mime or media.kind)
        return None
    made: Json = {"type": media.kind, "source": source}
    if media.name and media.kind == "document":
        made["title"] = media.name
    elif media.name:
        losses.mention(media.name_field)
    return made


def _cached(cache: Cache | None, losses: Losses) -> Json:
    if cache is None:
        return {}
    if cache.ttl not in TTLS:
        losses.lose(f"{cache.field}.ttl")
        return {"cache_control": {"type": "ephemeral"}}
    ttl = {"ttl": cache.ttl} if cache.ttl else {}
    return {"cache_control": {"type": "ephemeral", **ttl}}

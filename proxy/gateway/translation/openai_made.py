"""Writes what requests of both of OpenAI's APIs have: content, schemas, effort, breakpoints."""

from collections.abc import Callable, Sequence

from proxy.gateway.translation import schemas
from proxy.gateway.translation.losses import Losses
from proxy.gateway.translation.neutral import (
    Cache,
    Choice,
    Media,
    Schema,
    Settings,
    Target,
    Text,
    Thinking,
)

Json = dict[str, object]
Written = Callable[[Media, Losses], Json | None]  # how an API has an image or a file; None: it lost
OWN = ("openai", "azure")  # what only they take, and what they alone refuse
SIGNED = ("openrouter",)  # takes signatures of others, by the names of their formats
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LOOSE = "a strict schema requires every property and allows no other"
NO_URL = "no URLs of documents"
_CHOICES: Json = {"any": "required", "auto": "auto", "none": "none"}


def effort(left: Settings) -> object:
    """How much to reason, in a word; None if nothing says so.  A budget in tokens is not taken."""
    thinking = left.peek("thinking")
    if isinstance(thinking, Thinking) and thinking.kind != "budget":
        left.take("thinking")
        if thinking.kind == "off":
            left.take("effort")  # of an answer without any
            return "none"
    return left.take("effort") if left.peek("effort") in EFFORTS else None


def cache_key(left: Settings, target: Target, body: Json) -> None:
    """Only OpenAI finds caches by it."""
    left.copy({"cache_key": "prompt_cache_key"} if target.provider in OWN else {}, body)
    left.mention("cache_key")


def choice(left: Settings) -> tuple[object, str]:
    """`tool_choice` in a word, or the name of the only function that may be called."""
    found = left.take("choice")
    if not isinstance(found, Choice):
        return None, ""
    return _CHOICES.get(found.kind), found.name


def schema(left: Settings) -> Json | None:
    """A form of answers; None if none is asked for, or if it cannot be had."""
    found = left.peek("schema")
    if not isinstance(found, Schema):
        return None
    closed = schemas.closed(found.schema) if found.strict else found.schema
    strict = found.strict and schemas.is_strict(closed)
    if found.strict and not strict:
        left.lose("schema", LOOSE)
    left.take("schema")
    return {"name": schemas.title(found.schema), "schema": closed, "strict": strict}


def file_name(media: Media) -> str:
    """It wants some name."""
    return media.name or f"document.{media.mime.rpartition('/')[2]}"


def content(
    parts: Sequence[Text | Media], kind: str, media: Written, target: Target, losses: Losses
) -> str | list[Json]:
    """One text as it is; anything else as a list, its texts of this `kind`."""
    made = [one for part in parts if (one := _part(part, kind, media, target, losses)) is not None]
    if len(made) == 1 and made[0].keys() == {"type", "text"}:
        return str(made[0]["text"])
    return made


def _part(
    part: Text | Media, kind: str, media: Written, target: Target, losses: Losses
) -> Json | None:
    if isinstance(part, Text):
        made: Json | None = {"type": kind, "text": part.text}
        if part.signature is not None:
            losses.lose(part.signature.field)
    else:
        made = media(part, losses)
    if made is not None and part.cache is not None:
        made |= cached(part.cache, target, losses)
    return made


def cached(cache: Cache, target: Target, losses: Losses) -> Json:
    """The usual time to live is what each provider has; any other is its own."""
    if target.provider not in (*OWN, *SIGNED):
        losses.lose(cache.field)
        return {}
    if target.provider in SIGNED:
        ttl = {"ttl": cache.ttl} if cache.ttl else {}
        return {"cache_control": {"type": "ephemeral", **ttl}}
    if cache.ttl not in ("", "5m"):
        losses.lose(f"{cache.field}.ttl")
    return {"prompt_cache_breakpoint": {"mode": "explicit"}}

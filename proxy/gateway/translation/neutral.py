"""What all the APIs can be asked, in words of none of them; answers are in `events`.

A request is read whole into an `Ask`; each setting and part knows the `field` it came from, so that
whoever writes it elsewhere can lose it by name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from proxy.gateway.translation.losses import Losses, Malformed, Taker
from proxy.gateway.translation.values import as_object


@dataclass(frozen=True, slots=True)
class Signature:
    """What only its signer can check: `signer` is an API, as in `requests.WRITES`."""

    signer: str
    value: str
    field: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Cache:
    """The prompt up to here shall be cached; `ttl` as its API has it, "" for the usual."""

    field: str
    ttl: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    field: str
    text: str
    cache: Cache | None = None
    signature: Signature | None = None
    refusal: bool = False  # a model's, which OpenAI keeps apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """`kind`: image, audio, video or document; either `data` in base64, or a `url`."""

    field: str
    kind: str
    mime: str = ""
    data: str = ""
    url: str = ""
    name: str = ""  # a label
    name_field: str = ""
    detail: str = ""  # OpenAI's, of an image
    detail_field: str = ""
    cache: Cache | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """`text` is "" where a signature stands for it (`hidden`)."""

    field: str
    text: str
    signature: Signature | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A tool is called; `arguments` is a JSON object as text."""

    field: str
    id: str
    name: str
    arguments: str
    cache: Cache | None = None
    signature: Signature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tool said to the call of `id`; its `name` is known where the calls are."""

    field: str
    id: str
    name: str
    parts: Sequence[Text | Media]
    failed: str = ""  # the field that says so; "": it did not
    cache: Cache | None = None


Part = Text | Media | Thought | Use | Result
P = TypeVar("P", Text, Media, Thought, Use, Result)
Said = TypeVar("Said", Text | Media, Part)


@dataclass(frozen=True, slots=True)
class Turn:
    """`role` is user, assistant, or system: what is said to the model in between, by `field`."""

    role: str
    parts: Sequence[Part]
    field: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    field: str
    name: str
    description: str = ""
    schema: Mapping[str, object] | None = None
    strict: bool | None = None
    cache: Cache | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """`kind`: auto, none, any, or one by its `name`."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """`strict`: whether the answer must fit; else it is asked to."""

    schema: Mapping[str, object]
    strict: bool


@dataclass(frozen=True, slots=True)
class Thinking:
    """`kind`: off, free (the model decides) or budget (in tokens)."""

    kind: str
    budget: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    value: object
    field: str


@dataclass(slots=True, kw_only=True)
class Ask:
    """A request.  `settings` by neutral names: see `fields.SETTINGS`."""

    system: Sequence[Text] = ()
    turns: Sequence[Turn] = ()
    tools: Sequence[Tool] = ()
    settings: dict[str, Setting] = field(default_factory=dict)
    stream: bool = False
    shows_usage: bool = True  # of a stream: its end says what was used


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a request is written for: in an API of `requests.WRITES`."""

    api: str
    provider: str = ""
    model: str = ""


def content(
    of: Taker,
    key: str,
    part: Callable[[Taker], Said | None],
    *,
    parts: str = "parts",
    cache: Cache | None = None,
) -> list[Said]:
    """What is said at `key`: one text, which `cache` is of, or a list that `part` reads one by one.

    `parts` is what the API calls them.
    """
    value, at = of.take(key), of.name(key)
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(field=at, text=value, cache=cache)]
    if not isinstance(value, list):
        raise Malformed(f"{at}: expected text or a list of {parts}")
    if cache is not None:
        of.losses.lose(cache.field)
    read = (part(Taker(one, f"{at}[]", of.losses)) for one in value)
    return [one for one in read if one is not None]


def only(kind: type[P], parts: Iterable[Part | None], losses: Losses) -> list[P]:
    """The parts of a kind; others cannot stand there, and are lost."""
    found: list[P] = []
    for part in parts:
        if isinstance(part, kind):
            found.append(part)
        elif part is not None:
            losses.lose(part.field, "not here")
    return found


def spoken(parts: Iterable[Part | None], losses: Losses) -> list[Text | Media]:
    """What can be said by itself: texts and media; others are lost."""
    listed = [part for part in parts if part is not None]
    only(Text, (part for part in listed if not isinstance(part, Media)), losses)
    return [part for part in listed if isinstance(part, Text | Media)]


def add_told(turns: list[Turn], *parts: Part) -> None:
    """To the user's turn: what tools said, and what the user says then, is one."""
    last = turns[-1] if turns else None
    if last is not None and last.role == "user" and any(isinstance(p, Result) for p in last.parts):
        turns[-1] = Turn("user", [*last.parts, *parts])
    else:
        turns.append(Turn("user", parts))


def arguments(use: Use, losses: Losses) -> Mapping[str, object]:
    """A call's arguments as an object; what a model wrote that is none is lost."""
    found = as_object(use.arguments)
    if found is None:
        losses.lose(f"{use.field}.arguments", "not a JSON object")
    return found or {}


class Settings:
    """Settings while they are written; what nobody takes is lost by its own name."""

    def __init__(self, settings: Mapping[str, Setting], losses: Losses) -> None:
        self._left = dict(settings)
        self._losses = losses

    def take(self, name: str) -> object:
        """The value; None if it is not set."""
        found = self._left.pop(name, None)
        return None if found is None else found.value

    def peek(self, name: str) -> object:
        """Likewise, and it is still to be written."""
        found = self._left.get(name)
        return None if found is None else found.value

    def lose(self, name: str, why: str = "") -> None:
        """It is set to what the target cannot do."""
        found = self._left.pop(name, None)
        if found is not None:
            self._losses.lose(found.field, why)

    def mention(self, name: str) -> None:
        """It is left out, which the answer cannot depend on."""
        found = self._left.pop(name, None)
        if found is not None:
            self._losses.mention(found.field)

    def copy(self, names: Mapping[str, str], into: dict[str, object]) -> None:
        """Those that mean the same there: neutral name → name there."""
        for name, there in names.items():
            value = self.take(name)
            if value is not None:
                into[there] = value

    def rest(self) -> None:
        """Lose what nobody took."""
        for name in list(self._left):
            self.lose(name)

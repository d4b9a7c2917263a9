"""What is sent: the user's own mix, from recorded calls or from a file.

Recorded calls are repeated in their order, round after round, so that sizes, tools, sessions and
cached prefixes stay in proportion and in place; each round has sessions of its own.

```toml
[[request]]
weight = 3                   # default: 1
input_tokens = [200, 800]    # a number, or a range
output_tokens = 150
cached_tokens = 4096         # of the input: a prefix that all turns of a session share
turns = 4                    # of a session; default: 1
tools = true                 # default: false
stream = true                # default: true
```
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.random import Generator

from evaluation.history.turns import Turn
from proxy.settings.typed import nearest

TEXTS = ("chat", "responses", "messages", "generate_content")  # operations that a test can send
TOKENS_MAX = 200_000  # of one prompt
TURNS_MAX = 100
KEYS = ("weight", "input_tokens", "output_tokens", "cached_tokens", "turns", "tools", "stream")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.  `cached_tokens` of the input are the prefix that `session` or `prefix` has."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    session: str = ""
    prefix: str = ""  # what shares the cached prefix
    tools: bool = False
    stream: bool = True
    name: str = ""  # of its class


@dataclass(frozen=True, slots=True)
class Mix:
    """A source of requests.  `arrivals_s` are recorded ones, for shape `trace`."""

    what: str
    plan: Callable[[int, Generator], list[Request]]
    arrivals_s: Sequence[float] = field(default=())


def recorded(turns: Sequence[Turn], what: str) -> Mix:
    """The mix of recorded calls.  Raises ValueError if none can be repeated."""
    kept = [
        turn
        for turn in turns
        if turn.first.gateway_operation in TEXTS and turn.ok and turn.sizes_known
    ]
    if not kept:
        raise ValueError(f"no call of the last {what} can be repeated: texts with known sizes")
    begin = kept[0].at_s

    def plan(count: int, chance: Generator) -> list[Request]:
        first = int(chance.integers(len(kept)))
        return [_like(kept, first + number) for number in range(count)]

    return Mix(f"{len(kept):,} calls of the last {what}", plan, [t.at_s - begin for t in kept])


def _like(turns: Sequence[Turn], at: int) -> Request:
    round_of, number = divmod(at, len(turns))
    turn = turns[number]
    row = turn.last
    given = min(row.input_tokens_total or 1, TOKENS_MAX)
    session = f"{turn.group}/{round_of}" if turn.facts.session else ""
    return Request(
        input_tokens=max(given, 1),
        output_tokens=max(row.output_tokens_total or 1, 1),
        cached_tokens=min(row.cache_read_tokens + row.cache_write_tokens, given),
        session=session,
        prefix=session or turn.prefix,
        tools=turn.facts.tools,
        stream=row.stream,
        name=row.feature or row.label,
    )


@dataclass(frozen=True, slots=True)
class _Class:
    number: int
    weight: float
    given: tuple[int, int]
    made: tuple[int, int]
    cached: tuple[int, int]
    turns: int
    tools: bool
    stream: bool


def read(path: Path) -> Mix:
    """The mix of a file.  Raises ValueError with every mistake."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: invalid TOML: {error}") from None
    mistakes = [f"{path}: unknown table {n!r}{nearest(n, ['request'])}" for n in table
                if n != "request"]  # fmt: skip
    listed = table.get("request", [])
    if not isinstance(listed, list) or not listed or not all(isinstance(o, dict) for o in listed):
        mistakes.append(f"{path}: no request; write one as [[request]]")
        raise ValueError("\n".join(mistakes))
    classes = [_class(f"{path}: request {n + 1}", n, one, mistakes) for n, one in enumerate(listed)]
    if not sum(one.weight for one in classes):
        mistakes.append(f"{path}: at least one request needs a weight above 0")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return Mix(path.name, lambda count, chance: _drawn(classes, count, chance))


def _class(at: str, number: int, table: Mapping[str, Any], mistakes: list[str]) -> _Class:
    mistakes += [f"{at}: unknown key {n!r}{nearest(n, KEYS)}" for n in table if n not in KEYS]
    for name in ("input_tokens", "output_tokens"):
        if name not in table:
            mistakes.append(f"{at}: {name} is missing")
    weight = table.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < 1e9:
        mistakes.append(f"{at}: weight: expected a number of 0 or more, got {weight!r}")
        weight = 1
    given = _range(at, "input_tokens", table, 1, mistakes)
    cached = _range(at, "cached_tokens", table, 0, mistakes)
    if cached[1] > given[0]:
        mistakes.append(f"{at}: cached_tokens are part of the input, so at most {given[0]}")
    flags = [_flag(at, name, table, usual, mistakes) for name, usual in
             (("tools", False), ("stream", True))]  # fmt: skip
    turns = _range(at, "turns", {"turns": 1, **table}, 1, mistakes)[1]
    if turns > TURNS_MAX:
        mistakes.append(f"{at}: turns: expected at most {TURNS_MAX}, got {turns}")
    made = _range(at, "output_tokens", table, 1, mistakes)
    return _Class(number, float(weight), given, made, cached, turns, flags[0], flags[1])


def _range(
    at: str, name: str, table: Mapping[str, Any], least: int, mistakes: list[str]
) -> tuple[int, int]:
    value = table.get(name, least)
    ends = value if isinstance(value, list) else [value, value]
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in ends)
    if len(ends) != 2 or not whole or not least <= ends[0] <= ends[1] <= TOKENS_MAX:
        mistakes.append(
            f"{at}: {name}: expected a whole number from {least} to {TOKENS_MAX:,}, or [LOW, HIGH],"
            f" got {value!r}"
        )
        return least, least
    return ends[0], ends[1]


def _flag(at: str, name: str, table: Mapping[str, Any], usual: bool, mistakes: list[str]) -> bool:
    value = table.get(name, usual)
    if not isinstance(value, bool):
        mistakes.append(f"{at}: {name}: expected true or false, got {value!r}")
    return value is True


def _drawn(classes: Sequence[_Class], count: int, chance: Generator) -> list[Request]:
    """Sessions go on at random places, each until it has had its turns."""
    weights = [one.weight / sum(each.weight for each in classes) for one in classes]
    open_turns: dict[int, list[tuple[str, int]]] = {one.number: [] for one in classes}
    found = []
    for number in range(count):
        one = classes[int(chance.choice(len(classes), p=weights))]
        sessions, session = open_turns[one.number], ""
        if one.turns > 1:
            if not sessions or chance.random() < 1 / one.turns:
                sessions.append((f"s{one.number}-{number}", one.turns))
            at = int(chance.integers(len(sessions)))
            session, left = sessions.pop(at)
            if left > 1:
                sessions.append((session, left - 1))
        found.append(
            Request(
                input_tokens=int(chance.integers(one.given[0], one.given[1] + 1)),
                output_tokens=int(chance.integers(one.made[0], one.made[1] + 1)),
                cached_tokens=int(chance.integers(one.cached[0], one.cached[1] + 1)),
                session=session,
                prefix=session or f"class {one.number}",
                tools=one.tools,
                stream=one.stream,
                name=f"request {one.number + 1}",
            )
        )
    return found

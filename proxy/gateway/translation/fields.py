"""Every field of the six APIs' requests: who else carries it.  What is not is refused.

A test holds this table against the SDKs' types and against what is done.  `*` at the end of a name
stands for all that is below it.  What the answer cannot depend on (a file's name) is left out where
it is not carried, and always listed.  Sources: the documents that `*_reads.py` name.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from proxy.gateway.translation.field_names import ANTHROPIC, ANTHROPIC_OWN, GEMINI, OPENAI
from proxy.gateway.translation.field_names_embeddings import (
    BATCH,
    EMBEDDINGS,
    GEMINI_EMBEDDINGS,
    GEMINI_EMBEDDINGS_PARTS,
)
from proxy.gateway.translation.field_names_responses import (
    RESPONSES,
    RESPONSES_OWN_ITEMS,
    RESPONSES_OWN_TOOLS,
)

_NAMES = {"o": "openai", "r": "responses", "a": "anthropic", "g": "gemini", "c": "cohere"}


@dataclass(frozen=True, slots=True)
class Field:
    """`carried` and `listed` are APIs of providers; any other refuses it."""

    name: str
    carried: frozenset[str]
    listed: frozenset[str]


def _table(lines: str) -> Iterator[Field]:
    for line in lines.split("\n"):
        name, *marks = line.split() or [""]
        if name:
            carried = frozenset(_NAMES[mark] for mark in marks if mark in _NAMES)
            listed = frozenset(_NAMES[mark[1:]] for mark in marks if mark.startswith("~"))
            yield Field(name, carried, listed)


def _own(above: str, names: Iterable[str]) -> Iterator[Field]:
    """Fields that nobody else has."""
    return (Field(f"{above}[].{name}.*", frozenset(), frozenset()) for name in names)


_VECTORS = (*_table(GEMINI_EMBEDDINGS), *_own("content.parts", GEMINI_EMBEDDINGS_PARTS))
FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        "openai": tuple(_table(OPENAI)),
        "responses": (
            *_table(RESPONSES),
            *_own("input", RESPONSES_OWN_ITEMS),
            *_own("tools", RESPONSES_OWN_TOOLS),
        ),
        "embeddings": tuple(_table(EMBEDDINGS)),
        "anthropic": (*_table(ANTHROPIC), *_own("tools", ANTHROPIC_OWN)),
        "gemini": tuple(_table(GEMINI)),
        "gemini_embeddings": (
            *_VECTORS,
            *(replace(one, name=f"{BATCH}{one.name}") for one in _VECTORS),
        ),
    }
)


def covers(field: Field, name: str) -> bool:
    """Whether a row is about this field, or about something inside it."""
    if field.name.endswith(".*"):
        above = field.name.removesuffix(".*").removesuffix("[]")
        return name == above or name.startswith((f"{above}.", f"{above}[]"))
    return field.name == name or field.name.startswith((f"{name}.", f"{name}[]"))


@cache
def endings() -> frozenset[str]:
    """What a name of `drop` may be: a field's, or its end, without the marks of lists."""
    names = (
        row.name.removesuffix(".*").replace("[]", "") for table in FIELDS.values() for row in table
    )
    split = (name.split(".") for name in names)
    return frozenset(
        ".".join(parts[first:last])
        for parts in split
        for last in range(1, len(parts) + 1)
        for first in range(last)
    )


def is_known(dropped: str) -> bool:
    """Whether a name of `drop` can be that of a field; `*` stands for any text."""
    return "*" in dropped or dropped.replace("[]", "") in endings()

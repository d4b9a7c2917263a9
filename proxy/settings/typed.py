"""Turns trees of tables, as TOML gives them, into typed frozen dataclasses.

Collects all mistakes instead of stopping at the first.  It knows the types that `config.py` uses,
but not the meaning of the settings.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from proxy.secrecy.patterns import is_secret

T = TypeVar("T")
WRONG = object()  # stands in for an invalid value
KNOWN_MAX = 16  # most words that a hint lists
KINDS: Mapping[object, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    bool: "true or false",
    Path: "a path in quotes",
}
SWITCH: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _pairs(text: str) -> dict[str, str]:
    """Parse a=1,b=2, as in OTEL_EXPORTER_OTLP_HEADERS."""
    pairs = (item.partition("=") for item in _items(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Names with dots, which TOML reads as tables within tables, as one name each."""
    for name, item in table.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{name}.")
        else:
            yield prefix + name, item


FROM_TEXT: Mapping[object, Callable[[str], object]] = {
    bool: lambda text: SWITCH[text.lower()],
    int: int,
    float: float,
    Decimal: _decimal,
    list: _items,
    Mapping: _pairs,
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings.  `text`: all values are text, as in an environment."""

    name: str  # for messages; "" for the packaged defaults
    table: Mapping[str, Any]
    base: Path  # relative paths in it start here
    text: bool = False


class SettingsReader:
    """Merges layers, then reads the resulting tree as a dataclass."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.mistakes: list[str] = []
        self._source: dict[str, Layer] = {}
        self._hidden: list[str] = []  # keys of values that no message quotes
        self._first: dict[str, Any] = {}  # the value of the first layer, if a later one replaced it

    def overlay(self, layer: Layer) -> None:
        """Add a layer that overrides earlier ones, key by key; lists are replaced completely."""
        self._merge(self.tree, layer.table, "", layer)

    def _merge(
        self, tree: dict[str, Any], table: Mapping[str, Any], prefix: str, layer: Layer
    ) -> None:
        for name, value in table.items():
            key = prefix + name
            self._source[key] = layer
            if isinstance(value, Mapping):
                if not isinstance(tree.get(name), dict):
                    tree[name] = {}
                self._merge(tree[name], value, f"{key}.", layer)
            else:
                if name in tree:
                    self._first.setdefault(key, tree[name])
                tree[name] = value

    def read(self, cls: type[T]) -> T | None:
        """The tree as a `cls`, with the default in place of each invalid value.

        So the valid values can be checked too.  None if a value without default is invalid.
        """
        found: T | None = self._dataclass(cls, self.tree, "")
        return None if found is WRONG else found

    def _dataclass(self, cls: type, table: object, key: str, **given: object) -> Any:
        prefix = f"{key}." if key else ""
        if not isinstance(table, Mapping):
            return self._mistake(key, "expected a table")
        hints = get_type_hints(cls)
        for name in table:
            if name not in hints or name in given:
                hint = nearest(name, set(hints) - set(given))
                self._mistake(prefix + name, f"unknown setting{hint}")
        values: dict[str, Any] = dict(given)
        whole = True
        for field in dataclasses.fields(cls):
            at = prefix + field.name
            if not field.repr:
                self._hidden.append(at)
            required = field.default is field.default_factory  # both are MISSING
            if field.name in table and field.name not in given:
                value = self._value(hints[field.name], table[field.name], at)
                if value is WRONG and at in self._first:
                    value = self._value(hints[field.name], self._first[at], at)
                if value is not WRONG:
                    values[field.name] = value
                whole &= value is not WRONG or not required
            elif required and field.name not in given:
                self._mistake(at, "required")
                whole = False
        try:
            return cls(**values) if whole else WRONG
        except ValueError as error:  # raised by the class itself
            return self._mistake(key, str(error))

    def _value(self, hint: Any, value: object, key: str) -> Any:
        """`value` as the type `hint`; WRONG if it is invalid."""
        if dataclasses.is_dataclass(hint):
            return self._dataclass(hint, value, key)  # type: ignore[arg-type]  # a class
        origin, args = get_origin(hint), get_args(hint)
        if origin is UnionType:
            if NoneType in args and value == "":  # X | None: "" means None, as TOML has no null
                return None
            arms = [arg for arg in args if arg is not NoneType]
            return self._value(self._arm(arms, value, key), value, key)
        if origin is Mapping:
            return self._mapping(args[1], value, key)
        if origin in (tuple, frozenset):
            return self._sequence(origin, args[0], value, key)
        return self._scalar(hint, value, key)

    def _arm(self, arms: Sequence[Any], value: object, key: str) -> Any:
        """The type of a union that `value` has; the first if it has none of them."""
        for arm in arms:
            kind = get_origin(arm) or arm
            if kind is tuple and isinstance(value, list):
                return arm
            if kind is float and type(self._from_text(float, value, key)) in (int, float):
                return arm
            if type(value) is kind:
                return arm
        return arms[0]

    def _mapping(self, hint: Any, value: object, key: str) -> Any:
        value = self._from_text(Mapping, value, key)
        if not isinstance(value, Mapping):
            return self._mistake(key, "expected a table")
        items: dict[str, Any] = {}
        for name, item in _flat(value) if hint is str else value.items():
            at = f"{key}.{name}"
            if dataclasses.is_dataclass(hint):  # a table of tables: each key is a name
                items[name] = self._dataclass(hint, item, at, name=name)  # type: ignore[arg-type]  # a class
            else:
                items[name] = self._value(hint, item, at)
        return MappingProxyType({name: item for name, item in items.items() if item is not WRONG})

    def _sequence(self, kind: Any, hint: Any, value: object, key: str) -> Any:
        value = self._from_text(list, value, key)
        if not isinstance(value, list):
            return self._mistake(key, "expected a list")
        items = [self._value(hint, item, f"{key}[{n}]") for n, item in enumerate(value)]
        return kind(item for item in items if item is not WRONG)

    def _scalar(self, hint: Any, value: object, key: str) -> Any:
        value = self._from_text(hint, value, key)
        if hint is float and type(value) is int:
            return float(value)
        if hint is Decimal and type(value) in (int, float, Decimal):
            return Decimal(str(value))  # the shortest text of a float is the one the user wrote
        if hint is Path and isinstance(value, str) and value:
            return self._layer(key).base / Path(value).expanduser()
        if type(value) is not hint:
            hidden = is_secret(key.rpartition(".")[2]) or key.startswith(tuple(self._hidden))
            got = "" if hidden else f", got {value!r}"
            return self._mistake(key, f"expected {KINDS[hint]}{got}")
        return value

    def _from_text(self, hint: Any, value: object, key: str) -> object:
        """`value` as TOML would give it, if it comes from a layer of text.

        A value that cannot be converted is returned unchanged: `_scalar` says what was expected.
        """
        if not self._layer(key).text or not isinstance(value, str) or hint not in FROM_TEXT:
            return value
        try:
            return FROM_TEXT[hint](value)
        except (ValueError, KeyError):
            return value

    def _layer(self, key: str) -> Layer:
        """The layer that set `key`, or the table or list that contains it."""
        while key not in self._source:
            shorter = key[: max(key.rfind("."), key.rfind("["), 0)]
            if not shorter:
                return Layer("", {}, Path())
            key = shorter
        return self._source[key]

    def _mistake(self, key: str, what: str) -> object:
        source = self._layer(key).name
        self.mistakes.append(f"{key}: {what}" + (f" (in {source})" if source else ""))
        return WRONG


def leaves(cls: type, tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of all settings, including those of the named tables in `tree`."""
    for name, hint in get_type_hints(cls).items():
        key = prefix + name
        branch = tree.get(name)
        tables = branch if isinstance(branch, Mapping) else {}
        args = get_args(hint)
        if dataclasses.is_dataclass(hint):
            yield from leaves(hint, tables, f"{key}.")  # type: ignore[arg-type]  # a class
        elif get_origin(hint) is Mapping and dataclasses.is_dataclass(args[1]):
            for item in tables:
                found = leaves(args[1], {}, f"{key}.{item}.")  # type: ignore[arg-type]  # a class
                yield from (leaf for leaf in found if leaf != f"{key}.{item}.name")
        else:
            yield key


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message: the known word that was probably meant, or else all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; expected one of: {', '.join(words)}" if 0 < len(words) <= KNOWN_MAX else ""

"""The canonical text of a row, by kind and form: the same from Python as from a SELECT.

A row is a JSON array of its columns in the order of its form, without spaces:

- text and ids in quotes, escaped as ClickHouse writes JSON: slashes and U+2028, U+2029 as well, and
  hex digits in upper case
- whole numbers as they are, instants as microseconds since the epoch, truth as true and false
- amounts and quantities as exact decimal text in quotes, without zeros at the end; unknown is null
- a binary fraction as the whole number that its 64 bits are, because printing it is not exact
- lists as arrays, and maps as objects with sorted names and their values as text

A released form is never changed: a new column makes a new form.  That of a call is its
`schema_version`.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from operator import attrgetter

import msgspec

from exporters.evidence.forms import ATTRIBUTES, FORMS, Form, type_of
from exporters.record import nine_places, rounded

_MONEY_PLACES, _QUANTITY_PLACES = 18, 9  # as `exporters.record` rounds to
_WHOLE_DIGITS = 15  # an amount with more is checked by `rounded`
_encode = msgspec.json.Encoder().encode
# msgspec escapes control characters in lower-case hex; any other pair is left.
_ESCAPE = re.compile(rb"\\(?:u00([0-9a-f]{2})|.)", re.DOTALL)


def canonical(kind: str, form: int, row: object) -> tuple[bytes, bytes]:
    """The canonical text of a row and of its content, which is empty if the kind has none.

    Raises KeyError for an unknown kind or form, ValueError or ArithmeticError for an amount that
    the store could not hold.
    """
    parts = _parts(kind, form)
    return parts.row(row), parts.content(row) if parts.content else b""


def selected(kind: str, form: int) -> tuple[str, str]:
    """The same as SQL expressions over the columns of the kind's table `t`."""
    fields = FORMS[kind][form]
    return _sql(fields.row), _sql(fields.content) if fields.content else "''"


@dataclass(frozen=True, slots=True)
class _Parts:
    row: Callable[[object], bytes]
    content: Callable[[object], bytes] | None


@cache
def _parts(kind: str, form: int) -> _Parts:
    fields: Form = FORMS[kind][form]
    return _Parts(
        _text_of(kind, fields.row), _text_of(kind, fields.content) if fields.content else None
    )


def _text_of(kind: str, names: tuple[str, ...]) -> Callable[[object], bytes]:
    renamed = ATTRIBUTES.get(kind, {})
    values = attrgetter(*(renamed.get(name, name) for name in names))
    types = [(at, type_of(name)) for at, name in enumerate(names)]
    numbers = [(at, _VALUES[type]) for at, type in types if type in ("money", "bits")]
    others = [(at, _VALUES[type]) for at, type in types if type in ("id", "quantities", "map")]

    def text(row: object) -> bytes:
        cells = list(values(row))
        for at, value in numbers:
            cell = cells[at]
            if cell is not None:
                cells[at] = value(cell)
        for at, value in others:
            if cells[at]:  # most maps are empty
                cells[at] = value(cells[at])
        encoded = _encode(cells)
        if b"\\u00" in encoded:
            encoded = _ESCAPE.sub(_upper, encoded)
        encoded = encoded.replace(b"/", b"\\/")
        if b"\xe2\x80" in encoded:
            encoded = encoded.replace(b"\xe2\x80\xa8", b"\\u2028").replace(
                b"\xe2\x80\xa9", b"\\u2029"
            )
        return encoded

    return text


def _upper(match: "re.Match[bytes]") -> bytes:
    return match[0] if match[1] is None else b"\\u00" + match[1].upper()


def _plain(number: Decimal) -> str:
    """A number with places, without zeros at its end."""
    text = f"{number:f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _as_it_is(value: Decimal, places: int) -> str:
    """The text of a number that needs no rounding, or ""; it costs a third of rounding it."""
    text = str(value)
    whole, point, fraction = text.partition(".")
    if "E" in text or len(whole) > _WHOLE_DIGITS or len(fraction) > places:
        return ""
    text = text.rstrip("0").rstrip(".") if point else text
    return "0" if text == "-0" else text


def _money(value: Decimal) -> str:
    if not value:
        return "0"  # half of all amounts: nothing was cached, or saved
    if text := _as_it_is(value, _MONEY_PLACES):
        return text
    exact = rounded(value)
    return "0" if exact is None else _plain(exact)  # it is None only for None


def _quantities(value: Mapping[str, Decimal]) -> dict[str, str]:
    return {
        name: _as_it_is(value[name], _QUANTITY_PLACES) or _plain(nine_places(value[name]))
        for name in sorted(value)
    }


def _texts(value: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value[name]) for name in sorted(value)}


def _bits(value: float) -> int:
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits


_VALUES: Mapping[str, Callable[..., object]] = {
    "id": str.lower,
    "money": _money,
    "quantities": _quantities,
    "map": _texts,
    "bits": _bits,
}
_MAP = "toJSONString(CAST(mapSort(t.{0}), 'Map(String, String)'))"
_SELECTED: Mapping[str, str] = {
    "text": "toJSONString(toString(t.{0}))",
    "id": "toJSONString(toString(t.{0}))",
    "int": "ifNull(toString(t.{0}), 'null')",
    "time": "toString(toUnixTimestamp64Micro(t.{0}))",
    "bool": "if(t.{0}, 'true', 'false')",
    "money": "ifNull(toJSONString(toString(t.{0})), 'null')",
    "quantities": _MAP,
    "map": _MAP,
    "list": "toJSONString(CAST(t.{0}, 'Array(String)'))",
    "bits": "ifNull(toString(reinterpretAsUInt64(t.{0})), 'null')",
}


def _sql(names: tuple[str, ...]) -> str:
    cells = ", ',', ".join(_SELECTED[type_of(name)].format(name) for name in names)
    return f"concat('[', {cells}, ']')"

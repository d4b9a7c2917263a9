"""Which fields of a usage block a reader knows; a quantity in any other may be on the bill.

Every `Tally` is made from a block and the fields that its reader knows, so that a field which a
provider adds makes the charge partial, with its path as the detail, and never exact by default.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import Union


class Field(Enum):
    """What a reader does with a field that it knows."""

    READ = "read"  # it takes the number, or the number repeats one that it takes
    HARMLESS = "harmless"  # nothing in the field is billed, whatever stands below it


READ, HARMLESS = Field
Fields = Mapping[str, Union["Fields", Field]]  # by name; a list has the fields of its elements

_NUMERAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")


def named(field: Field, *names: str) -> dict[str, "Fields | Field"]:
    """`names`, each as `field`."""
    return dict.fromkeys(names, field)


def unknown(value: object, known: "Fields | Field | None", path: str = "") -> Iterator[str]:
    """The dotted path of each quantity below `value` that `known` does not name.

    A quantity is a number other than 0.  One in text is unknown under any name: no reader takes it.
    """
    if known is HARMLESS:
        return
    if isinstance(value, dict):
        names: Fields = known if isinstance(known, Mapping) else {}
        for name, inner in value.items():
            yield from unknown(inner, names.get(name), f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from unknown(inner, known, path)
    elif is_numeral(value) or (known is not READ and is_quantity(value)):
        yield path


def is_numeral(value: object) -> bool:
    """Whether `value` is a text that spells a number other than 0."""
    return (
        isinstance(value, str) and _NUMERAL.fullmatch(value) is not None and value.strip("0.") != ""
    )


def is_quantity(value: object) -> bool:
    """Whether `value` is a number other than 0."""
    if isinstance(value, Decimal):
        return not value.is_zero()  # what is no number is not comparable, and no zero
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0

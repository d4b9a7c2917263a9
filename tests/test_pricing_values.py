"""The values that prices are made of cannot change, and say by name what they hold."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from types import ModuleType

import msgspec
import pytest

from pricing import bill, book, charge, charge_line, condition, quote, tariff, usage
from pricing.sheet import entry, reader

MODULES = (bill, book, charge, charge_line, condition, entry, quote, reader, tariff, usage)
BY_NAME = (
    condition.Schedule,
    tariff.Rule,
    tariff.Factor,
    tariff.Rate,
    tariff.Tariff,
    charge.ChargeLine,
    charge.Charge,
    usage.Subcall,
    quote.Workload,
    quote.Quote,
)


def names_of(kind: type) -> list[str] | None:
    """The fields of a dataclass or a struct; None for any other class."""
    if issubclass(kind, msgspec.Struct):
        return [*kind.__struct_fields__]
    return [field.name for field in fields(kind)] if is_dataclass(kind) else None


def values_of(module: ModuleType) -> list[type]:
    """The dataclasses and structs that a module defines."""
    kinds = [each for each in vars(module).values() if isinstance(each, type)]
    return [each for each in kinds if each.__module__ == module.__name__ and names_of(each)]


@pytest.mark.parametrize("module", MODULES, ids=[module.__name__ for module in MODULES])
def test_values_do_not_change(module: ModuleType) -> None:
    """A price, once read, is the same for every call: no field is set again, and none is added."""
    for kind in values_of(module):
        if issubclass(kind, msgspec.Struct):
            assert kind.__struct_config__.frozen, kind
            assert not kind.__struct_config__.dict, kind
            continue
        value: object = object.__new__(kind)
        assert not hasattr(value, "__dict__"), kind
        if kind is reader.Sheet:
            continue  # filled while its file is read
        for name in names_of(kind) or ():
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, None)


@pytest.mark.parametrize("kind", BY_NAME, ids=[kind.__name__ for kind in BY_NAME])
def test_long_values_take_their_fields_by_name(kind: type) -> None:
    """Two prices of one type cannot be swapped by position."""
    names = names_of(kind)
    assert names
    with pytest.raises(TypeError, match="positional"):
        kind(*names)

"""The values that prices are made of cannot change, and say by name what they hold."""

from dataclasses import FrozenInstanceError, fields, is_dataclass
from types import ModuleType

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


def dataclasses_of(module: ModuleType) -> list[type]:
    """Those that a module defines."""
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type) and is_dataclass(each) and each.__module__ == module.__name__
    ]


@pytest.mark.parametrize("module", MODULES, ids=[module.__name__ for module in MODULES])
def test_values_do_not_change(module: ModuleType) -> None:
    """A price, once read, is the same for every call: no field is set again, and none is added."""
    for kind in dataclasses_of(module):
        value: object = object.__new__(kind)
        assert not hasattr(value, "__dict__"), kind
        if kind is reader.Sheet:
            continue  # filled while its file is read
        for name in [field.name for field in fields(kind)]:
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, None)


@pytest.mark.parametrize("kind", BY_NAME, ids=[kind.__name__ for kind in BY_NAME])
def test_long_values_take_their_fields_by_name(kind: type) -> None:
    """Two prices of one type cannot be swapped by position."""
    assert [field.name for field in fields(kind) if field.init and not field.kw_only] == []

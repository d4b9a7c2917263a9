"""The shipped tariffs, read once for all tests of a process that only look at them."""

from functools import cache

from pricing import TariffBook


@cache
def shipped() -> TariffBook:
    """The shipped tariffs."""
    return TariffBook.load()

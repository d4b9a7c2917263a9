"""From a provider's overlapping counts to a partition whose sum is checked.

The rule for every dialect: disjoint leaves first; they must sum to the provider's own total, else
the tally says `usage_sum_mismatch`.  A negative leaf is a data error: it is left out and flagged as
`usage_negative`, never clamped silently.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from pricing.cause import Cause, Reasons, about
from pricing.reason import Reason
from pricing.usage import INPUT_METERS, OUTPUT_METERS, Meter, Origin, Quantity, Usage
from proxy.dialects.fields import Fields, unknown
from proxy.dialects.values import integer

_UNKNOWN = frozenset(
    (
        *(Reason.UNKNOWN_USAGE_FIELD, Reason.UNKNOWN_TOOL, Reason.UNKNOWN_MODALITY),
        Reason.BILLED_UNIT_UNKNOWN,
    )
)
_BOTH = INPUT_METERS | OUTPUT_METERS


class Tally:
    """Quantities by meter of one usage block."""

    def __init__(self, usage: Mapping[str, object], known: Fields) -> None:
        """`known` are the fields that the reader knows; quantities in others are flagged."""
        self.reasons = Reasons()
        self._quantities: dict[Meter, Quantity] = {}
        self._unmetered = 0
        self.check(usage, known)

    @classmethod
    def inferred(cls) -> "Tally":
        """A tally of what no usage block states: of a request, a header or the content."""
        return cls({}, {})

    def check(self, usage: Mapping[str, object], known: Fields, path: str = "") -> None:
        """Flag the quantities of a further block that is read into this tally."""
        for field in unknown(usage, known, path):
            self.flag(about(Reason.UNKNOWN_USAGE_FIELD, field))

    def count_calls(self, calls: Mapping[str, object], meters: Mapping[str, Meter | None]) -> None:
        """Count tool calls by name; None: the tool is free.  A name without a meter is flagged."""
        for name, value in calls.items():
            if name in meters:
                if (meter := meters[name]) is not None:
                    self.add(meter, integer(value))
            elif any(unknown({name: value}, {})):
                self.flag(about(Reason.UNKNOWN_TOOL, name))

    def leave_out(self, modality: str, tokens: int) -> None:
        """Flag tokens of a modality that has no meter; they are part of the provider's total."""
        if tokens:
            self._unmetered += tokens
            self.flag(about(Reason.UNKNOWN_MODALITY, modality))

    def unknown(self) -> Iterator[Cause]:
        """What no reader knows; it counts even if a later block of the stream lacks it."""
        yield from (cause for cause in self.reasons if cause.reason in _UNKNOWN)

    def flag(self, *causes: Cause) -> None:
        """Say what is doubtful about these quantities."""
        self.reasons.add(*causes)

    def add(self, meter: Meter, quantity: Quantity | None) -> None:
        """Add `quantity` to `meter`; None adds nothing."""
        if quantity:
            self._quantities[meter] = self._quantities.get(meter, 0) + quantity

    def quantity(self, meter: Meter) -> Quantity:
        """What `meter` has so far."""
        return self._quantities.get(meter, 0)

    def merge(self, other: "Tally") -> None:
        """Add what `other` counted, and its reasons."""
        for meter, quantity in other._quantities.items():
            self.add(meter, quantity)
        self._unmetered += other._unmetered
        self.flag(*other.reasons)

    def expect(self, what: str, total: int | None, meters: frozenset[Meter]) -> None:
        """Flag it if `meters` do not sum to the provider's `total`; None: it states none."""
        if total is None:
            return
        got = self._unmetered + sum(n for meter, n in self._quantities.items() if meter in meters)
        if got != total:
            self.flag(about(Reason.USAGE_SUM_MISMATCH, f"{what}:{got}!={total}"))

    def expect_total(self, total: int | None) -> None:
        """Flag a sum of input and output that differs from the provider's `total`."""
        self.expect("total", total, _BOTH)

    def usage(self, origin: Origin = Origin.REPORTED) -> Usage:
        """The partition.  Read `reasons` afterwards: negative leaves are flagged here."""
        kept: dict[Meter, Quantity] = {}
        for meter, quantity in self._quantities.items():
            if quantity < 0:
                self.flag(about(Reason.USAGE_NEGATIVE, meter.value))
            else:
                kept[meter] = quantity
        return Usage(kept, origin)


def split(
    tally: Tally,
    total: int,
    whole: Meter,
    parts: Mapping[Meter, int | None],
) -> None:
    """Count the `parts` of `total` under their meters, and the rest under `whole`."""
    rest = total
    for meter, quantity in parts.items():
        tally.add(meter, quantity)
        rest -= quantity or 0
    tally.add(whole, rest)


def seconds(value: Decimal | None) -> Quantity | None:
    """Seconds as a quantity; an int if they are whole, so that equal usage compares equal."""
    return int(value) if value is not None and value == value.to_integral_value() else value

"""Writes one model's prices as a tariff of the user's own.  Pure: values in, text out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pricing.upkeep.listing import key
from pricing.upkeep.tariff_file import figures, text
from pricing.usage import TOKEN_METERS, Meter

ADDED = "-added.toml"  # end of the file
HEAD = """\
# {provider}: prices of your own, as `taximeter tariffs add` writes them.  Edit them as you like.

provider = {name}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrice:
    """What one model costs: dollars per million tokens by meter, none of them unknown."""

    provider: str
    model: str
    prices: Mapping[Meter, Decimal]
    source: str  # where the price was read
    start: date | None = None  # None: no other price is known to have come before

    def __post_init__(self) -> None:
        if not self.prices:
            raise ValueError("no price is given")
        for meter, amount in self.prices.items():
            if meter not in TOKEN_METERS:
                raise ValueError(f"{meter.value} does not count tokens")
            if not amount.is_finite() or amount < 0:
                raise ValueError(f"{meter.value}: {amount} is not a price")

    @property
    def file(self) -> str:
        """The name of the file that it belongs in."""
        return f"{self.provider}{ADDED}"

    def block(self, today: date) -> str:
        """The `[[tariff]]`, known from its start or from today."""
        lines = ["[[tariff]]", f"names = [{text(self.model)}]"]
        if self.start is None:
            lines.append(f"known_from = {today}")
        else:
            lines.append(f"from = {self.start}T00:00:00Z")
            if self.start > today:  # whoever adds it vouches for it
                lines += [f"announced = {today}", f"confirmed = {today}"]
        lines += [f"source = {text(self.source)}", f"checked = {today}"]
        lines += figures({key(meter): amount for meter, amount in self.prices.items()})
        return "\n".join(lines) + "\n"


def appended(before: str, price: OwnPrice, today: date) -> str:
    """The text of the file with the price at its end; `before` is "" for a new file."""
    head = before or HEAD.format(provider=price.provider, name=text(price.provider))
    return f"{head.rstrip()}\n\n{price.block(today)}"

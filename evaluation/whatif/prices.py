"""What a recorded call costs at another candidate, by the price engine; each price is made once.

At the candidate that served it a call has the usage that its row has.  Elsewhere it has as many
tokens, the output times what the other model writes (`Ratios`), and nothing else is known of it: a
call that used more than tokens has no price there.  Where a prefix is not in the cache, what was
read from it is written instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median

import msgspec
from msgspec.structs import replace

from evaluation.history.turns import Turn
from evaluation.whatif.service import EVERY_SIZE, Ratios, size_of
from pricing.bill import price
from pricing.book import TariffBook
from pricing.charge import Status
from pricing.tariff import FREE_UNLESS_NAMED
from pricing.usage import Meter, Subcall, Usage
from proxy.metering.payers import priced
from proxy.repricing.repricer import stored_basis

WHOLE = (Status.EXACT, Status.ESTIMATED, Status.NOT_BILLED)
WRITES = (Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE, Meter.INPUT)  # the first that has a price
READS = (Meter.CACHE_READ, Meter.INPUT)
READ_PREFIX = "cache_read"
# What a call has elsewhere too, beside tokens that are cached: no images, searches or the like.
CARRIED = {Meter.INPUT, Meter.INPUT_TOOL_USE, Meter.OUTPUT, Meter.OUTPUT_REASONING}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of a call.  `cached` and `written` are part of `input`."""

    input: int
    output: int
    cached: int = 0
    written: int = 0


@dataclass(slots=True)
class Prices:
    """Prices of turns by number.  `ratios` multiply outputs: see `service.output_ratios`."""

    turns: Sequence[Turn]
    book: TariffBook
    ratios: Ratios = field(default_factory=dict)
    _known: dict[tuple[object, ...], float | None] = field(default_factory=dict)
    _usual: dict[str, Sizes] = field(default_factory=dict)

    def sizes(self, number: int) -> Sizes:
        """Tokens of a turn; of one that failed, those that others of its use have (medians)."""
        turn = self.turns[number]
        row = turn.last
        if turn.sizes_known:
            return Sizes(
                row.input_tokens_total or 0,
                row.output_tokens_total or 0,
                row.cache_read_tokens,
                row.cache_write_tokens,
            )
        use = f"{turn.first.label} {turn.first.feature}"
        if use not in self._usual:
            same = [t.last for t in self.turns if t.sizes_known and t.first.label == row.label]
            near = [one for one in same if one.feature == row.feature] or same
            self._usual[use] = _medians(
                [(r.input_tokens_total, r.output_tokens_total) for r in near]
            )
        return self._usual[use]

    def output(self, number: int, label: str, tokens: int) -> int:
        """How many tokens a candidate is taken to write."""
        turn = self.turns[number]
        pair = (turn.served, label)
        known = (self.ratios.get((*pair, size)) for size in (size_of(turn), EVERY_SIZE))
        return round(tokens * next((ratio for ratio in known if ratio is not None), 1.0))

    def usd(
        self, number: int, label: str, *, cached: bool, sizes: Sizes | None = None
    ) -> float | None:
        """USD of a call at a candidate; None if part of it has no price there."""
        key = (number, label, cached, sizes)
        if key not in self._known:
            self._known[key] = self._usd(number, label, cached, sizes)
        return self._known[key]

    def _usd(self, number: int, label: str, cached: bool, sizes: Sizes | None) -> float | None:
        turn = self.turns[number]
        if sizes is None and label == turn.served and turn.sizes_known:
            return self._own(turn, cold=not cached and turn.last.cache_read_tokens > 0)
        if sizes is None:
            sizes = self.sizes(number)
            if not all(map(_carried, turn.last.usage)):
                return None
        return self._tokens(turn, label, cached, sizes, self.output(number, label, sizes.output))

    def _own(self, turn: Turn, *, cold: bool) -> float | None:
        """By the receipt; `cold` writes what was read."""
        row = turn.last
        stored = {
            "receipt": row.receipt,
            "request_model": row.request_model,
            "response_model": row.response_model,
        }
        before = sum((r.cost_usd or Decimal(0) for r in turn.rows[:-1]), Decimal(0))
        if row.cost_status == Status.NOT_BILLED:
            return float(before)
        try:
            found = stored_basis({**stored, "reasons": row.reasons})
        except (ValueError, ArithmeticError, msgspec.MsgspecError):
            found = None
        if found is None:  # no tariff priced it, so its own price is all there is
            return None if row.cost_usd is None else float(before + row.cost_usd)
        subcalls, basis = found
        if cold:
            subcalls = tuple(self._cold(one) for one in subcalls)
        usd = priced(subcalls, basis, self.book).charge.usd
        return None if usd is None else float(before + usd)

    def _cold(self, one: Subcall) -> Subcall:
        kept: dict[Meter, int | Decimal] = {}
        for meter, quantity in one.usage.quantities.items():
            name = meter
            if meter.value.startswith(READ_PREFIX):
                name = self._meter(f"{one.provider}/{one.model}", WRITES, one)
            kept[name] = kept.get(name, 0) + quantity
        return replace(one, usage=Usage(kept, one.usage.origin))

    def _tokens(
        self, turn: Turn, label: str, cached: bool, sizes: Sizes, output: int
    ) -> float | None:
        provider, _, model = label.partition("/")
        one = Subcall(
            provider=provider,
            model=model,
            at=datetime.fromtimestamp(turn.last.at_s, UTC),
            usage=Usage({}),
        )
        read = sizes.cached if cached else 0
        written = sizes.written if cached else sizes.written + sizes.cached
        quantities: dict[Meter, int | Decimal] = {Meter.INPUT: sizes.input - read - written}
        for meters, tokens in ((READS, read), (WRITES, written)):
            if tokens:
                meter = self._meter(label, meters, one)
                quantities[meter] = quantities.get(meter, 0) + tokens
        if turn.first.gateway_operation != "embeddings":
            quantities[Meter.OUTPUT] = output
        if Meter.REQUESTS in turn.last.usage:
            quantities[Meter.REQUESTS] = 1
        return _whole(replace(one, usage=Usage(quantities)), self.book)

    def _meter(self, label: str, meters: Sequence[Meter], one: Subcall) -> Meter:
        """The first of `meters` that has a price there; the last if none has."""
        key = ("meter", label, *meters)
        if key not in self._known:
            found = (
                at
                for at, meter in enumerate(meters)
                if _whole(replace(one, usage=Usage({meter: 1000})), self.book) is not None
            )
            self._known[key] = float(next(found, len(meters) - 1))
        return meters[int(self._known[key] or 0)]


def _whole(one: Subcall, book: TariffBook) -> float | None:
    charge = price([one], book)
    return float(charge.usd) if charge.usd is not None and charge.status in WHOLE else None


def _carried(name: str) -> bool:
    return name.startswith("cache_") or Meter(name) in CARRIED | FREE_UNLESS_NAMED


def _medians(sizes: Sequence[tuple[int | None, int | None]]) -> Sizes:
    known = [(given or 0, made or 0) for given, made in sizes]
    if not known:
        return Sizes(0, 0)
    return Sizes(round(median(g for g, _ in known)), round(median(m for _, m in known)))

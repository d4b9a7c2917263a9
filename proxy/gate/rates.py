"""What a call may cost at most: the dearest rate that may apply to each of its tokens.

Finding a rate takes a hundred times longer than multiplying by it, so rates are remembered for each
model, its terms, the length of the prompt (as tiers by length depend on it) and the time of day.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from pricing.bill import price
from pricing.book import TariffBook
from pricing.plan import Access, Payer, plan_of
from pricing.usage import Meter, Subcall, TermValue, Usage
from proxy.gate.layout import whole
from proxy.gate.request import Request

REMEMBERED_MAX = 4_096  # rates; callers choose the models, so there must be a limit
QUARTER_NS = 900 * 10**9  # how long a rate is remembered: prices by the clock change at quarters
SIGNIFICANT_BITS = 4  # of a prompt's length: 16 lengths between a power of two and the next
_TEXT_IN = (
    *(Meter.INPUT, Meter.CACHE_WRITE, Meter.CACHE_WRITE_5M, Meter.CACHE_WRITE_30M),
    *(Meter.CACHE_WRITE_1H, Meter.CACHE_WRITE_12H),
)
_TEXT_OUT = (Meter.OUTPUT, Meter.OUTPUT_REASONING)
_IN = {"audio": Meter.INPUT_AUDIO, "image": Meter.INPUT_IMAGE, "video": Meter.INPUT_VIDEO}
_OUT = {"audio": Meter.OUTPUT_AUDIO, "image": Meter.OUTPUT_IMAGE, "video": Meter.OUTPUT_VIDEO}
Terms = dict[str, TermValue]


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of 1e-18 USD: of each token read and written, and of each call."""

    read: int
    written: int
    call: int

    def of(self, request: Request) -> int:
        return request.input_tokens * self.read + request.output_tokens * self.written + self.call


class Rates:
    """Over one tariff book."""

    def __init__(self, book: TariffBook) -> None:
        self._book = book
        self._known: dict[object, Rate | None] = {}
        self._dearest: dict[str, Rate | None] = {}

    def known(self, provider: str, request: Request, terms: Terms, now_ns: int) -> Rate | None:
        """What `find` returns.  Raises KeyError if it, or `ceiling` after it, would take time."""
        rate = self._known[_key(provider, request, terms, now_ns)]
        if rate is None and provider not in self._dearest:
            raise KeyError(provider)
        return rate

    def find(self, provider: str, request: Request, terms: Terms, now_ns: int) -> Rate | None:
        """The dearest rate that may apply; None: no price is known."""
        key = _key(provider, request, terms, now_ns)
        if key not in self._known:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            at = datetime.fromtimestamp(now_ns / 1e9, UTC)
            self._known[key] = self._rate(provider, request, terms, at, _length(request))
        return self._known[key]

    def ceiling(self, provider: str, now_ns: int) -> Rate | None:
        """The dearest of all models of a provider; None: it has none with a price by tokens."""
        if provider not in self._dearest:
            at = datetime.fromtimestamp(now_ns / 1e9, UTC)
            names = (tariff.names[0] for tariff in self._book.tariffs_of(provider))
            asked = (Request(model=name, input_tokens=1) for name in dict.fromkeys(names))
            rates = [self._rate(provider, one, {}, at, 1) for one in asked]
            known = [rate for rate in rates if rate is not None]
            self._dearest[provider] = (
                Rate(
                    max(rate.read for rate in known),
                    max(rate.written for rate in known),
                    max(rate.call for rate in known),
                )
                if known
                else None
            )
        return self._dearest[provider]

    def is_paid_for(self, provider: str, credential: str, host: str, path: str) -> bool:
        """Whether a flat plan pays whatever the response says; some bill what goes beyond them."""
        access = Access(provider=provider, credential=credential, host=host, path=path)
        plan = plan_of(self._book.plans, access)
        return plan is not None and not plan.headers and plan.payer(access) is Payer.PLAN

    def _rate(
        self, provider: str, request: Request, terms: Terms, at: datetime, length: int
    ) -> Rate | None:
        """Each meter priced alone, at this length of the prompt."""
        terms = dict(terms)
        if request.tier:
            terms["service_tier"] = request.tier
        if request.speed:
            terms["speed"] = request.speed
        terms |= {"prompt_tokens": length, "output_tokens": max(request.output_tokens, 1)}
        one = Subcall(provider=provider, model=request.model, at=at, usage=Usage(), terms=terms)

        def dearest(*meters: Meter) -> int | None:
            found = [self._each(one, meter, length) for meter in meters]
            return max((each for each in found if each is not None), default=None)

        read = dearest(*_TEXT_IN, *(_IN[mode] for mode in request.modes))
        written = dearest(*_TEXT_OUT, *(_OUT[mode] for mode in request.modes))
        if read is None or (written is None and request.output_tokens):
            return None
        fee = price([_using(one, {})], self._book).usd
        return Rate(read, written or 0, whole(fee) if fee else 0)

    def _each(self, one: Subcall, meter: Meter, length: int) -> int | None:
        """Of one unit, where the prompt has this length; None: the tariff does not name it."""
        charge = price([_using(one, {meter: length})], self._book)
        lines = [line.usd for line in charge.lines if line.meter is meter]
        return -(-whole(sum(lines, Decimal(0))) // length) if lines else None


def _key(provider: str, request: Request, terms: Terms, now_ns: int) -> tuple[object, ...]:
    told = (provider, request.model, request.tier, request.speed, request.modes)
    return *told, _length(request), now_ns // QUARTER_NS, *terms.items()


def _length(request: Request) -> int:
    """The length of the prompt, rounded up to one of few."""
    shift = max(request.input_tokens.bit_length() - SIGNIFICANT_BITS, 0)
    return max(-(-request.input_tokens >> shift) << shift, 1)


def _using(subcall: Subcall, quantities: dict[Meter, int]) -> Subcall:
    return Subcall(
        provider=subcall.provider,
        model=subcall.model,
        at=subcall.at,
        usage=Usage(quantities),
        terms=subcall.terms,
    )

"""What a row keeps so that its price can be followed, and made again: the receipt.  Pure."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from exporters.receipt import FORM, Document, Facts, short_lines, short_subcalls
from exporters.record import JsonText
from pricing import NO_COUNTERS, Charge, Counters, Subcall
from pricing.cause import Cause, texts
from pricing.charge import plain, total
from pricing.plan import NO_ACCESS, Access

_encode = msgspec.json.Encoder().encode


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a charge depends on besides the subcalls and the tariffs."""

    asked: str = ""  # the model asked for, and the one that answered
    served: str = ""
    reasons: tuple[Cause, ...] = ()  # the reading's own
    reported_usd: Decimal | None = None
    cut_short: bool = False  # more may have been made than was seen
    access: Access = NO_ACCESS  # how the call reached its provider
    # What was used before, for prices by volume.
    counters: Counters = msgspec.field(default_factory=lambda: NO_COUNTERS)


class Priced(msgspec.Struct, frozen=True):
    """What is billed for a call, and what it would cost at list price: see `payers`."""

    charge: Charge
    listed: Charge


def receipt(priced: Priced, subcalls: Sequence[Subcall], basis: Basis, given: Facts) -> JsonText:
    """JSON with everything to follow the charge line by line, or to compute it again.

    It leaves out what follows from `given`, which is in the same row: see `exporters.receipt`.
    It holds only the counters that the charges moved, and the list price only if it differs.
    `floor_usd` of a whole receipt is what an unknown cost would amount to at least, had the
    provider billed what is known.
    """
    charge, listed = priced.charge, priced.listed
    reported = basis.reported_usd
    moved = dict.fromkeys((*charge.counts, *listed.counts))
    document: Document = {
        "form": FORM,
        **_usd(charge),
        "subcalls": short_subcalls(subcalls, given),
        "basis": {
            "reasons": texts(basis.reasons),
            "reported_usd": None if reported is None else str(reported),
            "cut_short": basis.cut_short,
            "counters": {name: plain(basis.counters[name]) for name in moved},
            "access": _access_document(basis.access),
        },
        "lines": short_lines(charge.lines, subcalls),
    }
    if listed is not charge:
        document["list"] = {
            **_usd(listed),
            "status": listed.status.value,
            "reasons": texts(listed.reasons),
            "lines": short_lines(listed.lines, subcalls),
        }
    return _encode(document).decode()


def _usd(charge: Charge) -> Document:
    """The sum, unless it is that of the lines."""
    if charge.usd is not None and charge.usd == total([line.usd for line in charge.lines]):
        return {}
    return {"usd": None if charge.usd is None else plain(charge.usd)}


def _access_document(access: Access) -> dict[str, object]:
    known = {
        "provider": access.provider,
        "credential": access.credential,
        "host": access.host,
        "path": access.path,
        "headers": dict(access.headers),
        "billing": access.billing,
    }
    return {name: value for name, value in known.items() if value}

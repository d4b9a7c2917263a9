"""What a row keeps so that its price can be followed, and made again: the receipt.  Pure."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from pricing import NO_COUNTERS, Charge, Counters, Subcall
from pricing.cause import Cause, texts
from pricing.charge import line_document, plain, total
from pricing.plan import NO_ACCESS, Access


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


def receipt(priced: Priced, subcalls: Sequence[Subcall], basis: Basis) -> str:
    """JSON with everything to follow the charge line by line, or to compute it again.

    It holds only the counters that the charges moved, and the list price only if it differs.
    `floor_usd` is what an unknown cost would amount to at least, had the provider billed what is
    known.
    """
    charge, listed = priced.charge, priced.listed
    reported = basis.reported_usd
    moved = dict.fromkeys((*charge.counts, *listed.counts))
    document: dict[str, object] = {
        "usd": None if charge.usd is None else plain(charge.usd),
        "subcalls": [
            {
                "provider": subcall.provider,
                "model": subcall.model,
                "at": subcall.at,
                "origin": subcall.usage.origin,
                "usage": {m.value: plain(q) for m, q in subcall.usage.quantities.items()},
                "terms": {
                    name: plain(value) if isinstance(value, Decimal) else value
                    for name, value in subcall.terms.items()
                },
            }
            for subcall in subcalls
        ],
        "basis": {
            "reasons": texts(basis.reasons),
            "reported_usd": None if reported is None else str(reported),
            "cut_short": basis.cut_short,
            "counters": {name: plain(basis.counters[name]) for name in moved},
            "access": _access_document(basis.access),
        },
        "lines": [line_document(line) for line in charge.lines],
    }
    floor = total([line.usd for line in charge.lines]) if charge.usd is None else Decimal(0)
    if floor:
        document["floor_usd"] = plain(floor)
    if listed is not charge:
        document["list"] = {
            "usd": None if listed.usd is None else plain(listed.usd),
            "status": listed.status.value,
            "reasons": texts(listed.reasons),
            "lines": [line_document(line) for line in listed.lines],
        }
    return msgspec.json.encode(document).decode()


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

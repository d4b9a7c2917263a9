"""Who pays for a call: its caller, a flat plan, or nobody; and what it would cost at list price.

`cost_usd` is what is billed for the call.  `list_usd` is its price by the shipped tariffs alone:
without plans and without the user's own prices.  The two are never added.  Pure.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from pricing import Subcall, TariffBook, not_billed
from pricing.cause import Cause, about
from pricing.plan import LOCAL, Access, Payer, kept_headers, plan_of
from pricing.reason import Reason
from proxy.exchange import Begun, Exchange
from proxy.metering.charges import because, charged
from proxy.metering.receipts import Basis, Priced
from proxy.settings.config import Provider

PATH_CHARACTERS_MAX = 200  # kept in receipts; rules look at the beginning
# Models that Ollama runs in its cloud: https://docs.ollama.com/cloud
CLOUD_MODEL = re.compile(r"[:-]cloud$")
CLOUD_HOST = re.compile(r"(?:^|\.)ollama\.com$")


def free(*causes: Cause) -> Priced:
    """Of a call that nobody bills, at list price or otherwise."""
    charge = not_billed(*causes)
    return Priced(charge, charge)


def access_of(exchange: Exchange, provider: Provider | None, book: TariffBook) -> Access:
    """How a call reached its provider, as far as it matters to who pays."""
    begun, head = exchange.begun, exchange.head
    host = urlsplit(begun.upstream).hostname or ""
    billing = provider.billing if provider else ""
    return Access(
        provider=begun.provider,
        credential=begun.credential_kind,
        host=host,
        path=_path(begun)[:PATH_CHARACTERS_MAX],
        headers=kept_headers(book.plan_headers, head.by_name) if head else {},
        billing="" if billing == LOCAL and _in_cloud(exchange, host) else billing,
    )


def priced(subcalls: Sequence[Subcall], basis: Basis, book: TariffBook) -> Priced:
    """What a billable call costs, live or stored: by its plan, or else by the tariffs."""
    access = basis.access
    charge = charged(subcalls, basis, book)
    listed = charge if book.shipped is book else charged(subcalls, basis, book.shipped)
    if access.billing == LOCAL and basis.reported_usd is None:
        nobody = not_billed(*basis.reasons, Reason.LOCAL)
        return Priced(charge if _has_own_price(subcalls, basis, book) else nobody, nobody)
    plan = plan_of(book.plans, access)
    if plan is None or basis.reported_usd:  # a cost that the response states is billed
        return Priced(charge, listed)
    payer = plan.payer(access)
    if plan.headers and Reason.NO_RESPONSE in basis.reasons:
        payer = Payer.UNKNOWN  # its headers were lost, which is not the same as absent
    if payer is Payer.PLAN:
        charge = not_billed(*basis.reasons, about(Reason.PLAN, plan.name))
    elif payer is Payer.UNKNOWN:
        charge = because(charge, about(Reason.PLAN_UNCLEAR, plan.name))
    return Priced(charge, listed)


def _has_own_price(subcalls: Sequence[Subcall], basis: Basis, book: TariffBook) -> bool:
    models = {basis.asked, basis.served, *(subcall.model for subcall in subcalls)}
    return any(book.names_own(basis.access.provider, model) for model in models)


def _path(begun: Begun) -> str:
    """The path at the provider's host, without the query."""
    base = urlsplit(begun.upstream).path.rstrip("/")
    path = begun.target.partition("?")[0]
    return path if not base or path.startswith(f"{base}/") else base + path


def _in_cloud(exchange: Exchange, host: str) -> bool:
    """Whether Ollama's cloud served the call, which a local server may pass on to it."""
    reading = exchange.reading
    models = (reading.request_model, reading.response_model, *(p.model for p in reading.parts))
    return (
        CLOUD_HOST.search(host) is not None
        or "remote_host" in reading.attributes
        or any(CLOUD_MODEL.search(model) for model in models)
    )

"""Prices call documents: JSON objects with a request, when it was made, and its response.

A document has `provider`, `path`, `request`, `response`, and optionally `at` (now), `id`, `method`,
`request_headers`, `response_headers`, `credential_kind`, `duration_s`, `upstream` (`base_url`,
`region`, `deployment_type`) and `batch`.  The code that meters live calls reads it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import cast

import msgspec

from pricing import TariffBook
from pricing.cause import texts
from pricing.charge import line_document, plain
from pricing.plan import CredentialKind
from proxy.exchange import Begun, Ended, Exchange, Outcome, Part, ResponseHead
from proxy.instants import iso_instant
from proxy.metering.charges import basis_of, counted, subcalls_of
from proxy.metering.payers import access_of, free, priced
from proxy.metering.receipts import Priced
from proxy.reading.reading import CallReader
from proxy.secrecy.fingerprint import credential
from proxy.secrecy.patterns import credential_kind
from proxy.settings.config import Config, Provider

# Decimals are written back into bodies as numbers, so no figure passes through a float.
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
EVENT_STREAM, JSON = "text/event-stream", "application/json"


def parse(line: bytes | str) -> dict[str, object]:
    """One document.  Raises ValueError, which says what is wrong with it."""
    try:
        document = _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError("a call document must be a JSON object")
    document.setdefault("at", datetime.now(UTC).isoformat())
    missing = [key for key in ("provider", "path", "at") if not isinstance(document.get(key), str)]
    if missing:
        raise ValueError(f"missing or not text: {', '.join(missing)}")
    return document


def price_document(
    document: Mapping[str, object], book: TariffBook, config: Config
) -> dict[str, object]:
    """`{id, usd, status, list_usd, list_status, reasons, lines, tariff}`; money is exact text.

    Raises ValueError for a document that is not one.
    """
    found = priced_document(document, book, config)
    charge, listed = found.charge, found.listed
    return {
        "id": document.get("id"),
        "usd": None if charge.usd is None else plain(charge.usd),
        "status": charge.status.value,
        "list_usd": None if listed.usd is None else plain(listed.usd),
        "list_status": listed.status.value,
        "reasons": list(texts(charge.reasons)),
        "lines": [line_document(line) for line in charge.lines],
        "tariff": charge.tariff,
    }


def priced_document(document: Mapping[str, object], book: TariffBook, config: Config) -> Priced:
    """The price of a call document.  Raises ValueError for a document that is not one."""
    provider = _provider(document, book, config)
    exchange = _exchange(document, provider, config)
    reading = counted(exchange.reading, provider.name, config)
    if document.get("batch"):
        parts = tuple(_in_batch(part) for part in reading.parts)
        reading = msgspec.structs.replace(
            reading, parts=parts, billable=reading.billable or bool(parts)
        )
    if not reading.billable:
        return free(*reading.reasons)
    subcalls = subcalls_of(exchange, reading.parts, provider)
    return priced(subcalls, basis_of(reading, access_of(exchange, provider, book)), book)


def _in_batch(part: Part) -> Part:
    return msgspec.structs.replace(part, terms={**part.terms, "processing": "batch"})


def _provider(document: Mapping[str, object], book: TariffBook, config: Config) -> Provider:
    """The configured provider with the upstream that the document states.

    Raises ValueError for a name that neither the configuration nor a tariff has, unless the
    document states the upstream itself.
    """
    name = str(document["provider"])
    known = {*config.providers, *book.providers}
    if name not in known and not isinstance(document.get("upstream"), dict):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known ones are {', '.join(sorted(known))}"
        raise ValueError(f"unknown provider {name!r}: {hint}")
    provider = config.providers.get(name) or Provider(name=name, base_url="")
    upstream = document.get("upstream")
    if isinstance(upstream, dict):
        provider = replace(
            provider,
            base_url=str(upstream.get("base_url", provider.base_url)),
            region=str(upstream.get("region", provider.region)),
            deployment=str(upstream.get("deployment_type", provider.deployment)),
        )
    return provider


def _exchange(document: Mapping[str, object], provider: Provider, config: Config) -> Exchange:
    """The call as the journal would have recorded it."""
    response = document.get("response")
    text = isinstance(response, str)
    headers = {"content-type": EVENT_STREAM if text else JSON} | _headers(
        document, "response_headers"
    )
    asked = {"content-type": JSON} | _headers(document, "request_headers")
    begun = Begun(
        call_id=str(document.get("id", "")),
        wall_ns=int(_at(str(document["at"])).timestamp() * 1_000_000) * 1000,
        method=str(document.get("method", "POST")),
        target=str(document["path"]),
        provider=provider.name,
        upstream=provider.base_url,
        headers=tuple(asked.items()),
        credential_kind=_credential_kind(document, asked),
    )
    head = ResponseHead(status=_status(document), headers=tuple(headers.items()))
    reader = CallReader(begun, provider, config.metering)
    if document.get("request") is not None:
        reader.request(_encode(document["request"]), 0)
    reader.head(head, 0)
    reader.response(cast(str, response).encode() if text else _encode(response), 0)
    return Exchange(
        begun=begun,
        head=head,
        ended=Ended(outcome=Outcome.OK),
        reading=reader.close(),
        first_byte_ns=0,
        duration_ns=int(_duration_s(document) * 1_000_000_000),
        source="document",
    )


def _headers(document: Mapping[str, object], key: str) -> dict[str, str]:
    value = document.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be a JSON object")
    return {str(name).lower(): str(text) for name, text in value.items()}


def _credential_kind(document: Mapping[str, object], headers: Mapping[str, str]) -> str:
    """As stated, else as the relay would note it; "" if the document shows no request headers."""
    stated = document.get("credential_kind")
    if stated is not None:
        if stated not in list(CredentialKind):
            raise ValueError(f"credential_kind: expected one of {', '.join(CredentialKind)}")
        return str(stated)
    if not document.get("request_headers"):
        return ""
    raw = [(name.encode(), text.encode("utf-8", "replace")) for name, text in headers.items()]
    return credential_kind(credential(raw, str(document["path"])))


def _duration_s(document: Mapping[str, object]) -> Decimal:
    seconds = document.get("duration_s", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | Decimal) or not seconds >= 0:
        raise ValueError("duration_s: expected a number of seconds")
    return Decimal(seconds)


def _status(document: Mapping[str, object]) -> int:
    status = document.get("status", 200)
    return status if isinstance(status, int) else 200


def _at(text: str) -> datetime:
    try:
        return iso_instant(text)
    except ValueError as error:
        raise ValueError(f"at: {error}") from error

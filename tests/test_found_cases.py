"""Cases rebuilt from public reports of wrong bills: each is right, or says that it is not sure.

The cases lie beside the checkout and are not part of the project; the README there says what their
keys mean.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pricing import not_billed
from pricing.charge import plain
from proxy.exchange import Begun, Ended, Exchange, Outcome, ResponseHead
from proxy.instants import iso_instant
from proxy.metering.book import tariff_book
from proxy.metering.charges import basis_of, counted, subcalls_of
from proxy.metering.documents import parse, price_document
from proxy.metering.payers import access_of, priced
from proxy.reading.reading import CallReader
from proxy.settings.sources import load

Case = dict[str, Any]

FILE = Path(__file__).parents[1].parent / "shared" / "data" / "pricing" / "found_cases.jsonl"
HONEST = ("estimated", "partial", "unpriced")
encode = msgspec.json.Encoder(decimal_format="number").encode
CONFIG = load(None, {})
BOOK = tariff_book(CONFIG)
CASES = [parse(line) for line in FILE.read_text().splitlines()] if FILE.is_file() else []
pytestmark = pytest.mark.skipif(not CASES, reason="the shared cases are not beside us")


def is_right(case: Mapping[str, Any], priced: Mapping[str, object]) -> bool:
    """Whether a charge is one that the case allows: the right sum, or an honest status."""
    status, reasons = priced["status"], priced["reasons"]
    usd = None if priced["usd"] is None else Decimal(str(priced["usd"]))
    for allowed in case["expected"]["any_of"]:
        if "usd" not in allowed:
            if status in HONEST and reasons:
                return True
        # A tariff may say that the provider's own word is the bill: then it is exact.
        elif usd == Decimal(allowed["usd"]) and status in ("exact", allowed["status"].split()[0]):
            return True
    return False


def read_raw(case: Mapping[str, Any], pieces: Iterable[bytes], *, socket: bool) -> Case:
    """The price of a case whose response comes as bytes of a stream or as frames of a socket."""
    provider = CONFIG.providers[case["provider"]]
    begun = Begun(
        call_id=case["id"],
        wall_ns=int(iso_instant(case["at"]).timestamp()) * 1_000_000_000,
        method="GET" if socket else str(case.get("method", "POST")),
        target=case["path"],
        provider=provider.name,
        upstream=provider.base_url,
        headers=(("content-type", "application/json"),),
        websocket=socket,
    )
    reader = CallReader(begun, provider, CONFIG.metering)
    kind = () if socket else (("content-type", "text/event-stream"),)
    head = ResponseHead(status=101 if socket else 200, headers=kind)
    if not socket:
        reader.request(encode(case["request"]), 0)
    reader.head(head, 0)
    for piece in pieces:
        if socket:
            reader.message(False, b"\x01" + piece, 0)
        else:
            reader.response(piece, 0)
    reading = counted(reader.close(), provider.name, CONFIG)
    exchange = Exchange(
        begun=begun,
        head=head,
        ended=Ended(outcome=Outcome.OK),
        reading=reading,
        first_byte_ns=0,
        duration_ns=0,
        source="w:1",
    )
    subcalls = subcalls_of(exchange, reading.parts, provider)
    access = access_of(exchange, provider, BOOK)
    found = priced(subcalls, basis_of(reading, access), BOOK) if reading.billable else None
    charge = found.charge if found else not_billed(*reading.reasons)
    usd = None if charge.usd is None else plain(charge.usd)
    return {"usd": usd, "status": charge.status.value, "reasons": [*map(str, charge.reasons)]}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_a_document_is_right_or_honest(case: Case) -> None:
    """A case as a call document has the right sum or a status that does not promise it."""
    if isinstance(case["response"], dict) and "ws_server" in case["response"]:
        pytest.skip("a document cannot say that it is a socket; the next test reads it as one")
    priced = price_document(case, BOOK, CONFIG)
    assert is_right(case, priced), priced


def raw_forms(case: Mapping[str, Any]) -> list[tuple[str, bool, list[bytes]]]:
    """(name, whether it is a socket, pieces) of each form in which a case's bytes may come."""
    response = case["response"]
    if isinstance(response, dict) and "ws_server" in response:
        frames = [encode(frame) for frame in response["ws_server"]]
        return [("frames", True, frames)]
    body = str(case.get("stream_body") or "").encode()
    if not body:
        return []
    events = [event + b"\n\n" for event in body.split(b"\n\n") if event]
    single = [body[at : at + 1] for at in range(len(body))]
    return [("whole", False, [body]), ("events", False, events), ("bytes", False, single)]


@pytest.mark.parametrize(
    ("case", "socket", "pieces"),
    [
        pytest.param(case, socket, pieces, id=f"{case['id']}-{name}")
        for case in CASES
        for name, socket, pieces in raw_forms(case)
    ],
)
def test_a_stream_is_right_or_honest(case: Case, socket: bool, pieces: list[bytes]) -> None:
    """A case that comes over time is, too, however its bytes are cut."""
    priced = read_raw(case, pieces, socket=socket)
    assert is_right(case, priced), priced

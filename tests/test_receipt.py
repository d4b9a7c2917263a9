"""A row keeps what does not follow from it; its readers see the whole receipt."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_metering import READING, USAGE
from test_reprice import NEW, OLD, Live, calls, unbilled
from test_reprice import stored as row_of

from exporters.receipt import Document, Facts, facts, whole, whole_of, whole_of_record, whole_text
from exporters.record import EPOCH, Record, nine_places
from pricing import Charge, Meter, Origin, Subcall, Usage
from pricing.cause import texts as cause_texts
from pricing.charge import ChargeLine, Status, line_document, plain, total
from proxy.exchange import Part
from proxy.metering import rows
from proxy.metering.receipts import Basis, Priced, receipt

TS_US, DURATION_US = 1_795_168_800_000_001, 1_500_000
AT, DONE = (EPOCH + timedelta(microseconds=us) for us in (TS_US, TS_US + DURATION_US))
names = st.sampled_from(["", "m", "x"])
meters = st.sampled_from([Meter.INPUT, Meter.OUTPUT, Meter.REQUESTS, Meter.MACHINE_SECONDS])
numbers = st.integers(0, 10**6) | st.decimals(0, 10**9, places=6) | st.decimals(0, 9, places=12)
amounts = numbers.map(Decimal)
instants = st.sampled_from([AT, DONE, AT.replace(microsecond=0)])
subcalls_made = st.builds(
    Subcall,
    provider=names,
    model=names,
    at=instants,
    usage=st.builds(Usage, st.dictionaries(meters, numbers, max_size=3), st.sampled_from(Origin)),
    terms=st.dictionaries(names, amounts | st.booleans() | instants)
    | instants.map(lambda at: {"endpoint": "chat", "completed_at": at}),
)


@st.composite
def lines(draw: st.DrawFn, subcalls: list[Subcall]) -> ChargeLine:
    """A line, the share of a step of a ladder, a minimum, or one whose amount is not exact."""
    at, meter = draw(st.integers(0, max(0, len(subcalls) - 1))), draw(meters)
    used = subcalls[at].usage.quantities.get(meter) if subcalls else None
    quantity = draw(numbers if used is None else numbers | st.just(used))
    rate, per = draw(amounts), Decimal(draw(st.sampled_from([1, 3600, 10**6, 7])))
    pairs = st.tuples(st.sampled_from(["batch", "fx:CNY"]), st.sampled_from(["0.5", "0.137"]))
    factors = tuple((name, Decimal(text)) for name, text in draw(st.lists(pairs, max_size=2)))
    usd = rate * quantity
    for _, factor in factors:
        usd *= factor
    facts: dict[str, Any] = {
        **{"subcall": at, "model": draw(names), "meter": meter, "quantity": quantity},
        **{"rate": rate, "per": per, "factors": factors, "usd": draw(st.just(usd / per) | amounts)},
        **{"rule": "a.toml:1", "source": "https://a.example"},
    }
    return ChargeLine(**facts)


@st.composite
def charges(draw: st.DrawFn, subcalls: list[Subcall]) -> Charge:
    """The sum of some lines, an unknown one, or one that the provider stated."""
    made = tuple(draw(st.lists(lines(subcalls), max_size=4)))
    usd = draw(st.none() | amounts | st.just(total([line.usd for line in made])))
    return Charge(usd=usd, status=Status.EXACT, lines=made)


def full(priced: Priced, subcalls: Sequence[Subcall], basis: Basis) -> Document:
    """A whole receipt, as rows had it before they left anything out."""
    charge, listed = priced.charge, priced.listed
    floor = total([line.usd for line in charge.lines]) if charge.usd is None else Decimal(0)
    document: Document = {
        "usd": None if charge.usd is None else plain(charge.usd),
        "subcalls": [
            {
                **{"provider": one.provider, "model": one.model, "at": one.at},
                "origin": one.usage.origin,
                "usage": {m.value: plain(q) for m, q in one.usage.quantities.items()},
                "terms": {
                    n: plain(v) if isinstance(v, Decimal) else v for n, v in one.terms.items()
                },
            }
            for one in subcalls
        ],
        "lines": [line_document(line) for line in charge.lines],
        **({"floor_usd": plain(floor)} if floor else {}),
    }
    if listed is not charge:
        document["list"] = {
            "usd": None if listed.usd is None else plain(listed.usd),
            "status": listed.status,
            "reasons": cause_texts(listed.reasons),
            "lines": [line_document(line) for line in listed.lines],
        }
    document["basis"] = json.loads(receipt(priced, subcalls, basis, facts(0, 0, {})))["basis"]
    found: Document = json.loads(msgspec.json.encode(document))
    return found


@given(st.data())
def test_whatever_a_receipt_says(data: st.DataObject) -> None:
    """What a row keeps, with the row, is the receipt: several subcalls, steps, floors, nonsense."""
    subcalls = data.draw(st.lists(subcalls_made, max_size=3))
    charge = data.draw(charges(subcalls))
    priced = Priced(charge, data.draw(st.just(charge) | charges(subcalls)))
    usage = rows.total_usage(subcalls) if data.draw(st.booleans()) else {Meter.INPUT: 5}
    given = facts(TS_US, DURATION_US, {meter.value: Decimal(q) for meter, q in usage.items()})
    text = receipt(priced, subcalls, Basis(), given)
    kept = {name: nine_places(Decimal(q)) for name, q in given.usage.items()}  # by the store
    again = whole(text, lambda: facts(TS_US, DURATION_US, kept))
    assert again == full(priced, subcalls, Basis())


@pytest.mark.thorough
@given(st.lists(st.one_of(calls, unbilled), max_size=6), st.booleans())
@settings(max_examples=100)
def test_whatever_a_call_costs(made: list[dict[str, Any]], new: bool) -> None:
    """The receipt that a meter makes is what its row, as the store has it, gives back."""
    written: list[Document] = []

    def keep(priced: Priced, subcalls: Sequence[Subcall], basis: Basis, given: Facts) -> str:
        written.append(full(priced, subcalls, basis))
        return receipt(priced, subcalls, basis, given)

    live = Live(NEW if new else OLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "receipt", keep)
        for call in made:
            live.call(**call)
    for record, document in zip(live.records, written, strict=True):
        assert whole_of_record(record) == document
        row = as_stored(record)
        assert whole_of(row) == json.loads(whole_text(row)) == document


def as_stored(record: Record) -> dict[str, Any]:
    """The row with its numbers as the store holds them."""
    row = row_of(record)
    return row | {"usage": {name: f"{Decimal(q):.9f}" for name, q in row["usage"].items()}}


def test_an_ordinary_receipt_repeats_nothing() -> None:
    """No instant, quantity or amount of the call is in what its row keeps: two have one text."""
    live = Live(OLD)
    texts = set()
    for tokens in (1_000, 77):
        usage = Usage({meter: tokens for meter in USAGE.quantities})
        texts.add(live.call("m", parts=(Part(usage=usage),)).receipt)
    assert len(texts) == 1
    kept = json.loads(texts.pop())
    assert kept["subcalls"][0].keys() == {"provider", "model", "origin", "terms"}
    assert [line.keys() for line in kept["lines"]] == [
        {"subcall", "model", "meter", "rate", "per", "factors", "rule", "source"}
    ] * 3
    full = [whole_of_record(record)["usd"] for record in live.records]
    assert full == ["0.013", "0.001001"]


def test_what_does_not_follow_is_kept() -> None:
    """Shares of a ladder, and the usage of each of several subcalls."""
    live = Live(OLD)
    part = Part(usage=Usage({Meter.CALLS_WEB_SEARCH: 5}))
    record = live.call("m", parts=(part, msgspec.structs.replace(part, model="gone")))
    kept = json.loads(record.receipt)
    assert [subcall["usage"] for subcall in kept["subcalls"]] == [{"calls.web_search": "5"}] * 2
    assert (
        whole_of_record(record)["subcalls"][1]["at"] == whole_of_record(record)["subcalls"][0]["at"]
    )


@pytest.mark.parametrize(
    "text",
    [
        *('{"form":3}', '{"form":2}', '{"form":2,"subcalls":[{"terms":1}],"lines":[]}', "{", "[]"),
        '{"form":2,"subcalls":[],"lines":[{"subcall":0,"meter":"input"}]}',
    ],
)
def test_a_receipt_that_cannot_be_read_is_no_receipt(text: str) -> None:
    """One of a newer version, or a damaged one, is an error, and as text it is what it is."""
    row: Mapping[str, Any] = {"receipt": text, "ts_us": 0, "duration_us": 0, "usage": {}}
    with pytest.raises(ValueError, match=r"newer version|damaged"):
        whole_of(row)
    assert whole_text(row) == text


@pytest.mark.parametrize("text", ["", "{}", '{"lines": [{"usd": "0.10"}]}'])
def test_a_receipt_from_before_is_whole(text: str) -> None:
    """It needs nothing of its row."""
    assert whole_of({"receipt": text}) == json.loads(text or "{}")
    assert whole_text({"receipt": text}) == text


def test_facts_of_rows() -> None:
    """An instant is the same from a number, from text and from a client's value without a zone."""
    record = Live(OLD).call("m", complete=READING.complete)
    row = row_of(record)
    at = msgspec.convert(whole_of(row)["subcalls"][0]["at"], str)
    for ts in (at, at.replace("Z", "+00:00")):
        shown = {name: value for name, value in row.items() if name != "ts_us"} | {"ts": ts}
        assert whole_of(shown) == whole_of(row)

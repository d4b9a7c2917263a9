"""Where a call's span stands in its caller's trace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.otel.trace import Sampler, trace_of
from exporters.record import Record

CALL = "0199c6a1-0000-7000-8000-000000000001"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"


def test_child() -> None:
    """A valid traceparent makes the span a child in the caller's trace."""
    found = trace_of({"traceparent": VALID}, CALL, "parent")
    assert (found.trace_id, found.parent_span_id) == (TRACE, SPAN)
    assert found.span_id not in ("", SPAN)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        VALID.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"{VALID}, {VALID}",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
    ],
)
def test_invalid(header: str) -> None:
    """An invalid traceparent starts a new trace (W3C Trace Context, 3.2.2)."""
    found = trace_of({"traceparent": header}, CALL, "parent")
    assert found.parent_span_id == ""
    assert found == trace_of({}, CALL, "parent")


def test_future_version() -> None:
    """A later version is read as far as version 00 goes."""
    found = trace_of({"traceparent": f"cc-{TRACE}-{SPAN}-01-what-ever"}, CALL, "parent")
    assert found.parent_span_id == SPAN


@given(st.uuids())
def test_same_call_same_span(call: object) -> None:
    """Ids follow from the call id: metered again, a call is the same span; ids are well-formed."""
    first = trace_of({}, str(call), "parent")
    assert first == trace_of({}, str(call), "parent")
    assert len(first.trace_id) == 32
    assert len(first.span_id) == 16
    assert int(first.trace_id, 16)
    assert int(first.span_id, 16)
    child = trace_of({"traceparent": VALID}, str(call), "parent")
    assert child.span_id == first.span_id


@pytest.mark.parametrize("incoming", ["link", "ignore"])
def test_untrusted_callers(incoming: str) -> None:
    """A caller that is not trusted as a parent does not choose our trace."""
    found = trace_of({"traceparent": VALID}, CALL, incoming)
    assert found[:3] == trace_of({}, CALL, "parent")[:3]
    expected = {"link.trace_id": TRACE, "link.span_id": SPAN} if incoming == "link" else {}
    assert found.attributes == expected


@pytest.mark.parametrize(("flags", "sampled"), [("00", "0"), ("01", "1"), ("03", "1")])
def test_sampled_flag(flags: str, sampled: str) -> None:
    """The caller's sampled flag is kept for the sampler."""
    header = {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}
    assert trace_of(header, CALL, "parent").attributes == {"trace.sampled": sampled}


STATE = "rojo=00f067aa0ba902b7,congo@vendor=t61rcWkgMzE"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (STATE, STATE),
        (f" {STATE.replace(',', ' ,, ')} ", STATE),
        ("", None),
        ("Rojo=1", None),
        ("a=1,a=2", None),
        (f"a=1,{STATE},no equals", None),
        (",".join(f"k{n}=v" for n in range(33)), None),
        ("a=" + "v" * 257, None),
    ],
)
def test_state(header: str, kept: str | None) -> None:
    """The caller's tracestate goes into the span if it is valid, and only with its traceparent."""
    found = trace_of({"traceparent": VALID, "tracestate": header}, CALL, "parent").attributes
    assert found.get("trace.state") == kept
    assert not trace_of({"tracestate": header}, CALL, "parent").attributes
    assert not trace_of({"traceparent": VALID, "tracestate": header}, CALL, "ignore").attributes


def test_baggage() -> None:
    """Entries of the caller's baggage are kept by name: decoded, bounded, without properties."""
    header = f"user.id=42;secret=no, name=Ann%C3%A9%20B , bad name=1,flag,long={'x' * 999}"
    found = trace_of({"baggage": header}, CALL, "parent").attributes
    assert found == {"baggage.user.id": "42", "baggage.name": "Anné B", "baggage.long": "x" * 256}
    assert trace_of({"baggage": header}, CALL, "parent", ["name"]).attributes == {
        "baggage.name": "Anné B"
    }
    assert not trace_of({"baggage": header}, CALL, "parent", []).attributes
    assert not trace_of({"baggage": header}, CALL, "ignore").attributes


def record(trace_id: str = TRACE, parent: str = "", sampled: str = "") -> Record:
    return Record(
        ts_us=1,
        call_id=CALL,
        trace_id=trace_id,
        parent_span_id=parent,
        provider="openai",
        outcome="ok",
        cost_status="exact",
        attributes={"trace.sampled": sampled} if sampled else {},
    )


@pytest.mark.parametrize(
    ("name", "root", "child", "silent"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
    ],
)
def test_samplers(name: str, root: bool, child: bool, silent: bool) -> None:
    """The standard samplers, for a new trace, a sampled caller and one that is not."""
    sampler = Sampler.named(name)
    assert sampler.keeps(record()) is root
    assert sampler.keeps(record(parent=SPAN, sampled="1")) is child
    assert sampler.keeps(record(parent=SPAN, sampled="0")) is silent


def test_share() -> None:
    """A ratio keeps about that share of new traces, our own ids included."""
    sampler = Sampler.named("traceidratio", "0.25")
    kept = sum(
        sampler.keeps(record(trace_of({}, f"call {n}", "parent").trace_id)) for n in range(2_000)
    )
    assert 400 < kept < 600


@pytest.mark.parametrize(("name", "share"), [("xray", ""), ("traceidratio", "2")])
def test_unknown_samplers(name: str, share: str) -> None:
    """A sampler or a share that there is not is refused by name."""
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER"):
        Sampler.named(name, share)

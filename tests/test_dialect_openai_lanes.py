"""Several responses in progress on one socket: each has its own tools, request and end."""

import pytest

from pricing.cause import texts
from proxy.dialects.contract import Ask
from proxy.dialects.table import find
from proxy.exchange import Reading
from support.sockets import Frame, read, responses

USAGE = {"input_tokens": 40, "output_tokens": 8, "total_tokens": 48}
SEARCH = {"type": "web_search_call", "action": {"type": "search"}}


def ask(stream: str = "", **fields: object) -> Frame:
    named = {"stream_id": stream} if stream else {}
    return True, {"type": "response.create", **named, "response": {"model": "m", **fields}}


def said(word: str, name: str, stream: str = "", **fields: object) -> Frame:
    named = {"stream_id": stream} if stream else {}
    response = {"id": name, "model": "m", **fields}
    return False, {"type": f"response.{word}", **named, "response": response}


def item(**fields: object) -> Frame:
    return False, {"type": "response.output_item.done", "item": SEARCH, **fields}


def searches(reading: Reading) -> int:
    (part,) = reading.parts
    return int(part.usage.quantities.get("calls.web_search", 0))  # type: ignore[call-overload]


@pytest.mark.parametrize("field", ["response_id", "stream_id"])
def test_a_tool_is_charged_to_its_own_response(field: str) -> None:
    """Another that ends in between takes nothing with it."""
    one, two = ("s1", "s2") if field == "stream_id" else ("", "")
    second, first = responses(
        "/v1/responses",
        ask(one),
        said("created", "r1", one),
        ask(two),
        said("created", "r2", two),
        item(**{field: one or "r1"}),
        said("completed", "r2", two, usage=USAGE),
        said("completed", "r1", one, usage=USAGE),
    )
    assert (searches(second), searches(first)) == (0, 1)
    assert (first.reasons, first.complete, second.reasons) == ((), True, ())


def test_a_tool_of_nobody_is_flagged() -> None:
    """Without an id, and with two in progress, it may belong to either."""
    frames = ask(), said("created", "r1"), ask(), said("created", "r2"), item()
    ends = said("completed", "r1", usage=USAGE), said("completed", "r2", usage=USAGE)
    for reading in responses("/v1/responses", *frames, *ends):
        assert searches(reading) == 0
        assert texts(reading.reasons) == ("tool_of_unknown_response",)


@pytest.mark.parametrize("last", [said("created", "r2"), ask()])
def test_a_response_that_is_cut_beside_one_that_ended(last: Frame) -> None:
    """The end of one is not the end of all, and the cut of one is not the cut of all."""
    frames = ask(), said("created", "r1"), ask(), last, said("completed", "r1", usage=USAGE)
    answers, _ = read("/v1/responses", *frames)
    done, *cut = answers
    assert (done.cut, done.reading.reasons, done.reading.complete) == (False, (), True)
    for one in cut:
        assert one.cut
        assert not one.reading.complete
        assert texts(one.reading.reasons) == ("no_usage", "usage_not_final")


def test_parallel_realtime_responses() -> None:
    """One that is done leaves the other in progress."""
    begun = said("created", "r1"), said("created", "r2")
    done = said("done", "r1", status="completed", usage=USAGE)
    whole, cut = responses("/v1/realtime", *begun, done)
    assert (whole.reasons, texts(cut.reasons)) == ((), ("no_usage", "usage_not_final"))
    both = responses("/v1/realtime", *begun, done, said("done", "r2", usage=USAGE))
    assert [reading.reasons for reading in both] == [(), ()]


def test_a_refused_request_is_not_in_progress() -> None:
    """An error answers the request that waits; the response beside it goes on."""
    error = (False, {"type": "error", "error": {"code": "bad", "message": "no"}})
    frames = ask(), said("created", "r1"), ask(), error, said("completed", "r1", usage=USAGE)
    refused, whole = responses("/v1/responses", *frames)
    assert (refused.billable, refused.error_type, refused.parts) == (False, "bad", ())
    assert (whole.reasons, whole.complete) == ((), True)


def test_an_end_that_is_repeated_is_charged_once() -> None:
    """Whichever event repeats it; the same id that begins anew is another response."""
    end = said("completed", "r1", usage=USAGE)
    frames = ask(), said("created", "r1"), end, end
    assert len(responses("/v1/responses", *frames)) == 1
    assert len(responses("/v1/responses", *frames, said("created", "r1"), end)) == 2


def test_the_connection_is_not_billed() -> None:
    """Its reading says where the charge is."""
    answers, reading = read("/v1/responses", ask(), said("completed", "r1", usage=USAGE))
    assert (len(answers), reading.billable, reading.parts) == (1, False, ())
    assert texts(reading.reasons) == ("billed_by_response",)
    assert reading.attributes["session.responses"] == 1


@pytest.mark.parametrize("status", ["complete", "incomplete", "succeeded", "done"])
@pytest.mark.parametrize("stream", [True, False])
def test_usage_counts_whatever_the_status(status: str, stream: bool) -> None:
    """Whole or as an event of any name; an event that repeats an end is not another."""
    endpoint = find("POST", "/v1/responses")
    reader = endpoint.reader(Ask(method="POST", path="/v1/responses", stream=stream), endpoint)
    body = {"id": "r1", "model": "m", "status": status, "output": [], "usage": USAGE}
    event = {"type": f"response.{status}", "response": body}
    for at_ns, document in enumerate([event, event] if stream else [body]):
        reader.read(document, at_ns)
    reading = reader.close()
    assert [part.usage.input_tokens for part in reading.parts] == [40]
    assert (reading.reasons, reading.complete) == ((), True)

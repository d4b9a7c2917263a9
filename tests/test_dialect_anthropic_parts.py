"""Anthropic calls that are billed in several parts: iterations, fallbacks and batches."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.cause import texts
from pricing.usage import Meter
from proxy.dialects.contract import Ask
from proxy.dialects.table import find
from proxy.exchange import Part, Reading


def read(*documents: object, path: str = "/v1/messages", method: str = "POST") -> Reading:
    """The reading of a call whose response is `documents`."""
    endpoint = find(method, path, "anthropic")
    reader = endpoint.reader(Ask(method=method, path=path, request={"model": "m"}), endpoint)
    for document in documents:
        reader.read(document, 0)
    return reader.close()


def message(usage: Mapping[str, Any], model: str = "executor") -> dict[str, Any]:
    """A whole message with one word of text."""
    content = [{"type": "text", "text": "Hi"}]
    said = {"type": "message", "model": model, "stop_reason": "end_turn", "content": content}
    return {**said, "usage": dict(usage)}


def entry(kind: str, read_tokens: int, made: int, model: str = "", **more: int) -> dict[str, Any]:
    """An element of `iterations`."""
    named = {"model": model} if model else {}
    return {"type": kind, "input_tokens": read_tokens, "output_tokens": made, **named, **more}


def tokens(part: Part) -> tuple[str, int, int]:
    """(model, tokens read, tokens made) of a part."""
    return part.model, part.usage.input_tokens, part.usage.output_tokens


def test_compaction_stands_outside_the_top_level() -> None:
    """The compaction's tokens, caches included, are billed besides (maximhq/bifrost#6501)."""
    compaction = entry("compaction", 100, 82, cache_creation_input_tokens=55_096)
    usage = {
        "input_tokens": 180,
        "output_tokens": 8,
        "iterations": [compaction, entry("message", 180, 8)],
    }
    reading = read(message(usage))
    assert [tokens(part) for part in reading.parts] == [("", 180, 8), ("", 55_196, 82)]
    assert reading.parts[1].usage.quantities[Meter.CACHE_WRITE_5M] == 55_096
    assert reading.reasons == ()


def test_the_advisor_is_another_model() -> None:
    """The top level sums the executor's passes; the advisor is billed by its own model.

    Tiers look at the executor's longest pass, not at the sum (anthropics/claude-code#84738).
    """
    usage = {
        "input_tokens": 2390,
        "output_tokens": 121,
        "output_tokens_details": {"thinking_tokens": 28},
        "service_tier": "standard",
        "iterations": [
            entry("message", 1128, 110),
            entry("advisor_message", 2518, 22, "advisor"),
            entry("message", 1262, 11),
        ],
    }
    own, advisor = read(message(usage)).parts
    assert tokens(own) == ("", 2390, 121)
    assert own.usage.quantities[Meter.OUTPUT_REASONING] == 28
    assert own.terms == {"service_tier": "standard", "max_request_prompt_tokens": 1262}
    assert tokens(advisor) == ("advisor", 2518, 22)
    assert advisor.terms == {"service_tier": "standard"}


def test_a_fallback_bills_each_attempt_by_its_model() -> None:
    """A declined attempt that made output is billed; one that made none is free.

    https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
    """
    usage = {
        "input_tokens": 900,
        "output_tokens": 40,
        "iterations": [
            entry("message", 500, 0, "first"),
            entry("message", 500, 299, "second", cache_read_input_tokens=9000),
            entry("message", 400, 30, "served"),
            entry("fallback_message", 500, 10, "served"),
        ],
    }
    reading = read(message(usage, model="served"))
    assert [tokens(part) for part in reading.parts] == [("", 900, 40), ("second", 9500, 299)]
    assert reading.parts[0].terms == {"max_request_prompt_tokens": 500}
    assert reading.reasons == ()


def test_a_fallback_in_a_stream_names_the_model_that_served() -> None:
    """`message_start` names the model asked for; the `fallback` block the one that took over."""
    first = {"model": "asked", "usage": {"input_tokens": 500, "output_tokens": 1}}
    iterations = [entry("message", 500, 7, "asked"), entry("fallback_message", 510, 9, "served")]
    reading = read(
        {"type": "message_start", "message": first},
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_start",
            "content_block": {"type": "fallback", "to": {"model": "served"}},
        },
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 510, "output_tokens": 9, "iterations": iterations},
        },
        {"type": "message_stop"},
    )
    assert reading.response_model == "served"
    assert [tokens(part) for part in reading.parts] == [("", 510, 9), ("asked", 500, 7)]


def test_another_spelling_of_the_served_model_is_not_billed_twice() -> None:
    """The last pass is the answer's, even if the body and its iterations spell models apart."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 2,
        "iterations": [entry("message", 10, 2, "claude-x-20260101")],
    }
    reading = read(message(usage, model="claude-x"))
    assert [tokens(part) for part in reading.parts] == [("", 10, 2)]


def test_passes_that_do_not_sum_are_believed_and_flagged() -> None:
    """The record of passes wins over the top level, which then is a data error to see."""
    tools = {"web_search_requests": 3}
    usage = {
        "input_tokens": 10,
        "output_tokens": 2,
        "server_tool_use": tools,
        "iterations": [entry("message", 10, 2), entry("message", 20, 3)],
    }
    reading = read(message(usage))
    assert [tokens(part) for part in reading.parts] == [("", 30, 5)]
    assert reading.parts[0].usage.quantities[Meter.CALLS_WEB_SEARCH] == 3
    assert texts(reading.reasons) == ("iterations_do_not_sum",)


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(0, 10**7), min_size=5, max_size=5),
    kinds=st.lists(st.sampled_from(["message", "compaction", "advisor_message"]), max_size=4),
)
def test_every_token_is_billed_once(counts: list[int], kinds: list[str]) -> None:
    """The parts sum to the top level and what stands outside it, whatever the passes are."""
    uncached, hits, five, hour, made = counts

    def passes(times: int) -> dict[str, Any]:
        ttls = {
            "ephemeral_5m_input_tokens": five * times,
            "ephemeral_1h_input_tokens": hour * times,
        }
        return {
            "input_tokens": uncached * times,
            "cache_read_input_tokens": hits * times,
            "cache_creation_input_tokens": (five + hour) * times,
            "cache_creation": ttls,
            "output_tokens": made * times,
        }

    own = max(1, kinds.count("message"))
    iterations = [{**passes(1), "type": kind} for kind in kinds]
    reading = read(message({**passes(own), "iterations": iterations}))
    times = own + len(kinds) - kinds.count("message")
    prompt = uncached + hits + five + hour
    assert sum(part.usage.input_tokens for part in reading.parts) == prompt * times
    assert sum(part.usage.output_tokens for part in reading.parts) == made * times
    assert reading.reasons == ()


RESULTS = "/v1/messages/batches/msgbatch_1/results"


def line(custom_id: str, kind: str, **more: Any) -> dict[str, Any]:
    """A line of the results of a batch."""
    return {"custom_id": custom_id, "result": {"type": kind, **more}}


def test_batch_items_are_billed_by_their_own_names() -> None:
    """Each item that succeeded is a part with the batch's and its own id; the others are free.

    https://platform.claude.com/docs/en/build-with-claude/batch-processing
    """
    reading = read(
        line("a", "succeeded", message=message({"input_tokens": 5, "output_tokens": 2})),
        line("b", "errored", error={"type": "error", "error": {"type": "invalid_request"}}),
        line("c", "expired"),
        line("d", "succeeded", message=message({"input_tokens": 7, "output_tokens": 3}, "other")),
        path=RESULTS,
        method="GET",
    )
    assert [(part.item, *tokens(part)) for part in reading.parts] == [
        ("msgbatch_1/a", "executor", 5, 2),
        ("msgbatch_1/d", "other", 7, 3),
    ]
    assert all(part.terms["processing"] == "batch" for part in reading.parts)
    assert reading.attributes == {"batch.succeeded": 2, "batch.errored": 1, "batch.expired": 1}
    assert reading.error_type == ""


def test_an_advisor_inside_a_batch_item_is_a_charge_of_its_own() -> None:
    """Two shares of one item have two names, so that neither hides the other."""
    usage = {
        "input_tokens": 5,
        "output_tokens": 2,
        "iterations": [entry("message", 5, 2), entry("advisor_message", 50, 1, "advisor")],
    }
    item = line("a", "succeeded", message=message(usage))
    reading = read(item, path=RESULTS, method="GET")
    assert [part.item for part in reading.parts] == ["msgbatch_1/a", "msgbatch_1/a#1"]


def test_a_batch_item_without_usage_is_not_free() -> None:
    """It succeeded and was billed, although nothing says how much."""
    reading = read(
        line("a", "succeeded", message={"role": "assistant"}), path=RESULTS, method="GET"
    )
    assert reading.billable
    assert texts(reading.reasons) == ("item_without_usage", "no_usage")


def test_a_batch_item_keeps_its_doubts() -> None:
    """What is doubtful about one item's usage is said of that item."""
    doubtful = {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 7}
    sure = {"input_tokens": 5, "output_tokens": 2}
    items = (
        line(name, "succeeded", message=message(usage))
        for name, usage in (("a", doubtful), ("b", sure))
    )
    reading = read(*items, path=RESULTS, method="GET")
    assert [texts(part.reasons) for part in reading.parts] == [("cache_write_ttl_unknown",), ()]
    assert texts(reading.reasons) == ("cache_write_ttl_unknown",)


def test_a_batch_without_successes_costs_nothing() -> None:
    """Nothing succeeded, nothing is billed."""
    reading = read(line("c", "canceled"), path=RESULTS, method="GET")
    assert (reading.billable, reading.parts) == (False, ())
    assert "no_item_succeeded" in texts(reading.reasons)

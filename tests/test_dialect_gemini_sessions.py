"""Gemini Live, interactions and batches.  Cases are written for the project."""

from collections.abc import Mapping
from typing import Any

from pricing.cause import texts
from proxy.dialects.contract import Ask
from proxy.dialects.gemini.live import LATE_NS
from proxy.dialects.table import find
from proxy.exchange import Operation, Reading
from support.readings import quantities
from support.sockets import feed, responses, session

LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
INTERACTIONS = "/v1beta/interactions"


def read(*documents: object, path: str, method: str = "POST", stream: bool = False) -> Reading:
    """The reading of a call."""
    endpoint = find(method, path, "gemini")
    reader = endpoint.reader(Ask(method=method, path=path, stream=stream), endpoint)
    for number, document in enumerate(documents):
        reader.read(document, number)
    return reader.close()


def split(**tokens: int) -> list[dict[str, Any]]:
    """A list of tokens by modality."""
    return [{"modality": kind.upper(), "tokenCount": n} for kind, n in tokens.items()]


def turn_usage(prompt: int, made: int, **more: Any) -> dict[str, Any]:
    """The `usageMetadata` of a turn that made sound."""
    return {
        "promptTokenCount": prompt,
        "promptTokensDetails": split(text=prompt - 100, audio=100),
        "responseTokenCount": made,
        "responseTokensDetails": split(audio=made),
        "totalTokenCount": prompt + made,
        **more,
    }


SOUND = {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"data": "AA=="}}]}}}
SETUP = {"setup": {"model": "models/gemini-live"}}


def turns(*documents: dict[str, Any]) -> list[Reading]:
    """The readings of a session's turns."""
    frames = [("setup" in one or "clientContent" in one, one) for one in documents]
    return responses(LIVE, *frames, family="gemini")


def complete(usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The frame that ends a turn."""
    ended: dict[str, Any] = {"serverContent": {"turnComplete": True}}
    return ended if usage is None else {**ended, "usageMetadata": dict(usage)}


def test_each_turn_of_a_live_session_is_charged() -> None:
    """Each is billed for the whole session it read: https://ai.google.dev/gemini-api/docs/live"""
    found = turns(
        SETUP,
        {"setupComplete": {}},
        {"clientContent": {"turnComplete": True}},
        SOUND,
        complete(turn_usage(1000, 20)),
        SOUND,
        complete(turn_usage(1500, 30)),
    )
    assert [quantities(reading) for reading in found] == [
        {"input": 900, "input.audio": 100, "output.audio": 20},
        {"input": 1400, "input.audio": 100, "output.audio": 30},
    ]
    for reading in found:
        assert (reading.request_model, reading.operation) == ("gemini-live", Operation.REALTIME)
        assert (reading.complete, reading.reasons) == (True, ())


def test_within_a_turn_the_last_usage_counts() -> None:
    """Frames of one turn are cumulative, also one that comes right after the turn's end."""
    (reading,) = turns(
        SETUP,
        {**SOUND, "usageMetadata": turn_usage(1000, 5)},
        complete(turn_usage(1000, 20)),
        {"usageMetadata": turn_usage(1000, 25)},
    )
    assert quantities(reading)["output.audio"] == 25


def test_a_turn_ends_without_another_message() -> None:
    """Half a second after it was complete, or when a later message comes."""
    reader = session(LIVE, "gemini")
    feed(reader, [(True, SETUP), (False, SOUND), (False, complete(turn_usage(1000, 20)))])
    reader.settle(LATE_NS)
    assert reader.take_ended() == []
    reader.settle(LATE_NS + 2)
    (answer,) = reader.take_ended()
    assert (answer.began_ns, answer.ended_ns, answer.number) == (1, 2, 1)
    reader.read({"sessionResumptionUpdate": {"newHandle": "h"}}, 2 * LATE_NS)
    assert reader.state()["lanes"] == []


def test_thoughts_of_a_live_turn_are_not_in_its_total() -> None:
    """Recorded frames of native audio leave thoughts out of `totalTokenCount`; they are billed."""
    (reading,) = turns(SETUP, SOUND, complete(turn_usage(1000, 20, thoughtsTokenCount=24)))
    assert quantities(reading)["output.reasoning"] == 24
    assert reading.reasons == ()


def test_a_live_turn_that_breaks_off_is_a_lower_bound() -> None:
    """A turn that was not completed may have cost more than was stated."""
    (reading,) = turns(SETUP, {**SOUND, "usageMetadata": turn_usage(1000, 5)})
    assert (reading.complete, len(reading.parts)) == (False, 1)
    assert texts(reading.reasons) == ("usage_not_final",)
    for silent in ({**SOUND}, {"clientContent": {"turnComplete": True}}):
        (reading,) = turns(SETUP, silent)
        assert (reading.parts, texts(reading.reasons)) == ((), ("no_usage", "usage_not_final"))


def test_a_live_turn_without_usage_is_named() -> None:
    """It is complete, and its usage is unknown."""
    (reading,) = turns(SETUP, SOUND, complete())
    assert texts(reading.reasons) == ("response_without_usage", "no_usage")


def test_tool_calls_of_a_live_session_are_counted() -> None:
    """The provider asks for them in frames of their own."""
    call = {"toolCall": {"functionCalls": [{"name": "f", "args": {}}]}}
    (reading,) = turns(SETUP, call, complete())
    assert reading.tool_calls == 1


USAGE = {
    "total_tokens": 336,
    "total_input_tokens": 266,
    "input_tokens_by_modality": [
        {"modality": "text", "tokens": 8},
        {"modality": "image", "tokens": 258},
    ],
    "total_cached_tokens": 5,
    "total_output_tokens": 3,
    "total_tool_use_tokens": 10,
    "total_thought_tokens": 57,
    "grounding_tool_count": [{"type": "google_search", "count": 2}],
}
INTERACTION = {"id": "i1", "model": "gemini-3.6-flash", "status": "completed", "usage": USAGE}
BILLED = {
    "input": 3,
    "cache_read": 5,
    "input.image": 258,
    "input.tool_use": 10,
    "output": 3,
    "output.reasoning": 57,
    "grounding.queries": 2,
}


def test_an_interaction_whole() -> None:
    """Usage has names of its own; thoughts and tools stand outside input and output."""
    steps = [{"type": "model_output", "content": [{"type": "text", "text": "Hi"}]}]
    reading = read({**INTERACTION, "steps": steps, "service_tier": "flex"}, path=INTERACTIONS)
    assert quantities(reading) == BILLED
    assert reading.parts[0].terms == {"service_tier": "flex"}
    assert (reading.response_id, reading.finish_reasons) == ("i1", ("completed",))
    assert (reading.complete, reading.reasons) == (True, ())


def test_an_interaction_streamed() -> None:
    """The last event bears the usage; deltas are tokens, thoughts among them are not visible."""
    created = {"id": "i1", "status": "in_progress", "model": "gemini-3.6-flash"}
    reading = read(
        {"event_type": "interaction.created", "interaction": created},
        {"event_type": "step.start", "step": {"type": "thought"}},
        {"event_type": "step.delta", "delta": {"type": "thought_summary", "text": "Hm"}},
        {"event_type": "step.delta", "delta": {"type": "text", "text": "Hi"}},
        {"event_type": "interaction.completed", "interaction": INTERACTION},
        "[DONE]",
        path=INTERACTIONS,
        stream=True,
    )
    assert quantities(reading) == BILLED
    assert (reading.timing.first_token_ns, reading.timing.first_visible_ns) == (2, 3)
    assert reading.complete


def test_a_background_interaction_is_not_zero() -> None:
    """It answers before anything is done: usage is unknown."""
    reading = read({"id": "i1", "status": "in_progress"}, path=INTERACTIONS)
    assert (reading.parts, reading.complete, texts(reading.reasons)) == ((), False, ("no_usage",))


def item(key: str, prompt: int) -> dict[str, Any]:
    """One result inside a polled batch."""
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": 1, "totalTokenCount": prompt + 1}
    response = {"modelVersion": "gemini-2.5-flash", "usageMetadata": usage}
    return {"metadata": {"key": key}, "response": response}


def test_a_polled_batch_names_its_items() -> None:
    """However often it is polled, an item has the same name; failed ones cost nothing."""
    inlined = [item("a", 10), {"error": {"code": 3}}, item("c", 30)]
    batch = {
        "name": "batches/b1",
        "metadata": {"state": "BATCH_STATE_SUCCEEDED", "model": "models/gemini-2.5-flash"},
        "done": True,
        "response": {"inlinedResponses": {"inlinedResponses": inlined}},
    }
    reading = read(batch, path="/v1beta/batches/b1", method="GET")
    assert [(part.item, part.usage.input_tokens) for part in reading.parts] == [
        ("batches/b1/a", 10),
        ("batches/b1/c", 30),
    ]
    assert all(part.terms == {"processing": "batch"} for part in reading.parts)
    assert all(part.model == "gemini-2.5-flash" for part in reading.parts)
    assert reading.billable


def test_a_batch_that_still_runs_is_a_poll() -> None:
    """Nothing is billed until there are results."""
    running = {"name": "batches/b1", "metadata": {"state": "BATCH_STATE_RUNNING"}}
    reading = read(running, path="/v1beta/batches/b1", method="GET")
    assert (reading.billable, texts(reading.reasons)) == (False, ("poll",))
    assert reading.attributes == {"batch.state": "BATCH_STATE_RUNNING"}


def test_a_downloaded_file_of_results() -> None:
    """Large batches are downloaded as lines; the file and the key name an item."""
    lines = [{"key": key, "response": item(key, n)["response"]} for key, n in (("a", 1), ("b", 2))]
    path = "/download/v1beta/files/batch-1:download"
    reading = read(*lines, path=path, method="GET")
    assert [part.item for part in reading.parts] == ["files/batch-1/a", "files/batch-1/b"]

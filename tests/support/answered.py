"""Answers as models may give them, in each dialect: what a provider says, what a client gathers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from proxy.gateway.answers import decoded
from proxy.gateway.translation import answers
from proxy.gateway.translation.answers import Between
from proxy.gateway.translation.events import (
    Argues,
    Begin,
    Calls,
    Counts,
    Ends,
    Event,
    Finish,
    Said,
    Thinks,
    Used,
)
from proxy.gateway.translation.framing import Events
from proxy.gateway.translation.gathering import Answer, gathered

TOKENS = st.integers(0, 99)
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@st.composite
def answered(draw: st.DrawFn) -> list[Event]:
    """What a model may say, in pieces: thoughts, text, and then calls of tools."""
    used = Used(input=draw(TOKENS), cache_read=draw(TOKENS), output=draw(TOKENS))
    used = replace(used, reasoning=draw(TOKENS))
    events: list[Event] = [Begin(id="a1", model="m", created=7)]
    events += [Thinks(one) for one in draw(st.lists(WORDS, max_size=3))]
    events += [Said(one) for one in draw(st.lists(WORDS, max_size=3))]
    calls = draw(st.lists(st.dictionaries(WORDS, st.integers() | WORDS, max_size=2), max_size=3))
    for index, arguments in enumerate(calls):
        events.append(Calls(index=index, id=f"c{index}", name=f"f{index}"))
        said = json.dumps(arguments)
        at = draw(st.integers(0, len(said)))
        events += [Argues(index, one) for one in (said[:at], said[at:]) if one]
    plain = st.sampled_from([Finish.STOP, Finish.LENGTH, Finish.REFUSAL])
    return [*events, Ends(finish=Finish.TOOLS if calls else draw(plain)), Counts(used)]


def said_by(dialect: str, events: Sequence[Event]) -> bytes:
    """The stream of a provider of this dialect."""
    says = answers._says(Between(caller=dialect, provider=""))
    body = b"".join(one for event in events for one in says.event(event))
    return body + b"".join(says.close())


def heard(dialect: str, body: bytes) -> Answer:
    """What a client of this dialect gathers."""
    reads = answers._reads(dialect)
    frames = Events()
    documents = [decoded(one) for one in (*frames.feed(body), *frames.close())]
    return gathered(event for one in documents for event in reads.events(one))


def cut(body: bytes, places: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for place in sorted(place % (len(body) + 1) for place in places):
        yield body[at:place]
        at = place
    yield body[at:]

"""A whole answer out of events, and back: its parts in their order, and how it ended."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from proxy.gateway.translation.events import (
    Argues,
    Begin,
    Calls,
    Counts,
    Ends,
    Event,
    Fails,
    Finish,
    Said,
    Signed,
    Thinks,
    Used,
)
from proxy.gateway.translation.neutral import (
    Part,
    Text,
    Thought,
    Use,
)


@dataclass(slots=True)
class Answer:
    """What was answered.  `ends` is None if the provider did not say how."""

    begin: Begin = field(default_factory=Begin)
    parts: list[Part] = field(default_factory=list)
    ends: Ends | None = None
    used: Used = field(default_factory=Used)
    fails: Fails | None = None

    @property
    def finish(self) -> Finish:
        """As far as it is known."""
        return self.ends.finish if self.ends is not None else Finish.STOP

    def add(self, event: Event) -> None:
        """Take in what was said next."""
        if isinstance(event, Begin):
            self.begin, self.used = event, event.used
        elif isinstance(event, Counts):
            self.used = event.used
        elif isinstance(event, Ends):
            self.ends = event
        elif isinstance(event, Fails):
            self.fails = event
        elif isinstance(event, Calls):
            made = Use(field="", id=event.id, name=event.name, arguments="")
            self.parts.append(replace(made, signature=event.signature))
        elif isinstance(event, Argues):
            self._argue(event)
        else:
            self._say(event)

    def _argue(self, event: Argues) -> None:
        uses = [at for at, part in enumerate(self.parts) if isinstance(part, Use)]
        at = uses[event.index]
        part = self.parts[at]
        if isinstance(part, Use):
            self.parts[at] = replace(part, arguments=part.arguments + event.text)

    def _say(self, event: Said | Thinks | Signed) -> None:
        last = self.parts[-1] if self.parts else None
        if isinstance(event, Said):
            if isinstance(last, Text) and last.refusal == event.refusal:
                self.parts[-1] = replace(last, text=last.text + event.text)
            else:
                self.parts.append(Text(field="", text=event.text, refusal=event.refusal))
        elif isinstance(event, Thinks):
            if isinstance(last, Thought) and last.signature is None:
                self.parts[-1] = replace(last, text=last.text + event.text)
            else:
                self.parts.append(Thought(field="", text=event.text))
        elif isinstance(last, Thought) and last.signature is None and not event.hidden:
            self.parts[-1] = replace(last, signature=event.signature)
        else:
            made = Thought(field="", text="", signature=event.signature, hidden=event.hidden)
            self.parts.append(made)


def gathered(events: Iterable[Event]) -> Answer:
    """All of them."""
    answer = Answer()
    for event in events:
        answer.add(event)
    return answer


def spread(answer: Answer) -> Iterator[Event]:
    """A whole answer as a stream would say it."""
    yield answer.begin
    calls = 0
    for part in answer.parts:
        if isinstance(part, Text):
            yield Said(part.text, part.refusal)
        elif isinstance(part, Thought):
            if part.text:
                yield Thinks(part.text)
            if part.signature is not None:
                yield Signed(part.signature, part.hidden)
        elif isinstance(part, Use):
            yield Calls(index=calls, id=part.id, name=part.name, signature=part.signature)
            yield Argues(calls, part.arguments)
            calls += 1
    if answer.ends is not None:
        yield answer.ends
    yield Counts(answer.used)

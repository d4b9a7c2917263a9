"""What is to be done with a request: its facts, the decision, and whom to try with which key."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from aiohttp.http import RawRequestMessage

from proxy.door.foreign import Foreign
from proxy.door.request import Sender
from proxy.exchange import GatewayNote
from proxy.gateway.chain import Target, Tried
from proxy.gateway.decision import Decision
from proxy.gateway.facts import Facts
from proxy.gateway.filters import Route, fits
from proxy.gateway.options import GatewayCaller
from proxy.gateway.translation.requests import Translated
from proxy.relay.headers import RequestHeaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request before its body is read."""

    path: str  # below the door, such as /v1/chat/completions
    sender: Sender
    caller: GatewayCaller | None  # None: the gateway is `insecure`
    request_id: str
    lost: tuple[str, ...] = ()  # headers that no other dialect has


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A request as it came."""

    request: RawRequestMessage
    headers: RequestHeaders


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Whom an attempt goes to, and what its row says of that."""

    target: Target
    note: GatewayNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done with a request.  `targets` are in the order in which to try them."""

    asked: Asked
    body: bytes
    model_at: tuple[int, int] | None  # where the body names the route; None: the path does
    route: Route
    facts: Facts
    decision: Decision
    tries: int | None  # the candidate that was shut off, and that this call may try
    unit: str  # what a split assigned as one
    targets: Sequence[Target]
    foreign: Foreign

    def translated(self, target: Target) -> Translated | None:
        """The request for a candidate of another dialect; None: it speaks the caller's."""
        label = self.route.candidates[target.candidate].options.label
        return self.foreign.requests.get(label)

    @property
    def room(self) -> Collection[int]:
        """The candidates that are known to have room for the prompt."""
        return {n for n, one in enumerate(self.route.candidates) if fits(one, self.facts)}

    def end_note(self, attempts: int) -> GatewayNote:
        """What the record of a client's call says that is given up after so many attempts."""
        return GatewayNote(
            request_id=self.asked.request_id,
            attempt=attempts,
            route=self.route.options.name,
            route_version=self.route.options.version,
        )

    @property
    def _arm(self) -> str:
        """The arm of the split that was assigned; "" if there is no split."""
        place = self.decision.assigned
        return "" if place is None else self.route.candidates[place].options.label

    def note(self, target: Target, tried: Sequence[Tried]) -> GatewayNote:
        """What the row of the next attempt says of the decision."""
        choice = next(one for one in self.decision.order if one.candidate == target.candidate)
        reason = f"failover:{tried[-1].what}" if tried else choice.reason
        translated = self.translated(target)
        losses = (*translated.losses, *self.asked.lost) if translated is not None else ()
        return GatewayNote(
            request_id=self.asked.request_id,
            attempt=len(tried) + 1,
            route=self.route.options.name,
            route_version=self.route.options.version,
            candidate=self.route.candidates[target.candidate].options.label,
            propensity=choice.probability,
            reason=reason,
            sticky=self.decision.sticky,
            arm=self._arm,
            unit=self.unit if self._arm else "",
            translated=translated is not None,
            losses=losses,
        )

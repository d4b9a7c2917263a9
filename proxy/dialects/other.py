"""Calls that no dialect knows: free because of their method, or searched for a usage block."""

from pricing.reason import Reason
from proxy.dialects.contract import Ask, Endpoint, Json
from proxy.dialects.draft import Draft
from proxy.dialects.openai.usage import has_usage, reported_usd, tally_usage
from proxy.dialects.values import mapping, text
from proxy.exchange import Operation, Reading


class FreeReader:
    """Reads a call that no provider charges for: its model and id, and whether it failed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        draft.fail(document)
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        draft.complete = draft.complete or not draft.ask.stream or document == "[DONE]"

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


class OtherReader:
    """Reads a POST that no dialect knows; a usage block like OpenAI's counts."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False
        self._usage: Json = None

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        draft.fail(document)
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        draft.service_tier = text(body.get("service_tier")) or draft.service_tier
        if has_usage(body.get("usage")):
            self._usage = body["usage"]
        draft.complete = draft.complete or not draft.ask.stream or document == "[DONE]"

    def close(self) -> Reading:
        """See `Reader.close`."""
        usage = mapping(self._usage)
        if usage:
            self._draft.reported_usd = reported_usd(usage)
            self._draft.part(tally_usage(usage, self._draft.ask))
        else:
            self._draft.flag(Reason.UNKNOWN_ENDPOINT)
        return self._draft.reading()


def free_endpoint(name: str, operation: Operation, reason: Reason) -> Endpoint:
    """An endpoint that providers do not charge for, with the reason."""
    return Endpoint(name=name, operation=operation, reader=FreeReader, free=reason)


UNKNOWN = Endpoint(name="other", operation=Operation.OTHER, reader=OtherReader)
UNCHARGED = free_endpoint("other", Operation.OTHER, Reason.NO_CHARGE_ENDPOINT)

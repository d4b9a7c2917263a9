"""Reranking by Voyage, Jina, Together and others, who state one total of tokens.

https://docs.voyageai.com/reference/reranker-api.  Cohere's format, also where others use it, is
billed by search units.
"""

from pricing.usage import Meter
from proxy.dialects.cohere import tally_billed
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import READ, named
from proxy.dialects.openai.costs import stated_usd
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, text
from proxy.exchange import Operation, Reading

# The total is what is billed; some say the prompt's share of it, which is all of it.
_KNOWN = named(READ, "total_tokens", "prompt_tokens", "input_tokens")


class RerankReader:
    """Reads one ranking."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        body = mapping(document)
        draft.response_model = text(body.get("model"))
        draft.response_id = text(body.get("id"))
        draft.complete = bool(body)
        draft.reported_usd = stated_usd(body)
        billed = mapping(body, "meta", "billed_units")
        usage = mapping(body, "usage")
        tokens = integer(usage.get("total_tokens"))
        if any(integer(units) is not None for units in billed.values()):
            draft.part(tally_billed(mapping(body, "meta")))
        elif tokens is not None:
            tally = Tally(usage, _KNOWN)
            tally.add(Meter.INPUT, tokens)
            draft.part(tally)

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


RERANK = Endpoint(name="rerank", operation=Operation.RERANK, reader=RerankReader)
ROUTES = (EndpointPath("/rerank", RERANK),)

"""Embeddings and moderations.

https://developers.openai.com/api/docs/api-reference/embeddings.  The input may be text or token
ids; there is no output.  Voyage only states a total.
"""

from pricing.reason import Reason
from proxy.dialects.asked import note_embeddings
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.openai.costs import stated_usd
from proxy.dialects.openai.usage import has_usage, tally_usage
from proxy.dialects.other import free_endpoint
from proxy.dialects.values import mapping, text
from proxy.exchange import Operation, Reading


class EmbeddingsReader:
    """Reads one embeddings response."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        note_embeddings(self._draft, mapping(ask.request))

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        if draft.fail(document):
            return
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        draft.complete = bool(body)
        usage = mapping(body, "usage")
        draft.reported_usd = stated_usd(body)
        if has_usage(usage):
            draft.part(tally_usage(usage, draft.ask))

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


EMBEDDINGS = Endpoint(
    name="openai.embeddings", operation=Operation.EMBEDDINGS, reader=EmbeddingsReader
)
MODERATIONS = free_endpoint("openai.moderations", Operation.MODERATION, Reason.FREE_OF_CHARGE)
ROUTES = (EndpointPath("/embeddings", EMBEDDINGS), EndpointPath("/moderations", MODERATIONS))

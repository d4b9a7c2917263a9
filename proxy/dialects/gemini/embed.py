"""Gemini's embeddings, token caches, and predictions on Vertex.

https://ai.google.dev/api/embeddings, https://ai.google.dev/api/caching,
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from collections.abc import Mapping

from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import Meter, TermValue
from proxy.dialects.asked import note_embeddings
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import READ, named
from proxy.dialects.gemini.generate import call_terms, path_model
from proxy.dialects.gemini.usage import has_counts, tally_usage
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading


class EmbedReader:
    """Reads embedContent and batchEmbedContents; older models report no usage."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        request = mapping(ask.request)
        inner = mappings(request.get("requests"))[:1]  # of a batch; all ask for the same
        note_embeddings(self._draft, request, *inner)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        usage = mapping(document, "usageMetadata")
        if has_counts(usage):
            draft.part(tally_usage(usage), terms=call_terms(draft, ""))
        draft.complete = bool(mapping(document))

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


class CacheReader:
    """Reads the creation of a token cache.

    Storage is billed by the token-hour until it is deleted or expires, which no response states.
    """

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        body = mapping(document)
        draft.response_model = text(body.get("model")).rpartition("/")[2]
        draft.response_id = text(body.get("name"))
        stored = integer(mapping(body, "usageMetadata").get("totalTokenCount"))
        if stored is not None:
            draft.attributes["cache.stored_tokens"] = stored
        if expires := text(body.get("expireTime")):
            draft.attributes["cache.expires_at"] = expires[:64]
        draft.complete = bool(body)
        draft.flag(Reason.CACHE_STORAGE_NOT_REPORTED)

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


class PredictReader:
    """Reads `:predict`: text embeddings report tokens, Imagen is billed by the image."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False
        note_embeddings(self._draft, mapping(ask.request, "parameters"))

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        tally = Tally.inferred()
        for prediction in mappings(mapping(document).get("predictions")):
            self._prediction(prediction, tally)
        if tally.usage().quantities:
            draft.part(tally, terms=call_terms(draft, ""))
        draft.complete = True

    def _prediction(self, prediction: Mapping[str, object], tally: Tally) -> None:
        statistics = mapping(prediction, "embeddings", "statistics")
        tally.check(statistics, named(READ, "token_count"), "statistics")
        tally.add(Meter.INPUT, integer(statistics.get("token_count")))
        if prediction.get("bytesBase64Encoded") or prediction.get("gcsUri"):
            tally.add(Meter.IMAGES, 1)
            self._draft.operation = Operation.IMAGE_GENERATION
        elif statistics:
            self._draft.operation = Operation.EMBEDDINGS

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


class VideoReader:
    """Reads the start of a video: billed by the requested second, if it is made.

    Polling the operation returns no seconds: https://ai.google.dev/gemini-api/docs/video
    """

    SECONDS = 8  # the default of Veo

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        if draft.fail(document):
            return
        draft.response_id = text(mapping(document).get("name"))
        asked = mapping(draft.ask.request, "parameters")
        seconds = integer(asked.get("durationSeconds")) or self.SECONDS
        tally = Tally.inferred()
        tally.add(Meter.VIDEO_SECONDS, seconds * (integer(asked.get("sampleCount")) or 1))
        terms: dict[str, TermValue] = call_terms(draft, "")
        terms[Term.RESOLUTION] = text(asked.get("resolution")) or "720p"
        if isinstance(asked.get("generateAudio"), bool):
            terms[Term.WITH_AUDIO] = bool(asked["generateAudio"])
        draft.flag(Reason.VIDEO_NOT_YET_MADE)
        draft.part(tally, terms=terms)
        draft.complete = True

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


EMBED = Endpoint(
    name="gemini.embed_content",
    operation=Operation.EMBEDDINGS,
    reader=EmbedReader,
    model=path_model,
)
CACHE = Endpoint(name="gemini.cached_contents", operation=Operation.OTHER, reader=CacheReader)
CACHES = free_endpoint("gemini.cached_contents", Operation.OTHER, Reason.NO_CHARGE_ENDPOINT)
PREDICT = Endpoint(
    name="vertex.predict", operation=Operation.OTHER, reader=PredictReader, model=path_model
)
VIDEO = Endpoint(
    name="gemini.predict_long_running",
    operation=Operation.VIDEO_GENERATION,
    reader=VideoReader,
    model=path_model,
)
POLL = free_endpoint("gemini.operation", Operation.OTHER, Reason.POLL)

ROUTES = (
    EndpointPath(r"(:|%3A)(embedContent|batchEmbedContents)", EMBED),
    EndpointPath("/cachedContents", CACHE),
    EndpointPath("/cachedContents(/[^/]+)?", CACHES, frozenset({"GET", "PATCH", "DELETE"})),
    EndpointPath(r"(:|%3A)predict", PREDICT),
    EndpointPath(r"(:|%3A)predictLongRunning", VIDEO),
    EndpointPath(r"(:|%3A)fetchPredictOperation", POLL),
)

"""Gemini's batches: each item is billed once, however often its result is fetched.

https://ai.google.dev/gemini-api/docs/batch-api.  Polling the batch returns its results, or they are
in a JSONL file.  On Vertex they go to a bucket, which no proxy sees.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

import msgspec

from pricing.reason import Reason
from pricing.terms import Term
from pricing.usage import Meter
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.gemini.generate import GENERATE, GenerateReader, path_model
from proxy.dialects.other import free_endpoint
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

ITEM_CHARS_MAX = 256

Item = tuple[str, Mapping[str, object]]


class GeminiBatchReader:
    """Reads a polled batch, or the lines of its file of results."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = self._draft.stream = False
        found = re.search(r"/((?:batches|files)/[^/:]+)", unquote(ask.path))
        self._batch = found[1] if found else unquote(ask.path)
        self._ask = msgspec.structs.replace(ask, request=None, response_headers={}, stream=False)
        self._lines = 0

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        body = mapping(document)
        metadata = mapping(body, "metadata")
        self._draft.request_model = text(metadata.get("model")).rpartition("/")[2]
        if state := text(metadata.get("state")):
            self._draft.attributes["batch.state"] = state[:64]
        items = [*self._items(body)]
        if not items:
            self._draft.fail(document)
        for key, response in items:
            self._item(key, response)
        self._draft.complete = True

    def _items(self, body: Mapping[str, object]) -> Iterator[Item]:
        """The responses in a document, by key; failed items have none and are free."""
        if "response" in body and "done" not in body and "metadata" not in body:  # a line
            self._lines += 1
            yield text(body.get("key")) or str(self._lines), mapping(body, "response")
            return
        response = mapping(body, "response")
        for kind in ("inlinedResponses", "inlinedEmbedContentResponses"):
            for number, entry in enumerate(mappings(mapping(response, kind).get(kind)), start=1):
                key = text(mapping(entry, "metadata").get("key")) or str(number)
                yield key, mapping(entry, "response")

    def _item(self, key: str, response: Mapping[str, object]) -> None:
        draft = self._draft
        reader = GenerateReader(self._ask, GENERATE)
        reader.read(response, 0)
        tally = reader.tally()
        if tally is None and (tokens := integer(response.get("tokenCount"))) is not None:
            tally = Tally.inferred()  # an embedding of a batch
            tally.add(Meter.INPUT, tokens)
        if tally is not None:
            draft.part(
                tally,
                model=text(response.get("modelVersion")) or draft.request_model,
                terms={Term.PROCESSING: "batch"},
                item=f"{self._batch}/{key}"[:ITEM_CHARS_MAX],
            )

    def close(self) -> Reading:
        """See `Reader.close`."""
        if not self._draft.parts:
            self._draft.billable = False
            self._draft.flag(Reason.POLL)
        return self._draft.reading()


CREATE = free_endpoint("gemini.batches", Operation.BATCH, Reason.BILLED_BY_ITEM)
RESULTS = Endpoint(name="gemini.batch_results", operation=Operation.BATCH, reader=GeminiBatchReader)
FILE = replace(RESULTS, lines=True)
VERTEX = free_endpoint("vertex.batch_prediction", Operation.BATCH, Reason.BATCH_RESULTS_ELSEWHERE)
GET = frozenset({"GET"})

ROUTES = (
    EndpointPath(
        r"(:|%3A)(batchGenerateContent|asyncBatchEmbedContent)", replace(CREATE, model=path_model)
    ),
    EndpointPath("/batches/[^/]+", RESULTS, GET, frozenset({"gemini"})),
    EndpointPath(r"/files/[^/]+(:|%3A)download", FILE, GET),
    EndpointPath("/batchPredictionJobs(/[^/]+)?", VERTEX, frozenset({"GET", "POST"})),
)

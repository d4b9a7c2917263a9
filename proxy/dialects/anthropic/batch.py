"""Anthropic's batches of messages: each item is billed once, in whichever download it is.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

import re
from urllib.parse import unquote

from msgspec.structs import replace

from pricing.reason import Reason
from pricing.terms import Term
from proxy.dialects.anthropic.messages import MESSAGES, Block, MessagesReader
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.other import free_endpoint
from proxy.dialects.values import mapping, text
from proxy.exchange import Operation, Reading

ITEM_CHARS_MAX = 256
BATCH_RESULTS = frozenset({"succeeded", "errored", "canceled", "expired"})


class AnthropicBatchReader:
    """Reads the results of a message batch: one item per line, each billed exactly once.

    Only items that succeeded are billed.
    https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing
    """

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = self._draft.stream = False
        found = re.search(r"/batches/([^/]+)", ask.path)
        self._batch = unquote(found[1]) if found else ""
        self._unstated = False  # an item succeeded without usage
        # The headers belong to the download, not to the requests of the items.
        self._ask = replace(ask, request=None, request_headers={}, stream=False)

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        result = mapping(document, "result")
        kind = text(result.get("type"))
        if kind in BATCH_RESULTS:
            seen = draft.attributes.get(f"batch.{kind}", 0)
            draft.attributes[f"batch.{kind}"] = int(seen) + 1
        else:
            draft.fail(document)
        if message := mapping(result, "message"):
            self._item(text(mapping(document).get("custom_id")), message)
        draft.complete = True

    def _item(self, custom_id: str, message: Block) -> None:
        reader = MessagesReader(self._ask, MESSAGES)
        reader.read(message, 0)
        reading = reader.close()
        if not reading.billable:
            return
        if not reading.parts:
            self._unstated = True
            self._draft.flag(Reason.ITEM_WITHOUT_USAGE)
        for number, part in enumerate(reading.parts):
            suffix = f"#{number}" if number else ""  # an advisor's share is charged separately
            self._draft.add(
                replace(
                    part,
                    model=part.model or reading.response_model,
                    terms={**part.terms, Term.PROCESSING: "batch"},
                    item=f"{self._batch}/{custom_id}"[:ITEM_CHARS_MAX] + suffix,
                    reasons=reading.reasons,
                )
            )

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        if draft.complete and not (draft.parts or draft.error_type or self._unstated):
            draft.billable = False
            draft.flag(Reason.NO_ITEM_SUCCEEDED)
        return draft.reading()


RESULTS = Endpoint(
    name="anthropic.batch_results",
    operation=Operation.BATCH,
    reader=AnthropicBatchReader,
    lines=True,
)
BATCHES = free_endpoint("anthropic.batches", Operation.BATCH, Reason.BILLED_BY_ITEM)

GET = frozenset({"GET"})
ANY = frozenset({"GET", "POST", "DELETE"})
ROUTES = (
    EndpointPath("/(v1|anthropic)/messages/batches/[^/]+/results", RESULTS, GET),
    EndpointPath("/(v1|anthropic)/messages/batches(/[^/]+(/cancel)?)?", BATCHES, ANY),
)

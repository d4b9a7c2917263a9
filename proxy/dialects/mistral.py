"""What Mistral has beyond OpenAI's API: fill-in-the-middle, OCR and agents.

https://docs.mistral.ai/api.  Usage is as in OpenAI's API, and streams state it by default.
"""

from pricing.reason import Reason
from pricing.usage import Meter
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.fields import READ, named
from proxy.dialects.openai.chat import ChatReader
from proxy.dialects.tally import Tally, split
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

_OCR = named(READ, "pages_processed", "pages_processed_annotation", "doc_size_bytes")


class OcrReader:
    """Reads OCR of one document: billed by the page, at another rate if it was annotated.

    https://docs.mistral.ai/capabilities/document_ai/basic_ocr/
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
        draft.response_model = text(body.get("model"))
        usage = mapping(body, "usage_info")
        pages = integer(usage.get("pages_processed"))
        if pages is None and "pages" in body:
            pages = len(mappings(body.get("pages")))
            draft.flag(Reason.PAGES_COUNTED_FROM_BODY)
        if pages is not None:
            tally = Tally(usage, _OCR)
            annotated = integer(usage.get("pages_processed_annotation"))
            split(tally, pages, Meter.PAGES, {Meter.PAGES_ANNOTATED: annotated})
            draft.part(tally)
        size = integer(usage.get("doc_size_bytes"))
        if size is not None:
            draft.attributes["document.bytes"] = size
        draft.complete = bool(body)

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


OCR = Endpoint(name="mistral.ocr", operation=Operation.OCR, reader=OcrReader)
FIM = Endpoint(name="mistral.fim", operation=Operation.TEXT_COMPLETION, reader=ChatReader)
AGENTS = Endpoint(name="mistral.agents", operation=Operation.CHAT, reader=ChatReader)

ROUTES = (
    EndpointPath("/v1/ocr", OCR),
    EndpointPath("/fim/completions", FIM),
    EndpointPath("/agents/completions", AGENTS),
)

"""Files and batches.  The usage of a batch is in its output file, one result per line.

https://developers.openai.com/api/docs/guides/batch.  Creating and polling a batch is free.  The
file may be downloaded many times, so each line names its item and is charged exactly once.
"""

from pricing.reason import Reason
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.openai.tools import Tools
from proxy.dialects.openai.usage import has_usage, tally_usage
from proxy.dialects.other import free_endpoint
from proxy.dialects.values import integer, mapping, mappings, text
from proxy.exchange import Operation, Reading

ITEM_CHARS_MAX = 256


class BatchOutputReader:
    """Reads a downloaded file; in the output of a batch, each successful line is a part."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = self._draft.stream = False
        self._file = ask.path.rstrip("/").split("/")[-2] if ask.path.count("/") > 1 else ""
        self._results = 0
        self._unstated = False  # an item succeeded without usage

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        line = mapping(document)
        answer = mapping(line, "response")
        body = mapping(answer, "body")
        if "custom_id" not in line or not body:
            return
        self._results += 1
        status = integer(answer.get("status_code"))
        usage = mapping(body, "usage")
        if (status is not None and status >= 300) or body.get("error"):
            return
        draft = self._draft
        draft.response_model = text(body.get("model")) or draft.response_model
        if not has_usage(usage):
            self._unstated = True
            draft.flag(Reason.ITEM_WITHOUT_USAGE)
            return
        tools = Tools()
        for item in mappings(body.get("output")):
            tools.add(item)
        tally = tally_usage(usage, draft.ask)
        tools.tally(tally, body, draft.ask)
        name = f"{self._file}/{text(line.get('custom_id'))}"[:ITEM_CHARS_MAX]
        terms = {"processing": "batch"}
        draft.part(tally, model=text(body.get("model")), terms=terms, item=name)

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        draft.complete = True
        if not draft.parts and not self._unstated:
            draft.billable = False
            draft.flag(Reason.NO_ITEM_SUCCEEDED if self._results else Reason.FILE_DOWNLOAD)
        return draft.reading()


OUTPUT = Endpoint(
    name="openai.files.content",
    operation=Operation.BATCH,
    reader=BatchOutputReader,
    lines=True,
)
FILES = free_endpoint("openai.files", Operation.FILES, Reason.NO_CHARGE_ENDPOINT)
BATCHES = free_endpoint("openai.batches", Operation.BATCH, Reason.BILLED_BY_ITEM)
_ANY = frozenset({"GET", "POST", "DELETE"})
ROUTES = (
    EndpointPath("/files/[^/]+/content", OUTPUT, frozenset({"GET"})),
    EndpointPath("/files(?:/[^/]+)?", FILES, _ANY),
    EndpointPath("/uploads(?:/[^/]+/(?:parts|complete|cancel))?", FILES, _ANY),
    EndpointPath("/batches(?:/[^/]+(?:/cancel)?)?", BATCHES, _ANY),
)

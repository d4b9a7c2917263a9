"""Calls that no dialect knows, read by the shape of what they state.

Usage and cost are believed wherever they stand.  A call that states neither is free only if that
can be known: it changes or makes nothing, or its whole answer is JSON.  A stream, a socket, sound
or pictures may be billed without a word, so they are never free.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import unquote

from pricing.reason import Reason
from pricing.usage import Meter, TermValue
from proxy.dialects.contract import Ask, Endpoint, Json
from proxy.dialects.draft import PARTS_MAX, Draft
from proxy.dialects.fields import is_quantity, unknown
from proxy.dialects.openai.costs import stated_usd
from proxy.dialects.openai.fields import COSTS, DURATION
from proxy.dialects.openai.usage import counts_tokens, served_terms, tally_usage
from proxy.dialects.tally import Tally, seconds
from proxy.dialects.values import EMPTY, decimal, integer, mapping, text
from proxy.exchange import Operation, Reading

Block = Mapping[str, object]

ID_CHARS_MAX = 128
DEPTH_MAX = 4  # objects around a usage block
# What holds the answer of a job or the subject of an event; metadata and tools are not searched.
_WRAPPERS = (
    *("response", "event", "session", "result", "data", "job", "output", "interaction"),
    *("message", "video", "body", "run"),
)
_USAGE = ("usage", "usageMetadata", "model_usage")
_STARTED = frozenset(
    ("queued", "pending", "created", "submitted", "in_progress", "processing", "validating_files")
)
_PENDING = _STARTED | {"running", "starting", "not_started"}
_SILENT = frozenset({"HEAD", "OPTIONS", "DELETE"})
_READS = _SILENT | {"GET"}


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


@dataclass(frozen=True, slots=True)
class Statement:
    """What one thing, such as a response or a session, is last said to have used or cost."""

    id: str
    model: str
    body: Block  # the object that states it
    usage: Block = field(default_factory=dict)
    usd: Decimal | None = None
    trained: int | None = None  # tokens: https://developers.openai.com/api/docs/guides/fine-tuning

    def tally(self, ask: Ask) -> Tally:
        """Its leaves; a usage block of an unknown shape has none, and each quantity is flagged."""
        if counts_tokens(self.usage):
            return tally_usage(self.usage, ask)
        tally = Tally(self.usage, {**DURATION, **COSTS})
        tally.add(Meter.SESSION_SECONDS, seconds(decimal(self.usage.get("seconds"))))
        tally.add(Meter.TRAINING_TOKENS, self.trained)
        return tally


def statements(body: Block, id: str = "", model: str = "", depth: int = 0) -> Iterator[Statement]:
    """What `body` states, or else the objects in it; `id` and `model` are those around it."""
    id = text(body.get("id"))[:ID_CHARS_MAX] or id
    model = text(body.get("model")) or model
    usage = next((found for name in _USAGE if (found := mapping(body, name))), EMPTY)
    usd = stated_usd({**body, "usage": usage})
    trained = integer(body.get("trained_tokens"))
    if any(unknown(usage, {})) or usd is not None or is_quantity(trained):
        yield Statement(id, model, body, usage, usd, trained)
    elif depth < DEPTH_MAX:
        for name in _WRAPPERS:
            if inner := mapping(body, name):
                yield from statements(inner, id, model, depth + 1)


class OtherReader:
    """Reads a call by the shape of what it states.

    A whole answer that names itself is an item: a job may be polled any number of times, and is
    charged once, by the call that first shows its usage.
    """

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False
        self._found: dict[str, Statement] = {}  # by id; the last of each
        self._doubtful = False  # usage came several times: whether it adds up is not known
        self._json = False
        self._status = ""
        self._only_id = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        draft.fail(document)
        self._json = self._json or isinstance(document, dict)
        self._status = text(body.get("status")).lower()
        self._only_id = [*body] == ["request_id"]
        model = text(body.get("model")) or text(mapping(body, "session").get("model"))
        draft.response_model = model or draft.response_model
        name = text(body.get("id")) or text(body.get("request_id"))
        draft.response_id = name[:ID_CHARS_MAX] or draft.response_id
        for found in statements(body):
            before = self._found.get(found.id)
            self._doubtful = self._doubtful or (before is not None and before.usage != found.usage)
            if before is not None or len(self._found) < PARTS_MAX:
                self._found[found.id] = found
            else:
                draft.flag(Reason.TOO_MANY_PARTS)
        draft.complete = draft.complete or not draft.ask.stream or document == "[DONE]"

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        ask = draft.ask
        whole = ask.array or not ask.stream
        if whole and ask.method == "POST" and not self._found and self._starts_job():
            draft.flag(Reason.BACKGROUND_USAGE_COMES_LATER)
        elif whole and ask.method in _READS and self._status in _PENDING:
            draft.billable = False
            draft.flag(Reason.POLL)
        elif self._found:
            self._charge(whole)
        elif whole and self._silent():
            draft.billable = False
            draft.flag(Reason.NO_USAGE_STATED)
        else:
            draft.flag(Reason.UNKNOWN_ENDPOINT)
        return draft.reading()

    def _starts_job(self) -> bool:
        return self._status in _STARTED or self._only_id

    def _silent(self) -> bool:
        """Whether the whole answer was seen, or matters to nobody."""
        ask = self._draft.ask
        empty = ask.status in (204, 205) or ask.response_headers.get("content-length") == "0"
        return ask.method in _SILENT or (ask.method == "GET" and (self._json or empty))

    def _charge(self, whole: bool) -> None:
        draft = self._draft
        if whole and not draft.response_id and draft.ask.method == "GET":
            draft.response_id = unquote(draft.ask.path.rstrip("/").rpartition("/")[2])
            draft.response_id = draft.response_id[:ID_CHARS_MAX]
        for found in self._found.values():
            item = (found.id if draft.ask.array else draft.response_id) if whole else ""
            if found.usd is not None:
                draft.reported_usd = found.usd + (draft.reported_usd or 0)
            draft.response_model = draft.response_model or found.model
            draft.service_tier = text(found.body.get("service_tier")) or draft.service_tier
            tally = found.tally(draft.ask)
            draft.part(tally, model=found.model, terms=_terms(found, draft.ask), item=item)
        if not whole and (draft.ask.method == "GET" or self._doubtful or len(self._found) > 1):
            draft.flag(Reason.UNKNOWN_ENDPOINT)


def _terms(found: Statement, ask: Ask) -> dict[str, TermValue]:
    terms = served_terms(found.body, ask)
    if size := text(found.usage.get("search_context_size")):
        terms["search_context_size"] = size[:16]
    return terms


def free_endpoint(name: str, operation: Operation, reason: Reason) -> Endpoint:
    """An endpoint that providers do not charge for, with the reason."""
    return Endpoint(name=name, operation=operation, reader=FreeReader, free=reason)


UNKNOWN = Endpoint(name="other", operation=Operation.OTHER, reader=OtherReader)

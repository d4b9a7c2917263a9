"""One request and its response: what passed and when, and what the bodies say.  Values only.

The relay writes the first four types into the journal, the meter reads them back; `Reading` is
what a dialect makes of the bodies.  Instants are nanoseconds: `at_ns` on the monotonic clock of the
relay that saw them (comparable within one call only), `wall_ns` since the epoch.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import cached_property

import msgspec

from pricing.cause import Cause
from pricing.usage import NO_TERMS, Terms, Usage


class Kind(IntEnum):
    """What a journal frame holds.  Stored as one byte: never renumber."""

    BEGUN = 1  # Begun as JSON; written before the call is dispatched
    REQUEST = 2  # bytes of the request body, as sent by the caller
    RESPONSE_HEAD = 3  # ResponseHead as JSON
    RESPONSE = 4  # bytes of the response body, as they came off the wire
    MESSAGE_UP = 5  # a WebSocket message from the caller: opcode byte, then payload
    MESSAGE_DOWN = 6  # a WebSocket message from the provider
    ENDED = 7  # Ended as JSON
    RECORD = 8  # a record, in the record journal (exporters.record)


class Outcome(StrEnum):
    """How an exchange ended."""

    OK = "ok"
    HTTP_ERROR = "http_error"  # the provider answered 4xx or 5xx
    STREAM_ERROR = "stream_error"  # an error inside a 200
    CLIENT_GONE = "client_gone"  # the caller left before the final event
    UPSTREAM_CUT = (
        "upstream_cut"  # the request was sent; no answer came that could be passed on whole
    )
    UNREACHABLE = "unreachable"  # refused, DNS, TLS: nothing of the request was sent
    TIMED_OUT = "timed_out"  # connecting or idling took longer than configured
    INTERRUPTED = "interrupted"  # the relay went away with the call in flight
    REFUSED = "refused"  # a budget refused it: nothing was sent, and it is no call


class GatewayNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why the gateway sent this attempt where it did; see docs/gateway.md."""

    request_id: str  # of the client call, which may have several attempts
    attempt: int
    route: str  # the name that the caller asked for
    route_version: str = ""
    candidate: str = ""  # provider/model
    propensity: float = 0.0  # how likely this candidate was to be the first
    reason: str = ""
    sticky: str = ""  # "" | new | hit | moved | broken
    arm: str = ""  # provider/model that the split assigned, whoever serves it; "": no split
    unit: str = ""  # what the split assigned as one: a digest of the session, mostly
    translated: bool = False  # from the caller's dialect into the provider's
    losses: tuple[str, ...] = ()  # fields of the request that were dropped by that


def lower(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Headers by lower-case name; repeated ones are joined as in RFC 9110, 5.2."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


class Begun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """A call that is about to be dispatched.  Secrets are already out of `target` and `headers`."""

    call_id: str  # UUIDv7
    wall_ns: int
    method: str
    target: str  # path and query as sent upstream, values of secret query parameters replaced
    provider: str  # the configured name, e.g. "openai"
    upstream: str  # scheme://host[:port] behind the proxy
    headers: tuple[tuple[str, str], ...] = ()
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    key_id: str = ""  # keyed fingerprint of the caller's credential, never the credential
    credential_kind: str = ""  # a `pricing.plan.CredentialKind`; "": not noted
    websocket: bool = False
    gateway: GatewayNote | None = None  # None: it came through the transparent door
    in_flight: int | None = None  # calls on this machine, this one included; None: not noted

    @cached_property
    def by_name(self) -> Mapping[str, str]:
        """The headers by lower-case name."""
        return lower(self.headers)


class ResponseHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """Status line and headers as the provider sent them, cookies and credentials removed."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, str]:
        """The headers by lower-case name."""
        return lower(self.headers)


class Ended(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end as the relay saw it.  `dropped_bytes` passed to their peer but not to the journal.

    `sent` is False only where no byte of the request can have reached the provider, which then
    bills nothing; a frame that does not say so was written by a relay that could not know.
    """

    outcome: Outcome
    sent: bool = True
    error: str = ""  # a class of failure, e.g. "ConnectionRefusedError"; never text with secrets
    request_bytes: int = 0
    response_bytes: int = 0
    dropped_bytes: int = 0
    overhead_us: int = 0  # our own share: request head in → dispatched, plus head in → head out
    caller_wait_us: int = 0  # time spent waiting for the caller to take bytes
    blocked_by: tuple[str, ...] = ()  # budgets that refused it, or would have


class Operation(StrEnum):
    """Values of `gen_ai.operation.name` where one exists, else ours."""

    CHAT = "chat"
    TEXT_COMPLETION = "text_completion"
    GENERATE_CONTENT = "generate_content"
    EMBEDDINGS = "embeddings"
    RERANK = "rerank"
    IMAGE_GENERATION = "image_generation"
    VIDEO_GENERATION = "video_generation"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    MODERATION = "moderation"
    OCR = "ocr"
    REALTIME = "realtime"
    BATCH = "batch"
    COUNT_TOKENS = "count_tokens"
    FETCH_RESPONSE = "fetch_response"
    FILES = "files"
    OTHER = "other"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of one model under one set of terms, as a body states it; most calls have one.

    `model` is the one that served; "" means the call's own.  `item` names what several calls may
    show and one is charged for: a batch item, or a background response by its response id.
    `reasons` are those that concern this usage; the reading has them, too.
    """

    usage: Usage
    model: str = ""
    terms: Terms = msgspec.field(default_factory=lambda: NO_TERMS)
    item: str = ""
    reasons: tuple[Cause, ...] = ()


class CountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to count where the provider reported no usage: the request document, the text made."""

    request: Mapping[str, object]  # decoded request body; {} if it was too large or not JSON
    output: str = ""  # text the model made so far, reasoning and tool arguments included
    output_known: bool = True  # False: the output did not pass through us whole


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """When tokens came, in ns since the call began on the relay's clock; None: none came."""

    first_token_ns: int | None = None  # any generated token; a role-only delta is not one
    first_visible_ns: int | None = None  # a token that a user would see; reasoning is not
    last_token_ns: int | None = None
    gap_p50_us: int | None = None
    gap_p95_us: int | None = None
    gap_max_us: int | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the bodies of one exchange say.  Empty text and None mean: not said.

    `billable` is False for calls that providers do not charge (token counting, polls, errors);
    `reasons` then says why, as it does for usage that is missing or doubtful.
    """

    endpoint: str  # e.g. "openai.chat"
    operation: Operation
    billable: bool = True
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    stream: bool = False
    complete: bool = False  # the final event, or the whole body, was seen
    parts: tuple[Part, ...] = ()
    count: CountRequest | None = None  # set where usage is missing and could be counted
    audit: CountRequest | None = None  # set where it is stated, and is to be compared with a count
    service_tier: str = ""  # the one served
    reported_usd: Decimal | None = None
    finish_reasons: tuple[str, ...] = ()
    tool_calls: int = 0
    error_type: str = ""
    error_message: str = ""
    retry_after_s: float | None = None  # what an error's body asks to wait; None: it does not ask
    session_id: str = ""  # a conversation named by the protocol itself
    attributes: Mapping[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    reasons: tuple[Cause, ...] = ()
    timing: Timing = Timing()


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One call, whole: what passed, when, and what the bodies say.

    Durations count from `begun` on the relay's monotonic clock.  `source` is the call's place in
    the journal, `writer:number`: the same call metered again has the same.  A response on a socket
    is an exchange of its own, from `writer:number:response`; `socket_id` is the call id of the
    socket, also of the socket's own exchange.
    """

    begun: Begun
    head: ResponseHead | None  # None: no response came
    ended: Ended
    reading: Reading
    first_byte_ns: int | None
    duration_ns: int
    source: str
    socket_id: str = ""

"""One flat row for each call: every exported fact, rounded once.

`Record` is what the meter writes to the record journal and what every exporter reads.  The field
names are the columns of `calls` (`schema/`) and the keys of the console's API.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Generic, Protocol, TypeVar

import msgspec

SCALE = Decimal(1).scaleb(-18)  # Decimal(38, 18) in the store
QUANTITY_SCALE = Decimal(1).scaleb(-9)  # Decimal(38, 9) in the store
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXACT = Context(prec=38, rounding=ROUND_HALF_EVEN)  # the default 28 digits are too few for both
COST_USD_MAX = Decimal(10) ** 15  # far above any real call: a larger cost is a fault in its inputs

JsonText = str  # a JSON document kept as text; its readers decode it


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream attempt.  None means unknown; 0 and "" mean known to be none.

    On a socket that carries many responses, each of them has a record, and so has the connection,
    which is no call (`is_socket`): it goes to table `sockets`, and is in no count of calls.  Nor is
    what a budget or the gateway refused (`is_refusal`), which goes to table `refusals`.
    """

    ts_us: int  # start of the call, microseconds since the epoch (UTC)
    call_id: str
    trace_id: str = ""  # "" follows from the call id: `exporters.otel.trace.ids_of`
    span_id: str = ""  # likewise
    parent_span_id: str = ""
    session_id: str = ""
    project: str = ""
    environment: str = ""
    team: str = ""
    feature: str = ""
    user_id: str = ""
    key_id: str = ""  # keyed fingerprint of the caller's credential
    prompt_name: str = ""
    prompt_version: str = ""
    provider: str
    upstream: str = ""  # host[:port] behind the proxy
    region: str = ""
    endpoint: str = ""
    operation: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    service_tier: str = ""
    stream: bool = False
    attempt: int = 1
    http_status: int = 0  # 0: no response head arrived
    outcome: str
    error_type: str = ""
    error_message: str = ""
    finish_reason: str = ""
    # Usage.  `usage` is the partition; the others are inclusive totals, None where unknown.
    usage: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    usage_origin: str = "none"
    input_tokens_total: int | None = None
    output_tokens_total: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    # Money, USD.  None means unknown: a missing price is never zero.
    cost_usd: Decimal | None = None
    cost_input_usd: Decimal | None = None
    cost_output_usd: Decimal | None = None
    cost_cache_read_usd: Decimal | None = None
    cost_cache_write_usd: Decimal | None = None
    cost_other_usd: Decimal | None = None
    reported_usd: Decimal | None = None
    cost_status: str
    reasons: Sequence[str] = ()
    tariff: str = ""  # version of the tariff that priced the call
    receipt: JsonText = "{}"  # enough to reprice the call; `exporters.receipt` makes it whole
    # Time, microseconds.  None: it did not happen, or only streamed calls have it.
    duration_us: int = 0
    first_byte_us: int | None = None
    first_token_us: int | None = None
    first_visible_us: int | None = None
    gap_p50_us: int | None = None
    gap_p95_us: int | None = None
    gap_max_us: int | None = None
    overhead_us: int = 0
    caller_wait_us: int = 0
    provider_us: int | None = None  # the provider's own processing time header
    request_bytes: int = 0
    response_bytes: int = 0
    dropped_bytes: int = 0
    tool_calls: int = 0
    tags: Mapping[str, str] = msgspec.field(default_factory=dict)
    attributes: Mapping[str, str] = msgspec.field(default_factory=dict)
    node: str = ""
    source: str = ""  # position in the relay's journal: writer:call number[:item or response]
    schema_version: int = 3
    # What the call added to the volume counters: {"gemini/day.grounding": 1}.
    counts: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    credential_kind: str = ""  # `pricing.plan.CredentialKind`, never the credential
    # The shipped price of the call, without plans and without the user's own prices.
    list_usd: Decimal | None = None
    list_status: str = ""
    socket_id: str = ""  # call id of the socket that carried the response; "": a call of its own
    # What our own count makes of a sampled call; None: not sampled, or not to be counted.
    counted_input_tokens: int | None = None
    counted_output_tokens: int | None = None
    client: str = ""  # the SDK or agent that made the call: `name/version`
    # Budgets that refused the call or, if it was made all the same, would have.
    blocked_by: Sequence[str] = ()
    # Of a call through the gateway: which client call it belongs to, and why it went where it did.
    request_id: str = ""  # the same for all attempts of one client call; "": not the gateway's
    route: str = ""  # the name that the caller asked for
    route_version: str = ""
    candidate: str = ""  # provider/model
    propensity: float | None = None  # how likely the candidate was to be the first
    route_reason: str = ""
    sticky: str = ""  # "" | new | hit | moved | broken
    translated: bool = False  # into another dialect
    losses: Sequence[str] = ()  # fields that were dropped by that
    arm: str = ""  # provider/model that the split assigned, whoever served it; "": no split
    unit: str = ""  # what the split assigned as one: a digest of the session, mostly
    fault: str = ""  # the class of its failure (`proxy.gateway.failures.What`); "": it had none
    # Calls in flight on this machine when it was dispatched, with it; None: its relay did not say.
    in_flight: int | None = None
    retry_after_s: float | None = None  # what its answer asked to wait; None: it did not ask
    # What it would have cost more without caches (less, if negative), and outside of a batch.
    saved_cache_usd: Decimal | None = None
    saved_batch_usd: Decimal | None = None

    @property
    def is_socket(self) -> bool:
        """Whether it is the record of a socket whose responses have records of their own."""
        return self.socket_id == self.call_id != ""

    @property
    def is_refusal(self) -> bool:
        """Whether it was never made: a budget refused it, or the gateway gave its client's call up
        (`is_given_up`), whose attempts are records of their own."""
        return self.outcome == "refused"

    @property
    def is_given_up(self) -> bool:
        """Whether it says only that the gateway gave a client's call up."""
        return self.is_refusal and self.request_id != "" and self.candidate == ""


COLUMNS = tuple(
    "ts" if name == "ts_us" else name for name in Record.__struct_fields__
)  # of `calls`

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """`record` as one JSON document; Decimals are text, so nothing is lost."""
    return _encoder.encode(record)


def decode(data: bytes | memoryview) -> Record:
    """The record that `encode` wrote.  Raises msgspec.ValidationError for anything else."""
    return _decoder.decode(data)


def rounded(usd: Decimal | None) -> Decimal | None:
    """Round to 18 places, half to even: the only rounding between tariff and row.

    Raises ValueError from `COST_USD_MAX` up: ClickHouse would store such a number wrongly.
    """
    if usd is None:
        return None
    if abs(usd) >= COST_USD_MAX:
        raise ValueError(f"cost of {usd} USD exceeds the limit of {COST_USD_MAX} USD")
    return usd.quantize(SCALE, context=EXACT)


def nine_places(quantity: Decimal) -> Decimal:
    """Round to 9 places, as the store holds quantities; its client would truncate.

    Raises ArithmeticError for a quantity that the store cannot hold.
    """
    return quantity.quantize(QUANTITY_SCALE, context=EXACT)


class TransientError(Exception):
    """The same batch may succeed later: the destination refused it, timed out or is overloaded."""


class SlowError(TransientError):
    """The destination did not answer in time.  Retry soon: it will be sent less at a time."""


class PermanentError(Exception):
    """The rows will never be accepted, such as for a wrong type.  A wrong password is transient."""


class Sendable(Protocol):
    """What delivery needs to know of a row, whatever its table."""

    @property
    def ts_us(self) -> int: ...

    @property
    def call_id(self) -> str: ...

    @property
    def source(self) -> str: ...


S_co = TypeVar("S_co", bound=Sendable, covariant=True)
S_contra = TypeVar("S_contra", bound=Sendable, contravariant=True)


class Batch(msgspec.Struct, Generic[S_co], frozen=True):
    """Consecutive rows and the token that identifies exactly them: `segment:first-last`."""

    token: str
    records: tuple[S_co, ...]


class Destination(Protocol[S_contra]):
    """Writes batches somewhere; `proxy.delivery.delivery` owns the cursor, retries and losses."""

    name: str

    async def export(self, batch: Batch[S_contra]) -> None:
        """Write all of `batch`, or raise TransientError or PermanentError.

        May be called again with the same batch.
        """

    async def close(self) -> None:
        """Release what the exporter holds."""


Exporter = Destination[Record]

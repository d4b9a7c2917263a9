"""Counters and histograms of calls, updated with each record.  Pure.

Metering happens once, so nothing here reads a body or computes a price.  Sums start at zero with
the process.  Callers choose the names of models and the text of some errors, so the number of
values per label is limited: further ones become `other`, which is counted.  No label identifies a
call, a user or a key.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from exporters.otel import semconv
from exporters.otel.modalities import parts
from exporters.otel.semconv import Profile
from exporters.record import EXACT, Record
from exporters.series import OTHER, Counter, Family, Histogram, Labels, gauge

PRICED_MODELS_MAX = 256  # values of a model label that a tariff priced
NAMES_MAX = 64  # values of any other label, and models without a tariff: callers may send any name
NAME_CHARS_MAX = 128  # longer values become `other`
MODELS = (semconv.REQUEST_MODEL, semconv.RESPONSE_MODEL)
INFERENCE = ("chat", "text_completion", "generate_content")
EMBEDDINGS = "embeddings"
ATTO_PLACES, MICRO_PLACES = 18, 6  # of a dollar, as in the rows; of a second

# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/: explicit bucket boundaries.
SECONDS = tuple(Decimal(2**n).scaleb(-2) for n in range(14))  # 0.01 to 81.92
TOKENS = tuple(Decimal(4**n) for n in range(14))  # 1 to 67 108 864


class Metrics:
    """Adds up records; `families` gives the sums so far.

    `names` gives `gen_ai.provider.name` by configured provider where the two differ.
    """

    def __init__(
        self,
        profile: Profile = "compat",
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._names = names
        self._values: defaultdict[str, set[str]] = defaultdict(set)  # by label
        self._priced: defaultdict[str, set[str]] = defaultdict(set)
        self._gen_ai = _Compat() if profile == "compat" else _Latest()
        self.calls = Counter(name="taximeter.calls", unit="{call}", help="Calls, one per attempt.")
        self.errors = Counter(name="taximeter.errors", unit="{call}", help="Calls that failed.")
        self.unpriced = Counter(
            name="taximeter.unpriced_calls",
            unit="{call}",
            help="Calls of unknown cost, which taximeter.cost does not include.",
        )
        self.cost = Counter(
            name="taximeter.cost",
            unit="USD",
            help="Cost of calls where it is known, in US dollars.",
            places=ATTO_PLACES,
        )
        self.others = Counter(
            name="taximeter.metrics.other_values",
            unit="{value}",
            help="Label values counted as 'other' because there were too many.",
        )

    def add(self, record: Record) -> None:
        """Count one record, unless it is no call: that of a socket, or of what a budget refused."""
        if record.is_socket or record.is_refusal:
            return
        base = self._base(record)
        status = ("taximeter.cost.status", self._value("taximeter.cost.status", record.cost_status))
        outcome = ("taximeter.outcome", self._value("taximeter.outcome", record.outcome))
        self.calls.add((*base, outcome, status))
        error: Labels = ()
        if failed := semconv.error_type(record):
            error = ((semconv.ERROR_TYPE, self._value(semconv.ERROR_TYPE, failed)),)
            self.errors.add((*base, *error))
        if record.cost_usd is None:
            why = record.reasons[0].partition(":")[0] if record.reasons else "unknown"
            self.unpriced.add((*base, ("taximeter.reason", self._value("taximeter.reason", why))))
        else:
            self.cost.add((*base, status), _units(record.cost_usd))
        self._gen_ai.add(record, base, error)

    def families(self) -> list[Family]:
        """Every metric that has a series."""
        own = (self.calls, self.errors, self.unpriced, self.cost, self.others)
        calls = self.calls.total()
        share = float(self.unpriced.total() / calls) if calls else 0.0
        found = [
            *(counter.family() for counter in own),
            gauge("taximeter.unpriced", "1", "Share of calls of unknown cost.", ((), share)),
            *self._gen_ai.families(),
        ]
        return [family for family in found if family.points]

    def _base(self, record: Record) -> Labels:
        """The labels that all metrics of a call share; an unknown label is absent."""
        host, port = semconv.server(record.upstream)
        values = (
            (semconv.OPERATION_NAME, record.operation),
            (semconv.PROVIDER_NAME, semconv.provider_name(record, self._names)),
            (semconv.REQUEST_MODEL, record.request_model),
            (semconv.RESPONSE_MODEL, record.response_model),
            (semconv.SERVER_ADDRESS, host),
        )
        priced = bool(record.tariff)
        labels = [(name, self._value(name, text, priced)) for name, text in values if text]
        return (*labels, (semconv.SERVER_PORT, port)) if host else tuple(labels)

    def _value(self, label: str, text: str, priced: bool = False) -> str:
        """`text`, or `other` if the label already has as many values as it may.

        Models that a tariff priced have a limit of their own, so that made-up names cannot crowd
        out real ones.
        """
        if text in self._values[label] or text in self._priced[label]:
            return text
        priced = priced and label in MODELS
        values, limit = (self._priced, PRICED_MODELS_MAX) if priced else (self._values, NAMES_MAX)
        held = values[label]
        if len(held) >= limit or len(text) > NAME_CHARS_MAX:
            self.others.add((("taximeter.label", label),))
            return OTHER
        held.add(text)
        return text


class _Compat:
    """The GenAI conventions of core v1.41."""

    def __init__(self) -> None:
        self._duration = _seconds("gen_ai.client.operation.duration", "Duration of calls.")
        self._first = _seconds(
            "gen_ai.client.operation.time_to_first_chunk", "Time to the first bytes of a stream."
        )
        self._tokens = _tokens("gen_ai.client.token.usage", "Tokens of each call.")

    def add(self, record: Record, base: Labels, error: Labels) -> None:
        if not _is_item(record):
            self._duration.add((*base, *error), record.duration_us)
            if record.stream and record.first_byte_us is not None:
                self._first.add((*base, *error), record.first_byte_us)
        if semconv.tokens_known(record):
            for kind, count in _totals(record):
                self._tokens.add((*base, ("gen_ai.token.type", kind)), count)

    def families(self) -> Iterator[Family]:
        return (one.family() for one in (self._duration, self._first, self._tokens))


class _Latest:
    """semantic-conventions-genai v0.1.0: separates inference from the rest, and counts tokens."""

    def __init__(self) -> None:
        self._duration = _seconds("gen_ai.client.inference.duration", "Duration of inference.")
        self._other = _seconds("gen_ai.client.operation.duration", "Duration of other calls.")
        self._embeddings = _seconds(
            "gen_ai.client.embeddings.duration", "Duration of embeddings calls."
        )
        self._embedded = _tokens(
            "gen_ai.client.embeddings.operation.input_tokens", "Tokens of each embeddings call."
        )
        self._first = _seconds(
            "gen_ai.client.inference.time_to_first_chunk", "Time to the first bytes of a stream."
        )
        self._sizes = {
            kind: _tokens(
                f"gen_ai.client.inference.operation.{kind}_tokens", "Tokens of each call."
            )
            for kind in ("input", "output")
        }
        self._usage = {
            part: Counter(
                name=f"gen_ai.client.inference.usage.{part}_tokens", unit="{token}", help=help
            )
            for part, help in (
                ("input", "Input tokens, cached ones included."),
                ("output", "Output tokens, reasoning included."),
                ("cache_read.input", "Input tokens read from a cache."),
                ("cache_write.input", "Input tokens written to a cache."),
                ("reasoning.output", "Output tokens used for reasoning."),
            )
        }

    def add(self, record: Record, base: Labels, error: Labels) -> None:
        if not _is_item(record):
            self._add_times(record, (*base, *error))
        known = semconv.tokens_known(record)
        if record.operation == EMBEDDINGS:
            if known or error:
                tokens = (record.input_tokens_total or 0) if known else 0
                self._embedded.add((*base, *error), tokens)
            return
        if known or error:  # a failed call counts with no tokens
            for kind, count in _totals(record) if known else (("input", 0), ("output", 0)):
                self._sizes[kind].add((*base, *error), count)
        for part, modality, count in parts(record) if known else _NO_PARTS:
            self._usage[part].add((*base, ("gen_ai.token.modality", modality)), count)

    def _add_times(self, record: Record, labels: Labels) -> None:
        inference = record.operation in INFERENCE
        other = self._embeddings if record.operation == EMBEDDINGS else self._other
        (self._duration if inference else other).add(labels, record.duration_us)
        if inference and record.stream and record.first_byte_us is not None:
            self._first.add(labels, record.first_byte_us)

    def families(self) -> Iterator[Family]:
        seconds = (self._duration, self._embeddings, self._other, self._first)
        yield from (one.family() for one in (*seconds, *self._sizes.values(), self._embedded))
        yield from (one.family() for one in self._usage.values())


_NO_PARTS = (("input", "unknown", 0), ("output", "unknown", 0))


def _totals(record: Record) -> Iterator[tuple[str, int]]:
    yield "input", record.input_tokens_total or 0
    yield "output", record.output_tokens_total or 0


def _is_item(record: Record) -> bool:
    """Whether it is the row of a batch item, whose times are those of the download."""
    return record.source.count(":") > 1 and not record.socket_id


def _seconds(name: str, help: str) -> Histogram:
    return Histogram(name=name, unit="s", help=help, bounds=SECONDS, places=MICRO_PLACES)


def _tokens(name: str, help: str) -> Histogram:
    return Histogram(name=name, unit="{token}", help=help, bounds=TOKENS)


def _units(usd: Decimal) -> int:
    return int(usd.scaleb(ATTO_PLACES, context=EXACT))

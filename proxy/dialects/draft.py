"""A `Reading` under construction: what every reader collects, in any dialect."""

from collections.abc import Hashable, Mapping
from decimal import Decimal

from msgspec.structs import replace

from pricing.cause import Cause, Reasons
from pricing.reason import Reason
from pricing.usage import NO_TERMS, Meter, Terms
from proxy.dialects.contract import Ask, Endpoint, Json
from proxy.dialects.errors import find_error, find_error_body, redacted
from proxy.dialects.tally import Tally
from proxy.dialects.token_times import TokenTimes
from proxy.dialects.values import integer, mapping
from proxy.exchange import CountRequest, Part, Reading, Timing
from proxy.gateway.limits import retry_delay_s

PARTS_MAX = 100_000  # a batch output file holds at most 50,000 lines
CHOICES_MAX = 128  # finish reasons kept

Attribute = str | int | float | bool


class Draft:
    """Fields to fill as documents arrive; `reading()` returns the value."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self.ask = ask
        self.endpoint = endpoint
        self.operation = endpoint.operation
        self.stream = ask.stream or mapping(ask.request).get("stream") is True
        self.billable = endpoint.free is None
        self.request_model = endpoint.model(ask)
        self.response_model = ""
        self.response_id = ""
        self.complete = False
        self.parts: list[Part] = []
        self.countable = True  # usage may be counted from the text if no part was stated
        self.output_known = True
        self.usage_final = True  # False: cut before the last usage; the parts are a lower bound
        self.service_tier = ""
        self.reported_usd: Decimal | None = None
        self.finish_reasons: dict[int, str] = {}  # by choice
        self.tool_calls = 0
        self.error_type = ""
        self.error_message = ""
        self.session_id = ""
        self.attributes: dict[str, Attribute] = {}
        self.times = TokenTimes()
        self._reasons = Reasons()
        self._capture = ask.capture
        self._text: list[str] = []
        self._text_room = ask.text_chars_max  # characters
        if endpoint.free is not None:
            self.flag(endpoint.free)

    def flag(self, *causes: Cause) -> None:
        """Say why the call is not billed, or what is doubtful about its usage."""
        self._reasons.add(*causes)

    def capture(self, text: str, of: Hashable = 0) -> None:
        """Pass on text that the model made, if content is captured.

        `of` separates texts that arrive interleaved, such as choices and tool calls: a secret that
        is split over several events can only be found in a text that is joined correctly.
        """
        if self._capture is not None and text:
            self._capture(text, of)

    def add_text(self, text: str, of: Hashable = 0) -> None:
        """Keep text that the model made, in case it must be counted; `of` as in `capture`."""
        if self._capture is not None:
            self.capture(text, of)
        room = self._text_room
        if len(text) > room:
            self.output_known = False
            text = text[:room]
        if text:
            self._text.append(text)
            self._text_room = room - len(text)

    def asked(self, request: Mapping[str, object]) -> None:
        """Take the request of one response, where a call has many (WebSocket)."""
        self.ask = replace(self.ask, request=request)
        self.request_model = self.endpoint.model(self.ask) or self.request_model

    def settle(self) -> None:
        """Drop the text so far: its usage was stated."""
        self._text.clear()
        self._text_room = self.ask.text_chars_max

    def delta(self, text: str, at_ns: int, *, visible: bool = True, of: Hashable = 0) -> None:
        """Keep the text of a stream event; empty text is not a token.  `of` as in `capture`."""
        if text:
            self.add_text(text, of if visible else ("hidden", of))
            self.times.token(at_ns, visible=visible)

    def part(
        self, tally: Tally, *, model: str = "", terms: Terms = NO_TERMS, item: str = ""
    ) -> None:
        """Add what one usage block states.  The first block and each item count as one request."""
        if item or not self.parts:
            tally.add(Meter.REQUESTS, 1)
        usage = tally.usage()
        reasons = tuple(tally.reasons)
        self.add(Part(usage=usage, model=model, terms=terms, item=item, reasons=reasons))

    def add(self, part: Part) -> None:
        """Add a part; past `PARTS_MAX`, flag instead: a lost part makes the bill wrong."""
        self.flag(*part.reasons)
        if len(self.parts) < PARTS_MAX:
            self.parts.append(part)
        else:
            self.flag(Reason.TOO_MANY_PARTS)

    def fail(self, document: Json) -> bool:
        """Record the error in `document`, if any; returns whether there was one."""
        found = find_error(document)
        if found is not None:
            self.blame(found[0] or "error", found[1])
        return found is not None

    def blame(self, kind: str, message: str) -> None:
        """Record an error, of whose message only what may be kept; "" leaves what is known."""
        self.error_type = kind or self.error_type
        self.error_message = redacted(self.ask.unsaid(message)) or self.error_message

    def finish(self, reason: object, choice: int = 0) -> None:
        """Record why a choice ended; null is not a reason."""
        known = choice in self.finish_reasons or len(self.finish_reasons) < CHOICES_MAX
        if isinstance(reason, str) and reason and known:
            self.finish_reasons[choice] = reason[:64]

    def reading(self) -> Reading:
        """The finished value."""
        if self.error_type and self.billable:
            self.flag(Reason.ERROR_IN_BODY)
            # Only what was made before the error is billed.
            self.billable = bool(self.parts or self._text or self.times.any)
        if self.billable and not self.parts and self.reported_usd:
            self.part(Tally.inferred())  # a cost without quantities is still a cost
        if self.billable and not self.parts:
            self.flag(Reason.NO_USAGE)
        if self.parts and not self.usage_final:
            self.flag(Reason.USAGE_NOT_FINAL)
        return Reading(
            endpoint=self.endpoint.name,
            operation=self.operation,
            billable=self.billable,
            request_model=self.request_model,
            response_model=self.response_model,
            response_id=self.response_id,
            stream=self.stream,
            complete=self.complete,
            parts=tuple(self.parts),
            count=self._count(),
            audit=self._audit(),
            service_tier=self.service_tier,
            reported_usd=self.reported_usd,
            finish_reasons=tuple(reason for _, reason in sorted(self.finish_reasons.items())),
            tool_calls=self.tool_calls,
            error_type=self.error_type,
            error_message=self.error_message,
            session_id=self.session_id,
            attributes=self.attributes,
            reasons=tuple(self._reasons),
            timing=self.times.timing() if self.ask.stream else Timing(),
        )

    def _audit(self) -> CountRequest | None:
        """What to count beside the usage that was stated, if all of the text was kept."""
        whole = self.complete and self.output_known and self.usage_final
        if not (self.ask.audit and whole and self.billable and len(self.parts) == 1):
            return None
        return CountRequest(request=mapping(self.ask.request), output="".join(self._text))

    def _count(self) -> CountRequest | None:
        """What to count, if no final usage was stated and something may have been billed."""
        if not self.billable or not self.countable or (self.parts and self.usage_final):
            return None
        return CountRequest(
            request=mapping(self.ask.request),
            output="".join(self._text),
            output_known=self.output_known,
        )


class Failed:
    """Reads the body of a 4xx or 5xx: nobody charges for those, unless it says what it used."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.billable = False
        self._used = False
        self._draft.error_type = str(ask.status)
        self._retry_after_s: float | None = None

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        self._draft.blame(*find_error_body(document))
        whole = mapping(document[0] if isinstance(document, list) and document else document)
        self._retry_after_s = retry_delay_s(mapping(whole.get("error")))
        self._draft.complete = True
        usage = mapping(document, "usage")
        self._used = self._used or any(integer(one) for one in usage.values())

    def close(self) -> Reading:
        """See `Reader.close`."""
        if not self._used:
            self._draft.flag(Reason.HTTP_ERROR)
            return replace(self._draft.reading(), retry_after_s=self._retry_after_s)
        self._draft.flag(Reason.ERROR_WITH_USAGE)
        reading = self._draft.reading()
        return replace(reading, billable=True, retry_after_s=self._retry_after_s)

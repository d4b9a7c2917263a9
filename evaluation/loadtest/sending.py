"""Sends the requests of a test, and reads their answers.

The code that meters live calls reads them, so tokens, times and prices are those of rows.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from time import monotonic_ns, time_ns
from uuid import uuid4

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout

from evaluation.loadtest.mix import Request
from evaluation.loadtest.money import Cap, Money
from evaluation.loadtest.outcomes import Kind, Outcome
from evaluation.loadtest.target import Target
from evaluation.runs import wire
from pricing import TariffBook
from pricing.charge import Status
from pricing.plan import LOCAL
from pricing.usage import Usage
from proxy.exchange import Begun, Ended, Exchange, Reading, ResponseHead
from proxy.exchange import Outcome as Ending
from proxy.metering.charges import basis_of, counted, subcalls_of
from proxy.metering.payers import access_of, priced
from proxy.reading.reading import CallReader
from proxy.settings.config import Config, Provider

CANDIDATE = "x-taximeter-candidate"
KEPT_HEADERS = ("content-type", "content-encoding")


@dataclass(frozen=True, slots=True)
class Due:
    """One request, and when it is due in seconds from the beginning."""

    at_s: float
    request: Request
    seed: str  # of its text


@dataclass(slots=True)
class Generator:
    """One test against one target.  `headers` have the credential, and are never logged."""

    config: Config
    book: TariffBook
    target: Target
    money: Money
    cap: Cap
    session: ClientSession
    base_url: str  # what paths are put after
    headers: Mapping[str, str]
    make: Callable[[Due], wire.Outgoing]  # when it is due: texts of all would need room
    timeout_s: float
    drain_s: float

    def begun(self, number: int, due: Due, begin: float) -> "Call | None":
        """A request that may be sent: the most that it can cost is held back; else None."""
        outgoing = self.make(due)
        if not self.cap.hold(number, self.money.most(due.request, outgoing)):
            return None
        return Call(self, due, outgoing, begin)

    async def sent(self, number: int, call: "Call") -> Outcome:
        """Send it, and read its answer to the end."""
        usd: Decimal | None = None
        try:
            async with asyncio.timeout(self.timeout_s):
                await call.send()
            outcome = call.outcome()
            usd = outcome.usd
        except TimeoutError:
            outcome = call.failed(f"no whole answer in {self.timeout_s:g} s")
        except (ClientError, OSError) as error:
            outcome = call.failed(type(error).__name__)
        except asyncio.CancelledError:
            outcome = call.failed("", kind="censored")
        finally:  # of several attempts only the last one is seen: all of it stays held back
            self.cap.settle(number, usd if self.target.attempts == 1 else None)
        return outcome


class Call:
    """One request under way."""

    def __init__(self, test: Generator, due: Due, outgoing: wire.Outgoing, begin: float) -> None:
        self._test, self._due, self._outgoing = test, due, outgoing
        self._due_ns = int((begin + due.at_s) * 1e9)
        self._sent_ns = monotonic_ns()
        self._head: ResponseHead | None = None
        self._candidate = ""
        self._begun = Begun(
            call_id=str(uuid4()),
            wall_ns=time_ns(),
            method="POST",
            target=outgoing.path,
            provider=test.target.provider.name,
            upstream=test.target.provider.base_url,
        )
        self._reader = CallReader(
            self._begun, test.target.provider, test.config.metering, self._due_ns
        )

    async def send(self) -> None:
        """Raises ClientError, OSError and TimeoutError."""
        due, test = self._due, self._test
        body = msgspec.json.encode(self._outgoing.body)
        headers = {**self._outgoing.headers, **test.headers, "content-type": "application/json"}
        if due.request.session:
            headers["x-taximeter-session"] = due.request.session
        self._sent_ns = monotonic_ns()
        self._reader.request(body, self._sent_ns)
        url = test.base_url + self._outgoing.path
        timeout = ClientTimeout(total=None)
        async with test.session.post(
            url, data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            self._heard(response)
            async for chunk in response.content.iter_any():
                self._reader.response(chunk, monotonic_ns())

    def _heard(self, response: ClientResponse) -> None:
        kept = ((name.lower(), value) for name, value in response.headers.items())
        headers = tuple((name, value) for name, value in kept if name in KEPT_HEADERS)
        self._head = ResponseHead(status=response.status, headers=headers)
        self._candidate = response.headers.get(CANDIDATE, "")
        self._reader.head(self._head, monotonic_ns())

    def failed(self, error: str, *, kind: Kind = "failed") -> Outcome:
        """It has no end, or none that counts; what was read so far is what is known."""
        reading = self._reader.close()
        return self._outcome(kind, error, reading, None)

    def outcome(self) -> Outcome:
        """It was answered, if only by an error."""
        reading = self._reader.close()
        head = self._head or ResponseHead(status=0)
        if head.status == 429:
            return self._outcome("limited", "http_429", reading, Decimal(0))
        if head.status != 200:
            return self._outcome("failed", f"http_{head.status}", reading, Decimal(0))
        usd = self._usd(reading, head)
        if reading.error_type or not reading.complete:
            return self._outcome("failed", reading.error_type or "cut", reading, usd)
        return self._outcome("ok", "", reading, usd)

    def _outcome(self, kind: Kind, error: str, reading: Reading, usd: Decimal | None) -> Outcome:
        timing, usage = reading.timing, [part.usage for part in reading.parts]
        output = sum(int(one.output_tokens) for one in usage)
        first, last = timing.first_token_ns, timing.last_token_ns
        itl = None
        if first is not None and last is not None and output > 1 and last > first:
            itl = (last - first) / 1e9 / (output - 1)
        return Outcome(
            due_s=self._due.at_s,
            kind=kind,
            ended_s=(monotonic_ns() - self._due_ns) / 1e9,
            late_s=max(self._sent_ns - self._due_ns, 0) / 1e9,
            error=error,
            ttft_s=None if first is None else first / 1e9,
            visible_s=None if timing.first_visible_ns is None else timing.first_visible_ns / 1e9,
            itl_s=itl,
            gap_s=None if timing.gap_max_us is None else timing.gap_max_us / 1e6,
            input_tokens=sum(int(one.input_tokens) for one in usage),
            output_tokens=output,
            cached_tokens=sum(map(_cached, usage)),
            usd=usd,
            name=self._due.request.name,
        )

    def _usd(self, reading: Reading, head: ResponseHead) -> Decimal | None:
        """What it cost, as its row will say; None if that is not known exactly."""
        test, provider = self._test, self._billing()
        if provider.billing == LOCAL or not test.target.billed:
            return Decimal(0)
        if provider.dialect != test.target.provider.dialect:
            return None  # what a translated answer says of its usage is not what is billed
        begun = msgspec.structs.replace(
            self._begun, provider=provider.name, upstream=provider.base_url
        )
        read = counted(reading, provider.name, test.config)
        if not read.billable:
            return Decimal(0)
        exchange = Exchange(
            begun=begun,
            head=head,
            ended=Ended(outcome=Ending.OK),
            reading=read,
            first_byte_ns=0,
            duration_ns=monotonic_ns() - self._sent_ns,
            source="loadtest",
        )
        subcalls = subcalls_of(exchange, read.parts, provider)
        charge = priced(subcalls, basis_of(read, access_of(exchange, provider, test.book)),
                        test.book).charge  # fmt: skip
        if charge.status is Status.NOT_BILLED:
            return Decimal(0)
        return charge.usd if charge.status in (Status.EXACT, Status.ESTIMATED) else None

    def _billing(self) -> Provider:
        """Who served it: through the gateway, the candidate that its answer names."""
        name = self._candidate.partition("/")[0]
        return self._test.config.providers.get(name, self._test.target.provider)


def _cached(usage: Usage) -> int:
    read = (int(n) for meter, n in usage.quantities.items() if meter.startswith("cache_read"))
    return sum(read)


def warmed(outcomes: Sequence[Outcome], warm_up_s: float) -> list[Outcome]:
    """Without the warm-up, the rest due from 0 s."""
    return [replace(one, due_s=one.due_s - warm_up_s) for one in outcomes if one.due_s >= warm_up_s]

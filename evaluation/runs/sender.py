"""Sends the calls of a run through the proxy, each with its tags, and retries what may be retried.

Every attempt has a row of its own in `calls`.  Money is reserved before an attempt and settled
after it, by the price that the row will have; one that was cut counts as the most it can cost.
An attempt waits for its rate limit; another key is tried where one is refused; a budget that is
spent ends the model's part of the run.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import uniform

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from evaluation.checks.case import Answer
from evaluation.runs import wire
from evaluation.runs.keys import Key
from evaluation.runs.limits import Closed, Limits
from evaluation.runs.plan import Candidate, Prices, call_bound
from evaluation.runs.purse import Purse
from pricing import TariffBook
from pricing.charge import Status
from pricing.plan import LOCAL
from proxy.exchange import lower
from proxy.gateway.answers import Json, decoded, fault_of
from proxy.gateway.failures import What, what
from proxy.metering.documents import price_document
from proxy.relay.answers import ERROR_HEADER
from proxy.settings.config import Config

TRIES_MAX = 6
BACKOFF_S, BACKOFF_MAX_S = 1.0, 60.0
RETRIED = frozenset({408, 409, 425, 500, 502, 503, 504, 529})
OUTSIDE = ("upstream_", "outgoing_proxy")  # the relay's errors on the way to the provider
CALL_TIMEOUT_S = 900.0
ATTEMPT_HEADER = "x-stainless-retry-count"  # as SDKs count; the row has it as `attempt`
ERROR_CHARACTERS_MAX = 200


class CapReached(Exception):
    """The next call could exceed --max-usd."""


class ProviderError(Exception):
    """No answer; `kind` is a status or a class of error, `broken` that no call will have one."""

    def __init__(self, kind: str, attempts: int, text: str = "", *, broken: bool = False) -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind, self.attempts, self.broken = kind, attempts, broken


@dataclass(slots=True)
class Bill:
    """What the calls for one result cost so far, and how many attempts they took."""

    usd: Decimal | None = Decimal(0)  # None: some of it is unknown
    attempts: int = 0

    def add(self, usd: Decimal | None) -> None:
        """Count one attempt."""
        self.attempts += 1
        self.usd = None if usd is None or self.usd is None else self.usd + usd


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended.  `status` 0: no answer came, and `failure` names the error."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)  # in lower case
    document: Json = field(default_factory=dict)  # {}: the body is no JSON object
    failure: str = ""

    @property
    def refused_by_us(self) -> str:
        """What the proxy itself refuses the call for, such as a budget; "" if it does not."""
        error = self.headers.get(ERROR_HEADER, "")
        return "" if error.startswith(OUTSIDE) else error

    @property
    def end(self) -> What:
        """What it says of the provider and its limits."""
        if self.status == 200:
            return What.ANSWERED
        if not self.status or self.refused_by_us:
            return What.AMBIGUOUS  # the provider has said nothing
        return what(fault_of(self.status, self.document))

    @property
    def error(self) -> Mapping[str, object]:
        """What the body says of the error."""
        error = self.document.get("error")
        return error if isinstance(error, Mapping) else {}

    @property
    def kind(self) -> str:
        """The error for a result's row."""
        if self.refused_by_us:
            return self.refused_by_us
        return f"http_{self.status}" if self.status else self.failure

    @property
    def text(self) -> str:
        """The provider's words, cut: they may quote a prompt."""
        said = self.error.get("message") if self.error else self.document.get("error")
        return str(said or "")[:ERROR_CHARACTERS_MAX]


@dataclass(slots=True)
class Sender:
    """Calls models at `proxy_url`, with keys that are never logged, within `limits`."""

    config: Config
    book: TariffBook
    prices: Prices
    purse: Purse
    proxy_url: str
    limits: Limits
    session: ClientSession
    pauses: dict[str, float] = field(default_factory=dict)  # provider → loop time to wait until
    sent: int = 0  # attempts

    async def ask(
        self, candidate: Candidate, said: wire.Conversation, tags: Mapping[str, str], bill: Bill
    ) -> Answer:
        """The model's answer.  Raises ProviderError, CapReached and Stopped."""
        outgoing = wire.request(candidate.provider, said)
        most = self.prices.most(candidate, call_bound(said))
        for number in range(TRIES_MAX):
            key = await self._turn(candidate, bill)
            done = await self._attempt(candidate, key, outgoing, (tags, number, most), bill)
            if done.status == 200:
                return _read(candidate, done.document, bill)
            if wire.filtered(done.document):
                return Answer(text="", stop_reason="content_filter", refused=True)
            if done.end in (What.CREDENTIAL, What.QUOTA):
                if not self.limits.refuse(candidate, key, f"{done.kind}: {done.text}"):
                    raise ProviderError(done.kind, bill.attempts, done.text, broken=True)
            elif done.end is not What.LIMITED:
                if not _may_pass(done):
                    broken = done.status == 404 or bool(done.refused_by_us)
                    raise ProviderError(done.kind, bill.attempts, done.text, broken=broken)
                self._pause(candidate, number, done.headers.get("retry-after", ""))
        raise ProviderError(done.kind, bill.attempts, done.text)

    async def _turn(self, candidate: Candidate, bill: Bill) -> Key:
        """The key to use, once the provider may be called."""
        loop = asyncio.get_running_loop()
        while (left := self.pauses.get(candidate.provider.name, 0.0) - loop.time()) > 0:
            await self.limits.wait(left)
        try:
            return await self.limits.take(candidate)
        except Closed as error:
            raise ProviderError("closed", bill.attempts, str(error), broken=True) from error

    async def _attempt(
        self,
        candidate: Candidate,
        key: Key,
        outgoing: wire.Outgoing,
        about: tuple[Mapping[str, str], int, Decimal | None],
        bill: Bill,
    ) -> Attempt:
        """One attempt; `about` is its tags, its number and the most it can cost.

        Raises CapReached.
        """
        tags, number, most = about
        reserved = self.purse.reserve(most)
        if reserved is None:
            self.limits.ended(candidate, key, What.NOT_SENT, {}, {})
            raise CapReached
        usd: Decimal | None = None
        done = Attempt(failure="Cancelled")
        self.sent += 1
        try:
            done = await self._send(candidate, key, outgoing, tags, number)
            usd = self._usd(candidate, outgoing, done.status, done.document)
        except (ClientError, TimeoutError, OSError) as error:
            done = Attempt(failure=type(error).__name__)
        finally:
            self.purse.settle(reserved, usd)
            bill.add(usd)
            self.limits.ended(candidate, key, done.end, done.headers, done.error)
        return done

    async def _send(
        self,
        candidate: Candidate,
        key: Key,
        outgoing: wire.Outgoing,
        tags: Mapping[str, str],
        number: int,
    ) -> Attempt:
        provider = candidate.provider
        headers = dict(outgoing.headers) | wire.key_header(provider, key.secret)
        headers |= {f"x-taximeter-{name}": value for name, value in tags.items()}
        headers |= {"content-type": "application/json", ATTEMPT_HEADER: str(number)}
        if self.config.proxy.token:
            headers["x-taximeter-token"] = self.config.proxy.token
        url = f"{self.proxy_url}/{provider.name}{outgoing.path}"
        body = msgspec.json.encode(outgoing.body)
        timeout = ClientTimeout(total=CALL_TIMEOUT_S)
        async with self.session.post(url, data=body, headers=headers, timeout=timeout) as response:
            document = decoded(await response.read())
            return Attempt(response.status, lower(response.headers.items()), document)

    def _usd(
        self, candidate: Candidate, outgoing: wire.Outgoing, status: int, document: Json
    ) -> Decimal | None:
        """What the attempt cost, as its row will say; None if that is not known exactly."""
        if status != 200 or candidate.provider.billing == LOCAL:
            return Decimal(0)  # no provider bills an error
        charge = price_document(
            {
                "provider": candidate.provider.name,
                "path": outgoing.path,
                "at": datetime.now(UTC).isoformat(),
                "request": outgoing.body,
                "response": document or None,
                "request_headers": dict(outgoing.headers),
            },
            self.book,
            self.config,
        )
        if charge["status"] == Status.NOT_BILLED:
            return Decimal(0)
        known = charge["status"] in (Status.EXACT, Status.ESTIMATED) and charge["usd"] is not None
        return Decimal(str(charge["usd"])) if known else None

    def _pause(self, candidate: Candidate, attempt: int, after: str) -> None:
        """Let all calls to this provider wait, as long as it asks or twice as long as before."""
        wait = min(BACKOFF_S * 2**attempt, BACKOFF_MAX_S) * uniform(0.8, 1.2)
        with suppress(ValueError):  # it may be a date, or missing
            wait = min(float(after), BACKOFF_MAX_S)
        now = asyncio.get_running_loop().time()
        name = candidate.provider.name
        self.pauses[name] = max(self.pauses.get(name, 0.0), now + wait)


def _read(candidate: Candidate, document: Json, bill: Bill) -> Answer:
    try:
        return wire.answer(candidate.provider, dict(document))
    except ValueError as error:
        raise ProviderError("unreadable_response", bill.attempts, str(error)) from error


def _may_pass(done: Attempt) -> bool:
    """Whether the same call may succeed later: a budget says so, else the status does."""
    if done.refused_by_us:
        return done.status == 429 and done.headers.get("x-should-retry") != "false"
    return not done.status or done.status in RETRIED


def tls_of(config: Config) -> ssl.SSLContext | bool:
    """Trusts the proxy's own certificate, whatever its name; True where it has none."""
    if config.proxy.tls_cert is None:
        return True
    context = ssl.create_default_context(cafile=config.proxy.tls_cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context

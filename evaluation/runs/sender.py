"""Sends the calls of a run through the proxy, each with its tags, and retries what may be retried.

Every attempt has a row of its own in `calls`.  Money is reserved before an attempt and settled
after it, by the price that the row will have; one that was cut counts as the most it can cost.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import uniform
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from evaluation.checks.case import Answer
from evaluation.runs import wire
from evaluation.runs.plan import Candidate, Prices, call_bound
from evaluation.runs.purse import Purse
from pricing import TariffBook
from pricing.charge import Status
from pricing.plan import LOCAL
from proxy.metering.documents import price_document
from proxy.settings.config import Config

TRIES_MAX = 6
BACKOFF_S, BACKOFF_MAX_S = 1.0, 60.0
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
BROKEN = frozenset({401, 403, 404})  # the same for every call of the model
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


@dataclass(slots=True)
class Sender:
    """Calls models at `proxy_url`; `keys` has the key of each provider, which is never logged."""

    config: Config
    book: TariffBook
    prices: Prices
    purse: Purse
    proxy_url: str
    keys: Mapping[str, str]
    session: ClientSession
    pauses: dict[str, float] = field(default_factory=dict)  # provider → loop time to wait until
    sent: int = 0  # attempts

    async def ask(
        self, candidate: Candidate, said: wire.Conversation, tags: Mapping[str, str], bill: Bill
    ) -> Answer:
        """The model's answer.  Raises ProviderError and CapReached."""
        outgoing = wire.request(candidate.provider, said)
        most = self.prices.most(candidate, call_bound(said))
        for attempt in range(TRIES_MAX):
            await self._paused(candidate)
            number = self.purse.reserve(most)
            if number is None:
                raise CapReached
            usd: Decimal | None = None
            self.sent += 1
            try:
                status, headers, document = await self._send(candidate, outgoing, tags, attempt)
                usd = self._usd(candidate, outgoing, status, document)
            except (ClientError, TimeoutError, OSError) as error:
                status, headers, document, failure = 0, {}, None, type(error).__name__
            finally:
                self.purse.settle(number, usd)
                bill.add(usd)
            if status == 200:
                return _read(candidate, document, bill)
            if status and wire.filtered(document):
                return Answer(text="", stop_reason="content_filter", refused=True)
            kind = f"http_{status}" if status else failure
            if status and status not in RETRIED:
                text = _message(document)
                raise ProviderError(kind, bill.attempts, text, broken=status in BROKEN)
            if attempt + 1 < TRIES_MAX:
                self._pause(candidate, attempt, headers.get("retry-after", ""))
        raise ProviderError(kind, bill.attempts, _message(document))

    async def _send(
        self,
        candidate: Candidate,
        outgoing: wire.Outgoing,
        tags: Mapping[str, str],
        attempt: int,
    ) -> tuple[int, Mapping[str, str], Any]:
        provider = candidate.provider
        headers = dict(outgoing.headers) | wire.key_header(provider, self.keys[provider.name])
        headers |= {f"x-taximeter-{name}": value for name, value in tags.items()}
        headers |= {"content-type": "application/json", ATTEMPT_HEADER: str(attempt)}
        if self.config.proxy.token:
            headers["x-taximeter-token"] = self.config.proxy.token
        url = f"{self.proxy_url}/{provider.name}{outgoing.path}"
        body = msgspec.json.encode(outgoing.body)
        timeout = ClientTimeout(total=CALL_TIMEOUT_S)
        async with self.session.post(url, data=body, headers=headers, timeout=timeout) as response:
            raw = await response.read()
            try:
                return response.status, response.headers, msgspec.json.decode(raw)
            except msgspec.DecodeError:
                return response.status, response.headers, None

    def _usd(
        self, candidate: Candidate, outgoing: wire.Outgoing, status: int, document: Any
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
                "response": document,
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

    async def _paused(self, candidate: Candidate) -> None:
        loop = asyncio.get_running_loop()
        while (left := self.pauses.get(candidate.provider.name, 0.0) - loop.time()) > 0:
            await asyncio.sleep(left)


def _read(candidate: Candidate, document: Any, bill: Bill) -> Answer:
    try:
        return wire.answer(candidate.provider, document)
    except ValueError as error:
        raise ProviderError("unreadable_response", bill.attempts, str(error)) from error


def _message(document: Any) -> str:
    """The provider's words, cut: they may quote a prompt."""
    error = document.get("error") if isinstance(document, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or "")[:ERROR_CHARACTERS_MAX]


def tls_of(config: Config) -> ssl.SSLContext | bool:
    """Trusts the proxy's own certificate, whatever its name; True where it has none."""
    if config.proxy.tls_cert is None:
        return True
    context = ssl.create_default_context(cafile=config.proxy.tls_cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context

"""What can go wrong on the way to a provider: its outcome, its class, and advice for the caller."""

from dataclasses import dataclass
from functools import partial

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
)
from aiohttp.http_exceptions import HttpProcessingError
from python_socks import ProxyConnectionError, ProxyError

from proxy.exchange import Outcome
from proxy.relay.answers import error_answer
from proxy.relay.http1 import BadHead
from proxy.relay.parsing import HeadTooLarge, SpeaksHttp2


class BadRequestBody(Exception):
    """The caller's request body broke its own framing; upstream is not to blame."""


class StalledRequestBody(BadRequestBody):
    """The caller stopped sending the body that it announced."""


PROXY_FAILURES = (
    *(ClientProxyConnectionError, ClientHttpProxyError),
    *(ProxyError, ProxyConnectionError),  # of SOCKS
)
# What connecting, sending and reading may raise.  Anything else is a bug in the relay.
FAILURES = (ClientError, OSError, HttpProcessingError, BadHead, BadRequestBody, ProxyError)


@dataclass(frozen=True, slots=True)
class Failure:
    """`name` is for the row, `kind` for the header, `message` for people.  None holds a secret."""

    outcome: Outcome
    status: int
    kind: str
    name: str
    message: str

    def answer(self, *, bodyless: bool, keep_alive: bool) -> bytes:
        """What the caller is told, as sent on the wire."""
        return error_answer(
            self.status, self.kind, self.message, bodyless=bodyless, keep_alive=keep_alive
        )


def error_name(error: Exception) -> str:
    """What the row calls it; aiohttp has many classes for what is no HTTP."""
    if isinstance(error, HeadTooLarge | SpeaksHttp2):
        return BadHead.__name__
    if isinstance(error, HttpProcessingError):
        return HttpProcessingError.__name__
    return type(error).__name__


def broken_outcome(error: Exception) -> Outcome:
    """How a call ends that breaks off after the response head."""
    if isinstance(error, TimeoutError):
        return Outcome.TIMED_OUT
    return Outcome.CLIENT_GONE if isinstance(error, BadRequestBody) else Outcome.UPSTREAM_CUT


def _why(error: Exception) -> str:
    if isinstance(error, HeadTooLarge):
        return f"it has {error.what}; the limit is upstream.{error.option}"
    if isinstance(error, SpeaksHttp2):
        return "it speaks only HTTP/2, and providers are called over HTTP/1.1"
    return str(error) if isinstance(error, BadHead) else "not HTTP/1.1"


def failure(error: Exception, origin: str, *, sent: bool) -> Failure:
    """Classify what `FAILURES` caught before there was a response head.

    A provider that may have been sent something was reached, and may bill it.
    """
    name = error_name(error)
    if isinstance(error, StalledRequestBody):
        text = "the rest of the request body did not arrive in time (upstream.idle_timeout_s)."
        return Failure(Outcome.CLIENT_GONE, 408, "request_timeout", name, text)
    if isinstance(error, BadRequestBody):
        text = (
            "the request body does not match its Content-Length or Transfer-Encoding; "
            "resend it complete."
        )
        return Failure(Outcome.CLIENT_GONE, 400, "bad_request_body", name, text)
    if isinstance(error, TimeoutError):  # aiohttp's timeouts are all TimeoutErrors
        text = (
            f"{origin} did not answer in time. Retry, or raise upstream.connect_timeout_s, "
            "first_byte_timeout_s or idle_timeout_s."
        )
        return Failure(Outcome.TIMED_OUT, 504, "upstream_timeout", name, text)
    broken = partial(Failure, Outcome.UPSTREAM_CUT if sent else Outcome.UNREACHABLE, 502)
    if isinstance(error, HttpProcessingError | BadHead):
        text = f"{origin} sent a response that cannot be passed on: {_why(error)}."
        return broken("upstream_bad_response", name, text)
    if isinstance(error, ClientConnectorDNSError):
        kind, advice = "upstream_dns", "host name not found. Check the provider's base_url."
    elif isinstance(error, ClientConnectorCertificateError | ClientConnectorSSLError):
        kind = "upstream_tls"
        advice = "no trusted TLS connection. For a private CA, set upstream.ca_file."
    elif isinstance(error, PROXY_FAILURES):
        kind = "outgoing_proxy"
        advice = "the outgoing proxy failed. Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY."
    elif isinstance(error, ClientConnectorError):
        kind, name = "upstream_refused", type(error.os_error).__name__
        refused = isinstance(error.os_error, ConnectionRefusedError)
        advice = "connection refused. Is it running?" if refused else f"no connection ({name})."
    else:
        text = f"{origin} closed the connection without a response. Retry."
        return broken("upstream_reset", name, text)
    return broken(kind, name, f"cannot reach {origin}: {advice}")

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
from aiohttp.web_protocol import RequestPayloadError

from proxy.exchange import Outcome
from proxy.relay.http1 import BadHead


class BadRequestBody(Exception):
    """The caller's request body broke its own framing; upstream is not to blame."""


class StalledRequestBody(BadRequestBody):
    """The caller stopped sending the body that it announced."""


# What connecting, sending and reading may raise.  Anything else is a bug in the relay.
FAILURES = (ClientError, OSError, HttpProcessingError, BadHead, BadRequestBody, RequestPayloadError)


@dataclass(frozen=True, slots=True)
class Failure:
    """`name` is for the row, `kind` for the header, `message` for people.  None holds a secret."""

    outcome: Outcome
    status: int
    kind: str
    name: str
    message: str


def failure(error: Exception, origin: str, *, sent: bool) -> Failure:
    """Classify what `FAILURES` caught before there was a response head.

    A provider that may have been sent something was reached, and may bill it.
    """
    name = type(error).__name__
    if isinstance(error, StalledRequestBody):
        text = "the rest of the request body did not arrive in time (upstream.idle_timeout_s)."
        return Failure(Outcome.CLIENT_GONE, 408, "request_timeout", name, text)
    if isinstance(error, BadRequestBody | RequestPayloadError):
        text = (
            "the request body does not match its Content-Length or Transfer-Encoding; "
            "resend it complete."
        )
        return Failure(Outcome.CLIENT_GONE, 400, "bad_request_body", name, text)
    if isinstance(error, TimeoutError):  # aiohttp's timeouts are all TimeoutErrors
        text = (
            f"{origin} did not answer in time. Retry, or raise upstream.connect_timeout_s or "
            "upstream.idle_timeout_s."
        )
        return Failure(Outcome.TIMED_OUT, 504, "upstream_timeout", name, text)
    broken = partial(Failure, Outcome.UPSTREAM_CUT if sent else Outcome.UNREACHABLE, 502)
    if isinstance(error, HttpProcessingError | BadHead):
        why = str(error) if isinstance(error, BadHead) else "not HTTP/1.1, or a header is too long"
        text = f"{origin} sent a response that cannot be passed on: {why}."
        return broken("upstream_bad_response", name, text)
    if isinstance(error, ClientConnectorDNSError):
        kind, advice = "upstream_dns", "host name not found. Check the provider's base_url."
    elif isinstance(error, ClientConnectorCertificateError | ClientConnectorSSLError):
        kind = "upstream_tls"
        advice = "no trusted TLS connection. For a private CA, set upstream.ca_file."
    elif isinstance(error, ClientProxyConnectionError | ClientHttpProxyError):
        kind = "outgoing_proxy"
        advice = "the outgoing proxy failed. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    elif isinstance(error, ClientConnectorError):
        kind, name = "upstream_refused", type(error.os_error).__name__
        refused = isinstance(error.os_error, ConnectionRefusedError)
        advice = "connection refused. Is it running?" if refused else f"no connection ({name})."
    else:
        text = f"{origin} closed the connection without a response. Retry."
        return broken("upstream_reset", name, text)
    return broken(kind, name, f"cannot reach {origin}: {advice}")

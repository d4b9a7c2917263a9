"""What went wrong on the way to a provider, as an outcome, a class, and advice to the caller."""

from dataclasses import dataclass

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
    """The caller's own body broke its framing: nobody upstream is to blame."""


class StalledRequestBody(BadRequestBody):
    """The caller sends no more of the body that it announced."""


# What connecting, sending and reading may raise.  Anything else is a bug of ours.
FAILURES = (ClientError, OSError, HttpProcessingError, BadHead, BadRequestBody, RequestPayloadError)


@dataclass(frozen=True, slots=True)
class Failure:
    """`name` is for the journal, `kind` for the header, `message` for people; no secrets in any."""

    outcome: Outcome
    status: int
    kind: str
    name: str
    message: str


def failure(error: Exception, origin: str) -> Failure:
    """Classify what `FAILURES` caught before a response head came."""
    name = type(error).__name__
    if isinstance(error, StalledRequestBody):
        text = "the rest of the request body did not arrive (upstream.idle_timeout_s)."
        return Failure(Outcome.CLIENT_GONE, 408, "request_timeout", name, text)
    if isinstance(error, BadRequestBody | RequestPayloadError):
        text = "the request body is not what its headers announce; send it again, whole."
        return Failure(Outcome.CLIENT_GONE, 400, "bad_request_body", name, text)
    if isinstance(error, TimeoutError):  # aiohttp's timeouts are all TimeoutErrors
        text = (
            f"{origin} did not answer in time. Try again, or raise upstream.connect_timeout_s or "
            "upstream.idle_timeout_s."
        )
        return Failure(Outcome.TIMED_OUT, 504, "upstream_timeout", name, text)
    if isinstance(error, ClientConnectorDNSError):
        kind, advice = "upstream_dns", "its name cannot be found. Check the provider's base_url."
    elif isinstance(error, ClientConnectorCertificateError | ClientConnectorSSLError):
        kind = "upstream_tls"
        advice = "no trusted TLS connection. For a private authority set upstream.ca_file."
    elif isinstance(error, ClientProxyConnectionError | ClientHttpProxyError):
        kind = "outgoing_proxy"
        advice = "the outgoing proxy refused. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    elif isinstance(error, ClientConnectorError):
        kind, advice = "upstream_refused", "it takes no connection. Is it running there?"
        name = type(error.os_error).__name__
    elif isinstance(error, HttpProcessingError | BadHead):
        kind, advice = "upstream_bad_response", "it answered something that is not HTTP/1.1."
    else:
        kind, advice = "upstream_reset", "it closed the connection without an answer. Try again."
    return Failure(Outcome.UNREACHABLE, 502, kind, name, f"{origin} could not be reached: {advice}")

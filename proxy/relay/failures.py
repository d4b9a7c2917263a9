"""What can go wrong on the way to a provider: its outcome, its class, and advice for the caller."""

import socket
import ssl
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from aiohttp import (
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
)
from aiohttp.http_exceptions import HttpProcessingError
from python_socks import ProxyError

from proxy.exchange import Outcome
from proxy.relay.answers import error_answer
from proxy.relay.foreign import SpeaksHttp2, SpeaksTls, reason
from proxy.relay.http1 import BadHead
from proxy.relay.parsing import HeadTooLarge


class BadRequestBody(Exception):
    """The caller's request body broke its own framing; upstream is not to blame."""


class StalledRequestBody(BadRequestBody):
    """The caller stopped sending the body that it announced."""


HTTP2_ONLY = "it speaks only HTTP/2, and providers are called over HTTP/1.1"
NO_NAME = "host name not found. Check the provider's base_url."
_NAMED = (ClientConnectorDNSError, ClientProxyConnectionError)  # which say what happened
# Reasons of OpenSSL: alerts that may be about our certificate, and what is no TLS at all.
_ALERTS = ("UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
_NO_TLS = frozenset(
    ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
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
    if isinstance(error, HeadTooLarge | SpeaksHttp2 | SpeaksTls):
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
        return HTTP2_ONLY
    if isinstance(error, SpeaksTls):
        return "it speaks TLS, so its base_url must begin with https://"
    return (
        f"not HTTP/1.1 ({reason(error)})" if isinstance(error, HttpProcessingError) else str(error)
    )


class Place(Protocol):
    """Where the call was to go."""

    @property
    def origin(self) -> str: ...  # scheme://host[:port]
    @property
    def proxied(self) -> bool: ...  # through an outgoing proxy


def failure(error: Exception, place: Place, *, sent: bool) -> Failure:
    """Classify what `FAILURES` caught before there was a response head.

    A provider that may have been sent something was reached, and may bill it.
    """
    name, origin = error_name(error), place.origin
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
        options = "first_byte_timeout_s or idle_timeout_s" if sent else "connect_timeout_s"
        text = f"{origin} did not answer in time. Retry, or raise upstream.{options}."
        return Failure(Outcome.TIMED_OUT, 504, "upstream_timeout", name, text)
    broken = partial(Failure, Outcome.UPSTREAM_CUT if sent else Outcome.UNREACHABLE, 502)
    if isinstance(error, HttpProcessingError | BadHead):
        text = f"{origin} sent a response that cannot be passed on: {_why(error)}."
        return broken("upstream_bad_response", name, text)
    if isinstance(error, ClientConnectorError):
        name = name if _tls(error) or isinstance(error, _NAMED) else type(error.os_error).__name__
    found = _unreachable(error, place, sent=sent)
    if found is None:
        text = f"{origin} closed the connection without a response. Retry."
        if origin.startswith("https:"):
            text += " If it never answers, it may want a client certificate (client_cert)."
        return broken("upstream_reset", name, text)
    kind, advice = found
    return broken(kind, name, f"cannot reach {origin}: {advice}")


def _unreachable(error: Exception, place: Place, *, sent: bool) -> tuple[str, str] | None:
    """What kept us from the provider, as a class and a sentence; None: the connection broke."""
    tls = _tls(error)
    if isinstance(error, socket.gaierror):  # for SOCKS; aiohttp has a class of its own
        return "upstream_dns", NO_NAME
    if place.proxied and not sent and (tls is None or not _is_of(place, error)):
        return "outgoing_proxy", _proxy_advice(error)
    if tls is not None:
        return "upstream_tls", _tls_advice(tls)
    if isinstance(error, ClientConnectorDNSError):
        return "upstream_dns", NO_NAME
    if isinstance(error, ClientConnectorError):
        why = error.os_error
        refused = isinstance(why, ConnectionRefusedError)
        running = "connection refused. Is it running?"
        return "upstream_refused", running if refused else f"no connection ({type(why).__name__})."
    return None


def _is_of(place: Place, error: Exception) -> bool:
    """Whether an error of TLS is about the provider, not about a proxy behind TLS."""
    return f"://{getattr(error, 'host', '')}" in place.origin


def _proxy_advice(error: Exception) -> str:
    said = ""
    if isinstance(error, ClientHttpProxyError):
        said = f" It answered {error.status}."
    elif isinstance(error, ProxyError) and error.error_code:
        said = f" It answered {error.error_code} (RFC 1928, 6)."
    variables = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
    return f"the outgoing proxy failed.{said} Check {variables}."


def _tls(error: Exception) -> ssl.SSLError | None:
    """What OpenSSL found, as it is or in what aiohttp made of it."""
    inside = (getattr(error, name, None) for name in ("certificate_error", "os_error"))
    return next((one for one in (*inside, error) if isinstance(one, ssl.SSLError)), None)


def _tls_advice(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        return f"its certificate is not trusted ({why}). For a private CA, set upstream.ca_file."
    found = error.reason or "closed during the handshake"
    if found.endswith("NO_APPLICATION_PROTOCOL"):
        return f"{HTTP2_ONLY}."
    if "ALERT" in found and ("CERTIFICATE" in found or found.endswith(_ALERTS)):
        return (
            f"it refuses the TLS handshake ({found}). If it wants a client certificate, set "
            "client_cert and client_key of the provider."
        )
    if found in _NO_TLS:
        return "it does not speak TLS on this port. Check the provider's base_url."
    return f"TLS failed ({found}). Check the provider's base_url."

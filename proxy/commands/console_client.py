"""Queries the running console, whose process owns the embedded store.

A command has the role admin there, by the token that only the same user can read.
"""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

from proxy.console import command_token
from proxy.serving.instance import find
from proxy.settings.config import Config
from proxy.settings.places import Places

TIMEOUT_S = 60.0  # longer than the console's own queries may take


def ask(
    config: Config,
    path: str,
    query: Mapping[str, str] | Sequence[tuple[str, str]],
    *,
    method: str = "GET",
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """The running console's response, decoded; None if none is running.

    Raises ValueError if the console rejects the query, OSError if it cannot respond.
    """
    target = f"{path}?{urllib.parse.urlencode(query)}"
    with request(config, target, method=method, timeout_s=timeout_s) as answer:
        return None if answer is None else json.load(answer)


@contextmanager
def request(
    config: Config,
    path: str,
    *,
    method: str,
    timeout_s: float,
    data: bytes | None = None,
) -> Iterator[HTTPResponse | None]:
    """The same for a response to be read as it arrives; `data` is the body to send."""
    running = find(config.data)
    if running is None:
        yield None
        return
    # Not through $HTTP_PROXY: the console is on this machine.
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_tls(config))]
    opener = urllib.request.build_opener(*handlers)
    sent = command_token.headers(Places(config.data).command_token)
    if config.console.token:
        sent["Authorization"] = f"Bearer {config.console.token}"
    url = f"{running.console_url}{path}"
    outgoing = urllib.request.Request(url, data=data, method=method, headers=sent)
    try:
        answer = opener.open(outgoing, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            text = _error_text(error.read())
        if error.code == 400:
            raise ValueError(text) from error
        raise OSError(text or f"the console answered HTTP {error.code}") from error
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        yield None  # it was killed and left its serve.json behind
        return
    with answer:
        yield answer


def _error_text(body: bytes) -> str:
    """The message in the console's JSON; other text, as from a reverse proxy, as it is."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _tls(config: Config) -> ssl.SSLContext:
    """Trusts the console's own certificate, whatever its name: the address is this machine."""
    context = ssl.create_default_context(cafile=config.console.tls_cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context

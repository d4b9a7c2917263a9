"""Asks the running console, which owns the embedded store."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any

from proxy.serving.instance import find
from proxy.settings.config import Config

TIMEOUT_S = 60.0  # above that of the console's own questions


def ask(
    config: Config,
    path: str,
    query: Mapping[str, str],
    *,
    method: str = "GET",
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """The running console's answer, decoded; None if there is none running.

    Raises ValueError for a question that means nothing, OSError if it cannot be answered.
    """
    asked = f"{path}?{urllib.parse.urlencode(query)}"
    with asking(config, asked, method=method, timeout_s=timeout_s) as answer:
        return None if answer is None else json.load(answer)


@contextmanager
def asking(
    config: Config,
    path: str,
    *,
    method: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
) -> Iterator[HTTPResponse | None]:
    """The same for an answer that is read as it comes; `data` is sent along."""
    running = find(config.data)
    if running is None:
        yield None
        return
    # Not through $HTTP_PROXY: the console is on this machine.
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_tls(config))]
    opener = urllib.request.build_opener(*handlers)
    sent = dict(headers or {})
    if config.console.token:
        sent["Authorization"] = f"Bearer {config.console.token}"
    url = f"{running.console_url}{path}"
    asked = urllib.request.Request(url, data=data, method=method, headers=sent)
    try:
        answer = opener.open(asked, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode(errors="replace")
        if error.code == 400:
            raise ValueError(text) from error
        raise OSError(f"HTTP {error.code}: {text}") from error
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        yield None  # it was killed, and its serve.json is still there
        return
    with answer:
        yield answer


def _tls(config: Config) -> ssl.SSLContext:
    """Trusts the console's own certificate, whatever name it bears: the address is this machine."""
    context = ssl.create_default_context(cafile=config.console.tls_cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context

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
from proxy.probes import READY
from proxy.serving.instance import Instance, find
from proxy.settings.config import Config
from proxy.settings.places import Places

READY_TIMEOUT_S = 5.0
TIMEOUT_S = 60.0  # longer than the console's own queries may take
SILENCE_S = 300.0  # longest wait between two pages of an export


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
    if running is None or _is_another(running, config):
        yield None
        return
    sent = command_token.headers(Places(config.data).command_token)
    if config.console.token:
        sent["Authorization"] = f"Bearer {config.console.token}"
    url = f"{running.console_url}{path}"
    outgoing = urllib.request.Request(url, data=data, method=method, headers=sent)
    try:
        answer = _opener(config).open(outgoing, timeout=timeout_s)
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


def _is_another(running: Instance, config: Config) -> bool:
    """Whether somebody else has the port by now: a killed one left its serve.json behind."""
    try:
        with _opener(config).open(
            f"{running.console_url}{READY}", timeout=READY_TIMEOUT_S
        ) as ready:
            return bool(json.load(ready)["instance"] != running.instance)
    except urllib.error.HTTPError as error:  # 503: it is about to stop, and says so as itself
        with error:
            return running.instance.encode() not in error.read()
    except (OSError, ValueError, KeyError, TypeError):
        return False  # the request itself tells what is wrong


def _opener(config: Config) -> urllib.request.OpenerDirector:
    """Not through $HTTP_PROXY: the console is on this machine."""
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_tls(config))
    )


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

"""Reads a public price set from a file or from the network: bounded, and without any credential."""

import time
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from ipaddress import ip_address
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

SIZE_MAX = 64 * 1024 * 1024  # bytes; the largest of the known sets has 4 MB
SILENCE_S = 20.0  # between two pieces of an answer
DEADLINE_S = 120.0  # for all of it
PIECE = 256 * 1024
REMOTE = ("http://", "https://")

Seen = Callable[[int, int | None], None]  # bytes read, and how many there are if that is known
Read = Callable[[int], bytes]  # what is there by now, at most so many bytes; b"" is the end


class NotFetched(OSError):
    """A URL did not return a document, though the arguments are valid."""


def read(source: str, seen: Seen) -> bytes:
    """The bytes of a file, or of a URL's response.

    Raises NotFetched, OSError for a file that cannot be read, and ValueError for a URL that is not
    to be asked and for more than `SIZE_MAX` bytes.
    """
    if not source.lower().startswith(REMOTE):
        with Path(source).open("rb") as file:
            return _bounded(file.read1, None, seen, None)
    _check(source)
    request = Request(source, headers={"accept": "application/json", "user-agent": "taximeter"})
    try:
        with _opener().open(request, timeout=SILENCE_S) as answer:
            length = answer.headers.get("content-length", "")
            size = int(length) if length.isdigit() else None
            data = _bounded(answer.read1, size, seen, time.monotonic() + DEADLINE_S)
    except HTTPError as error:
        error.close()
        raise NotFetched(f"{origin(source)} answered {error.code} {error.reason}") from None
    except TimeoutError:
        raise NotFetched(f"{origin(source)} did not answer in time") from None
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise NotFetched(f"{origin(source)} did not answer: {reason}") from None
    if size is not None and len(data) < size:
        raise NotFetched(
            f"{origin(source)} closed the connection after {len(data):,} of {size:,} bytes"
        )
    return data


def origin(source: str) -> str:
    """Where a set was read, for people: without the query of a URL, which may hold a secret."""
    if not source.lower().startswith(REMOTE):
        return Path(source).name
    parts = urlsplit(source)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _check(url: str) -> None:
    """Raises ValueError unless a URL is encrypted, or of this machine, and names no credential."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("the URL contains a user name or a password; remove it")
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_here(parts.hostname or ""):
        raise ValueError(f"{origin(url)}: use https (http is allowed on this machine only)")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Careful(HTTPRedirectHandler):
    """Follows a redirect only to where the first request might have gone."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            _check(newurl)
        except ValueError as error:
            fp.close()
            raise URLError(str(error)) from None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """With the proxies of the environment, as in every opener."""
    return build_opener(_Careful)


def _bounded(more: Read, size: int | None, seen: Seen, deadline: float | None) -> bytes:
    pieces, done = [], 0
    while piece := more(PIECE):
        pieces.append(piece)
        done += len(piece)
        if done > SIZE_MAX:
            raise ValueError(f"larger than {SIZE_MAX // 1024 // 1024} MB: not a price set")
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError
        seen(done, size)
    return b"".join(pieces)

"""Responses that llhttp refuses although they have only one meaning.  No I/O.

A recipient may replace repetitions of the same Content-Length by one (RFC 9110, 8.6), and what
comes after the end of a body, such as an empty chunk after a 304, is no part of the response
(RFC 9112, 6.3).  So what was refused is parsed anew, head by head, interim ones first.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.relay.foreign import reason
from proxy.relay.http1 import lengths_once

HEAD_END = b"\r\n\r\n"
_OF_LENGTHS = ("Duplicate Content-Length", "Invalid character in Content-Length")
Parsed = tuple[list[tuple[RawResponseMessage, StreamReader]], bool, bytes]  # as `feed_data` has it


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was found, and the parser that goes on from there."""

    parser: HttpResponseParser
    parsed: Parsed
    extra: bool = False  # something came after the end of the response
    unfinished: bool = False  # once the rest of the head is there, try again from its beginning


def repaired(data: bytes, new: Callable[[], HttpResponseParser]) -> Repaired:
    """Parse `data`, which begins with a head.  Raises HttpProcessingError if nothing helps."""
    messages: list[tuple[RawResponseMessage, StreamReader]] = []
    data = data.lstrip(b"\r\n")
    while True:
        parser = new()
        head, end, rest = data.partition(HEAD_END)
        if not end:
            unfinished = _is_refused(parser, head)
            return Repaired(parser, (messages, False, b""), unfinished=unfinished)
        found, upgraded, after = parser.feed_data(lengths_once(head + end))
        messages += found
        if upgraded:
            return Repaired(parser, (messages, upgraded, after + rest))
        message, body = found[-1]
        if message.code >= 200:
            extra = _is_beyond(parser, rest, body)
            return Repaired(parser, (messages, False, b""), extra=extra)
        data = rest


def _is_refused(parser: HttpResponseParser, head: bytes) -> bool:
    """Whether a head is refused that the rest of it may show to be sound.  Raises otherwise."""
    try:
        parser.feed_data(head)
    except HttpProcessingError as error:
        if reason(error) not in _OF_LENGTHS or b"\n\n" in head:
            raise
        return True
    return False


def _is_beyond(parser: HttpResponseParser, rest: bytes, body: StreamReader) -> bool:
    """Whether some of `rest` comes after the end of the body.  Raises for a damaged body."""
    try:
        return bool(parser.feed_data(rest)[0])
    except HttpProcessingError:
        if body is not EMPTY_PAYLOAD and not body.is_eof():
            raise
        return True

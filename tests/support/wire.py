"""What many tests send and receive: a request, a response, a token."""

import asyncio
from contextlib import suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
TOKEN = "0123456789abcdef-token"
SLOW_S = 30.0  # by then a limit of tenths of a second has acted, on a busy machine too


async def to_the_end(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes."""
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), SLOW_S)
    return b""

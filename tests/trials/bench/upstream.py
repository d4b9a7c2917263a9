"""The provider of the benchmark: `python -m trials.bench.upstream [--tls CERT KEY]`.

A raw server that costs little, so that what is measured is the proxy.  It answers 0.8 kB of JSON,
in Anthropic's form at Anthropic's path, or as many server-sent events as `x-chunks` asks for, each
in a write of its own, `x-pace-ms` apart.
Its first line of output is the port.
"""

import argparse
import asyncio
import json
import ssl
import sys

import uvloop

EVENT = {
    "id": "chatcmpl-bench",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "delta": {"content": " hello"}, "finish_reason": None}],
}
USAGE = {"prompt_tokens": 100, "completion_tokens": 80, "total_tokens": 180}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello world " * 40},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()
MESSAGE = json.dumps(
    {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hello world " * 40}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 80},
    }
).encode()


def _whole(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


PLAIN, ANTHROPIC = _whole(ANSWER), _whole(MESSAGE)
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-request-id: req_1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNK = _chunk(b"data: " + json.dumps(EVENT).encode() + b"\n\n")
LAST = (
    _chunk(b"data: " + json.dumps({**EVENT, "choices": [], "usage": USAGE}).encode() + b"\n\n")
    + _chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class Provider(asyncio.Protocol):
    """One connection; requests come one after another, each with a Content-Length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._loop = asyncio.get_running_loop()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            size = end + 4 + _number(head, b"\r\ncontent-length:")
            if len(self._data) < size:
                break
            self._data = self._data[size:]
            if chunks := _number(head, b"\r\nx-chunks:"):
                self._write(STREAM)
                self._next(chunks, _number(head, b"\r\nx-pace-ms:") / 1000)
            else:
                self._write(ANTHROPIC if head.startswith(b"post /v1/messages") else PLAIN)

    def _next(self, chunks: int, pace_s: float) -> None:
        if pace_s:
            self._loop.call_later(pace_s, self._step, chunks, pace_s)
        else:
            self._loop.call_soon(self._step, chunks, pace_s)

    def _step(self, chunks: int, pace_s: float) -> None:
        self._write(CHUNK if chunks else LAST)
        if chunks:
            self._next(chunks - 1, pace_s)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _number(head: bytes, name: bytes) -> int:
    """The value of a header, 0 without one; `head` is in lower case."""
    at = head.find(name)
    return int(head[at + len(name) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def _serve(tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Provider, "127.0.0.1", 0, ssl=tls, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m trials.bench.upstream", description=__doc__)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="serve HTTPS")
    options = parser.parse_args()
    tls = None
    if options.tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*options.tls)
    uvloop.run(_serve(tls))


if __name__ == "__main__":
    main()

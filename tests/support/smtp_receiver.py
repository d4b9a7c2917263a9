"""A mail server on a real socket that answers as told and remembers what it received."""

import asyncio
from email import message_from_bytes
from email.message import Message


class MailReceiver:
    """Answers the end of each message with the next of `codes`, then with 250.  0: never."""

    def __init__(self, *codes: int, refused: tuple[str, ...] = ()) -> None:
        self.codes = list(codes)
        self.messages: list[Message] = []  # accepted
        self.asked = 0
        self._refused = refused
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "MailReceiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                self.asked += 1
                code = self.codes.pop(0) if self.codes else 250
                if code == 0:
                    await reader.read()  # until the client gives up
                    break
                if code == 250:
                    self.messages.append(message_from_bytes(data[:-5]))
                writer.write(b"%d as told\r\n" % code)
            elif word == b"RCPT" and any(name.encode() in line for name in self._refused):
                writer.write(b"550 nobody here\r\n")
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()

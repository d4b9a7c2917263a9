"""The listening sockets of one port: on each configured address, and on both loopbacks."""

import errno
import os
import socket

from proxy.network import bracketed
from proxy.settings.config import Listen

BACKLOG = 1024  # connections that may wait while every relay is busy or being replaced
FREE_PORT_TRIES = 20  # to find a port that is free on every address
_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


class BindError(Exception):
    """Cannot listen on an address; the message says what to do."""


class Listening:
    """Sockets that listen on the same port; a context that closes them."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.sockets = sockets

    @property
    def port(self) -> int:
        return int(self.sockets[0].getsockname()[1])

    @property
    def filenos(self) -> tuple[int, ...]:
        return tuple(sock.fileno() for sock in self.sockets)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()

    def __enter__(self) -> "Listening":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bind(listen: Listen, key: str) -> Listening:
    """Listens on all addresses of `listen`.

    Callers that say localhost may mean either loopback, so the other one is served as well, where
    the machine has it.  Raises BindError, which names settings of `key`, such as "proxy".
    """
    for attempt in range(FREE_PORT_TRIES):
        listening = Listening([])
        try:
            for host in listen.hosts:
                port = listening.port if listening.sockets else listen.port
                try:
                    listening.sockets.append(_socket(host, port))
                except OSError as error:
                    if host in listen.named_hosts or error.errno not in _MISSING:
                        raise
            return listening
        except OSError as error:
            listening.close()
            taken = error.errno == errno.EADDRINUSE and listen.port == 0
            if not taken or attempt == FREE_PORT_TRIES - 1:
                raise _explained(error, f"{bracketed(host)}:{listen.port or port}", key) from error
    raise AssertionError("the last attempt returns or raises")


def _socket(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    dual = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual)


def _explained(error: OSError, where: str, key: str) -> BindError:
    if isinstance(error, PermissionError):
        return BindError(
            f"Cannot listen on {where}: ports below 1024 need privileges; set {key}.port."
        )
    why = os.strerror(error.errno or 0) if error.errno in errno.errorcode else error.strerror
    if error.errno != errno.EADDRINUSE:
        return BindError(
            f"Cannot listen on {where}: {why}.\n"
            f"Is {key}.host an address of this machine?  127.0.0.1 is one; 0.0.0.0 means all."
        )
    flag = "--port" if key == "proxy" else f"--{key}-port"
    return BindError(
        f"Cannot listen on {where}: {why}.\n"
        f"Is Taximeter already running?  Choose another port with {flag} N (0: any free one) "
        f"or {key}.port."
    )

"""Which providers the processes of a command are connected to, past us.  Linux only: reads /proc.

A command may ignore every base URL that we set.  Its calls then have no rows, and somebody should
say so.
"""

import asyncio
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")  # where there is none, nothing is found
POLL_S = 0.25
RESOLVE_S = 30.0  # how often names are looked up: providers have many addresses
PORTS = {"https": 443, "http": 80}
OURS = ("127.0.0.1", "localhost", "::1")  # where anything may listen on the port of a local server
PROCESSES_MAX = 256  # looked at

Address = tuple[str, int]


class Peers:
    """Watches a command; `seen` are the providers to which it was connected."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        """`base_urls` by provider."""
        self._hosts: dict[str, tuple[str, int]] = {}
        for name, url in base_urls.items():
            parts = urlsplit(url)
            if parts.hostname and parts.hostname not in OURS:
                self._hosts[name] = parts.hostname, parts.port or PORTS.get(parts.scheme, 443)
        self._providers: dict[Address, set[str]] = {}
        self.seen: set[str] = set()

    async def watch(self, pid: int) -> None:
        """Look again and again, until cancelled."""
        resolving = asyncio.create_task(self._keep_resolving())
        try:
            while True:
                self._look(pid)
                await asyncio.sleep(POLL_S)
        finally:
            resolving.cancel()

    async def _keep_resolving(self) -> None:
        while True:
            await asyncio.gather(*(self._resolve(name) for name in self._hosts))
            await asyncio.sleep(RESOLVE_S)

    async def _resolve(self, name: str) -> None:
        host, port = self._hosts[name]
        with suppress(OSError):
            loop = asyncio.get_running_loop()
            for *_, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                self._providers.setdefault((str(address[0]), port), set()).add(name)

    def _look(self, pid: int) -> None:
        for address in connected(pid):
            self.seen |= self._providers.get(address, set())


def connected(pid: int) -> set[Address]:
    """The remote addresses of a process and its descendants."""
    found: set[Address] = set()
    for one in descendants(pid):
        inodes = set(_sockets(one))
        if inodes:
            for name in ("tcp", "tcp6"):
                found |= {address for address, inode in _table(one, name) if inode in inodes}
    return found


def descendants(pid: int) -> list[int]:
    """A process and those below it, as far as we may see them."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in (PROC / str(one) / "task").iterdir():
                found += map(int, (task / "children").read_text().split())
        if len(found) > PROCESSES_MAX:
            break
    return found[:PROCESSES_MAX]


def _sockets(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for file in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = str(file.readlink())
                if target.startswith("socket:["):
                    yield target[8:-1]


def _table(pid: int, name: str) -> Iterator[tuple[Address, str]]:
    """(remote address, inode) of the connections in /proc/PID/net."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "net" / name).read_text().splitlines()[1:]:
            fields = line.split()
            host, _, port = fields[2].partition(":")
            if int(port, 16):
                yield (_host(bytes.fromhex(host)), int(port, 16)), fields[9]


def _host(raw: bytes) -> str:
    """An address as the kernel prints it, in words of its own byte order; v4 in v6 as v4."""
    data = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    if len(data) == 16 and data[:12] == bytes(10) + b"\xff\xff":
        data = data[12:]
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, data)

"""Relays as processes, without a meter."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from proxy.journal.frames import Scan
from proxy.serving.child import environment, module
from proxy.settings import sources
from proxy.settings.config import Config, Provider


@dataclass
class RelayProcess:
    """A relay that serves on `port`."""

    process: subprocess.Popen[bytes]
    port: int
    data: Path

    def rss(self, field: str = "VmRSS") -> int:
        """Resident bytes; `VmHWM` for the most there ever were."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{field}:")[1].split()[0]) * 1024

    async def exit_code(self, within_s: float = 5) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), within_s)

    def kinds(self) -> list[int]:
        """What is in the journal, after the process is gone."""
        [segment] = self.data.glob("calls/*/*.seg")
        return [frame.kind for frame in Scan(segment.read_bytes(), 0)]


@asynccontextmanager
async def relays(
    data: Path, upstream_port: int, count: int = 1, first: int = 0, **changes: object
) -> AsyncIterator[list[RelayProcess]]:
    """Relays that share one listening socket, each ready; their slots count from `first`."""
    base = f"http://127.0.0.1:{upstream_port}"
    providers = {"openai": Provider(name="openai", base_url=base)}
    config = replace(Config(data=data, providers=providers), **changes)  # type: ignore[arg-type]
    started: list[RelayProcess] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        try:
            for slot in range(first, first + count):
                ready, tell = os.pipe()
                fd = listener.fileno()
                command = [
                    *module("proxy.serving.relay_process"),
                    "--fd",
                    str(fd),
                    "--slot",
                    str(slot),
                ]
                process = subprocess.Popen(  # noqa: ASYNC220 — forking is quick
                    [*command, "--ready-fd", str(tell)],
                    stdin=subprocess.PIPE, pass_fds=(fd, tell), env=environment(),
                )  # fmt: skip
                os.close(tell)
                assert process.stdin is not None
                process.stdin.write(sources.dump(config) + b"\n")
                process.stdin.flush()
                assert len(await asyncio.to_thread(os.read, ready, 1)) == 1
                os.close(ready)
                started.append(RelayProcess(process, port, data))
            yield started
        finally:
            for relay in started:
                relay.process.kill()
                assert relay.process.stdin is not None
                relay.process.stdin.close()
                relay.process.wait()

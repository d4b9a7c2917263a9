"""Starts `support.clickhouse_server` in a process of its own, injects faults and kills it."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

TESTS = Path(__file__).parents[1]
PASSWORD = "kept secret/äöü"  # must appear in no error and no log
QUOTED = "kept%20secret%2F%C3%A4%C3%B6%C3%BC"
NO_PROFILE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ClickHouseServer:
    """A running server with two accounts: `meter`, and `reader`, which has a settings profile."""

    process: "subprocess.Popen[str]"
    port: int

    @classmethod
    def start(
        cls, data: Path, port: int = 0, *, reader: Mapping[str, str] = NO_PROFILE
    ) -> "ClickHouseServer":
        """Start it on `data` and return once it listens; port 0 is any free one.

        `reader` is the profile of that account: ClickHouse settings and their values.
        """
        command = [sys.executable, "-m", "support.clickhouse_server", "--port", str(port)]
        command += ["--data", str(data), "--user", "meter", "--password", PASSWORD]
        process = subprocess.Popen(
            [*command, "--reader", json.dumps(dict(reader))],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(TESTS)},
        )
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    @property
    def dsn(self) -> str:
        """Where `meter` reads and writes."""
        return f"clickhouse://meter:{QUOTED}@127.0.0.1:{self.port}/"

    @property
    def reader_dsn(self) -> str:
        """Where `reader` reads."""
        return f"clickhouse://reader:{QUOTED}@127.0.0.1:{self.port}/"

    def fault(self, kind: str, **fields: object) -> None:
        """Make the next queries fail: see `support.clickhouse_server.Fault`."""
        data = json.dumps({"kind": kind, **fields}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/fault", data=data).close()

    def sent(self) -> list[str]:
        """The beginnings of all queries that it received."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/fault") as answer:
            texts: list[str] = json.load(answer)
        return texts

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class StartServer(Protocol):
    """`ClickHouseServer.start`, but the server does not outlive its test."""

    def __call__(
        self, data: Path, port: int = 0, *, reader: Mapping[str, str] = NO_PROFILE
    ) -> ClickHouseServer: ...


@contextmanager
def running(data: Path) -> Iterator[ClickHouseServer]:
    """A server that is gone when the block ends."""
    server = ClickHouseServer.start(data)
    try:
        yield server
    finally:
        server.kill()

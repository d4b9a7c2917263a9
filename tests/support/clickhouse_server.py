"""A ClickHouse server for tests: its HTTP interface on a real socket, chDB behind it.

    PYTHONPATH=tests python -m support.clickhouse_server --port 0 --data DIRECTORY

prints the port it listens on.  It speaks the part of https://clickhouse.com/docs/interfaces/http
that clickhouse-connect needs: settings and parameters in the URL, Basic authentication, compressed
inserts, errors with their codes.  `POST /fault` injects a fault, `GET /fault` lists the queries.

It has two users, no replication and no quotas, and it does not stream.
"""

import argparse
import asyncio
import base64
import gzip
import json
import re
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import chdb
import lz4.frame  # type: ignore[import-untyped]  # no stubs
from aiohttp import web
from chdb.state.sqlitelike import Connection

DECODERS = {"": bytes, "gzip": gzip.decompress, "lz4": lz4.frame.decompress}
# Parameters of the URL that are not settings of the query.
TRANSPORT = frozenset(
    {
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "wait_end_of_query",
        "client_protocol_version",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)
# ClickHouse, src/Server/HTTPHandler.cpp: exceptionCodeToHTTPStatus; the rest is 500.
STATUS = {
    403: (497, 516),
    404: (16, 46, 47, 60, 81),
    400: (6, 26, 27, 41, 53, 62, 117),
    413: (168,),
    501: (48,),
}
INSERT = re.compile(rb"\s*INSERT\s+INTO\s+(.+?)\s+FORMAT\s+(\w+)\s", re.IGNORECASE | re.DOTALL)


class QueryError(Exception):
    """An error of the database; `code` is ClickHouse's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Fault:
    """A fault for the next `count` inserts, or queries of any kind if `only` is "any".

    `drop_before` and `commit_then_drop` cut the connection; `status` answers with the HTTP status
    `code`, `exception` with ClickHouse's error `code`; `slow` waits `seconds` before the query,
    `hang` instead of it; `refuse` stops listening for `seconds`, and cuts what is connected.
    """

    kind: str = ""
    count: int = 1
    only: str = "insert"
    code: int = 503
    seconds: float = 1.0


@dataclass
class Server:
    """The engine, its accounts and the current fault."""

    directory: str
    user: str
    password: str
    reader: Mapping[str, str] = field(default_factory=dict)  # profile of user `reader`
    fault: Fault = field(default_factory=Fault)
    sent: list[str] = field(default_factory=list)  # beginnings of the queries received
    refusing: bool = False  # connections that are kept alive outlive the listening socket

    def __post_init__(self) -> None:
        self.engine = self._connect()  # keeps the engine open

    def _connect(self) -> Connection:
        connection: Connection = chdb.connect(  # type: ignore[no-untyped-call]  # chDB's own
            self.directory
        )
        return connection

    async def query(self, request: web.Request) -> web.StreamResponse:
        """`GET /` and `POST /`: run one query."""
        if self.refusing:
            return _cut(request)
        body = DECODERS[request.headers.get("Content-Encoding", "")](await request.read())
        sql = request.query.get("query", "").encode()
        sql = sql + b"\n" + body if sql and body else sql or body
        self.sent.append(sql[:200].decode("utf-8", "replace"))
        fault = self._next_fault(sql)
        try:
            profile = self._authenticate(request)
            if fault.kind == "exception":
                raise QueryError(fault.code, f"Code: {fault.code}. DB::Exception: injected (FAULT)")
            if fault.kind == "status":
                return web.Response(status=fault.code, text="injected")
            if fault.kind in ("slow", "hang"):
                await asyncio.sleep(fault.seconds)
            if fault.kind in ("drop_before", "hang"):
                return _cut(request)
            answer = await asyncio.to_thread(self._run, sql, request.query, profile)
        except QueryError as error:
            return _refusal(error)
        return _cut(request) if fault.kind == "commit_then_drop" else answer

    def _next_fault(self, sql: bytes) -> Fault:
        insert = sql.lstrip()[:6].upper() == b"INSERT"
        if self.fault.count > 0 and (insert or self.fault.only == "any"):
            self.fault.count -= 1
            return self.fault
        return Fault()

    def _authenticate(self, request: web.Request) -> Mapping[str, str]:
        """The settings of the user's profile."""
        for user, profile in ((self.user, {}), ("reader", self.reader)):
            expected = base64.b64encode(f"{user}:{self.password}".encode()).decode()
            if request.headers.get("Authorization", "") == f"Basic {expected}":
                return profile
        raise QueryError(
            516,
            "Code: 516. DB::Exception: Authentication failed: password is incorrect, or there"
            " is no user with such name. (AUTHENTICATION_FAILED)",
        )

    def _run(self, sql: bytes, url: Mapping[str, str], profile: Mapping[str, str]) -> web.Response:
        """Run `sql` on a connection of its own, so that its settings end with it."""
        connection = self._connect()
        try:
            if database := url.get("database"):
                connection.query(f"USE `{database}`")
            for name, value in profile.items():
                connection.query(f"SET {name} = {_literal(value)}")
            # One by one, and `readonly` last, since it forbids to set the others.
            for name, value in sorted(url.items(), key=lambda item: item[0] == "readonly"):
                if name not in TRANSPORT and not name.startswith("param_"):
                    connection.query(f"SET {name} = {_literal(value)}")
            parameters = {
                name.removeprefix("param_"): value
                for name, value in url.items()
                if name.startswith("param_")
            }
            fmt = url.get("default_format", "TabSeparated")
            if insert := INSERT.match(sql):
                return self._insert(connection, sql, insert)
            result = connection.query(sql.decode(), fmt, params=parameters)
            body = result.bytes() or b""
            return _answer(body, result.rows_read(), "read_rows", fmt if body else "")
        except RuntimeError as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            raise QueryError(int(code[1]) if code else 1002, text) from error
        finally:
            connection.close()

    def _insert(self, connection: Connection, sql: bytes, insert: re.Match[bytes]) -> web.Response:
        with tempfile.NamedTemporaryFile() as file:
            file.write(sql[insert.end() :])
            file.flush()
            target, fmt = insert[1].decode(), insert[2].decode()
            result = connection.query(
                f"INSERT INTO {target} FROM INFILE {_literal(file.name)} FORMAT {fmt}"
            )
        return _answer(b"", result.rows_read(), "written_rows", "")


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _answer(body: bytes, rows: int, rows_name: str, fmt: str) -> web.Response:
    headers = {
        "X-ClickHouse-Query-Id": str(uuid.uuid4()),
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": json.dumps({rows_name: str(rows)}),
    }
    if fmt:
        headers["X-ClickHouse-Format"] = fmt
    return web.Response(body=body, headers=headers)


def _refusal(error: QueryError) -> web.Response:
    status = next((status for status, codes in STATUS.items() if error.code in codes), 500)
    return web.Response(
        status=status, text=str(error), headers={"X-ClickHouse-Exception-Code": str(error.code)}
    )


def _cut(request: web.Request) -> web.Response:
    """Close the connection without a response."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def serve(port: int, server: Server) -> None:
    """Listen on loopback until killed; the first line printed is the port."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/", server.query)

    async def set_fault(request: web.Request) -> web.Response:
        server.fault = Fault(**await request.json())
        if server.fault.kind == "refuse":
            server.refusing = True
            refusing.set()
        return web.Response()

    async def told(_: web.Request) -> web.Response:
        return web.json_response(server.sent)

    refusing = asyncio.Event()
    app.router.add_post("/fault", set_fault)
    app.router.add_get("/fault", told)
    runner = web.AppRunner(app, keepalive_timeout=60)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    port = runner.addresses[0][1]
    print(port, flush=True)
    while await refusing.wait():
        refusing.clear()
        await asyncio.sleep(0.05)  # until the response to /fault is sent
        await site.stop()
        await asyncio.sleep(server.fault.seconds)
        server.refusing = False
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--user", default="default")
    parser.add_argument("--password", default="")
    parser.add_argument(
        "--reader", type=json.loads, default={}, help="settings of user reader, as JSON"
    )
    args = parser.parse_args()
    args.data.mkdir(parents=True, exist_ok=True)
    asyncio.run(
        serve(args.port, Server(str(args.data.resolve()), args.user, args.password, args.reader))
    )


if __name__ == "__main__":
    main()

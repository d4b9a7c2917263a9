"""The proxy that one writes first with aiohttp: `python -m trials.bench.plain_aiohttp UPSTREAM`.

A server, a client session and a handler between them: no journal, no limits, no promises.  It is
what our relay is compared with.  Its first line of output is the port.
"""

import argparse
import asyncio
import ssl
import sys

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = frozenset(
    ("host", "connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade")
)
AUTOMATIC = frozenset(("User-Agent", "Accept", "Accept-Encoding"))


class Proxy:
    """Passes requests to `upstream`."""

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self._upstream = upstream
        self._session = session

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP]
        async with self._session.request(
            request.method,
            self._upstream + request.path_qs,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as found:
            kept = [(k, v) for k, v in found.headers.items() if k.lower() not in HOP_BY_HOP]
            if "Content-Length" in found.headers:
                return web.Response(status=found.status, headers=kept, body=await found.read())
            answer = web.StreamResponse(status=found.status, headers=kept)
            await answer.prepare(request)
            async for data in found.content.iter_any():
                await answer.write(data)
            await answer.write_eof()
            return answer


async def _serve(upstream: str, ca_file: str) -> None:
    tls = ssl.create_default_context(cafile=ca_file) if ca_file else True
    async with aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        skip_auto_headers=AUTOMATIC,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        application = web.Application(client_max_size=1 << 30)
        application.router.add_route("*", "/{path:.*}", Proxy(upstream, session).answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        sys.stdout.write(f"{runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(
        prog="python -m trials.bench.plain_aiohttp", description=__doc__
    )
    parser.add_argument("upstream", help="where calls go, for example http://127.0.0.1:8080")
    parser.add_argument("--ca-file", default="", help="trusted besides the system's authorities")
    options = parser.parse_args()
    uvloop.run(_serve(options.upstream, options.ca_file))


if __name__ == "__main__":
    main()

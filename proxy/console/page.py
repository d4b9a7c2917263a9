"""The console's page: one document, one style sheet and ES modules, served as they are written.

Each file has a route of its own, made when the process starts; no path comes from a request.
"""

from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

FOLDER = Path(__file__).with_name("static")
DOCUMENT = "index.html"


def routes() -> list[web.RouteDef]:
    """`/` and every file that it loads."""
    return [
        web.get("/" if file.name == DOCUMENT else f"/static/{file.name}", _sends(file))
        for file in sorted(FOLDER.iterdir())
    ]


def _sends(file: Path) -> Handler:
    async def send(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    return send

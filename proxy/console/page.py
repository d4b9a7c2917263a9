"""The console's pages: documents, style sheets and ES modules, served as they are written.

Each file has a route of its own, made when the process starts; no path comes from a request.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

FOLDER = Path(__file__).with_name("static")
# Document → where it is shown.  It finds in its own address what it is about.  Those of decisions
# are filled in by `decisions_api`.
DOCUMENTS: Mapping[str, Sequence[str]] = {
    "index.html": ("/",),
    "dashboards.html": ("/dashboards", "/dashboards/{uid}"),
    "compare.html": (),
    "recommend.html": (),
    "bill.html": ("/bill",),
    "budgets.html": ("/budgets",),
    "calls.html": ("/calls",),
    "evaluations.html": ("/evaluations",),
}


def routes() -> list[web.RouteDef]:
    """The documents and every file that they load."""
    return [
        web.get(path, _sends(file))
        for file in sorted(FOLDER.iterdir())
        for path in DOCUMENTS.get(file.name, (f"/static/{file.name}",))
    ]


def _sends(file: Path) -> Handler:
    async def send(_: web.Request) -> web.StreamResponse:
        response = web.FileResponse(file)
        response.enable_compression()  # a quarter of the bytes, for browsers that take them
        return response

    return send

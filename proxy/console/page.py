"""The console's pages: documents, style sheets and ES modules.

Each file has a route of its own, made when the process starts; no path comes from a request.
Documents have places for what all pages share; the other files are served as they are written.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from aiohttp import web
from aiohttp.typedefs import Handler

FOLDER = Path(__file__).with_name("static")
# Document → where it is shown.  It finds in its own address what it is about.  Those of decisions
# are filled in by `decisions_api` and `results_api`, that of the token by `login`.
DOCUMENTS: Mapping[str, Sequence[str]] = {
    "index.html": ("/",),
    "dashboards.html": ("/dashboards", "/dashboards/{uid}"),
    "compare.html": (),
    "recommend.html": (),
    "login.html": (),
    "loadtest.html": (),
    "simulate.html": (),
    "bill.html": ("/bill",),
    "budgets.html": ("/budgets",),
    "calls.html": ("/calls",),
    "evaluations.html": ("/evaluations",),
    "routes.html": ("/routes",),
    "tariffs.html": ("/tariffs",),
}
DECISIONS = ("/compare", "/recommend", "/simulate", "/loadtest")  # they hold what they show
PAGES = (*(path for paths in DOCUMENTS.values() for path in paths), *DECISIONS)
# Document → its name in the navigation, which is the same on every page.
NAMES = {
    "dashboards.html": "Dashboards",
    "calls.html": "Calls",
    "budgets.html": "Budgets",
    "evaluations.html": "Evaluations",
    "compare.html": "Compare",
    "recommend.html": "Recommend",
    "simulate.html": "Simulate",
    "loadtest.html": "Load test",
    "bill.html": "Bill",
    "routes.html": "Routes",
    "tariffs.html": "Tariffs",
}
LINK = re.compile(r'\b(?:href|src|action)="(?=/)')  # to a path of ours
# What every document but the login has in its head.
HEAD = """<meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="$icon">
  <link rel="stylesheet" href="/static/console.css">"""
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='3' fill='%23c98a00'/%3E%3Ctext x='8' y='12' font-size='11'"
    " text-anchor='middle' font-family='sans-serif'%3E$%3C/text%3E%3C/svg%3E"
)


def routes(base_path: str = "") -> list[web.RouteDef]:
    """The documents and every file that they load; `base_path` stands before each link."""
    return [
        web.get(path, _shows(document(file.name, base_path).substitute()))
        if file.name in DOCUMENTS
        else web.get(path, _sends(file))
        for file in sorted(FOLDER.iterdir())
        for path in DOCUMENTS.get(file.name, (f"/static/{file.name}",))
    ]


def document(name: str, base_path: str = "") -> Template:
    """A document with what all share; its links begin with `base_path`, its own is to be put in."""
    text = FOLDER.joinpath(name).read_text(encoding="utf-8").replace("$head", HEAD)
    text = LINK.sub(lambda found: f"{found[0]}{base_path}", text)
    icon = ICON.replace("$", "$$")  # it is substituted again
    navigation = _navigation(name, base_path)
    return Template(Template(text).safe_substitute(navigation=navigation, icon=icon))


def _navigation(current: str, base_path: str) -> str:
    """Links to all pages; `current` is the document around them."""
    links = "".join(
        f'<a href="{base_path}/{name.lower()}"{_mark(file == current)}>{name}</a>'
        for file, name in NAMES.items()
    )
    return f'<nav aria-label="Pages">{links}</nav>'


def _mark(is_current: bool) -> str:
    return ' aria-current="page"' if is_current else ""


def _shows(text: str) -> Handler:
    async def show(_: web.Request) -> web.StreamResponse:
        response = web.Response(text=text, content_type="text/html")
        response.enable_compression()
        return response

    return show


def _sends(file: Path) -> Handler:
    async def send(_: web.Request) -> web.StreamResponse:
        response = web.FileResponse(file)
        response.enable_compression()  # a quarter of the bytes, for browsers that take them
        return response

    return send

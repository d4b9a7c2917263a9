"""The page that asks a browser for a token, in place of whichever page was opened without one.

The form is sent to the very address that was asked for, and its answer leads there again: so no
parameter could lead elsewhere.
"""

from html import escape

from aiohttp import web

from proxy.access.tokens import session
from proxy.console.asking import POLICY, styled
from proxy.console.page import PAGES, document

COOKIE = "taximeter_console"
FIELD = "token"
FORM = "application/x-www-form-urlencoded"
WRONG = "This is not a token of this console, or it was removed."
WAIT = "Too many wrong tokens came from your address. Try again in {} s."
_BOARD = "/dashboards/"


def is_page(path: str) -> bool:
    """Whether a browser may open this path as a page."""
    return path in PAGES or path.startswith(_BOARD)


class Login:
    """Makes the page and the session; `secure` cookies are sent over TLS alone."""

    def __init__(self, base_path: str = "", *, secure: bool = False) -> None:
        self._base, self._secure = base_path, secure
        self._document = document("login.html", base_path)
        self._policy = f"{styled(_style(self._document.template))}; form-action 'self'"

    def asks(self, request: web.Request) -> bool:
        """Whether a person asked for a page, and should see the form instead of JSON."""
        accepted = request.headers.get("Accept", "")
        return request.method in ("GET", "POST") and is_page(request.path) and "html" in accepted

    def sends(self, request: web.Request) -> bool:
        """Whether the form sent this, from our own page."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        is_form = request.method == "POST" and request.content_type == FORM
        return is_form and is_page(request.path) and site == "same-origin"

    async def token(self, request: web.Request) -> str:
        """What was typed into the form; "" if nothing was."""
        return str((await request.post()).get(FIELD, "")).strip()

    def form(self, wrong: str = "", status: int = 401) -> web.Response:
        """The page; `wrong` says why the last token was not taken."""
        alert = f'<p role="alert">{escape(wrong)}</p>' if wrong else ""
        text = self._document.substitute(wrong=alert)
        response = web.Response(text=text, content_type="text/html", status=status)
        response.headers[POLICY] = self._policy
        return response

    def back(self, request: web.Request, token: str) -> web.Response:
        """Signs in with a valid token, and leads to the page that was asked for."""
        asked = request.rel_url.without_query_params(FIELD)
        response = web.Response(status=303, headers={"Location": self._base + str(asked)})
        self.sign_in(response, token)
        return response

    def again(self, request: web.Request) -> web.Response:
        """The same address, asked for by our own page: then the browser sends the cookie."""
        return self.leads_to(str(request.rel_url))

    def leads_to(self, path: str) -> web.Response:
        """A page that goes to another of the console's.

        Not a redirect: following a link from another site, it would not send the cookie.
        """
        url = escape(self._base + path, quote=True)
        text = (
            f'<!doctype html><meta http-equiv="refresh" content="0;url={url}">'
            "<title>Taximeter</title>"
            '<link rel="icon" href="data:,">'  # none; a browser would ask for /favicon.ico
        )
        return web.Response(text=text, content_type="text/html")

    def sign_in(self, response: web.Response, token: str) -> None:
        """Adds the cookie of a session."""
        response.set_cookie(
            COOKIE,
            session(token),
            path=self._base or "/",
            httponly=True,
            samesite="Strict",
            secure=self._secure,
        )

    def sign_out(self, response: web.Response) -> None:
        """Takes the cookie away."""
        response.del_cookie(COOKIE, path=self._base or "/")


def _style(text: str) -> str:
    """What is within the document's one `style`; it has nothing to put in."""
    return text.partition("<style>")[2].partition("</style>")[0]

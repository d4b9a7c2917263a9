"""Access control of the console: who sent a request, and whether they may use its route.

A token comes as `Authorization: Bearer`; a browser is shown a form for it in place of a page, or
opens `/?token=TOKEN` once, and gets a cookie, which no script can read and no other site can make
it send; a command sends the token of the data directory.  `proxy.access.rules` has the role that
each route needs.  A browser's write also needs the token of our own page.  While no token is
required, the Host of a request must be an address or a name of this machine, which stops pages
whose name was pointed here (DNS rebinding).
"""

import ipaddress
from collections.abc import Callable
from time import monotonic
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.access.failures import Failures
from proxy.access.page_token import HEADER as PAGE_HEADER
from proxy.access.page_token import PageTokens
from proxy.access.roles import ANYBODY, COMMAND, Caller, Way
from proxy.access.rules import READING, rule_of
from proxy.access.tokens import NamedToken, Tokens
from proxy.console import login
from proxy.console.command_token import CommandToken
from proxy.console.login import COOKIE, Login, is_page
from proxy.console.page import DECISIONS
from proxy.probes import PROBES
from proxy.settings.config import Listen

LIVENESS = "/api/health"  # without a token, it only says whether everything works
PAGE = "/"
CALLER = web.RequestKey("caller", Caller)
Find = Callable[[str], NamedToken | None]
_TOKEN_REQUIRED = (
    "this console requires a token (console.token, or one of: taximeter access list): open it in a"
    " browser, which asks for one, or send Authorization: Bearer TOKEN"
)


class TooMany(Exception):
    """Too many wrong tokens came from this address; the next is looked at in `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class Admission:
    """Decides about requests to the console at `listen`; `command` recognises our commands."""

    def __init__(
        self,
        listen: Listen,
        tokens: Tokens | None = None,
        command: CommandToken | None = None,
        pages: PageTokens | None = None,
        base_path: str = "",
    ) -> None:
        self._listen = listen
        self._tokens = tokens or Tokens(console_token=listen.token)
        self._command = command
        self._pages = pages or PageTokens()
        self._failures = Failures()
        self._login = Login(base_path, secure=listen.tls_cert is not None)

    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The response of `handler`, or a refusal."""
        required = self._tokens.required
        if foreign := _foreign(request, self._listen, required=required):
            return _refusal(403, foreign)
        try:
            if signed_in := await self._signs_in(request):
                return signed_in
            caller = self._caller(request, required=required)
        except TooMany as error:
            return self._too_many(request, error.wait_s)
        if caller is None:
            return await self._unknown(request, handler)
        if request.match_info.http_exception is None and (why := self._forbidden(request, caller)):
            return _refusal(403, why)
        request[CALLER] = caller
        return await handler(request)

    async def _signs_in(self, request: web.Request) -> web.Response | None:
        """The response that signs a browser in, if the request asks for that with a token."""
        if self._tokens.required and self._login.sends(request):
            given = await self._login.token(request)
            if given and self._checked(request, self._tokens.with_token, given):
                return self._login.back(request, given)
            return self._login.form(login.WRONG)
        given = request.query.get("token", "") if request.path == PAGE else ""
        if not given or self._checked(request, self._tokens.with_token, given) is None:
            return None
        response = self._login.leads_to(PAGE)
        self._login.sign_in(response, given)
        return response

    def _caller(self, request: web.Request, *, required: bool) -> Caller | None:
        """Who sent the request; None if a token is required and none of ours came."""
        if self._command is not None and self._command.authorizes(request):
            return COMMAND
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (required or given):
            known = self._checked(request, self._tokens.with_token, given.strip())
            if known is not None:
                return Caller(known.name, known.role, Way.BEARER)
        if cookie := request.cookies.get(COOKIE, ""):
            known = self._checked(request, self._tokens.with_session, cookie)
            if known is not None:
                return Caller(known.name, known.role, Way.COOKIE)
        return None if required else ANYBODY

    def _checked(self, request: web.Request, find: Find, given: str) -> NamedToken | None:
        """What `find` says of a token; a wrong one counts against its address."""
        if not self._tokens.required:
            return None
        address, now = request.remote or "", monotonic()
        if wait_s := self._failures.wait_s(address, now):
            raise TooMany(wait_s)
        known = find(given)
        if known is None:
            self._failures.add(address, now)
        return known

    async def _unknown(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == LIVENESS:
            status = (await handler(request)).status
            return _answer({"ok": status == 200}, status)
        if not self._login.asks(request):
            response = _refusal(401, _TOKEN_REQUIRED)
        elif request.headers.get("Sec-Fetch-Site") == "cross-site":
            return self._login.again(request)  # a link to us: the cookie did not come with it
        else:
            gone = COOKIE in request.cookies or "token" in request.query
            response = self._login.form(login.WRONG if gone else "")
        if COOKIE in request.cookies:  # of a token that is gone; else a page would send it for ever
            self._login.sign_out(response)
        return response

    def _too_many(self, request: web.Request, wait_s: float) -> web.Response:
        wait = int(wait_s) + 1
        if self._login.asks(request):
            response = self._login.form(login.WAIT.format(wait), 429)
        else:
            error = "too many wrong tokens came from this address; wait"
            response = _answer({"error": error}, 429)
        response.headers["Retry-After"] = str(wait)
        return response

    def _forbidden(self, request: web.Request, caller: Caller) -> str:
        """Why the caller may not use the route; "" if it may."""
        resource = request.match_info.route.resource
        rule = rule_of(request.method, resource.canonical if resource else "")
        if rule is None:
            return "no role may use this route: it is missing in proxy/access/rules.py"
        if why := rule.refusal(caller):
            return why
        if caller.is_page and request.method not in READING:
            return self._forged(request, caller)
        return ""

    def _forged(self, request: web.Request, caller: Caller) -> str:
        """Why a browser's write may come from another site; "" if it comes from our page."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return "pages of other origins may not change anything"
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return "pages of other origins may not change anything"
        if not self._pages.admits(caller, request.headers.get(PAGE_HEADER, "")):
            return f"a change from a page needs {PAGE_HEADER}: page_token of /api/session"
        return ""


def admission(
    listen: Listen,
    tokens: Tokens | None = None,
    command: CommandToken | None = None,
    pages: PageTokens | None = None,
    base_path: str = "",
) -> Middleware:
    """A middleware that admits only requests that may use the console at `listen`.

    Addresses that browsers are sent to begin with `base_path`.
    """
    made = Admission(listen, tokens, command, pages, base_path)

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in PROBES:  # they say whether we serve, and nothing else
            request[CALLER] = ANYBODY
            return await handler(request)
        return await made.admit(request, handler)

    return admit


def _foreign(request: web.Request, listen: Listen, *, required: bool) -> str:
    """Why a request counts as made by another site; "" if it does not."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not _is_page(request):
        return "cross-site requests are not allowed"
    if not required and not _names_us(request.host, listen.host):
        return (
            "unknown Host: open the console by localhost or an IP address, or set console.token to"
            " use other names"
        )
    return ""


def _is_page(request: web.Request) -> bool:
    """Whether it is a document, to which others may link: it holds nothing of the store."""
    return request.method == "GET" and is_page(request.path) and request.path not in DECISIONS


def _names_us(host: str, listening: str) -> bool:
    """Whether a Host header is an address, localhost or the configured host."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in ("localhost", listening.lower()) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refusal(status: int, text: str) -> web.Response:
    response = _answer({"error": text}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _answer(document: object, status: int) -> web.Response:
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json")

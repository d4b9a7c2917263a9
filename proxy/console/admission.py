"""Access control of the console.

The token is compared in constant time and never stored.  The console accepts it as `Authorization:
Bearer`; a browser opens `/?token=TOKEN` once and gets a cookie, which no script can read and no
other site can make the browser send.  Without a token, the Host of a request must be an address or
a name of this machine, which stops pages whose name was pointed here (DNS rebinding).
"""

import hmac
import ipaddress
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.console.probes import PROBES
from proxy.settings.config import Listen

COOKIE = "taximeter_console"
LIVENESS = "/api/health"  # without the token, it only says whether everything works
PAGE = "/"
_SIGNED_IN = (  # not a redirect: following a link from another site, it would not send the cookie
    '<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>Taximeter</title>'
    '<link rel="icon" href="data:,">'  # none; a browser would ask for /favicon.ico
)


def admission(listen: Listen) -> Middleware:
    """A middleware that admits only requests that may read the console at `listen`."""
    session = hmac.digest(listen.token.encode(), COOKIE.encode(), "sha256").hex()

    def has_token(request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and listen.admits(given.strip()):
            return True
        return hmac.compare_digest(
            request.cookies.get(COOKIE, "").encode("utf-8", "surrogateescape"), session.encode()
        )

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if foreign := _foreign(request, listen):
            return _refusal(403, foreign)
        if not listen.token or request.path in PROBES:
            return await handler(request)
        if request.path == PAGE and listen.admits(request.query.get("token", "")):
            return _signed_in(session, secure=listen.tls_cert is not None)
        if has_token(request):
            return await handler(request)
        if request.path == LIVENESS:
            status = (await handler(request)).status
            return _answer({"ok": status == 200}, status)
        text = (
            "this console requires its token (console.token): open /?token=TOKEN once, or send"
            " Authorization: Bearer TOKEN"
        )
        return _refusal(401, text)

    return admit


def _foreign(request: web.Request, listen: Listen) -> str:
    """Why a request counts as made by another site; "" if it does not."""
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.path != PAGE:
        return "cross-site requests are not allowed"
    if not listen.token and not _names_us(request.host, listen.host):
        return (
            "unknown Host: open the console by localhost or an IP address, or set console.token to"
            " use other names"
        )
    return ""


def _signed_in(session: str, *, secure: bool) -> web.Response:
    response = web.Response(text=_SIGNED_IN, content_type="text/html")
    response.set_cookie(COOKIE, session, httponly=True, samesite="Strict", secure=secure)
    return response


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

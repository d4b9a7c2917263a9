"""What each address of the API may be asked: one table.  Anything else is refused, with a hint.

The middleware reads the table, so no handler can forget to check; a route that is not in it takes
no parameter.  Errors of the API are JSON for people: `error` says what is wrong and what to do, and
about a parameter also `parameter` and `hint`, the latter part alone.
"""

import logging
from base64 import b64encode
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from hashlib import sha256

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from exporters.record import TransientError
from proxy.access.audit import NotAudited
from proxy.dashboards.answers import PANEL, RANGE
from proxy.exports.asked import CONVERSATIONS_PAGE
from proxy.query.asked import FILTERED_PERIOD, NOTHING, PERIOD, Accepted, Asked, Mistake, asked
from proxy.query.language import (
    AMORTISED,
    AUDIT_LOG,
    CALLS,
    COMPARE,
    OBSERVED,
    RECOMMEND,
    REFUSALS,
    REPORT,
    TARIFFS,
    TIMELINE,
)

log = logging.getLogger(__name__)

API = "/api/"
ASKED = web.RequestKey("asked", Asked)
ACCEPTED: Mapping[tuple[str, str], Accepted] = {
    ("GET", "/api/calls"): CALLS,
    ("GET", "/api/refusals"): REFUSALS,
    ("GET", "/api/budgets"): Accepted(("name",)),
    ("GET", "/api/budgets/{name}/test"): Accepted(("amount",), filters=True),
    ("GET", "/api/budgets/{name}/history"): Accepted((), filters=True),
    ("GET", "/api/routes"): Accepted(("name",)),
    ("GET", "/api/tariffs"): TARIFFS,
    ("GET", "/api/report"): REPORT,
    ("GET", "/api/spend"): REPORT,
    ("GET", "/api/timeline"): TIMELINE,
    ("GET", "/api/observed"): OBSERVED,
    ("GET", "/api/compare"): COMPARE,
    ("GET", "/api/recommend"): RECOMMEND,
    ("GET", "/api/unpriced"): FILTERED_PERIOD,
    ("GET", "/api/counted"): FILTERED_PERIOD,
    ("GET", "/api/audit"): AUDIT_LOG,
    ("GET", "/api/amortised"): AMORTISED,
    ("GET", "/api/export/focus"): FILTERED_PERIOD,
    ("GET", "/api/metered"): Accepted((*PERIOD, "provider")),
    ("GET", "/api/export/conversations"): CONVERSATIONS_PAGE,
    ("GET", "/api/audit/evidence"): Accepted(("since", "purpose")),
    ("GET", "/api/audit/consistency"): Accepted(("size",)),
    ("GET", "/api/dashboards/{uid}/panels/{id}"): PANEL,
    ("GET", "/api/dashboards/{uid}/variables/{name}"): RANGE,
    ("GET", "/api/store/check"): Accepted(("quiet_s",)),
    ("POST", "/api/store/check"): Accepted(("quiet_s",)),
}
POLICY = "Content-Security-Policy"
SECURITY_HEADERS = {
    POLICY: "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SHOWN_MAX = 100  # characters of an address, in an error


def styled(style: str) -> str:
    """The policy of a page that brings this style within itself."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"{SECURITY_HEADERS[POLICY]}; style-src 'self' 'sha256-{digest}'"


def reply(document: object, status: int = 200) -> web.Response:
    """A response with `document` as JSON."""
    return web.Response(
        body=msgspec.json.encode(document), status=status, content_type="application/json"
    )


async def expected(request: web.Request) -> web.StreamResponse | None:
    """Answers `Expect`, which no middleware sees."""
    if request.headers["Expect"].lower() != "100-continue":
        return reply({"error": "Expect: 100-continue is the only expectation that is met"}, 417)
    if request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


def answering(routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
    """The routes, with all their errors in one form."""
    return [
        web.RouteDef(one.method, one.path, one.handler, one.kwargs | {"expect_handler": expected})
        for one in routes
    ]


@web.middleware
async def understood(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reads the parameters of an address of the API.  Raises Mistake for what it does not take."""
    resource = request.match_info.route.resource
    if request.path.startswith(API) and resource is not None:
        method = "GET" if request.method == "HEAD" else request.method
        accepted = ACCEPTED.get((method, resource.canonical), NOTHING)
        request[ASKED] = asked(request.query.items(), accepted)
    return await handler(request)


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns exceptions into JSON errors and adds security headers."""
    response: web.StreamResponse
    try:
        response = await handler(request)
    except Mistake as error:
        found = {"error": str(error), "hint": error.hint, "parameter": error.parameter}
        response = reply(found, 400)
    except (ValueError, OverflowError) as error:
        response = reply({"error": str(error)}, 400)
    except TransientError as error:
        response = reply({"error": f"cannot read the store: {error}"}, 503)
    except NotAudited as error:
        response = reply({"error": str(error)}, 503)
    except web.HTTPException as error:
        response = reply({"error": _explained(request, error)}, error.status)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except ConnectionError:
        raise  # the caller has gone, and reads no answer
    except Exception:  # for the caller, who must be told in the form of all other errors
        log.exception("The console failed to answer %s %s", request.method, request.path)
        response = reply({"error": "Taximeter failed to answer this; its log says why"}, 500)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _explained(request: web.Request, error: web.HTTPException) -> str:
    """What an error of the server means here."""
    path = request.path if len(request.path) <= SHOWN_MAX else f"{request.path[:SHOWN_MAX]}…"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"{path} does not take {request.method}; use {' or '.join(sorted(_methods(error)))}"
    if isinstance(error, web.HTTPNotFound):
        known = {resource.canonical for resource in request.app.router.resources()}
        close = get_close_matches(request.path, sorted(known), n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/queries.md lists the addresses"
        return f"there is nothing at {path}; {hint}"
    return str(error.reason)


def _methods(error: web.HTTPMethodNotAllowed) -> set[str]:
    return set(error.allowed_methods) - {"HEAD"}

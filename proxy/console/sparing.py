"""Answers as small as they can be: compressed, and nothing at all if the page has them already.

A page that is open asks again and again, and mostly for what has not changed.  Its script sends the
tag of what it has; browsers keep nothing, since answers are `no-store`.
"""

from hashlib import blake2b

from aiohttp import web
from aiohttp.typedefs import Handler

SMALL, LARGE = 1_000, 1_000_000  # bytes; less is not worth it, more would hold up the loop
JSON = "application/json"
SECRET = "/api/session"  # its token must not be guessed from the length of an answer


@web.middleware
async def spared(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tags and compresses the JSON that a GET is answered with."""
    response = await handler(request)
    if not isinstance(response, web.Response) or not _is_known(request, response):
        return response
    body = response.body
    if not isinstance(body, bytes) or len(body) > LARGE:
        return response
    response.etag = blake2b(body, digest_size=12).hexdigest()
    if request.headers.get("If-None-Match") == response.headers["ETag"]:
        return web.Response(status=304, headers={"ETag": response.headers["ETag"]})
    if len(body) >= SMALL and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _is_known(request: web.Request, response: web.Response) -> bool:
    asks = request.method == "GET" and request.path != SECRET
    return asks and response.status == web.HTTPOk.status_code and response.content_type == JSON

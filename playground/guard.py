"""Keeps other web pages out: what a browser sends from elsewhere is refused.

A page on the internet can make a visitor's browser talk to 127.0.0.1. Its requests carry its own Origin, or,
after DNS rebinding, its own Host; neither is ours.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

_OWN_NAMES = {"127.0.0.1", "localhost", "[::1]"}

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@web.middleware
async def refuse_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """403 for a foreign Host or Origin. Programs send no Origin and pass.

    The parameters have the names that aiohttp calls them by.
    """
    host = request.host
    if host.rpartition(":")[0] not in _OWN_NAMES and host not in _OWN_NAMES:
        return web.Response(status=403, text="The playground answers only to 127.0.0.1 and localhost.\n")
    origin = request.headers.get("Origin")
    if origin is not None and not _is_own(origin, host):
        return web.Response(status=403, text="The playground does not take orders from other pages.\n")
    return await handler(request)


def _is_own(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.netloc == host

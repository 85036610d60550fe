"""What every call of the agents' protocol has in common over HTTP, whoever makes it: bodies, answers, failures.

Every response of the API, whatever went wrong, is made in ``serve``: it carries an ``X-Request-ID``, and a failure has
the protocol's error body (agent-api.md). Nothing here decides anything, and nothing that a caller sent is logged.

This is on the hot path (design.md): what can be put together beforehand is.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from email.utils import formatdate
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TypeVar

import structlog
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.web_protocol import RequestPayloadError
from multidict import istr
from uuid_utils import uuid4

from bot.aside import Aside
from bot.call import MAX_BODY_BYTES
from bot.errors import (
    BadCredential,
    BadInput,
    Conflict,
    Limited,
    Refusal,
    UnknownInstance,
    UnknownRequest,
    WrongCredential,
)
from bot.receivers import NotVerified
from handlers.wire import parse_bearer, parse_key, render_error
from store.unit import StoreUnavailable

ROOT = "/aap"
"""Where the API lives. The server must take bodies of ``bot.call.MAX_BODY_BYTES`` (``client_max_size``)."""

LARGE_BODY_BYTES = 16 * 1024
"""Bodies above this are parsed in a thread: a megabyte of numbers takes a second, and clicks wait three at most."""

RETRY_AFTER_SECONDS = "1"  # a lock is held briefly; a full disk will not be emptied sooner by waiting longer

_X_REQUEST_ID = istr("X-Request-ID")
_IDEMPOTENCY_KEY = istr("Idempotency-Key")
_JSON = "application/json"
_log = structlog.get_logger(__name__)

T = TypeVar("T")
Answer = tuple[int, bytes | None]
"""A status and a JSON body, or none."""
Handler = Callable[[web.Request], Awaitable[Answer]]
Count = Callable[[str | None, int], None]
"""Told the route and the status of each answer, for the metrics."""


class _HttpRefusal(Refusal):
    """Refused by HTTP's own rules, before any use case."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.headers = headers


_STATUS_OF: dict[type[Refusal], int] = {
    BadInput: 400,
    BadCredential: 401,
    WrongCredential: 403,
    UnknownRequest: 404,
    UnknownInstance: 404,
    Conflict: 409,
    NotVerified: 422,
    Limited: 429,
}
"""The status of each refusal and of those derived from it. The only such table."""

_HEADERS_OF: dict[int, dict[str, str]] = {
    401: {hdrs.WWW_AUTHENTICATE: "Bearer"},
    503: {hdrs.RETRY_AFTER: RETRY_AFTER_SECONDS},
}


def routes_of(table: Mapping[str, Mapping[str, Handler]], count: Count | None = None) -> list[web.RouteDef]:
    """Return the routes of ``table`` (path, method), with those that answer a wrong method in the protocol's words.

    With ``count`` successful answers take the short way (``_JsonAnswer``), which must count them itself.
    """
    routes = []
    for path, handlers in table.items():
        counted = None if count is None else partial(count, ROOT + path)
        routes += [web.route(method, ROOT + path, serve(handler, counted)) for method, handler in handlers.items()]
        routes.append(web.route(hdrs.METH_ANY, ROOT + path, serve(_wrong_method(", ".join(sorted(handlers))))))
    return routes


def rest_of_routes() -> list[web.RouteDef]:
    """Return the routes that answer every other path below ``ROOT``. They come last."""
    return [web.route(hdrs.METH_ANY, ROOT + path, serve(_unknown_path)) for path in ("", "/{rest:.*}")]


def token_of(http_request: web.Request) -> str:
    """Return the bearer token. Raises ``BadCredential``."""
    return parse_bearer(http_request.headers.getall(hdrs.AUTHORIZATION, ()))


def key_of(http_request: web.Request) -> str:
    """Return the Idempotency-Key. Raises ``BadInput``."""
    return parse_key(http_request.headers.getall(_IDEMPOTENCY_KEY, ()))


class Bodies:
    """Parses bodies, large ones in a thread: one at a time, however many send them."""

    def __init__(self) -> None:
        self._parsing = Aside()

    async def parse(self, parse: Callable[[bytes], T], http_request: web.Request) -> T:
        """Read a JSON body and parse it. Raises what ``parse`` does, and a refusal of what is no JSON."""
        body = await _read_json(http_request)
        if len(body) <= LARGE_BODY_BYTES:
            return parse(body)
        return await self._parsing.run(parse, body)


async def _read_json(http_request: web.Request) -> bytes:
    """Read a JSON body, at most ``client_max_size`` of it."""
    content_type = http_request.headers.get(hdrs.CONTENT_TYPE)
    if content_type != _JSON and (content_type is None or http_request.content_type != _JSON):
        raise _HttpRefusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", f"Send the body as Content-Type: {_JSON}."
        )
    if hdrs.CONTENT_ENCODING in http_request.headers:
        raise _HttpRefusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Send the body without Content-Encoding."
        )
    content = http_request.content
    if content.is_eof() and content.total_bytes <= LARGE_BODY_BYTES:
        return content.read_nowait()  # a small body usually comes with its headers
    return await http_request.read()


def _wrong_method(allowed: str) -> Handler:
    async def refuse(http_request: web.Request) -> Answer:
        raise _HttpRefusal(
            HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Use {allowed} here.", {hdrs.ALLOW: allowed}
        )

    return refuse


async def _unknown_path(http_request: web.Request) -> Answer:
    raise _HttpRefusal(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this path.")


# --- responses --------------------------------------------------------------------------------------------


def serve(
    handle: Handler, counted: Callable[[int], None] | None = None
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Turn what ``handle`` returns or raises into the protocol's response. ``counted``: see ``routes_of``."""

    async def serve(http_request: web.Request) -> web.StreamResponse:
        http_id = str(uuid4())
        try:
            status, body = await handle(http_request)
        except ConnectionError:  # nobody is there any more
            raise
        except Exception as error:
            return _answer_failure(error, http_id)
        if body is None:
            return web.Response(status=status, headers={_X_REQUEST_ID: http_id})
        if counted is not None and http_request.keep_alive and http_request.version == HttpVersion11:
            counted(status)
            return _JsonAnswer(status, http_id, body)
        return web.Response(body=body, status=status, headers={hdrs.CONTENT_TYPE: _JSON, _X_REQUEST_ID: http_id})

    return serve


class _JsonAnswer(web.StreamResponse):
    """A JSON body with its headers as one piece of bytes, for HTTP/1.1 on a connection that is kept.

    A ``web.Response`` gathers its headers one by one, asks who wants to change or count them, and writes them through
    a writer that could also compress and chunk. All that costs more than a use case; nothing of it is wanted here.
    """

    def __init__(self, status: int, http_id: str, body: bytes) -> None:
        super().__init__(status=status)
        head = f"{_HEADS[status]}{http_id}\r\nContent-Length: {len(body)}\r\n{_date_header(int(time.time()))}"
        self._whole = head.encode() + body

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send all of it. Raises ``ConnectionResetError`` when nobody is there any more, as aiohttp's own do."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("Cannot write to closing transport")
        transport.write(self._whole)
        await request.writer.drain()  # waits for a client that does not read what it is sent
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""


_HEADS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {_JSON}\r\nServer: {SERVER_SOFTWARE}\r\n"
    f"{_X_REQUEST_ID}: "
    for status in (HTTPStatus.OK, HTTPStatus.CREATED)
}


@lru_cache(1)
def _date_header(second: int) -> str:
    """The header of the date at ``second`` of Unix time, and the end of the headers."""
    return f"Date: {formatdate(second, usegmt=True)}\r\n\r\n"


def _answer_failure(error: Exception, http_id: str) -> web.Response:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        error = _HttpRefusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", f"The body is larger than {MAX_BODY_BYTES} bytes."
        )
    elif isinstance(error, RequestPayloadError):
        error = BadInput("The body does not come as its headers announce it.", code="invalid_body")
    status = _status_of(error)
    param = None
    if isinstance(error, Refusal) and status != HTTPStatus.INTERNAL_SERVER_ERROR:
        code, message, param = error.code, error.message, error.param
        _log.info("agent_refused", request_id=http_id, status=status, code=code)
    elif isinstance(error, StoreUnavailable):
        code, message = "store_unavailable", "The database cannot serve right now. Nothing was done; try again."
        _log.warning("store_unavailable", request_id=http_id, exc_info=error)
    else:
        code, message = "internal", "Something went wrong here. It is logged under this request id."
        _log.error("agents_request_failed", request_id=http_id, exc_info=error)
    headers = {hdrs.CONTENT_TYPE: _JSON, _X_REQUEST_ID: http_id, **_HEADERS_OF.get(status, {})}
    if isinstance(error, _HttpRefusal) and error.headers:
        headers |= error.headers
    if isinstance(error, Limited):
        headers[hdrs.RETRY_AFTER] = str(max(1, -(-error.retry_after // timedelta(seconds=1))))  # rounded up
    return web.Response(body=render_error(status, code, message, http_id, param), status=status, headers=headers)


def _status_of(error: Exception) -> int:
    if isinstance(error, _HttpRefusal):
        return error.status
    if isinstance(error, StoreUnavailable):
        return 503
    return next((_STATUS_OF[kind] for kind in type(error).__mro__ if kind in _STATUS_OF), 500)

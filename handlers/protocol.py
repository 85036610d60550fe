"""What every call of the agents' protocol has in common over HTTP, whoever makes it: bodies, answers, failures.

Every response of the API, whatever went wrong, is made in ``serve``: it carries an ``X-Request-ID``, and a failure has
the protocol's error body (agent-api.md). Nothing here decides anything, and nothing that a caller sent is logged.

This is on the hot path (design.md): what can be put together beforehand is.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

import structlog
from aiohttp import hdrs, web
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


def routes_of(table: Mapping[str, Mapping[str, Handler]]) -> list[web.RouteDef]:
    """Return the routes of ``table`` (path, method), with those that answer a wrong method in the protocol's words."""
    routes = []
    for path, handlers in table.items():
        routes += [web.route(method, ROOT + path, serve(handler)) for method, handler in handlers.items()]
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


def serve(handle: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Turn what ``handle`` returns or raises into the protocol's response."""

    async def serve(http_request: web.Request) -> web.StreamResponse:
        http_id = str(uuid4())
        try:
            status, body = await handle(http_request)
            if body is None:
                return web.Response(status=status, headers={_X_REQUEST_ID: http_id})
            return web.Response(body=body, status=status, headers={hdrs.CONTENT_TYPE: _JSON, _X_REQUEST_ID: http_id})
        except ConnectionError:  # nobody is there any more
            raise
        except Exception as error:
            return _answer_failure(error, http_id)

    return serve


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

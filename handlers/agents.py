"""The agents' HTTP API, ``/aap/v1/requests…``: the Agent Approval Protocol's requests (agent-api.md).

Each handler checks the credential, parses, calls one use case and gives back a request to render. Every response of
this API, whatever went wrong, is made in ``_serve``: it carries an ``X-Request-ID``, and a failure has the protocol's
error body. Nothing here decides anything, and nothing that an agent sent is logged.

This is the hot path (design.md): what can be put together beforehand is.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

import structlog
from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestPayloadError
from multidict import istr
from uuid_utils import uuid4

from bot.approvals import Approvals
from bot.aside import Aside
from bot.call import MAX_BODY_BYTES, parse_submission
from bot.creation import Creation
from bot.errors import (
    BadCredential,
    BadInput,
    Conflict,
    Limited,
    Refusal,
    UnknownRequest,
    WrongCredential,
)
from bot.instances import Instances
from handlers.wire import (
    parse_bearer,
    parse_key,
    parse_outcome,
    parse_request_id,
    parse_wait,
    render_error,
    render_request,
)
from store.tables import Instance, Request
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
_Answer = tuple[int, Request]
_Handler = Callable[[web.Request], Awaitable[_Answer]]


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
    Conflict: 409,
    Limited: 429,
}
"""The status of each refusal and of those derived from it. The only such table."""

_HEADERS_OF: dict[int, dict[str, str]] = {
    401: {hdrs.WWW_AUTHENTICATE: "Bearer"},
    503: {hdrs.RETRY_AFTER: RETRY_AFTER_SECONDS},
}


class AgentsApi:
    """The agents' routes over the use cases.

    For the metrics every long poll is held inside a ``waiting_poll()``, and the code of every request that was made
    nothing of, because its agent has a limit, goes to ``count_limited``.
    """

    def __init__(
        self,
        creation: Creation,
        approvals: Approvals,
        instances: Instances,
        waiting_poll: Callable[[], AbstractContextManager[object]] = nullcontext,
        count_limited: Callable[[str], None] = lambda code: None,
    ) -> None:
        self._creation = creation
        self._approvals = approvals
        self._instances = instances
        self._waiting_poll = waiting_poll
        self._count_limited = count_limited
        self._parsing = Aside()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, with those that answer a wrong method or path in the protocol's words."""
        table: dict[str, dict[str, _Handler]] = {
            "/v1/requests": {hdrs.METH_POST: self._create},
            "/v1/requests/{id}": {hdrs.METH_GET: self._read, hdrs.METH_DELETE: self._cancel},
            "/v1/requests/{id}/consume": {hdrs.METH_POST: self._consume},
            "/v1/requests/{id}/outcome": {hdrs.METH_POST: self._report_outcome},
        }
        routes = []
        for path, handlers in table.items():
            routes += [web.route(method, ROOT + path, _serve(handler)) for method, handler in handlers.items()]
            routes.append(web.route(hdrs.METH_ANY, ROOT + path, _serve(_wrong_method(", ".join(sorted(handlers))))))
        return [*routes, *(web.route(hdrs.METH_ANY, ROOT + path, _serve(_unknown_path)) for path in ("", "/{rest:.*}"))]

    async def _create(self, http_request: web.Request) -> _Answer:
        instance = await self._authenticate(http_request)
        key = parse_key(http_request.headers.getall(_IDEMPOTENCY_KEY, ()))
        submission = await self._parse(parse_submission, await _read_json(http_request))
        try:
            request, is_new = await self._creation.submit(instance, submission, key)
        except Limited as refused:
            self._count_limited(refused.code)
            raise
        return (201 if is_new else 200), request

    async def _read(self, http_request: web.Request) -> _Answer:
        instance = await self._authenticate(http_request)
        request_id = parse_request_id(http_request.match_info["id"])
        waits = http_request.query.getall("wait", None) if http_request.query_string else None
        if waits is None:
            return 200, await self._approvals.read(instance, request_id)
        patience = parse_wait(waits)
        with self._waiting_poll():
            return 200, await self._approvals.wait(instance, request_id, patience)

    async def _cancel(self, http_request: web.Request) -> _Answer:
        instance = await self._authenticate(http_request)
        return 200, await self._approvals.cancel(instance, parse_request_id(http_request.match_info["id"]))

    async def _consume(self, http_request: web.Request) -> _Answer:
        instance = await self._authenticate(http_request)
        key = parse_key(http_request.headers.getall(_IDEMPOTENCY_KEY, ()))
        if http_request.can_read_body and await http_request.read():
            # An agent that sends something here believes that it matters; it does not.
            raise BadInput("consume takes no body.", code="unexpected_body")
        return 200, await self._approvals.consume(instance, parse_request_id(http_request.match_info["id"]), key)

    async def _report_outcome(self, http_request: web.Request) -> _Answer:
        instance = await self._authenticate(http_request)
        request_id = parse_request_id(http_request.match_info["id"])
        outcome, note = await self._parse(parse_outcome, await _read_json(http_request))
        return 200, await self._approvals.report_outcome(instance, request_id, outcome, note)

    async def _parse(self, parse: Callable[[bytes], T], body: bytes) -> T:
        if len(body) <= LARGE_BODY_BYTES:
            return parse(body)
        return await self._parsing.run(parse, body)

    async def _authenticate(self, http_request: web.Request) -> Instance:
        return await self._instances.authenticate(parse_bearer(http_request.headers.getall(hdrs.AUTHORIZATION, ())))


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


def _wrong_method(allowed: str) -> _Handler:
    async def refuse(http_request: web.Request) -> _Answer:
        raise _HttpRefusal(
            HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Use {allowed} here.", {hdrs.ALLOW: allowed}
        )

    return refuse


async def _unknown_path(http_request: web.Request) -> _Answer:
    raise _HttpRefusal(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this path.")


# --- responses --------------------------------------------------------------------------------------------


def _serve(handle: _Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Turn what ``handle`` returns or raises into the protocol's response."""

    async def serve(http_request: web.Request) -> web.StreamResponse:
        http_id = str(uuid4())
        try:
            status, request = await handle(http_request)
            return web.Response(
                body=render_request(request),
                status=status,
                headers={hdrs.CONTENT_TYPE: _JSON, _X_REQUEST_ID: http_id},
            )
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

"""The agents' requests over HTTP, ``/aap/v1/requests…`` (agent-api.md).

Each handler checks the credential, parses, calls one use case and renders the request that it gives back. What all
calls have in common is in ``handlers.protocol``. This is the hot path (design.md).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from aiohttp import hdrs, web

from bot.approvals import Approvals
from bot.call import parse_submission
from bot.creation import Creation
from bot.errors import BadInput, Limited
from bot.instances import Instances
from handlers.protocol import Answer, Bodies, Count, key_of, routes_of, token_of
from handlers.wire import parse_outcome, parse_request_id, parse_wait, render_request
from store.tables import Instance


class AgentsApi:
    """The agents' routes over the use cases.

    For the metrics every long poll is held inside a ``waiting_poll()``, and the code of every request that was made
    nothing of, because its agent has a limit, goes to ``count_limited``, every answer to ``count_answer``.
    """

    def __init__(
        self,
        creation: Creation,
        approvals: Approvals,
        instances: Instances,
        waiting_poll: Callable[[], AbstractContextManager[object]] = nullcontext,
        count_limited: Callable[[str], None] = lambda code: None,
        count_answer: Count | None = None,
    ) -> None:
        self._creation = creation
        self._approvals = approvals
        self._instances = instances
        self._waiting_poll = waiting_poll
        self._count_limited = count_limited
        self._count_answer = count_answer
        self._bodies = Bodies()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return routes_of(
            {
                # aiohttp tries these one after the other: what every call passes comes first.
                "/v1/requests": {hdrs.METH_POST: self._create},
                "/v1/requests/{id}/consume": {hdrs.METH_POST: self._consume},
                "/v1/requests/{id}/outcome": {hdrs.METH_POST: self._report_outcome},
                "/v1/requests/{id}": {hdrs.METH_GET: self._read, hdrs.METH_DELETE: self._cancel},
            },
            self._count_answer,
        )

    async def _create(self, http_request: web.Request) -> Answer:
        instance = await self._authenticate(http_request)
        key = key_of(http_request)
        submission = await self._bodies.parse(parse_submission, http_request)
        try:
            request, is_new = await self._creation.submit(instance, submission, key)
        except Limited as refused:
            self._count_limited(refused.code)
            raise
        return (201 if is_new else 200), render_request(request)

    async def _read(self, http_request: web.Request) -> Answer:
        instance = await self._authenticate(http_request)
        request_id = parse_request_id(http_request.match_info["id"])
        waits = http_request.query.getall("wait", None) if http_request.query_string else None
        if waits is None:
            return 200, render_request(await self._approvals.read(instance, request_id))
        patience = parse_wait(waits)
        with self._waiting_poll():
            return 200, render_request(await self._approvals.wait(instance, request_id, patience))

    async def _cancel(self, http_request: web.Request) -> Answer:
        instance = await self._authenticate(http_request)
        request_id = parse_request_id(http_request.match_info["id"])
        return 200, render_request(await self._approvals.cancel(instance, request_id))

    async def _consume(self, http_request: web.Request) -> Answer:
        instance = await self._authenticate(http_request)
        key = key_of(http_request)
        if http_request.can_read_body and await http_request.read():
            # An agent that sends something here believes that it matters; it does not.
            raise BadInput("consume takes no body.", code="unexpected_body")
        request_id = parse_request_id(http_request.match_info["id"])
        return 200, render_request(await self._approvals.consume(instance, request_id, key))

    async def _report_outcome(self, http_request: web.Request) -> Answer:
        instance = await self._authenticate(http_request)
        request_id = parse_request_id(http_request.match_info["id"])
        outcome, note = await self._bodies.parse(parse_outcome, http_request)
        return 200, render_request(await self._approvals.report_outcome(instance, request_id, outcome, note))

    async def _authenticate(self, http_request: web.Request) -> Instance:
        return await self._instances.authenticate(token_of(http_request))

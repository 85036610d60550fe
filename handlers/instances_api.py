"""Instances over HTTP, ``/aap/v1/instances…``, for provisioners (agent-api.md).

Each handler checks the provisioner's token, parses and calls one use case. What all calls have in common is in
``handlers.protocol``.
"""

import json
from functools import partial
from typing import Any

from aiohttp import hdrs, web

from bot.call import parse_object
from bot.errors import UnknownInstance
from bot.provisioners import Provisioners
from bot.provisioning import Proposal, Provisioning, parse_proposal
from handlers.protocol import Answer, Bodies, key_of, routes_of, token_of
from handlers.wire import is_uuid
from store.delivery_tables import Provisioner


class InstancesApi:
    """The provisioners' routes over the use cases."""

    def __init__(self, provisioners: Provisioners, provisioning: Provisioning) -> None:
        self._provisioners = provisioners
        self._provisioning = provisioning
        self._bodies = Bodies()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return routes_of(
            {
                "/v1/instances": {hdrs.METH_POST: self._create},
                "/v1/instances/{id}": {
                    hdrs.METH_GET: self._read,
                    hdrs.METH_PATCH: self._update,
                    hdrs.METH_DELETE: self._delete,
                },
            }
        )

    async def _create(self, http_request: web.Request) -> Answer:
        provisioner = await self._authenticate(http_request)
        key = key_of(http_request)
        proposal = await self._bodies.parse(partial(_parse, is_change=False), http_request)
        made = await self._provisioning.create(provisioner, proposal, key)
        body = f'{{"instance":{made.answer},"credential":{{"token":{json.dumps(made.token)}}}}}'
        return (201 if made.is_new else 200), body.encode()

    async def _read(self, http_request: web.Request) -> Answer:
        provisioner = await self._authenticate(http_request)
        return 200, (await self._provisioning.read(provisioner, _id_in(http_request))).encode()

    async def _update(self, http_request: web.Request) -> Answer:
        provisioner = await self._authenticate(http_request)
        key = key_of(http_request)
        instance_id = _id_in(http_request)
        proposal = await self._bodies.parse(partial(_parse, is_change=True), http_request)
        return 200, (await self._provisioning.update(provisioner, instance_id, proposal, key)).encode()

    async def _delete(self, http_request: web.Request) -> Answer:
        provisioner = await self._authenticate(http_request)
        await self._provisioning.delete(provisioner, _id_in(http_request))
        return 204, None

    async def _authenticate(self, http_request: web.Request) -> Provisioner:
        return await self._provisioners.authenticate(token_of(http_request))


def _parse(body: bytes, *, is_change: bool) -> Proposal:
    fields = parse_object(body, ("instance_name", "delivery"), nullable=("delivery",) if is_change else ())
    values: dict[str, Any] = {name: value for name, (value, _) in fields.items()}
    return parse_proposal(values, is_change=is_change)


def _id_in(http_request: web.Request) -> str:
    """Return an instance's id. Raises ``UnknownInstance`` for what cannot be one: then no look-up is needed."""
    text = http_request.match_info["id"]
    if not is_uuid(text):
        raise UnknownInstance
    return text

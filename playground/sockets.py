"""Socket Mode: the websockets an app holds open, and the envelopes sent down them.

Knows envelopes and acks; what a payload means is not its business.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from playground.changes import Signal
from playground.faults import SOCKET, Faults
from playground.model import Json
from playground.settings import PlaygroundSettings

# Slack's limit of Socket Mode connections for one app.
MOST_CONNECTIONS = 10


class SocketGone(Exception):
    """The socket closed before the envelope was acknowledged."""


@dataclass(eq=False)
class Connection:
    """One open socket."""

    socket: web.WebSocketResponse
    http_request: web.Request
    draining: bool = False
    """It was told to disconnect: nothing more is sent down it while there is another."""
    pending: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class Sockets:
    """The app's open sockets."""

    def __init__(self, settings: PlaygroundSettings, changes: Signal, faults: Faults) -> None:
        self._settings = settings
        self._changes = changes
        self._faults = faults
        self._tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._turn = 0

    def __len__(self) -> int:
        return len(self._connections)

    def issue_ticket(self) -> str:
        """Leave to open one socket: what apps.connections.open puts into its URL."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return ticket

    async def handle(self, http_request: web.Request) -> web.StreamResponse:
        """The websocket's HTTP handler."""
        ticket = http_request.query.get("ticket", "")
        if self._faults.dead:
            if http_request.transport is not None:
                http_request.transport.abort()
            return web.Response(status=503)
        if ticket not in self._tickets:
            return web.Response(status=403, text="invalid ticket")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=True, max_msg_size=1 << 20)
        await socket.prepare(http_request)
        if len(self._connections) >= MOST_CONNECTIONS:
            await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await socket.close()
            return socket
        connection = Connection(socket, http_request)
        await socket.send_json(
            {
                "type": "hello",
                "num_connections": len(self._connections) + 1,
                "debug_info": {"host": "playground", "build_number": 1, "approximate_connection_time": 18060},
                "connection_info": {"app_id": self._settings.app_id},
            }
        )
        self._connections.append(connection)
        self._changes.fire()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._receive(connection, message.data)
        finally:
            self._forget(connection)
        return socket

    async def send(self, kind: str, payload: Json, retry: Json) -> Any:
        """Sends one envelope and gives back the ack's payload.

        When its socket closes before the ack, the same envelope goes to another one, or to the next that
        opens. The caller sets the time limit.
        """
        envelope_id = str(uuid.uuid4())
        envelope = {
            "envelope_id": envelope_id,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
            **retry,
        }
        while True:
            fault = self._faults.strike(SOCKET, None)
            if fault is not None and fault.kind == "slow":
                fault.held += 1
                try:
                    await fault.until_released()
                finally:
                    fault.held -= 1
            connection = await self._next()
            if fault is not None and fault.kind == "drop":
                self._break(connection)
                continue
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            connection.pending[envelope_id] = answer
            try:
                await connection.socket.send_str(json.dumps(envelope))
                body = await answer
                if fault is None or fault.kind != "lost":
                    return body
                self._break(connection)
            except SocketGone:
                continue
            except ConnectionError:
                # It is closing and does not know it yet; sending fails at once, so trying it again would never end.
                del connection.pending[envelope_id]
                self._forget(connection)
            finally:
                connection.pending.pop(envelope_id, None)

    async def disconnect(self, reason: str) -> None:
        """Tells every socket to reconnect: `warning` leaves it open, `refresh_requested` closes it."""
        for connection in list(self._connections):
            connection.draining = True
            try:
                await connection.socket.send_json(
                    {"type": "disconnect", "reason": reason, "debug_info": {"host": "playground"}}
                )
            except ConnectionError:  # it is closing already
                self._forget(connection)
                continue
            if reason != "warning":
                await connection.socket.close()

    def drop(self) -> None:
        """Breaks every socket without a word, as a network does."""
        for connection in list(self._connections):
            self._break(connection)

    async def close(self) -> None:
        """Closes every socket properly."""
        for connection in list(self._connections):
            await connection.socket.close(code=1001)

    async def _next(self) -> Connection:
        while True:
            seen = self._changes.version
            fit = [c for c in self._connections if not c.draining] or self._connections
            if fit and not self._faults.dead:
                self._turn += 1
                return fit[self._turn % len(fit)]
            await self._changes.wait(seen)

    def _receive(self, connection: Connection, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        answer = connection.pending.get(str(message.get("envelope_id")))
        if answer is not None and not answer.done():
            answer.set_result(message.get("payload"))

    def _break(self, connection: Connection) -> None:
        if (transport := connection.http_request.transport) is not None:
            transport.abort()
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        for answer in connection.pending.values():
            if not answer.done():
                answer.set_exception(SocketGone())
        self._changes.fire()

"""Delivery to the app: one payload out, one acknowledgement back, by Socket Mode or signed HTTP.

Which way is a matter of the request URL: with one, HTTP; without, Socket Mode. What an answer means
(close a view, show a text) is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp

from playground.changes import Signal
from playground.faults import Faults
from playground.model import Json
from playground.results import Ack
from playground.settings import PlaygroundSettings
from playground.sockets import Sockets


class Delivery:
    """Sends payloads to the app."""

    def __init__(self, settings: PlaygroundSettings, sockets: Sockets, faults: Faults, changes: Signal) -> None:
        self._settings = settings
        self._changes = changes
        self._sockets = sockets
        self._faults = faults
        self._session: aiohttp.ClientSession | None = None
        self.request_url: str | None = None
        self.log: list[Ack] = []
        """Every delivery so far, in the order they ended."""

    async def start(self) -> None:
        """Opens what HTTP delivery needs."""
        # The environment's proxies are left alone: the app is on this machine.
        self._session = aiohttp.ClientSession(trust_env=False)

    async def stop(self) -> None:
        """Closes it."""
        if self._session is not None:
            await self._session.close()

    async def send(self, payload: Json, *, retry: int = 0, reason: str = "") -> Ack:
        """Delivers one payload and waits for the ack, at most `ack_seconds`. Never raises.

        `retry` and `reason` mark a repeated event (`retry_attempt`, X-Slack-Retry-Num).
        """
        ack = await self._try(payload, retry, reason)
        self.log.append(ack)
        self._changes.fire()
        return ack

    async def _try(self, payload: Json, retry: int, reason: str) -> Ack:
        if self._faults.dead:
            return Ack(ok=False, error="dead", sent=payload)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.ack_seconds):
                if self.request_url is not None:
                    status, body = await self._post(payload, retry, reason)
                elif len(self._sockets):
                    marks = {"retry_attempt": retry, "retry_reason": reason} if payload_kind(payload) == EVENT else {}
                    status, body = None, await self._sockets.send(payload_kind(payload), payload, marks)
                else:
                    return Ack(ok=False, error="not_connected", sent=payload)
        except TimeoutError:
            return Ack(ok=False, error="timeout", elapsed=time.perf_counter() - started, sent=payload)
        except aiohttp.ClientError:
            return Ack(ok=False, error="connection_failed", elapsed=time.perf_counter() - started, sent=payload)
        ok = status is None or 200 <= status < 300
        return Ack(
            ok=ok,
            error=None if ok else f"http_{status}",
            status=status,
            body=body if body != "" else None,
            elapsed=time.perf_counter() - started,
            sent=payload,
        )

    def sign(self, body: str | bytes, timestamp: int | str | None = None) -> dict[str, str]:
        """The two signature headers. `timestamp`: seconds since the epoch; now, by the wall, if None."""
        at = str(int(time.time()) if timestamp is None else timestamp)
        raw = body.encode() if isinstance(body, str) else body
        digest = hmac.new(
            self._settings.signing_secret.encode(), b"v0:" + at.encode() + b":" + raw, hashlib.sha256
        ).hexdigest()
        return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={digest}"}

    async def _post(self, payload: Json, retry: int, reason: str) -> tuple[int, Any]:
        if self._session is None or self.request_url is None:
            raise RuntimeError("the playground is not started")
        content_type, body = encode(payload)
        headers = {"Content-Type": content_type, "User-Agent": "Slackbot 1.0", **self.sign(body)}
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason}
        async with self._session.post(self.request_url, data=body, headers=headers, allow_redirects=False) as answer:
            text = await answer.text()
            if answer.content_type == "application/json" and text:
                try:
                    return answer.status, json.loads(text)
                except ValueError:
                    return answer.status, text
            return answer.status, text


EVENT = "events_api"


def payload_kind(payload: Json) -> str:
    """The envelope type Socket Mode gives this payload."""
    if payload.get("type") in ("event_callback", "url_verification"):
        return EVENT
    return "slash_commands" if "command" in payload else "interactive"


def encode(payload: Json) -> tuple[str, bytes]:
    """Content type and body of a payload over HTTP: events are JSON, all else is a form."""
    kind = payload_kind(payload)
    if kind == EVENT:
        return "application/json", json.dumps(payload).encode()
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return "application/x-www-form-urlencoded", urlencode(form).encode()

"""The Web API over HTTP: token, scopes, faults, the method, and an answer in Slack's form.

The methods themselves are in the neighbouring modules; this one knows none of their rules.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from playground.api import chat, conversations, own, people, view_methods
from playground.api.context import Method, need
from playground.api.params import Params, read_call
from playground.errors import NotThere, SlackRefusal
from playground.faults import Fault
from playground.model import Json
from playground.parts import Parts
from playground.results import Call

METHODS: dict[str, Method] = {
    **own.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **people.METHODS,
    **view_methods.METHODS,
}
RESPONSE_URL = "response_url"
_NO_TOKEN = {"not_authed", "invalid_auth", "not_allowed_token_type"}


class WebApi:
    """Answers /api/METHOD and the response URLs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def handle_method(self, http_request: web.Request) -> web.StreamResponse:
        """/api/METHOD"""
        name = http_request.match_info["method"]
        try:
            params, token = await read_call(http_request)
        except SlackRefusal as refusal:
            return self._respond(refusal.body(), refusal)
        call = self._record(name, params.recorded())

        async def effect() -> Json:
            return await self._run(name, params, token)

        return await self._answer(http_request, call, params.channel(), effect)

    async def handle_response_url(self, http_request: web.Request) -> web.StreamResponse:
        """A post to a response URL. Slack answers `ok` in plain text."""
        key = http_request.match_info["key"]
        raw = await http_request.text()
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        call = self._record(RESPONSE_URL, body if isinstance(body, dict) else {})

        async def effect() -> Json:
            if not isinstance(body, dict):
                raise SlackRefusal("invalid_payload", status=400)
            await chat.respond(self._parts, key, body)
            return {"ok": True}

        return await self._answer(http_request, call, None, effect)

    async def _run(self, name: str, params: Params, token: str | None) -> Json:
        method = METHODS.get(name)
        if method is None:
            raise SlackRefusal("unknown_method", req_method=name)
        self._authorize(method, token)
        try:
            return await method.handler(self._parts, params)
        except NotThere as error:
            raise SlackRefusal("internal_error", detail=str(error)) from error

    def _authorize(self, method: Method, token: str | None) -> None:
        parts = self._parts
        if method.token == "none":  # noqa: S105  # a kind of token
            return
        if token is None:
            raise SlackRefusal("not_authed")
        if token not in (parts.bot_token, parts.app_token):
            raise SlackRefusal("invalid_auth")
        kind = "app" if token == parts.app_token else "bot"
        if kind != method.token:
            raise SlackRefusal("not_allowed_token_type")
        if kind == "app":
            missing = set(method.scopes) - parts.settings.app_scopes
            if missing:
                provided = ",".join(sorted(parts.settings.app_scopes))
                raise SlackRefusal("missing_scope", needed=",".join(sorted(missing)), provided=provided)
            return
        if parts.auth_error is not None:
            raise SlackRefusal(parts.auth_error)
        if method.scopes:
            need(parts, *method.scopes)

    async def _answer(
        self, http_request: web.Request, call: Call, channel: str | None, effect: Any
    ) -> web.StreamResponse:
        fault = self._parts.faults.strike(call.method, channel)
        if fault is not None and (early := await self._before(http_request, call, fault)) is not None:
            return early
        refusal: SlackRefusal | None = None
        try:
            body = await effect()
            call.outcome = "ok"
        except SlackRefusal as refused:
            refusal, body = refused, refused.body()
            call.outcome = refused.code
        call.response = body
        if fault is not None and fault.kind == "lost":
            call.outcome = "fault:lost"
            self._parts.changes.fire()
            return _break(http_request)
        self._parts.changes.fire()
        if fault is not None and fault.kind == "slow" and fault.after_effect:
            await self._hold(fault)
        if call.method == RESPONSE_URL and refusal is None:
            return web.Response(text="ok")
        return self._respond(body, refusal, call.method)

    async def _before(self, http_request: web.Request, call: Call, fault: Fault) -> web.StreamResponse | None:
        # What a fault does instead of the effect; None lets the call go on.
        if fault.kind == "slow":
            if not fault.after_effect:
                await self._hold(fault)
            return None
        if fault.kind == "lost":
            return None
        if fault.kind == "is_archived" and not _writes(call.method):
            return None
        call.outcome = f"fault:{fault.kind}"
        self._parts.changes.fire()
        if fault.kind in ("drop", "dead"):
            return _break(http_request)
        if fault.kind == "500":
            return web.Response(status=500, text="<html>Server Error</html>", content_type="text/html")
        if fault.kind == "429":
            refusal = SlackRefusal("ratelimited", status=429, headers={"Retry-After": str(fault.retry_after)})
        else:
            refusal = SlackRefusal("is_archived" if fault.kind == "is_archived" else fault.error_code)
        call.response = refusal.body()
        return self._respond(refusal.body(), refusal, call.method)

    async def _hold(self, fault: Fault) -> None:
        fault.held += 1
        self._parts.changes.fire()
        try:
            await fault.until_released()
        finally:
            fault.held -= 1
            self._parts.changes.fire()

    def _respond(self, body: Json, refusal: SlackRefusal | None, name: str | None = None) -> web.Response:
        headers = dict(refusal.headers) if refusal else {}
        method = METHODS.get(name or "")
        # Slack tells the scopes of a token it knows.
        known = refusal is None or refusal.code not in _NO_TOKEN
        if known and method is not None and method.token == "bot":  # noqa: S105  # a kind of token
            headers["x-oauth-scopes"] = ",".join(sorted(self._parts.scopes))
            headers["x-accepted-oauth-scopes"] = ",".join(method.scopes)
        return web.json_response(body, status=refusal.status if refusal else 200, headers=headers)

    def _record(self, method: str, params: Json) -> Call:
        call = Call(method=method, params=params, at=self._parts.settings.now())
        self._parts.calls.append(call)
        return call


def _writes(method: str) -> bool:
    known = METHODS.get(method)
    return known is not None and known.writes_to_channel


def _break(http_request: web.Request) -> web.Response:
    # The client sees the connection end without an answer.
    if http_request.transport is not None:
        http_request.transport.abort()
    return web.Response(status=500)

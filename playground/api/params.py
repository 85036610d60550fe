"""A Web API call's parameters, however they came: query, form, multipart or JSON.

Decides what was sent and with which token; not whether that is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from playground.errors import SlackRefusal
from playground.model import Json

# Parameters whose value is itself JSON: text in a form, an object or a list in a JSON body.
_STRUCTURED = frozenset({"blocks", "attachments", "view", "metadata", "message"})
_TRUE = frozenset({"1", "true", "True"})


class Params:
    """The parameters of one call."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values: Json = {key: value for key, value in values.items() if value is not None}

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str | None:
        """A text parameter; None if absent. Numbers in a JSON body are taken as text, as Slack does."""
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise SlackRefusal("invalid_arguments", messages=[f"must be a string [json-pointer:/{name}]"])

    def required(self, name: str) -> str:
        """A text parameter that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise SlackRefusal("invalid_arguments", messages=[f"missing required field: {name} [json-pointer:/{name}]"])
        return value

    def flag(self, name: str) -> bool:
        """A true or false parameter; absent is false."""
        value = self.values.get(name)
        return value if isinstance(value, bool) else str(value) in _TRUE

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`; the default if absent."""
        value = self.text(name)
        if value is None or value == "":
            return default
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not 1 <= number <= most:
            raise SlackRefusal("invalid_limit" if name == "limit" else "invalid_arguments")
        return number

    def structure(self, name: str) -> Any:
        """A parameter that is JSON, decoded; None if absent. What is no JSON comes back as it is."""
        value = self.values.get(name)
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value

    def channel(self) -> str | None:
        """The channel a call is about, for faults; None when it names none."""
        value = self.values.get("channel")
        return value if isinstance(value, str) else None

    def recorded(self) -> Json:
        """The parameters as a test reads them: structures decoded, no token."""
        return {
            key: self.structure(key) if key in _STRUCTURED else value
            for key, value in self.values.items()
            if key != "token"
        }


async def read_call(http_request: web.Request) -> tuple[Params, str | None]:
    """The parameters and the token of a call.

    A token may come as `Authorization: Bearer`, or as the parameter `token` of a query or form; in a JSON
    body Slack does not look for one.
    """
    values: dict[str, Any] = dict(http_request.query)
    token = http_request.headers.get("Authorization", "").removeprefix("Bearer ").strip() or None
    kind = http_request.content_type
    if kind == "application/json":
        raw = await http_request.read()
        try:
            body = json.loads(raw) if raw else {}
        except ValueError as error:
            raise SlackRefusal("invalid_json") from error
        if not isinstance(body, dict):
            raise SlackRefusal("json_not_object")
        token = token or values.get("token")
        values |= body
        return Params(values), token
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await http_request.post()
        values |= {key: value for key, value in form.items() if isinstance(value, str)}
    elif http_request.can_read_body and await http_request.read():
        raise SlackRefusal("invalid_post_type")
    return Params(values), token or values.get("token")

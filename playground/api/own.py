"""The methods about the app itself: auth.test, api.test, apps.connections.open, blocks.validate."""

from __future__ import annotations

from typing import Any

from playground.api.context import Method, answer
from playground.api.params import Params
from playground.blockkit import Problem, problems_of_blocks, problems_of_view
from playground.errors import SlackRefusal
from playground.model import Json
from playground.parts import Parts


async def auth_test(parts: Parts, params: Params) -> Json:
    """auth.test"""
    settings = parts.settings
    result = answer(
        url=f"https://{settings.team_domain}.slack.com/",
        team=settings.team_name,
        user=settings.bot_name,
        team_id=settings.team_id,
        user_id=settings.bot_user_id,
        bot_id=settings.bot_id,
        is_enterprise_install=False,
    )
    return result | {"enterprise_id": settings.enterprise_id} if settings.enterprise_id else result


async def api_test(parts: Parts, params: Params) -> Json:
    """api.test: answers what it was given, or the error that was asked for."""
    args = {key: value for key, value in params.values.items() if key != "token"}
    if error := params.text("error"):
        raise SlackRefusal(error, args=args)
    return answer(args=args)


async def connections_open(parts: Parts, params: Params) -> Json:
    """apps.connections.open: the address of one websocket."""
    address = parts.base_url.replace("http://", "ws://", 1)
    return answer(url=f"{address}/socket?ticket={parts.sockets.issue_ticket()}&app_id={parts.settings.app_id}")


async def blocks_validate(parts: Parts, params: Params) -> Json:
    """blocks.validate: every problem of some blocks, a message or a view. Needs no token."""
    given = [name for name in ("blocks", "view", "message") if name in params]
    if len(given) != 1:
        raise SlackRefusal("invalid_arguments", messages=["must provide exactly one of `blocks`, `view`, or `message`"])
    value: Any = params.structure(given[0])
    if given[0] == "view":
        problems = problems_of_view(value, "")
    elif given[0] == "blocks":
        problems = problems_of_blocks(value, pointer="")
    else:
        blocks = value.get("blocks") if isinstance(value, dict) else None
        problems = problems_of_blocks(blocks, pointer="/blocks")
    if problems:
        raise SlackRefusal(f"invalid_{given[0]}", errors=[_error(problem) for problem in problems])
    return answer()


def _error(problem: Problem) -> Json:
    error: Json = {"code": "failed_constraint", "message": problem.message, "pointer": problem.pointer}
    return error | {"constraint": problem.constraint} if problem.constraint else error


METHODS = {
    "auth.test": Method(auth_test),
    "api.test": Method(api_test, token="none"),  # noqa: S106  # a kind of token
    "apps.connections.open": Method(connections_open, ("connections:write",), token="app"),  # noqa: S106
    "blocks.validate": Method(blocks_validate, token="none"),  # noqa: S106
}

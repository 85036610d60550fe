"""The methods about people: users.*, usergroups.*, dnd.info, team.info."""

from __future__ import annotations

from datetime import timedelta

from playground.api.context import Method, answer, known_user, page
from playground.api.params import Params
from playground.errors import SlackRefusal
from playground.model import Json, User
from playground.parts import Parts
from playground.shapes import user_object, usergroup_object


async def user_info(parts: Parts, params: Params) -> Json:
    """users.info"""
    return answer(user=_shape(parts, known_user(parts, params.required("user"))))


async def user_list(parts: Parts, params: Params) -> Json:
    """users.list"""
    found, metadata = page(parts, params, list(parts.workspace.users.values()))
    return answer(members=[_shape(parts, user) for user in found], response_metadata=metadata)


async def lookup_by_email(parts: Parts, params: Params) -> Json:
    """users.lookupByEmail: deactivated people are not found."""
    email = params.required("email").lower()
    for user in parts.workspace.users.values():
        if user.email and user.email.lower() == email and not user.deleted:
            return answer(user=_shape(parts, user))
    raise SlackRefusal("users_not_found")


async def usergroup_list(parts: Parts, params: Params) -> Json:
    """usergroups.list"""
    _paid_plan(parts)
    disabled, users = params.flag("include_disabled"), params.flag("include_users")
    return answer(
        usergroups=[
            usergroup_object(group, parts.settings, with_users=users)
            for group in parts.workspace.usergroups.values()
            if disabled or not group.deleted
        ]
    )


async def usergroup_users(parts: Parts, params: Params) -> Json:
    """usergroups.users.list"""
    _paid_plan(parts)
    group = parts.workspace.usergroups.get(params.required("usergroup"))
    if group is None or (group.deleted and not params.flag("include_disabled")):
        raise SlackRefusal("no_such_subteam")
    return answer(users=list(group.users))


async def dnd_info(parts: Parts, params: Params) -> Json:
    """dnd.info. People have a quiet time even when it is not now: `dnd_enabled` alone says little."""
    user = known_user(parts, params.text("user") or parts.bot_user_id)
    start = parts.workspace.now() + (timedelta(hours=-1) if user.dnd else timedelta(hours=8))
    end = start + timedelta(hours=10)
    return answer(dnd_enabled=True, next_dnd_start_ts=int(start.timestamp()), next_dnd_end_ts=int(end.timestamp()))


async def team_info(parts: Parts, params: Params) -> Json:
    """team.info"""
    settings = parts.settings
    team: Json = {
        "id": settings.team_id,
        "name": settings.team_name,
        "domain": settings.team_domain,
        "email_domain": "",
        "url": f"https://{settings.team_domain}.slack.com/",
    }
    if settings.enterprise_id:
        team |= {"enterprise_id": settings.enterprise_id, "enterprise_name": settings.enterprise_id}
    return answer(team=team)


def _shape(parts: Parts, user: User) -> Json:
    return user_object(user, parts.workspace.now(), with_email="users:read.email" in parts.scopes)


def _paid_plan(parts: Parts) -> None:
    if parts.workspace.free_plan:
        raise SlackRefusal("plan_upgrade_required")


METHODS = {
    "users.info": Method(user_info, ("users:read",)),
    "users.list": Method(user_list, ("users:read",)),
    "users.lookupByEmail": Method(lookup_by_email, ("users:read.email",)),
    "usergroups.list": Method(usergroup_list, ("usergroups:read",)),
    "usergroups.users.list": Method(usergroup_users, ("usergroups:read",)),
    "dnd.info": Method(dnd_info, ("dnd:read",)),
    "team.info": Method(team_info, ("team:read",)),
}

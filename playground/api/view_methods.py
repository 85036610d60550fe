"""The views.* methods."""

from __future__ import annotations

from playground.api.context import Method, answer, known_user
from playground.api.params import Params
from playground.blockkit import check_view
from playground.errors import NotThere, SlackRefusal
from playground.model import Json, View
from playground.parts import Parts
from playground.shapes import view_object


async def open_(parts: Parts, params: Params) -> Json:
    """views.open"""
    spec = check_view(params.structure("view"))
    trigger = parts.tickets.exchange_trigger(params.required("trigger_id"))
    return _answer(parts, parts.views.open(trigger.user, spec, over=trigger.view_id))


async def push(parts: Parts, params: Params) -> Json:
    """views.push: only with a trigger that came from an open modal."""
    spec = check_view(params.structure("view"))
    trigger = parts.tickets.exchange_trigger(params.required("trigger_id"))
    if trigger.view_id is None:
        raise SlackRefusal("not_found")
    return _answer(parts, parts.views.push(trigger.user, spec))


async def update(parts: Parts, params: Params) -> Json:
    """views.update"""
    view_id, external_id = params.text("view_id"), params.text("external_id")
    if view_id and external_id:
        raise SlackRefusal("invalid_arguments", messages=["Cannot provide both `view_id` and `external_id`"])
    try:
        if view_id:
            view = parts.views.find(view_id)
        else:
            if not external_id:
                raise SlackRefusal("invalid_arguments", messages=["must provide either `view_id` or `external_id`"])
            view = parts.views.find_by_external_id(external_id)
    except NotThere:
        raise SlackRefusal("not_found") from None
    spec = check_view(params.structure("view"), surface=view.type)
    return _answer(parts, parts.views.update(view, spec, params.text("hash")))


async def publish(parts: Parts, params: Params) -> Json:
    """views.publish"""
    user = known_user(parts, params.required("user_id"))
    spec = check_view(params.structure("view"), surface="home")
    return _answer(parts, parts.views.publish(user.id, spec, params.text("hash")))


def _answer(parts: Parts, view: View) -> Json:
    return answer(view=view_object(view, parts.settings))


METHODS = {
    "views.open": Method(open_),
    "views.push": Method(push),
    "views.update": Method(update),
    "views.publish": Method(publish),
}

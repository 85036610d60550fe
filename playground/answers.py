"""What Slack does with the app's answer to a submission or a command. Sends nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from playground.blockkit import check_message, check_view
from playground.errors import NotThere, SlackRefusal
from playground.model import Json, View
from playground.results import Ack
from playground.views import Views
from playground.workspace import Workspace


def carry_out_submission(views: Views, payload: Json, ack: Ack) -> Ack:
    """Closes, redraws, pushes or clears as the app's answer to `view_submission` says.

    An answer Slack would not take leaves the view open and makes the ack a failure.
    """
    try:
        view = views.find(payload["view"]["id"])
    except NotThere:
        # A forged submission, or one of a view that closed meanwhile: there is nothing to change.
        return ack
    body = ack.body
    if body is None or body == {}:
        if view.type == "modal":
            views.close(view)
        return ack
    action = body.get("response_action") if isinstance(body, dict) else None
    try:
        if action == "errors":
            return _check_errors(view, body, ack)
        if action == "clear":
            views.close(view, all_of_them=True)
        elif action == "update":
            views.update(view, check_view(body.get("view")))
        elif action == "push":
            views.push(view.user, check_view(body.get("view")))
        else:
            return replace(ack, ok=False, error="invalid_body")
    except SlackRefusal as refusal:
        return replace(ack, ok=False, error="invalid_view", details=(refusal.code, *refusal.messages))
    return ack


def carry_out_command(workspace: Workspace, payload: Json, ack: Ack) -> Ack:
    """Shows what the app answered to a slash command: to the one who typed it, or in the channel."""
    body: dict[str, Any]
    if ack.body is None or ack.body == {}:
        return ack
    if isinstance(ack.body, str):
        body = {"text": ack.body}
    elif isinstance(ack.body, dict):
        body = ack.body
    else:
        return replace(ack, ok=False, error="invalid_body")
    if body.get("response_type") not in (None, "ephemeral", "in_channel"):
        return replace(ack, ok=False, error="invalid_body")
    try:
        text, blocks = check_message(body.get("text"), body.get("blocks"))
        place = workspace.channel(payload["channel_id"])
        workspace.user(payload["user_id"])
    except SlackRefusal as refusal:
        return replace(ack, ok=False, error="invalid_body", details=(refusal.code, *refusal.messages))
    except NotThere:
        return ack
    workspace.post(
        place,
        user=workspace.settings.bot_user_id,
        text=text,
        blocks=blocks,
        bot=True,
        visible_to=None if body.get("response_type") == "in_channel" else payload["user_id"],
    )
    return ack


def _check_errors(view: View, body: Json, ack: Ack) -> Ack:
    errors = body.get("errors")
    inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
        detail = f"errors must name input blocks, which are {sorted(inputs)}"
        return replace(ack, ok=False, error="invalid_body", details=(detail,))
    return ack

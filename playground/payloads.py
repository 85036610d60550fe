"""What Slack sends to an app, in the shapes Slack gives it: interactions, commands, events.

Builds dicts and nothing else; sending them is delivery.py's. Trigger ids and response URLs come from
the caller.
"""

from __future__ import annotations

import secrets

from playground.model import Channel, Json, Message, User, View
from playground.settings import PlaygroundSettings
from playground.shapes import message_object, team_object, view_object

# The legacy verification token that every payload still carries; nothing must rely on it.
VERIFICATION_TOKEN = "playground-verification-token"  # noqa: S105  # not a secret, Slack deprecated it


class Payloads:
    """Builds payloads for one app in one team."""

    def __init__(self, settings: PlaygroundSettings) -> None:
        self._settings = settings

    def message_action(
        self,
        *,
        user: User,
        channel: Channel,
        message: Message,
        actions: list[Json],
        values: Json,
        trigger_id: str,
        response_url: str,
    ) -> Json:
        """`block_actions` from a message. An ephemeral message is not enclosed, as in Slack."""
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": message.ephemeral,
        }
        if message.is_reply:
            container["thread_ts"] = message.thread_ts
        payload = self._interaction("block_actions", user, trigger_id) | {
            "container": container,
            "channel": {"id": channel.id, "name": channel_name(channel)},
            "state": {"values": values},
            "response_url": response_url,
            "actions": actions,
        }
        if not message.ephemeral:
            payload["message"] = message_object(message, channel, self._settings, with_metadata=True)
        return payload

    def view_action(self, *, user: User, view: View, actions: list[Json], trigger_id: str) -> Json:
        """`block_actions` from a modal or the Home tab: no channel, no message, no response URL."""
        return self._interaction("block_actions", user, trigger_id) | {
            "container": {"type": "view", "view_id": view.id},
            "view": view_object(view, self._settings),
            "actions": actions,
        }

    def view_submission(self, *, user: User, view: View, trigger_id: str) -> Json:
        """`view_submission`: the view with its state; no channel, no message."""
        return self._interaction("view_submission", user, trigger_id) | {
            "view": view_object(view, self._settings),
            "response_urls": [],
        }

    def view_closed(self, *, user: User, view: View, is_cleared: bool) -> Json:
        """`view_closed`: no trigger id."""
        payload = self._interaction("view_closed", user, "")
        del payload["trigger_id"]
        return payload | {"view": view_object(view, self._settings), "is_cleared": is_cleared}

    def slash_command(
        self, *, user: User, channel: Channel, command: str, text: str, trigger_id: str, response_url: str
    ) -> Json:
        """A slash command's fields. All are text: it is a form over HTTP."""
        settings = self._settings
        form = {
            "token": VERIFICATION_TOKEN,
            "team_id": settings.team_id,
            "team_domain": settings.team_domain,
            "channel_id": channel.id,
            "channel_name": channel_name(channel),
            "user_id": user.id,
            "user_name": user.name,
            "command": command,
            "text": text,
            "api_app_id": settings.app_id,
            "is_enterprise_install": "false",
            "response_url": response_url,
            "trigger_id": trigger_id,
        }
        if settings.enterprise_id:
            form |= {"enterprise_id": settings.enterprise_id, "enterprise_name": settings.enterprise_id}
        return form

    def event(self, event: Json, *, time: int, is_ext_shared_channel: bool = False) -> Json:
        """The envelope the Events API puts around an event. `time`: seconds since the epoch."""
        settings = self._settings
        return {
            "token": VERIFICATION_TOKEN,
            "team_id": settings.team_id,
            "context_team_id": settings.team_id,
            "context_enterprise_id": settings.enterprise_id,
            "api_app_id": settings.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev0{secrets.token_hex(5).upper()}",
            "event_time": time,
            "authorizations": [
                {
                    "enterprise_id": settings.enterprise_id,
                    "team_id": settings.team_id,
                    "user_id": settings.bot_user_id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": is_ext_shared_channel,
            "event_context": f"4-{secrets.token_hex(16)}",
        }

    def _interaction(self, kind: str, user: User, trigger_id: str) -> Json:
        settings = self._settings
        enterprise = settings.enterprise_id
        return {
            "type": kind,
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id},
            "api_app_id": settings.app_id,
            "token": VERIFICATION_TOKEN,
            "trigger_id": trigger_id,
            "team": team_object(settings),
            "enterprise": {"id": enterprise, "name": enterprise} if enterprise else None,
            "is_enterprise_install": False,
        }


def channel_name(channel: Channel) -> str:
    """The channel's name as payloads have it: Slack does not tell a private channel's real one."""
    if channel.is_im:
        return "directmessage"
    return "privategroup" if channel.is_private else channel.name


def action_object(block: Json, element: Json, state: Json | None, *, at: str) -> Json:
    """One entry of `actions`. `state` is what was chosen or put in; None for a button."""
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": at,
    }
    if element["type"] == "button":
        action["text"] = element["text"]
        for key in ("value", "style", "url", "confirm"):
            if key in element:
                action[key] = element[key]
    elif state is not None:
        action |= state
        if "placeholder" in element:
            action["placeholder"] = element["placeholder"]
    return action

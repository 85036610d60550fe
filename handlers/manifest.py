"""The Slack app's manifest: what Signoff asks of Slack, ready to paste. Pure.

The one list of scopes and events; ``signoff check`` holds a workspace against it. Every scope is asked for from the
first manifest on, since a later one would make each team install the app again.
"""

from typing import Any, Literal

Mode = Literal["socket", "http"]

COMMAND = "/signoff"
EVENTS_PATH = "/slack/events"

# Scope by scope, what it is for. In the manifest's order.
BOT_SCOPES: dict[str, str] = {
    "chat:write": "post and redraw cards",
    "commands": f"the command {COMMAND}",
    "users:read": "tell members from guests, bots and deactivated accounts",
    "users:read.email": "match people with other systems",
    "usergroups:read": "reviewers that are user groups",
    "im:write": "cards and notices as direct messages",
    "channels:read": "whether a public channel is archived or shared, and who is in it",
    "groups:read": "the same of private channels",
    "channels:history": "find a card again whose posting was not answered",
    "groups:history": "the same in private channels",
    "im:history": "the same in direct messages",
    "dnd:read": "whether a person can be reached now",
    "files:write": "exports and whole calls as files",
}
APP_SCOPE = "connections:write"

# The message events are for one subtype: that a card was deleted.
BOT_EVENTS = ("app_home_opened", "message.channels", "message.groups", "message.im")


def build_manifest(mode: Mode, public_url: str | None = None) -> dict[str, Any]:
    """Return the manifest for ``mode``; ``public_url`` (https, no slash at its end) is what Slack calls in http mode.

    Raises ``ValueError`` for http mode without an address.
    """
    if mode == "http" and public_url is None:
        raise ValueError("http mode needs the address that Slack is to call")
    # In Socket Mode Slack wants no addresses, and none of a bot that moved may linger.
    address = {} if mode == "socket" else {"url": f"{public_url}{EVENTS_PATH}"}
    request_url = {} if mode == "socket" else {"request_url": f"{public_url}{EVENTS_PATH}"}
    return {
        "display_information": {
            "name": "Signoff",
            "description": "Approve what AI agents are about to do",
            "background_color": "#1d3557",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                # Without the tab no direct message arrives; nobody reads what is written there, so it is read-only.
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": "Signoff", "always_online": True},
            "slash_commands": [
                {
                    "command": COMMAND,
                    **address,
                    "description": "See what waits for approval",
                    "usage_hint": "help | pending | show ID",
                    "should_escape": True,  # else @bob arrives as a name, and names are not ids
                }
            ],
        },
        "oauth_config": {"scopes": {"bot": list(BOT_SCOPES)}},
        "settings": {
            "event_subscriptions": {**request_url, "bot_events": list(BOT_EVENTS)},
            "interactivity": {"is_enabled": True, **request_url},
            "org_deploy_enabled": False,
            "socket_mode_enabled": mode == "socket",
            "token_rotation_enabled": False,
        },
    }

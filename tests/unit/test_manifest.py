"""The manifest is complete, for either mode, and asks for what is in the documentation of the scopes."""

import json
from typing import Any

import pytest

from handlers.manifest import BOT_SCOPES, build_manifest
from playground import PlaygroundSettings

URL = "https://signoff.example.com"


def addresses(value: Any) -> list[str]:
    """Every address that Slack would call."""
    if isinstance(value, dict):
        here = [text for key, text in value.items() if key in ("url", "request_url")]
        return here + [found for inner in value.values() for found in addresses(inner)]
    return [found for inner in value for found in addresses(inner)] if isinstance(value, list) else []


def test_http_mode_names_one_address_for_everything() -> None:
    manifest = build_manifest("http", URL)
    assert addresses(manifest) == [f"{URL}/slack/events"] * 3
    assert manifest["settings"]["socket_mode_enabled"] is False


def test_socket_mode_names_no_address() -> None:
    manifest = build_manifest("socket", URL)
    assert addresses(manifest) == []
    assert manifest["settings"]["socket_mode_enabled"] is True


def test_http_mode_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        build_manifest("http")


@pytest.mark.parametrize("mode", ["socket", "http"])
def test_everything_the_bot_needs_is_on(mode: Any) -> None:
    manifest = build_manifest(mode, URL)
    assert manifest["settings"]["interactivity"]["is_enabled"] is True
    assert manifest["features"]["app_home"]["home_tab_enabled"] is True
    assert manifest["features"]["app_home"]["messages_tab_enabled"] is True
    (command,) = manifest["features"]["slash_commands"]
    assert command["command"] == "/signoff"
    assert command["should_escape"] is True
    assert command["usage_hint"]
    assert set(manifest["settings"]["event_subscriptions"]["bot_events"]) == {
        "app_home_opened",
        "message.channels",
        "message.groups",
        "message.im",
    }


def test_the_scopes_are_those_of_the_stand_in() -> None:
    """The playground's list is written down apart from the bot's: a scope that one of them forgot shows here."""
    assert build_manifest("socket")["oauth_config"]["scopes"]["bot"] == list(BOT_SCOPES)
    assert set(BOT_SCOPES) == PlaygroundSettings().scopes


def test_slacks_limits_are_kept() -> None:
    manifest = build_manifest("http", URL)
    assert len(manifest["display_information"]["name"]) <= 35
    assert len(manifest["display_information"]["description"]) <= 140
    assert len(manifest["features"]["bot_user"]["display_name"]) <= 80
    assert json.loads(json.dumps(manifest)) == manifest

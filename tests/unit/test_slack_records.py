"""How Slack's people, channels and messages are read, above all what closes a door."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.people import Person
from handlers.slack import records
from handlers.slack.records import BadAnswer, Identity

HOME = Identity("T0HOME", None, "U0SIGNOFF", "B0SIGNOFF")
GRID = Identity("T0HOME", "E0HOME", "U0SIGNOFF", "B0SIGNOFF")
USER = {"id": "U1", "team_id": "T0HOME", "name": "zoe", "tz": "Europe/Paris", "profile": {"display_name": "Zoë"}}


def test_a_person_is_read() -> None:
    assert records.person_of(USER, HOME) == Person(id="U1", team_id="T0HOME", name="Zoë", zone="Europe/Paris")


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"deleted": True}, "is_deactivated"),
        ({"is_bot": True}, "is_bot"),
        ({"is_workflow_bot": True}, "is_bot"),
        ({"id": "USLACKBOT", "is_bot": False}, "is_bot"),
        ({"is_restricted": True}, "is_guest"),
        ({"is_ultra_restricted": True}, "is_guest"),
        ({"is_stranger": True}, "is_stranger"),
    ],
)
def test_what_closes_the_door_to_a_person(fields: dict[str, Any], flag: str) -> None:
    assert getattr(records.person_of(USER | fields, HOME), flag)


@pytest.mark.parametrize(
    ("fields", "team"),
    [
        ({"enterprise_user": {"enterprise_id": "E0HOME"}, "team_id": "T0ELSEWHERE"}, "E0HOME"),
        ({"enterprise_user": {"enterprise_id": "E0OTHER"}}, "E0OTHER"),
        ({"team_id": "E0OTHER"}, "E0OTHER"),
        ({}, "T0HOME"),  # without an organisation of its own: not ours
    ],
)
def test_on_enterprise_grid_people_belong_to_the_organisation(fields: dict[str, Any], team: str) -> None:
    person = records.person_of(USER | fields, GRID)
    assert person.team_id == team
    assert (person.team_id == GRID.home) == (team == "E0HOME")


@pytest.mark.parametrize("gone", ["id", "team_id"])
def test_a_person_without_an_identity_is_no_answer(gone: str) -> None:
    with pytest.raises(BadAnswer):
        records.person_of({key: value for key, value in USER.items() if key != gone}, HOME)


@pytest.mark.parametrize(
    ("fields", "home", "is_shared"),
    [
        ({}, HOME, False),
        ({"is_ext_shared": True}, HOME, True),
        ({"is_pending_ext_shared": True}, HOME, True),
        ({"pending_shared": ["T0OTHER"]}, HOME, True),
        ({"pending_connected_team_ids": ["T0OTHER"]}, HOME, True),
        ({"connected_team_ids": ["T0OTHER"]}, HOME, True),
        ({"connected_team_ids": ["T0HOME"]}, HOME, False),
        ({"shared_team_ids": ["T0HOME"]}, HOME, False),
        ({"shared_team_ids": ["T0HOME", "T0OTHER"]}, HOME, True),
        ({"shared_team_ids": ["T0HOME", "T0SISTER"], "is_org_shared": True}, GRID, False),
        ({"shared_team_ids": ["T0HOME", "T0OTHER"], "is_org_shared": True, "is_ext_shared": True}, GRID, True),
        ({"shared_team_ids": ["E0HOME"]}, GRID, False),
    ],
)
def test_shared_means_with_another_company(fields: dict[str, Any], home: Identity, is_shared: bool) -> None:
    assert records.channel_of({"id": "C1", "is_member": True} | fields, home).is_shared is is_shared


def test_a_channel_is_read() -> None:
    channel = records.channel_of({"id": "C1", "is_private": True, "is_archived": True}, HOME)
    assert (channel.is_private, channel.is_archived, channel.is_member) == (True, True, False)


@pytest.mark.parametrize(
    ("author", "is_ours"),
    [
        ({"bot_id": "B0SIGNOFF", "user": "U0SIGNOFF"}, True),
        ({"bot_id": "B0OTHER", "user": "U0OTHER"}, False),
        ({"user": "U0ALICE"}, False),
        ({}, False),
    ],
)
def test_only_our_own_messages_are_sightings(author: dict[str, str], is_ours: bool) -> None:
    message = {"ts": "1.1", "metadata": {"event_type": "x", "event_payload": {"a": 1}}} | author
    assert (records.own_sighting("C1", message, HOME) is not None) is is_ours


def test_a_page_that_reaches_back_far_enough_is_the_last() -> None:
    than = datetime(2026, 11, 22, tzinfo=UTC)
    at = than.timestamp()
    assert records.is_older([{"ts": f"{at + 5:.6f}"}, {"ts": f"{at - 5:.6f}"}], than)
    assert not records.is_older([{"ts": f"{at + 5:.6f}"}], than)
    assert not records.is_older([], than)
    assert not records.is_older([{"ts": "nonsense"}], than)

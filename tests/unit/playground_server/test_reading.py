"""conversations.*, users.*, usergroups.*, dnd.info: what the bot is told, and what it is not."""

from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from playground import Playground
from tests.unit.playground_server.conftest import Opener, client_of
from tests.unit.playground_server.helpers import NOTE, refused

Json = dict[str, Any]


async def test_channel_info(slack: Playground, client: AsyncWebClient) -> None:
    slack.workspace.change_channel("C0REFUNDS", is_ext_shared=True, shared_team_ids=["T0PARTNER"])
    channel = (await client.conversations_info(channel="C0REFUNDS", include_num_members=True))["channel"]
    assert (channel["is_member"], channel["is_private"], channel["num_members"]) == (True, False, 3)
    assert channel["is_ext_shared"] is True
    assert channel["shared_team_ids"] == [slack.team_id, "T0PARTNER"]
    assert (await client.conversations_info(channel="C0ELSEWHERE"))["channel"]["is_member"] is False
    assert (await client.conversations_info(channel="C0SECRET"))["channel"]["is_private"] is True
    await refused(client.conversations_info(channel="C0HIDDEN"), "channel_not_found")
    await refused(client.api_call("conversations.info", params={}), "invalid_arguments")


async def test_a_shared_channel_to_be_is_told(slack: Playground, client: AsyncWebClient) -> None:
    slack.workspace.change_channel("C0REFUNDS", is_pending_ext_shared=True, pending_shared=["T0PARTNER"])
    channel = (await client.conversations_info(channel="C0REFUNDS"))["channel"]
    assert (channel["is_ext_shared"], channel["is_pending_ext_shared"]) == (False, True)


async def test_history_newest_first_and_without_replies(slack: Playground, client: AsyncWebClient) -> None:
    stamps = [(await client.chat_postMessage(channel="C0REFUNDS", text=f"m{n}", metadata=NOTE))["ts"] for n in range(3)]
    await client.chat_postMessage(channel="C0REFUNDS", text="reply", thread_ts=stamps[0])
    found = await client.conversations_history(channel="C0REFUNDS", include_all_metadata=True)
    assert [m["text"] for m in found["messages"]] == ["m2", "m1", "m0"]
    assert found["messages"][0]["metadata"] == NOTE
    assert found["messages"][2]["reply_count"] == 1
    plain = await client.conversations_history(channel="C0REFUNDS")
    assert "metadata" not in plain["messages"][0]
    after = await client.conversations_history(channel="C0REFUNDS", oldest=stamps[1])
    assert [m["text"] for m in after["messages"]] == ["m2"]
    within = await client.conversations_history(channel="C0REFUNDS", oldest=stamps[0], latest=stamps[1], inclusive=True)
    assert [m["text"] for m in within["messages"]] == ["m1", "m0"]
    await refused(client.conversations_history(channel="C0ELSEWHERE"), "not_in_channel")


async def test_replies(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="card"))["ts"]
    await client.chat_postMessage(channel="C0REFUNDS", text="reply", thread_ts=ts, metadata=NOTE)
    thread = await client.conversations_replies(channel="C0REFUNDS", ts=ts, include_all_metadata=True)
    assert [m["text"] for m in thread["messages"]] == ["card", "reply"]
    assert thread["messages"][1]["metadata"] == NOTE
    await refused(client.conversations_replies(channel="C0REFUNDS", ts="1.000001"), "thread_not_found")


async def test_a_thread_outlives_its_first_message(slack: Playground, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C0REFUNDS", text="card"))["ts"]
    await client.chat_postMessage(channel="C0REFUNDS", text="reply", thread_ts=ts)
    await slack.delete_message("C0REFUNDS", ts)
    thread = await client.conversations_replies(channel="C0REFUNDS", ts=ts)
    assert [m["text"] for m in thread["messages"]] == ["reply"]
    await client.chat_postMessage(channel="C0REFUNDS", text="more", thread_ts=ts)


async def test_listings_come_in_pages(open_playground: Opener) -> None:
    slack = await open_playground(page_size=1)
    client = client_of(slack)
    members: list[str] = []
    async for found in await client.conversations_members(channel="C0REFUNDS", limit=200):
        assert len(found["members"]) == 1
        members += found["members"]
    assert members == ["U0ALICE", "U0BOB", slack.bot_user_id]
    await refused(client.conversations_members(channel="C0REFUNDS", cursor="nonsense"), "invalid_cursor")
    await refused(client.conversations_members(channel="C0REFUNDS", limit=0), "invalid_limit")


async def test_lists_only_what_the_bot_may_know(client: AsyncWebClient) -> None:
    answer = await client.conversations_list(types="public_channel,private_channel")
    assert {c["id"] for c in answer["channels"]} == {"C0REFUNDS", "C0ELSEWHERE", "C0SECRET"}
    answer = await client.users_conversations(user="U0ALICE", types="public_channel,private_channel")
    assert {c["id"] for c in answer["channels"]} == {"C0REFUNDS", "C0ELSEWHERE", "C0SECRET"}
    own = await client.users_conversations(types="public_channel")
    assert {c["id"] for c in own["channels"]} == {"C0REFUNDS"}
    await refused(client.conversations_list(types="rooms"), "invalid_types")


async def test_opens_a_direct_message(slack: Playground, client: AsyncWebClient) -> None:
    first = await client.conversations_open(users="U0BOB")
    again = await client.conversations_open(users=["U0BOB"], return_im=True)
    assert first["channel"] == {"id": "D0BOB"}
    assert again["already_open"] is True
    assert again["channel"]["user"] == "U0BOB"
    slack.workspace.change_user("U0CAROL", deleted=True)
    await refused(client.conversations_open(users="U0CAROL"), "user_disabled")
    await refused(client.conversations_open(users=slack.bot_user_id), "cannot_dm_bot")
    await refused(client.conversations_open(users="U0NOBODY"), "user_not_found")
    await refused(client.conversations_open(users=""), "users_list_not_supplied")


async def test_user_info(slack: Playground, client: AsyncWebClient) -> None:
    user = (await client.users_info(user="U0ALICE"))["user"]
    assert user["profile"]["email"] == "alice@example.com"
    assert (user["tz"], user["team_id"], user["is_restricted"]) == ("Europe/Paris", slack.team_id, False)
    assert "is_stranger" not in user
    slack.workspace.change_user("U0BOB", is_stranger=True, team_id="T0OTHER", is_ultra_restricted=True)
    stranger = (await client.users_info(user="U0BOB"))["user"]
    assert (stranger["is_stranger"], stranger["team_id"], stranger["is_ultra_restricted"]) == (True, "T0OTHER", True)
    assert (await client.users_info(user=slack.bot_user_id))["user"]["is_bot"] is True
    await refused(client.users_info(user="U0NOBODY"), "user_not_found")


async def test_of_the_deactivated_slack_tells_little(slack: Playground, client: AsyncWebClient) -> None:
    slack.workspace.change_user("U0BOB", deleted=True)
    user = (await client.users_info(user="U0BOB"))["user"]
    assert user["deleted"] is True
    assert not {"tz", "is_restricted", "is_admin"} & set(user)
    await refused(client.users_lookupByEmail(email="bob@example.com"), "users_not_found")


async def test_a_person_of_an_enterprise_grid(open_playground: Opener) -> None:
    slack = await open_playground(enterprise_id="E0CORP")
    slack.workspace.change_user("U0ALICE", team_id="E0CORP")
    client = client_of(slack)
    user = (await client.users_info(user="U0ALICE"))["user"]
    assert (user["team_id"], user["enterprise_user"]["enterprise_id"]) == ("E0CORP", "E0CORP")
    assert (await client.auth_test())["enterprise_id"] == "E0CORP"


async def test_lookup_and_list(slack: Playground, client: AsyncWebClient) -> None:
    assert (await client.users_lookupByEmail(email="Alice@Example.com"))["user"]["id"] == "U0ALICE"
    members = (await client.users_list())["members"]
    assert {m["id"] for m in members} == {"U0ALICE", "U0BOB", "U0CAROL", slack.bot_user_id}


async def test_user_groups(slack: Playground, client: AsyncWebClient) -> None:
    group = (await client.usergroups_list(include_users=True))["usergroups"][0]
    assert (group["handle"], group["users"]) == ("finance", ["U0ALICE", "U0CAROL"])
    slack.workspace.set_usergroup_users("S0FINANCE", ["U0BOB"])
    assert (await client.usergroups_users_list(usergroup="S0FINANCE"))["users"] == ["U0BOB"]
    await refused(client.usergroups_users_list(usergroup="S0NONE"), "no_such_subteam")
    slack.workspace.change_usergroup("S0FINANCE", deleted=True)
    assert (await client.usergroups_list())["usergroups"] == []
    await refused(client.usergroups_users_list(usergroup="S0FINANCE"), "no_such_subteam")
    slack.workspace.free_plan = True
    await refused(client.usergroups_list(), "plan_upgrade_required")
    await refused(client.usergroups_users_list(usergroup="S0FINANCE"), "plan_upgrade_required")


async def test_do_not_disturb_is_a_window(slack: Playground, client: AsyncWebClient) -> None:
    slack.workspace.change_user("U0BOB", dnd=True)
    now = slack.settings.now().timestamp()
    awake = await client.dnd_info(user="U0ALICE")
    asleep = await client.dnd_info(user="U0BOB")
    assert awake["dnd_enabled"] is asleep["dnd_enabled"] is True
    assert now < awake["next_dnd_start_ts"]
    assert asleep["next_dnd_start_ts"] <= now < asleep["next_dnd_end_ts"]

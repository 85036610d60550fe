"""The directory over the real SDK and the playground: how old its answers may be, what failing means."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import pytest
from pydantic import SecretStr

from bot.config import SlackSettings
from bot.errors import FactsUnavailable
from bot.people import MAX_FACTS_AGE, Channel
from handlers.slack import directory as directory_module
from handlers.slack.client import SlackClient
from handlers.slack.directory import CACHE_FOR, ChannelClosed, SlackDirectory
from playground import Fault, Playground, PlaygroundSettings
from tests.conftest import START, StandingClock


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    async with Playground(PlaygroundSettings()) as slack:
        for user in ("U0ALICE", "U0BOB"):
            slack.workspace.add_user(user)
        slack.workspace.add_usergroup("S0FINANCE", handle="finance", users=["U0ALICE"])
        slack.workspace.add_channel("C0REFUNDS", name="refunds", members=["U0ALICE", slack.bot_user_id])
        slack.workspace.add_channel("C0SECRET", name="secret", members=["U0ALICE"], is_private=True)
        yield slack


@pytest.fixture
async def client(slack: Playground) -> AsyncIterator[SlackClient]:
    client = SlackClient(SlackSettings(api_url=slack.api_url), SecretStr(slack.bot_token))
    yield client
    await client.close()


@pytest.fixture
async def directory(client: SlackClient, clock: StandingClock) -> AsyncIterator[SlackDirectory]:
    directory = SlackDirectory(client, clock)
    yield directory
    await directory.close()


async def test_people_and_groups_are_told(directory: SlackDirectory) -> None:
    facts = await directory.load_facts({"U0ALICE", "U0NOBODY"}, {"S0FINANCE", "S0GONE"})
    assert facts.home_team == "T0PLAYGROUND"
    assert set(facts.people) == {"U0ALICE"}  # whom Slack does not know is missing
    assert facts.people["U0ALICE"].team_id == "T0PLAYGROUND"
    assert facts.groups == {"S0FINANCE": {"U0ALICE"}}
    assert facts.unknown_groups == {"S0GONE"}
    assert facts.loaded_at == START


async def test_an_answer_is_remembered_but_not_for_long(
    directory: SlackDirectory, slack: Playground, clock: StandingClock
) -> None:
    await directory.load_facts({"U0ALICE"}, {"S0FINANCE"})
    slack.workspace.change_user("U0ALICE", deleted=True)
    slack.workspace.set_usergroup_users("S0FINANCE", [])
    clock.now += CACHE_FOR
    facts = await directory.load_facts({"U0ALICE"}, {"S0FINANCE"})
    assert not facts.people["U0ALICE"].is_deactivated
    assert facts.loaded_at == START  # and it says how old it is
    assert facts.are_fresh(clock())
    clock.now += timedelta(microseconds=1)
    facts = await directory.load_facts({"U0ALICE"}, {"S0FINANCE"})
    assert facts.people["U0ALICE"].is_deactivated
    assert facts.groups == {"S0FINANCE": frozenset()}
    assert facts.loaded_at == clock()


async def test_what_is_at_hand_is_what_is_remembered_and_fresh(
    directory: SlackDirectory, slack: Playground, clock: StandingClock
) -> None:
    at_hand = partial(directory.at_hand, "U0ALICE", {"S0FINANCE", "S0GONE", "S0NEVER"}, "C0REFUNDS")
    assert at_hand() is None
    await directory.load_facts({"U0ALICE"}, {"S0FINANCE", "S0GONE"})
    asked = len(slack.calls)
    facts, channel = at_hand() or pytest.fail("it is remembered")
    assert (set(facts.people), set(facts.groups), facts.unknown_groups) == ({"U0ALICE"}, {"S0FINANCE"}, {"S0GONE"})
    assert (facts.home_team, facts.loaded_at, channel) == ("T0PLAYGROUND", START, None)
    await directory.load_channel("C0REFUNDS")
    clock.now += CACHE_FOR
    facts, channel = at_hand() or pytest.fail("it is remembered")
    assert (facts.loaded_at, channel) == (START, Channel("C0REFUNDS"))
    clock.now += timedelta(microseconds=1)
    assert at_hand() is None
    assert len(slack.calls) == asked + 1  # that of the channel


async def test_facts_are_as_old_as_their_oldest_part(directory: SlackDirectory, clock: StandingClock) -> None:
    await directory.load_facts({"U0ALICE"}, ())
    clock.advance(seconds=15)
    facts = await directory.load_facts({"U0ALICE", "U0BOB"}, {"S0FINANCE"})
    assert facts.loaded_at == START


async def test_the_age_counts_from_before_the_call(
    directory: SlackDirectory, slack: Playground, clock: StandingClock
) -> None:
    await directory.load_facts((), ())
    fault = slack.faults.add(Fault("slow", methods="users.info", after_effect=True, times=1))
    asking = asyncio.create_task(directory.load_facts({"U0ALICE"}, ()))
    await slack.until(lambda: fault.held)
    clock.advance(seconds=12)
    fault.release()
    assert (await asking).loaded_at == START
    clock.advance(seconds=9)  # 21 s since the call, 9 s since the answer
    assert (await directory.load_facts({"U0ALICE"}, ())).loaded_at == clock()
    assert len(slack.calls_of("users.info")) == 2


async def test_those_who_ask_at_once_share_one_call(directory: SlackDirectory, slack: Playground) -> None:
    facts = await asyncio.gather(*(directory.load_facts({"U0ALICE"}, {"S0FINANCE"}) for _ in range(50)))
    assert all(set(one.people) == {"U0ALICE"} for one in facts)
    assert len(slack.calls_of("users.info")) == 1
    assert len(slack.calls_of("usergroups.users.list")) == 1
    assert len(slack.calls_of("auth.test")) == 1


async def test_who_gives_up_does_not_take_the_answer_from_others(directory: SlackDirectory, slack: Playground) -> None:
    fault = slack.faults.add(Fault("slow", methods="users.info", times=1))
    impatient = asyncio.create_task(directory.load_facts({"U0ALICE"}, ()))
    patient = asyncio.create_task(directory.load_facts({"U0ALICE"}, ()))
    await slack.until(lambda: fault.held)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    fault.release()
    assert set((await patient).people) == {"U0ALICE"}


@pytest.mark.parametrize("kind", ["429", "500", "drop", "lost", "dead"])
async def test_a_person_who_cannot_be_asked_about_is_no_fact(
    directory: SlackDirectory, slack: Playground, kind: str
) -> None:
    slack.faults.add(Fault(kind, methods="users.info"))  # type: ignore[arg-type]  # a test's list of kinds
    with pytest.raises(FactsUnavailable):
        await directory.load_facts({"U0ALICE"}, ())


@pytest.mark.parametrize("kind", ["429", "500", "drop", "lost"])
async def test_a_group_that_cannot_be_asked_about_is_unknown_and_asked_again(
    directory: SlackDirectory, slack: Playground, clock: StandingClock, kind: str
) -> None:
    slack.faults.add(Fault(kind, methods="usergroups.*"))  # type: ignore[arg-type]  # a test's list of kinds
    facts = await directory.load_facts({"U0ALICE"}, {"S0FINANCE"})
    assert facts.unknown_groups == {"S0FINANCE"}
    assert facts.groups == {}
    slack.faults.clear()
    clock.advance(seconds=1)
    facts = await directory.load_facts({"U0ALICE"}, {"S0FINANCE"})
    assert facts.groups == {"S0FINANCE": {"U0ALICE"}}


async def test_a_free_plan_has_unknown_groups_and_is_not_asked_all_the_time(
    directory: SlackDirectory, slack: Playground
) -> None:
    slack.workspace.free_plan = True
    for _ in range(3):
        assert (await directory.load_facts({"U0ALICE"}, {"S0FINANCE"})).unknown_groups == {"S0FINANCE"}
    assert len(slack.calls_of("usergroups.users.list")) == 1


async def test_slack_is_left_alone_for_as_long_as_it_asks(
    directory: SlackDirectory, slack: Playground, clock: StandingClock
) -> None:
    await directory.load_facts((), ())
    slack.faults.add(Fault("429", methods="users.info", times=1, retry_after=7))
    for _ in range(3):
        with pytest.raises(FactsUnavailable):
            await directory.load_facts({"U0ALICE"}, ())
    assert len(slack.calls_of("users.info")) == 1
    clock.advance(seconds=7)
    assert set((await directory.load_facts({"U0ALICE"}, ())).people) == {"U0ALICE"}


async def test_a_slow_answer_is_a_no_in_time_for_the_click(client: SlackClient, slack: Playground) -> None:
    directory = SlackDirectory(client, StandingClock(), patience=timedelta(milliseconds=20))
    fault = slack.faults.add(Fault("slow"))
    for ask in (directory.load_facts({"U0ALICE"}, ()), directory.load_channels_of("U0ALICE")):
        with pytest.raises(FactsUnavailable):
            await ask
    fault.release()
    await directory.close()


async def test_channels(directory: SlackDirectory, slack: Playground, clock: StandingClock) -> None:
    channel = await directory.load_channel("C0REFUNDS")
    assert (channel.is_shared, channel.is_private, channel.is_archived, channel.is_member) == (
        False,
        False,
        False,
        True,
    )
    slack.workspace.change_channel("C0REFUNDS", is_pending_ext_shared=True, is_archived=True)
    clock.advance(seconds=21)
    channel = await directory.load_channel("C0REFUNDS")
    assert (channel.is_shared, channel.is_archived) == (True, True)


async def test_a_channel_that_we_may_not_see_says_why(directory: SlackDirectory) -> None:
    with pytest.raises(ChannelClosed) as closed:
        await directory.load_channel("C0SECRET")
    assert closed.value.slack_code == "channel_not_found"
    assert isinstance(closed.value, FactsUnavailable)  # for a click it is a no like any other


async def test_a_channel_that_cannot_be_asked_about_is_no_fact(directory: SlackDirectory, slack: Playground) -> None:
    slack.faults.add(Fault("500", methods="conversations.info"))
    with pytest.raises(FactsUnavailable) as unavailable:
        await directory.load_channel("C0REFUNDS")
    assert not isinstance(unavailable.value, ChannelClosed)


async def test_memberships_over_all_pages(client: SlackClient, clock: StandingClock) -> None:
    async with Playground(PlaygroundSettings(page_size=1)) as slack:
        slack.workspace.add_user("U0ALICE")
        for name in "abc":
            slack.workspace.add_channel(f"C0{name.upper()}", name=name, members=["U0ALICE", slack.bot_user_id])
        slack.workspace.add_channel("C0OTHER", name="other", members=[slack.bot_user_id])
        paged = SlackClient(SlackSettings(api_url=slack.api_url), SecretStr(slack.bot_token))
        directory = SlackDirectory(paged, clock)
        assert await directory.load_channels_of("U0ALICE") == {"C0A", "C0B", "C0C"}
        assert await directory.load_channels_of("U0NOBODY") == frozenset()
        await directory.close()
        await paged.close()


async def test_memberships_that_cannot_be_asked_about_are_no_fact(directory: SlackDirectory, slack: Playground) -> None:
    slack.faults.add(Fault("error", methods="users.conversations", error_code="missing_scope"))
    with pytest.raises(FactsUnavailable):
        await directory.load_channels_of("U0ALICE")


async def test_the_memory_is_bounded(
    directory: SlackDirectory, slack: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "_REMEMBERED", 1)
    for user in ("U0ALICE", "U0BOB", "U0BOB", "U0ALICE"):
        await directory.load_facts({user}, ())
    assert [call.params["user"] for call in slack.calls_of("users.info")] == ["U0ALICE", "U0BOB", "U0ALICE"]


async def test_on_enterprise_grid_home_is_the_organisation(clock: StandingClock) -> None:
    async with Playground(PlaygroundSettings(enterprise_id="E0HOME")) as slack:
        slack.workspace.add_user("U0ALICE", team_id="T0SISTER", enterprise_id="E0HOME")
        slack.workspace.add_user("U0OUT", team_id="E0OTHER", enterprise_id="E0OTHER")
        client = SlackClient(SlackSettings(api_url=slack.api_url), SecretStr(slack.bot_token))
        directory = SlackDirectory(client, clock)
        facts = await directory.load_facts({"U0ALICE", "U0OUT"}, ())
        assert facts.home_team == "E0HOME"
        assert {user: person.team_id for user, person in facts.people.items()} == {
            "U0ALICE": "E0HOME",
            "U0OUT": "E0OTHER",
        }
        await directory.close()
        await client.close()


def test_what_is_remembered_is_fresh_enough_to_decide_on() -> None:
    assert CACHE_FOR < MAX_FACTS_AGE

"""What is paused: denied at once, not approved, not used, from its commit on, whichever process it came from."""

import asyncio
import json
import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import (
    AgentPaused,
    AlreadyHalted,
    ChangeRefused,
    NotATime,
    NotHalted,
    NotYourPause,
    ReasonMissing,
    UnknownTarget,
)
from bot.events import commit
from bot.halt_rights import EVERYTHING, Target
from store import statements, statements_halts
from store.engine import SqliteStore
from store.tables import DeciderKind, FullView, HaltEffect, HaltScope, Instance, Place, Rank, Request, Status, VoteKind
from tests.conftest import House, StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.ahead_support import CHANGED, change, rows
from tests.scenario.halts_support import (
    ADMIN,
    AGENT,
    ALICE,
    ALL,
    BOB,
    COMPANY,
    OWNER,
    REFUNDS,
    RULE,
    Acts,
    with_everybody,
)
from tests.stores import database_of

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def house(store: SqliteStore, clock: StandingClock, town: Town) -> House:
    with_everybody(town)
    return await furnish(store, clock, town, sample_settings(COMPANY))


async def look_up(house: House, instance: Instance, key: str) -> Request:
    """Submit a call that its rule approves by itself."""
    made, _ = await house.creation.submit(instance, submission("look_up"), key)
    return made


async def load(house: House, request: Request) -> Request:
    found = await house.store.read(lambda unit: unit.one(statements.REQUEST, number=request.number))
    assert found is not None
    return found


@pytest.mark.parametrize("target", [AGENT, RULE, ALL], ids=str)
async def test_a_new_call_is_denied_at_once_with_the_reason(
    house: House, instance: Instance, acts: Acts, target: Target
) -> None:
    await house.halts.pause(target, acts(ADMIN), "It  refunds\nfar too much")
    denied = await look_up(house, instance, "a")
    assert (denied.status, denied.decided_by_kind, denied.decision_code) == (
        Status.DENIED, DeciderKind.RULE, "agent_paused",
    )  # fmt: skip
    assert denied.note == f"{target} is paused: It refunds far too much."
    again, is_new = await house.creation.submit(instance, submission("look_up"), "a")
    assert (again.id, is_new) == (denied.id, False)
    await house.halts.resume(target, acts(ADMIN), "It was a test")
    assert (await look_up(house, instance, "b")).status is Status.APPROVED
    assert (await house.creation.submit(instance, submission("look_up"), "a"))[0].status is Status.DENIED


async def test_a_call_made_before_is_still_found_by_its_key(house: House, instance: Instance, acts: Acts) -> None:
    made = await look_up(house, instance, "a")
    await house.halts.pause(ALL, acts(ADMIN), "a drill")
    assert (await look_up(house, instance, "a")).id == made.id


async def test_people_are_not_asked_and_no_standing_vote_is_taken(house: House, instance: Instance, acts: Acts) -> None:
    denied, _ = await house.creation.submit(instance, submission(), "a")
    await house.decisions.vote(denied.number, acts(ALICE), VoteKind.DENY, "no")
    await house.halts.pause(AGENT, acts(ALICE), "wait")
    again, _ = await house.creation.submit(instance, submission(), "b")
    assert (again.decision_code, again.repeats) == ("agent_paused", None)  # nor is memory what denies it
    assert rows(house, f"SELECT id FROM cards WHERE request_number = {again.number}") == []


async def test_an_approval_is_not_used_and_says_why(house: House, instance: Instance, acts: Acts) -> None:
    made = await look_up(house, instance, "a")
    await house.halts.pause(AGENT, acts(BOB), "wait")
    with pytest.raises(AgentPaused, match="Agent refund-bot is paused: wait") as refused:
        await house.approvals.consume(instance, made.id, "k")
    assert refused.value.code == "agent_paused"
    assert (await load(house, made)).consumed_at is None
    await house.halts.resume(AGENT, acts(BOB), "go on")
    assert (await house.approvals.consume(instance, made.id, "k")).consumed_at == house.clock.now
    await house.halts.pause(AGENT, acts(BOB), "wait")
    assert (await house.approvals.consume(instance, made.id, "k")).consumed_at  # the same answer, of what was done


async def test_an_approval_of_another_agent_or_rule_is_used(house: House, instance: Instance, acts: Acts) -> None:
    made = await look_up(house, instance, "a")
    await house.halts.pause(REFUNDS, acts(BOB), "wait")
    await house.halts.pause(Target(HaltScope.AGENT, "mail-bot"), acts(ADMIN), "wait")
    await house.halts.stop_rule(RULE.name, acts(BOB), "from now on")
    assert (await house.approvals.consume(instance, made.id, "k")).consumed_at is not None


async def test_nothing_is_approved_while_paused_and_denying_works(house: House, instance: Instance, acts: Acts) -> None:
    one, _ = await house.creation.submit(instance, submission(), "a")
    two, _ = await house.creation.submit(instance, submission(arguments='{"amount": 1}'), "b")
    await house.halts.pause(REFUNDS, acts(ALICE), "wait")
    with pytest.raises(AgentPaused):
        await house.decisions.vote(one.number, acts(ALICE), VoteKind.APPROVE)
    assert (await load(house, one)).status is Status.PENDING
    assert rows(house, "SELECT id FROM votes") == []
    denied = await house.decisions.vote(two.number, acts(ALICE), VoteKind.DENY, "no")
    assert denied.status is Status.DENIED
    await house.halts.resume(REFUNDS, acts(ALICE), "go on")
    assert (await house.decisions.vote(one.number, acts(ALICE), VoteKind.APPROVE)).status is Status.APPROVED


async def test_the_door_itself_is_closed(house: House, instance: Instance, acts: Acts) -> None:
    """Votes that are already there do not approve when they are weighed again."""
    quorum = COMPANY.replace('name = "refunds"', 'name = "refunds"\nquorum = 2')
    house = await furnish(house.store, house.clock, house.town, sample_settings(quorum))
    made, _ = await house.creation.submit(instance, submission(), "a")
    await house.decisions.vote(made.number, acts(ALICE), VoteKind.APPROVE)
    await house.halts.pause(AGENT, acts(BOB), "wait")
    with pytest.raises(AgentPaused):
        await house.decisions.vote(made.number, acts(BOB), VoteKind.APPROVE)
    assert (await load(house, made)).status is Status.PENDING
    await house.halts.resume(AGENT, acts(BOB), "go on")
    other, _ = await house.creation.submit(instance, submission(arguments='{"amount": 1}'), "b")
    await house.halts.pause(AGENT, acts(BOB), "wait")
    with pytest.raises(AgentPaused):  # the first of two approvals neither, though it would decide nothing yet
        await house.decisions.vote(other.number, acts(ALICE), VoteKind.APPROVE)
    assert rows(house, f"SELECT id FROM votes WHERE request_number = {other.number}") == []


async def test_against_a_thousand_uses_at_two_processes_none_follows_its_commit(
    house: House, instance: Instance, acts: Acts
) -> None:
    made = await asyncio.gather(*(look_up(house, instance, f"key{at}") for at in range(1000)))
    elsewhere = await type(house.store).open(database_of(house.store))  # type: ignore[arg-type]  # each its own
    other = await furnish(elsewhere, house.clock, house.town, sample_settings(COMPANY))
    middle = random.Random(7).randrange(300, 700)  # which, is of no matter
    uses: list[asyncio.Task[Request]] = []
    for at, request in enumerate(made):
        if at == middle:
            pausing = asyncio.ensure_future(house.halts.pause(AGENT, acts(BOB), "stop it"))
        one = (house, other)[at % 2]
        uses.append(asyncio.ensure_future(one.approvals.consume(instance, request.id, "k")))
        if at % 50 == 0:
            await asyncio.sleep(0)
    await pausing
    results = await asyncio.gather(*uses, return_exceptions=True)
    await elsewhere.close()
    refused = [result for result in results if isinstance(result, AgentPaused)]
    used = [result for result in results if isinstance(result, Request)]
    assert len(used) + len(refused) == 1000
    assert used
    assert refused
    ((pause,),) = rows(house, "SELECT number FROM events WHERE type = 'halt.begun'")
    assert rows(house, f"SELECT number FROM events WHERE type = 'request.consumed' AND number > {pause}") == []
    assert len(rows(house, "SELECT number FROM requests WHERE consumed_at IS NOT NULL")) == len(used)


async def test_a_pause_of_another_process_counts_at_once(house: House, instance: Instance, acts: Acts) -> None:
    made = await look_up(house, instance, "a")
    elsewhere = await type(house.store).open(database_of(house.store))  # type: ignore[arg-type]  # each its own
    try:
        other = await furnish(elsewhere, house.clock, house.town, sample_settings(COMPANY))
        await other.halts.pause(AGENT, acts(BOB), "stop it")
        with pytest.raises(AgentPaused):
            await house.approvals.consume(instance, made.id, "k")
        assert (await look_up(house, instance, "b")).decision_code == "agent_paused"
    finally:
        await elsewhere.close()


async def test_it_survives_a_restart(house: House, instance: Instance, acts: Acts) -> None:
    made = await look_up(house, instance, "a")
    await house.halts.pause(AGENT, acts(BOB), "stop it")
    await house.store.close()
    store = await type(house.store).open(database_of(house.store))  # type: ignore[arg-type]  # each its own
    try:
        again = await furnish(store, house.clock, house.town, sample_settings(COMPANY))
        with pytest.raises(AgentPaused):
            await again.approvals.consume(instance, made.id, "k")
        assert [halt.reason for halt in await again.halts.in_force()] == ["stop it"]
    finally:
        await store.close()


async def test_a_timed_pause_ends_by_itself(house: House, instance: Instance, acts: Acts) -> None:
    made = await look_up(house, instance, "a")
    until = house.clock.now + timedelta(minutes=1)
    halt = await house.halts.pause(AGENT, acts(BOB), "a minute", until)
    assert await house.halts.next_due() == until
    with pytest.raises(AgentPaused, match="is paused until 2026-11-22 09:01 UTC: a minute"):
        await house.approvals.consume(instance, made.id, "k")
    house.clock.advance(seconds=59)
    assert await house.halts.sweep() == []
    assert (await look_up(house, instance, "b")).status is Status.DENIED
    house.clock.advance(seconds=1)
    assert (await house.approvals.consume(instance, made.id, "k")).consumed_at is not None  # before any sweep
    assert await house.halts.in_force() == []
    (ended,) = await house.halts.sweep()
    assert (ended.id, ended.ended_at, ended.ended_by) == (halt.id, until, None)
    assert await house.halts.next_due() is None
    assert await house.halts.sweep() == []
    with pytest.raises(NotHalted):
        await house.halts.resume(AGENT, acts(BOB), "go on")


async def test_pausing_anew_after_its_time_needs_no_sweep(house: House, acts: Acts) -> None:
    await house.halts.pause(AGENT, acts(BOB), "a minute", house.clock.now + timedelta(minutes=1))
    house.clock.advance(minutes=2)
    await house.halts.pause(AGENT, acts(BOB), "for good")
    assert [(halt.reason, halt.until) for halt in await house.halts.in_force()] == [("for good", None)]
    ((body,),) = rows(house, "SELECT body FROM events WHERE type = 'halt.ended'")
    assert json.loads(str(body))["code"] == "time_over"


async def test_who_pauses_again_replaces_their_own(house: House, acts: Acts) -> None:
    await house.halts.pause(AGENT, acts(BOB), "an hour", house.clock.now + timedelta(hours=1))
    await house.halts.pause(AGENT, acts(BOB), "for good")
    assert [halt.reason for halt in await house.halts.in_force()] == ["for good"]


async def test_several_stop_the_same_thing_each_for_themselves(house: House, instance: Instance, acts: Acts) -> None:
    """Nobody shortens or takes over what somebody above them stopped, by stopping it themselves."""
    await house.halts.pause(AGENT, acts(ADMIN), "an incident")
    await house.halts.pause(AGENT, acts(BOB), "a minute", house.clock.now + timedelta(minutes=1))
    assert len(await house.halts.in_force()) == 2
    resumed = await house.halts.resume(AGENT, acts(BOB), "mine is over")
    assert ([halt.reason for halt in resumed.ended], [halt.reason for halt in resumed.left]) == (
        ["a minute"], ["an incident"],
    )  # fmt: skip
    assert (await look_up(house, instance, "a")).note == "Agent refund-bot is paused: an incident."
    with pytest.raises(NotYourPause):
        await house.halts.resume(AGENT, acts(BOB), "and theirs")


async def test_who_resumes_is_told_of_other_pauses_that_hold_the_same_calls(house: House, acts: Acts) -> None:
    everything = await house.halts.pause(ALL, acts(ALICE), "stop")
    agent = await house.halts.pause(AGENT, acts(ALICE), "too much")
    rule = await house.halts.pause(REFUNDS, acts(ALICE), "too much")
    assert (await house.halts.resume(AGENT, acts(ALICE), "mended")).still == (everything, rule)
    agent = await house.halts.pause(AGENT, acts(ALICE), "too much")
    assert (await house.halts.resume(ALL, acts(ALICE), "mended")).still == (rule, agent)
    assert (await house.halts.resume(REFUNDS, acts(ALICE), "mended")).still == (agent,)
    assert (await house.halts.resume(AGENT, acts(ALICE), "mended")).still == ()


async def test_a_repeated_act_changes_nothing(house: House, acts: Acts) -> None:
    act = acts(BOB, id="once")
    first = await house.halts.pause(AGENT, act, "wait")
    assert await house.halts.pause(AGENT, act, "wait") == first
    done = acts(BOB, id="twice")
    await house.halts.resume(AGENT, done, "go on")
    await house.halts.pause(AGENT, acts(BOB), "wait again")
    assert (await house.halts.resume(AGENT, done, "go on")).ended == ()
    assert len(await house.halts.in_force()) == 1
    assert rows(house, "SELECT count(*) FROM events WHERE type LIKE 'halt.%'") == [(3,)]


async def test_an_act_that_comes_again_stops_nothing_that_was_resumed_since(house: House, acts: Acts) -> None:
    again = acts(BOB)
    await house.halts.pause(AGENT, again, "wait")
    await house.halts.resume(AGENT, acts(ALICE), "go on")
    with pytest.raises(NotHalted, match="goes on again since"):
        await house.halts.pause(AGENT, again, "wait")
    assert await house.halts.in_force() == []


@pytest.mark.parametrize("reason", ["", "   ", "\u200b", "\u200b \u2060\n", "\N{RIGHT-TO-LEFT OVERRIDE}"])
async def test_a_reason_must_be_seen(house: House, acts: Acts, reason: str) -> None:
    for act in (house.halts.pause(AGENT, acts(BOB), reason), house.halts.resume(AGENT, acts(BOB), reason)):
        with pytest.raises(ReasonMissing):
            await act
    assert await house.halts.in_force() == []


async def test_what_there_is_not_cannot_be_paused(house: House, acts: Acts) -> None:
    for scope in (HaltScope.AGENT, HaltScope.RULE):
        for act in (house.halts.pause, house.halts.resume):
            with pytest.raises(UnknownTarget):
                await act(Target(scope, "nonesuch"), acts(ADMIN), "wait")
    with pytest.raises(NotATime):
        await house.halts.pause(AGENT, acts(ADMIN), "wait", house.clock.now)
    with pytest.raises(NotHalted, match=r"^Agent refund-bot is not paused or stopped\.$"):
        await house.halts.resume(AGENT, acts(ADMIN), "go on")
    with pytest.raises(NotHalted, match=r"^Nothing is paused\.$"):
        await house.halts.resume(EVERYTHING, acts(ADMIN), "go on")
    await house.halts.pause(EVERYTHING, acts(ADMIN), "wait")
    with pytest.raises(NotHalted, match="not paused or stopped by itself; every agent is paused"):
        await house.halts.resume(AGENT, acts(ADMIN), "go on")


async def test_what_was_paused_and_is_configured_no_more_can_be_resumed(house: House, acts: Acts) -> None:
    await house.halts.pause(Target(HaltScope.AGENT, "mail-bot"), acts(ADMIN), "wait")
    shorter = sample_settings(COMPANY[: COMPANY.index("[agents.mail-bot]")])
    house = await furnish(house.store, house.clock, house.town, shorter)
    assert (await house.halts.resume(Target(HaltScope.AGENT, "mail-bot"), acts(ADMIN), "it is gone")).ended


async def test_it_is_on_record_without_its_words(house: House, acts: Acts) -> None:
    halt = await house.halts.pause(AGENT, acts(BOB), "the secret plan", house.clock.now + timedelta(hours=2))
    assert (halt.rank, halt.effect) == (Rank.REVIEWER, HaltEffect.DENY)
    await house.halts.resume(AGENT, acts(ALICE), "a secret end")
    wanted = "halt", "scope", "name", "user", "rank", "until", "code", "reason"
    bodies = [
        json.loads(str(body))
        for (body,) in rows(house, "SELECT body FROM events WHERE type LIKE 'halt.%' ORDER BY number")
    ]
    assert [(body["type"], *map(body.get, wanted)) for body in bodies] == [
        ("halt.begun", halt.id, "agent", "refund-bot", BOB, "reviewer", "2026-11-22T11:00:00+00:00", None,
         commit(halt.salt, b"the secret plan")),
        ("halt.ended", halt.id, "agent", "refund-bot", ALICE, None, None, "resumed",
         commit(halt.salt, b"a secret end")),
    ]  # fmt: skip
    assert rows(house, "SELECT number FROM events WHERE body LIKE '%secret%'") == []


def test_what_was_over_long_ago_costs_no_call_anything(database: Path) -> None:
    """The statements on every call's path go through what is in force, by its index, and through nothing else."""
    used = (statements_halts.HALTS_TOUCHING, statements_halts.INSERT_APPROVED_REQUEST, statements_halts.CONSUME)
    with closing(sqlite3.connect(database)) as connection:
        for statement in used:
            values = dict.fromkeys(statement.parameters)
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.bind(values)).fetchall()
            (halts,) = [step for *_, step in plan if "halts" in step]
            assert "USING INDEX uq_halts_in_force" in halts


# --- a rule that is stopped -------------------------------------------------------------------------------


async def test_a_stopped_rule_asks_people(house: House, instance: Instance, acts: Acts) -> None:
    await house.halts.stop_rule(RULE.name, acts(BOB), "look at each")
    asked = await look_up(house, instance, "a")
    assert asked.status is Status.PENDING
    ((place,),) = rows(house, f"SELECT place FROM cards WHERE request_number = {asked.number}")
    assert place == Place.CHANNEL
    approved = await house.decisions.vote(asked.number, acts(ALICE), VoteKind.APPROVE)
    assert (approved.status, approved.decided_by) == (Status.APPROVED, ALICE)
    assert (await house.approvals.consume(instance, approved.id, "k")).consumed_at is not None
    await house.halts.resume(RULE, acts(ALICE), "it is fine")
    assert (await look_up(house, instance, "b")).decided_by_kind is DeciderKind.RULE


async def test_a_stopped_rule_that_names_nobody_denies(house: House, acts: Acts) -> None:
    mail, _ = await house.instances.create("mail", "mail-bot")
    await house.halts.stop_rule("mails", acts(ADMIN), "look at each")
    denied, _ = await house.creation.submit(mail, submission("send_mail"), "a")
    assert (denied.status, denied.decision_code) == (Status.DENIED, "rule_stopped")
    assert denied.note == (
        "Rule mails may not approve by itself now: look at each. It names no channel with reviewers whom it could ask."
    )


async def test_a_pause_goes_before_a_stop(house: House, instance: Instance, acts: Acts) -> None:
    await house.halts.stop_rule(RULE.name, acts(BOB), "look at each")
    await house.halts.pause(AGENT, acts(BOB), "or rather none")
    assert (await look_up(house, instance, "a")).decision_code == "agent_paused"


async def test_only_a_rule_that_approves_by_itself_can_be_stopped_and_once(house: House, acts: Acts) -> None:
    with pytest.raises(AlreadyHalted) as refused:
        await house.halts.stop_rule("refunds", acts(BOB), "look at each")
    assert refused.value.code == "rule_asks"
    await house.halts.stop_rule(RULE.name, acts(BOB), "look at each")
    with pytest.raises(AlreadyHalted):
        await house.halts.stop_rule(RULE.name, acts(ALICE), "look at each")


async def test_changing_a_call_to_what_a_stopped_rule_would_approve_leaves_a_vote(
    house: House, instance: Instance, acts: Acts
) -> None:
    """The rule asks people now, so the one who changed the call has a say in it; while it is paused nobody has."""
    small = """[[rules]]
name = "small"
agent = "refund-bot"
tool = "issue_refund"
when = "arguments.amount < 100"
stage = "autonomous"
channel = "C0REFUNDS"
reviewers = ["finance"]

[[rules]]
name = "refunds\""""
    text = COMPANY.replace('[[rules]]\nname = "refunds"', small, 1)
    house = await furnish(house.store, house.clock, house.town, sample_settings(text))
    asked, _ = await house.creation.submit(instance, submission(), "a")
    assert asked.status is Status.PENDING
    await house.halts.stop_rule("small", acts(BOB), "look at each")
    await house.halts.pause(AGENT, acts(BOB), "wait")
    with pytest.raises(ChangeRefused) as refused:
        await change(house, asked, acts(ALICE, full_view=FullView.FORM))
    assert refused.value.code == "agent_paused"
    await house.halts.resume(AGENT, acts(BOB), "go on")
    granted = await change(house, asked, acts(ALICE, full_view=FullView.FORM))
    assert granted.standing is not None
    again, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "b")
    assert (again.status, again.decided_by_kind) == (Status.APPROVED, DeciderKind.PERSON)


async def test_a_stop_while_the_call_is_on_its_way(house: House, instance: Instance, acts: Acts) -> None:
    """Whatever the order, the call is approved by the rule before the stop, or asked about after it."""

    async def stop() -> None:
        await house.halts.stop_rule(RULE.name, acts(OWNER), "look at each")

    made, *_ = await asyncio.gather(asyncio.gather(*(look_up(house, instance, f"key{at}") for at in range(40))), stop())
    ((stopped,),) = rows(house, "SELECT number FROM events WHERE type = 'halt.begun'")
    by_rule = rows(
        house,
        "SELECT e.number FROM events e JOIN requests r ON r.number = e.request_number"
        f" WHERE e.type = 'request.made' AND r.decided_by_kind = 'rule' AND e.number > {stopped}",
    )
    assert by_rule == []
    assert {request.status for request in made} <= {Status.APPROVED, Status.PENDING}
    assert (await look_up(house, instance, "after")).status is Status.PENDING

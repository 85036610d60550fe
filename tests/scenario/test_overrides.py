"""Overrides on a real database: who may displace which outcome, what it leads to, and what is put on record."""

import asyncio
import hashlib
import json
from itertools import count

import pytest

from bot.changed_calls import changed_call_in
from bot.errors import (
    AgentPaused,
    AlreadyConsumed,
    AlreadyReported,
    AlreadyReversed,
    AlreadyVoted,
    ApprovalRevoked,
    ApprovalTaken,
    CannotReverse,
    MoreIsAsked,
    NothingToOverride,
    NotSeenWhole,
    NotYourDecision,
    Refusal,
    WrongPasscode,
)
from bot.halt_rights import Target
from bot.hearings import Act
from store import statements
from store.tables import DeciderKind, FullView, HaltScope, Instance, OutcomeStatus, Request, Status, VoteKind
from tests.conftest import SAMPLE, House, submission
from tests.passcode_support import STEP, enrol
from tests.scenario.ahead_support import ORIGINAL, Acts, change, rows, under

TWO = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nquorum = 2').replace(
    'users = ["U0ADMIN"]', 'users = ["U0ADMIN", "U0OWNER", "U0ALICE", "U0SAM"]'
)
PASSCODE = SAMPLE.replace('reviewers = ["finance"]', 'reviewers = ["finance"]\nstep_up = "totp"')
_serial = count()

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def instance(house: House) -> Instance:
    house.town.add("U0SAM")
    made, _ = await house.instances.create("till", "refund-bot")
    return made


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    return await ask(house, instance)


async def ask(house: House, instance: Instance, tool: str = "issue_refund", arguments: str = ORIGINAL) -> Request:
    made, _ = await house.creation.submit(instance, submission(tool, arguments), f"key{next(_serial)}")
    return made


async def approve(house: House, request: Request, act: Act) -> Request:
    return await house.decisions.vote(request.number, act, VoteKind.APPROVE)


async def deny(house: House, request: Request, act: Act) -> Request:
    return await house.decisions.vote(request.number, act, VoteKind.DENY, "no")


async def consume(house: House, instance: Instance, request: Request) -> Request:
    return await house.approvals.consume(instance, request.id, f"use{next(_serial)}")


async def load(house: House, request: Request) -> Request:
    loaded = await house.store.peek(lambda unit: unit.one(statements.REQUEST, number=request.number))
    assert loaded is not None
    return loaded


def made(
    house: House, columns: str = "kind, user_id, reason, displaced, displaced_by_kind, displaced_by"
) -> list[object]:
    return list(rows(house, f"SELECT {columns} FROM overrides ORDER BY id"))


# --- revoke -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["U0ALICE", "U0BOB", "U0ADMIN", "U0OWNER"])
async def test_revoked_is_never_used(house: House, instance: Instance, asked: Request, acts: Acts, user: str) -> None:
    await approve(house, asked, acts("U0BOB"))
    act = acts(user)
    revoked = await house.overrides.revoke(asked.number, act, "wrong customer")
    assert (revoked.status, revoked.revoked_code) == (Status.APPROVED, "revoked_by_person")
    with pytest.raises(ApprovalRevoked):
        await consume(house, instance, asked)
    assert made(house) == [("revoked", user, "wrong customer", "open", "person", "U0BOB")]
    assert made(house, "agent, tool, rule") == [("refund-bot", "issue_refund", "refunds")]
    assert await house.overrides.revoke(asked.number, act, "wrong customer") == revoked  # the same press once more
    assert len(made(house)) == 1
    [(body,)] = rows(house, "SELECT body FROM events WHERE type = 'override.made'")
    [(salt,)] = rows(house, "SELECT salt FROM requests")
    assert isinstance(salt, bytes)
    assert json.loads(str(body))["reason"] == hashlib.sha256(salt + b"wrong customer").hexdigest()
    assert "wrong" not in str(body)
    with pytest.raises(NothingToOverride):
        await house.overrides.revoke(asked.number, acts("U0ADMIN"), "again")


async def test_what_a_rule_approved_by_itself_is_revoked_too(house: House, instance: Instance, acts: Acts) -> None:
    looked = await ask(house, instance, "look_up", "{}")
    assert looked.status is Status.APPROVED
    with pytest.raises(NotYourDecision, match="Only reviewers"):
        await house.overrides.revoke(looked.number, acts("U0ALICE"), "no")  # this rule has no reviewers
    await house.overrides.revoke(looked.number, acts("U0OWNER"), "no")
    with pytest.raises(ApprovalRevoked):
        await consume(house, instance, looked)
    assert made(house) == [("revoked", "U0OWNER", "no", "open", "rule", "look-ups")]


async def test_whom_the_agent_asks_for_may_stop_it_and_force_nothing(house: House, acts: Acts) -> None:
    mine, _ = await house.instances.create("desk", "refund-bot", person="U0ADMIN")
    request = await ask(house, mine)
    with pytest.raises(NotYourDecision, match="on your behalf"):
        await house.overrides.force(request.number, acts("U0ADMIN"), VoteKind.APPROVE, "now")
    await approve(house, request, acts("U0ALICE"))
    await house.overrides.revoke(request.number, acts("U0ADMIN"), "I changed my mind")
    assert (await load(house, request)).revoked_at is not None


@pytest.mark.parametrize(
    ("user", "facts", "code"),
    [
        ("U0CAROL", {}, "not_a_reviewer"),
        ("U0BOB", {"is_guest": True}, "guest"),
        ("U0OWNER", {"is_deactivated": True}, "deactivated"),
        ("U0ADMIN", {"team_id": "T0OTHER"}, "foreign_team"),
    ],
)
async def test_who_may_not_speak_against_an_approval(
    house: House, instance: Instance, asked: Request, acts: Acts, user: str, facts: dict[str, object], code: str
) -> None:
    await approve(house, asked, acts("U0ALICE"))
    house.town.add(user, **facts)
    for refused in (house.overrides.revoke, house.overrides.report):
        with pytest.raises(NotYourDecision) as told:
            await refused(asked.number, acts(user), "no")
        assert told.value.code == code
    await consume(house, instance, asked)
    assert made(house) == []


async def test_late_for_the_agent_is_told_so(house: House, instance: Instance, asked: Request, acts: Acts) -> None:
    await approve(house, asked, acts("U0ALICE"))
    await consume(house, instance, asked)
    with pytest.raises(ApprovalTaken, match="report it"):
        await house.overrides.revoke(asked.number, acts("U0ALICE"), "no")
    assert made(house) == []


async def test_what_is_over_cannot_be_revoked(house: House, asked: Request, acts: Acts) -> None:
    with pytest.raises(NothingToOverride):
        await house.overrides.revoke(asked.number, acts("U0ALICE"), "no")
    await approve(house, asked, acts("U0ALICE"))
    house.clock.advance(minutes=5)  # not swept yet
    with pytest.raises(NothingToOverride, match="time is over"):
        await house.overrides.revoke(asked.number, acts("U0ALICE"), "no")


@pytest.mark.sqlite_only  # there nobody waits for a network, and either may win
async def test_revoke_and_consume_race_for_one_winner(house: House, instance: Instance, acts: Acts) -> None:
    won = {"revoke": 0, "consume": 0}
    for round_ in range(40):
        request = await ask(house, instance, arguments=f'{{"amount": {round_}}}')
        await approve(house, request, acts("U0ALICE"))
        using = [house.approvals.consume(instance, request.id, f"race{round_}.{at}") for at in range(3)]
        revoking = [house.overrides.revoke(request.number, acts(user), "no") for user in ("U0ALICE", "U0OWNER")]
        both = [*using, *revoking] if round_ % 2 else [*revoking, *using]
        done = await asyncio.gather(*both, return_exceptions=True)
        winners = [one for one in done if isinstance(one, Request)]
        losers = [one for one in done if not isinstance(one, Request)]
        [winner] = winners
        won["consume" if winner.consumed_at else "revoke"] += 1
        expected = {AlreadyConsumed, ApprovalTaken} if winner.consumed_at else {ApprovalRevoked, NothingToOverride}
        assert {type(one) for one in losers} == expected
    assert min(won.values()) > 0
    assert len(made(house)) == won["revoke"]


# --- report -----------------------------------------------------------------------------------------------


async def test_a_used_approval_is_reported_once_each(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    await approve(house, asked, acts("U0ALICE"))
    with pytest.raises(NothingToOverride, match="revoked, not reported"):
        await house.overrides.report(asked.number, acts("U0ALICE"), "too much")
    await consume(house, instance, asked)
    await house.overrides.report(asked.number, acts("U0ALICE"), "too much")
    with pytest.raises(AlreadyReported):
        await house.overrides.report(asked.number, acts("U0ALICE"), "far too much")
    await house.approvals.report_outcome(instance, asked.id, OutcomeStatus.SUCCEEDED, None)
    await house.overrides.report(asked.number, acts("U0OWNER"), "it went to the wrong one")
    assert made(house, "kind, user_id, displaced, displaced_by") == [
        ("reported", "U0ALICE", "consumed", "U0ALICE"),
        ("reported", "U0OWNER", "succeeded", "U0ALICE"),
    ]
    told = rows(house, "SELECT lane, reason FROM outbox WHERE kind = 'tell_owners'")
    assert told == [(f"owners:{asked.number}", "reported")] * 2


# --- reverse ----------------------------------------------------------------------------------------------


async def test_a_reversed_denial_is_one_vote_for_the_next_try(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    await deny(house, asked, acts("U0ALICE"))
    assert (await ask(house, instance)).decided_by_kind is DeciderKind.MEMORY
    request, standing = await house.overrides.reverse(asked.number, acts("U0ALICE"), "it was right after all")
    assert standing is not None
    assert (request.status, standing.digest) == (Status.DENIED, asked.digest)
    again = await ask(house, instance)
    assert (again.status, again.decided_by) == (Status.APPROVED, "U0ALICE")
    assert made(house) == [("reversed", "U0ALICE", "it was right after all", "denied", "person", "U0ALICE")]
    assert made(house, "standing_id") == [(standing.id,)]


async def test_what_expired_and_what_was_denied_from_memory_is_reversed(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    house.clock.advance(minutes=11)
    await house.deadlines.sweep()
    await house.overrides.reverse(asked.number, acts("U0BOB"), "we were all out")
    await deny(house, await ask(house, instance, arguments='{"amount": 1}'), acts("U0ALICE"))
    remembered = await ask(house, instance, arguments='{"amount": 1}')
    await house.overrides.reverse(remembered.number, acts("U0BOB"), "right")
    assert made(house, "displaced, displaced_by_kind, displaced_by") == [
        ("expired", "clock", None),
        ("denied", "memory", None),
    ]
    for arguments in (ORIGINAL, '{"amount": 1}'):
        assert (await ask(house, instance, arguments=arguments)).decided_by == "U0BOB"


async def test_who_denied_cannot_reverse_alone_where_two_are_wanted(house: House, acts: Acts) -> None:
    house = await under(house, TWO)
    instance, _ = await house.instances.create("till", "refund-bot")
    number = (await deny(house, await ask(house, instance), acts("U0ALICE"))).number
    await house.overrides.reverse(number, acts("U0ALICE"), "right after all")
    with pytest.raises(AlreadyReversed):
        await house.overrides.reverse(number, acts("U0ALICE"), "very much so")
    again = await ask(house, instance)
    assert again.status is Status.PENDING
    with pytest.raises(AlreadyVoted):
        await approve(house, again, acts("U0ALICE"))
    assert (await approve(house, again, acts("U0BOB"))).status is Status.APPROVED


async def test_the_rule_of_today_says_who_may_reverse_and_what_it_takes(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    await deny(house, asked, acts("U0ALICE"))
    house = await under(house, PASSCODE)
    device = await enrol(house.passcodes, house.town, house.clock, "U0ALICE")
    house.clock.now += STEP
    for user, code in (("U0OWNER", "owner"), ("U0CAROL", "not_a_reviewer"), ("U0ADMIN", "not_a_reviewer")):
        with pytest.raises(NotYourDecision) as told:
            await house.overrides.reverse(asked.number, acts(user), "right")
        assert told.value.code == code
    with pytest.raises(NotSeenWhole):
        await house.overrides.reverse(asked.number, acts("U0ALICE", full_view=None), "right")
    with pytest.raises(MoreIsAsked, match="passcode"):
        await house.overrides.reverse(asked.number, acts("U0ALICE"), "right")
    with pytest.raises(WrongPasscode):
        await house.overrides.reverse(asked.number, acts("U0ALICE"), "right", device.wrong_at(house.clock.now))
    assert made(house) == []
    await house.overrides.reverse(asked.number, acts("U0ALICE"), "right", device.at(house.clock.now))
    assert rows(house, "SELECT user_id, step_up FROM standing_votes") == [("U0ALICE", "totp")]
    house = await under(house, SAMPLE.replace('"issue_refund", ', ""))
    with pytest.raises(CannotReverse, match="may not use the tool"):
        await house.overrides.reverse(asked.number, acts("U0BOB"), "right")


async def test_what_no_person_decided_cannot_be_reversed(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    for tool, code in (("drop_table", "denied_by_rule"), ("look_up", "was_approved")):
        with pytest.raises(CannotReverse) as told:
            await house.overrides.reverse((await ask(house, instance, tool, "{}")).number, acts("U0ALICE"), "right")
        assert told.value.code == code
    with pytest.raises(CannotReverse, match="not decided yet"):
        await house.overrides.reverse(asked.number, acts("U0ALICE"), "right")
    await house.approvals.cancel(instance, asked.id)
    with pytest.raises(CannotReverse, match="cancelled"):
        await house.overrides.reverse(asked.number, acts("U0ALICE"), "right")
    denied = await ask(house, instance)
    await deny(house, denied, acts("U0ALICE"))
    await house.instances.revoke("till")
    with pytest.raises(CannotReverse, match="instance"):
        await house.overrides.reverse(denied.number, acts("U0ALICE"), "right")
    assert made(house) == []


# --- force ------------------------------------------------------------------------------------------------


async def test_an_admin_decides_past_the_reviewers(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    forced = await house.overrides.force(asked.number, acts("U0ADMIN"), VoteKind.APPROVE, "nobody is in")
    assert (forced.status, forced.decided_by_kind, forced.decided_by) == (Status.APPROVED, DeciderKind.ADMIN, "U0ADMIN")
    assert (forced.decision_code, forced.note) == ("forced", "nobody is in")
    assert made(house) == [("forced", "U0ADMIN", "nobody is in", "pending", None, None)]
    assert rows(house, "SELECT reason FROM outbox WHERE kind = 'tell_reviewers'") == [("forced",)]
    other = await ask(house, instance)
    denied = await house.overrides.force(other.number, acts("U0ADMIN", full_view=None), VoteKind.DENY, "not now")
    assert (denied.status, denied.decided_by_kind) == (Status.DENIED, DeciderKind.ADMIN)


async def test_two_admins_where_the_rule_wants_two_people(house: House, acts: Acts) -> None:
    house = await under(house, TWO)
    house.town.add("U0SAM")
    instance, _ = await house.instances.create("till", "refund-bot")
    request = await ask(house, instance)
    force = house.overrides.force
    assert (await force(request.number, acts("U0ALICE"), VoteKind.APPROVE, "a")).status is Status.PENDING
    with pytest.raises(AlreadyVoted, match="2 different admins"):
        await force(request.number, acts("U0ALICE"), VoteKind.APPROVE, "b")
    with pytest.raises(NotYourDecision, match="own agent"):
        await force(request.number, acts("U0OWNER"), VoteKind.APPROVE, "c")
    assert made(house) == []
    # A reviewer's vote is no admin's: one of each is one of each.
    assert (await approve(house, request, acts("U0BOB"))).status is Status.PENDING
    # Nor does one person's forced vote become an ordinary one beside it: it takes its place.
    assert (await approve(house, request, acts("U0ALICE"))).decided_by_kind is DeciderKind.PERSON
    second = await ask(house, instance, arguments='{"amount": 2}')
    await force(second.number, acts("U0ADMIN"), VoteKind.APPROVE, "x")
    decided = await force(second.number, acts("U0SAM"), VoteKind.APPROVE, "y")
    assert (decided.status, decided.decided_by, decided.note) == (Status.APPROVED, "U0SAM", "y")
    assert made(house, "user_id, reason") == [("U0ADMIN", "x"), ("U0SAM", "y")]


async def test_a_forced_vote_counts_only_while_its_admin_is_one(house: House, acts: Acts) -> None:
    house = await under(house, TWO)
    house.town.add("U0SAM")
    instance, _ = await house.instances.create("till", "refund-bot")
    request = await ask(house, instance)
    await house.overrides.force(request.number, acts("U0SAM"), VoteKind.APPROVE, "x")
    house = await under(house, TWO.replace(', "U0SAM"', ""))
    await house.overrides.force(request.number, acts("U0ADMIN"), VoteKind.APPROVE, "y")
    assert (await load(house, request)).status is Status.PENDING
    house.town.add("U0ADMIN", is_deactivated=True)
    await house.overrides.force(request.number, acts("U0ALICE"), VoteKind.APPROVE, "z")
    assert (await load(house, request)).status is Status.PENDING
    # As a denial counts: U0SAM is no admin now, and may not even turn it down.
    with pytest.raises(NotYourDecision, match="Only admins"):
        await house.overrides.force(request.number, acts("U0SAM"), VoteKind.DENY, "no")


async def test_force_never_loosens_what_keeps_people_from_deciding(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    force = house.overrides.force
    with pytest.raises(NotSeenWhole):
        await force(asked.number, acts("U0ADMIN", full_view=None), VoteKind.APPROVE, "now")
    for nothing in ("  ", "\u200b", "\u2060 \u200d"):
        with pytest.raises(MoreIsAsked, match="reason"):
            await force(asked.number, acts("U0ADMIN"), VoteKind.APPROVE, nothing)
    for user, why in (("U0ALICE", "Only admins"), ("U0OWNER", "Only admins")):
        with pytest.raises(NotYourDecision, match=why):
            await force(asked.number, acts(user), VoteKind.DENY, "now")
    open_to_owners = SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0OWNER"]').replace(
        'reviewers = ["finance"]', 'reviewers = ["finance"]\nowner_may_decide = true'
    )
    house = await under(house, open_to_owners)
    own = await ask(house, instance, arguments='{"amount": 3}')
    with pytest.raises(NotYourDecision, match="own agent"):
        await house.overrides.force(own.number, acts("U0OWNER"), VoteKind.APPROVE, "now")
    house.clock.advance(minutes=10)
    house = await under(house, SAMPLE)
    with pytest.raises(Refusal, match="deadline"):
        await house.overrides.force(own.number, acts("U0ADMIN"), VoteKind.APPROVE, "now")
    assert rows(house, "SELECT * FROM votes") == []


async def test_what_is_paused_is_neither_forced_nor_reversed(
    house: House, instance: Instance, asked: Request, acts: Acts
) -> None:
    other = await ask(house, instance, arguments='{"amount": 2}')
    await deny(house, other, acts("U0ALICE"))
    await house.halts.pause(Target(HaltScope.AGENT, "refund-bot"), acts("U0ADMIN"), "it misbehaves")
    with pytest.raises(AgentPaused):
        await house.overrides.force(asked.number, acts("U0ADMIN"), VoteKind.APPROVE, "now")
    with pytest.raises(CannotReverse, match="it misbehaves"):
        await house.overrides.reverse(other.number, acts("U0BOB"), "right")
    with pytest.raises(CannotReverse, match="it misbehaves"):
        await house.overrides.check_reverse(other.number, "U0BOB", None)
    assert made(house) == []
    denied = await house.overrides.force(asked.number, acts("U0ADMIN"), VoteKind.DENY, "it misbehaves")
    assert denied.status is Status.DENIED


# --- changed ----------------------------------------------------------------------------------------------


async def test_approving_with_changes_is_on_record(house: House, asked: Request, acts: Acts) -> None:
    act = acts("U0ALICE", surface="modal", full_view=FullView.FORM)
    granted = await change(house, asked, act)
    assert granted.standing is not None
    assert made(house, "kind, user_id, displaced, standing_id") == [
        ("changed", "U0ALICE", "pending", granted.standing.id)
    ]
    [(reason,)] = rows(house, "SELECT reason FROM overrides")
    assert changed_call_in(str(reason)) is not None  # no reason was given: the changed call stands for it
    await change(house, asked, act)
    assert len(made(house)) == 1

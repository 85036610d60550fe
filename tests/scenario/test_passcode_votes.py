"""Votes under a rule that asks for a passcode: what a click alone, a wrong one and one used twice lead to."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from bot.config import Settings
from bot.decisions import Decisions
from bot.errors import AlreadyDecided, MoreIsAsked, NotEnrolled, NotYourDecision, PasscodeLocked, WrongPasscode
from store.tables import Instance, Request, Status, StepUp, VoteKind
from tests.conftest import SAMPLE, House, sample_settings, submission
from tests.passcode_support import STEP, Device, enrol

ALICE = "U0ALICE"


@pytest.fixture
def settings() -> Settings:
    return sample_settings(SAMPLE + '\nstep_up = "totp"\n')


@pytest.fixture
async def device(house: House) -> Device:
    device = await enrol(house.passcodes, house.town, house.clock, ALICE)
    house.clock.now += 2 * STEP
    return device


async def _ask(house: House, instance: Instance, key: str = "key") -> Request:
    return (await house.creation.submit(instance, submission(), key))[0]


async def _approve(house, acts, request, passcode, *, id=None, user=ALICE) -> Request:
    act = acts(user, id=id)
    return await house.decisions.vote(request.number, act, VoteKind.APPROVE, confirmed=True, passcode=passcode)


def _count(house: House, what: str) -> int:
    with closing(sqlite3.connect(house.store.path)) as connection:
        [(count,)] = connection.execute(f"SELECT count(*) FROM {what}").fetchall()
    return int(count)


async def test_a_click_alone_does_not_suffice(house: House, acts, instance: Instance, device: Device) -> None:
    request = await _ask(house, instance)
    with pytest.raises(MoreIsAsked):
        await house.decisions.vote(request.number, acts(ALICE), VoteKind.APPROVE)
    with pytest.raises(MoreIsAsked) as refused:
        await _approve(house, acts, request, None)
    assert refused.value.code == "step_up_missing"
    with pytest.raises(WrongPasscode):
        await _approve(house, acts, request, "")
    assert _count(house, "votes") == 0


async def test_a_passcode_approves_and_the_vote_says_so(house: House, acts, instance: Instance, device: Device) -> None:
    request = await _ask(house, instance)
    decided = await _approve(house, acts, request, device.at(house.clock()))
    assert decided.status is Status.APPROVED
    drawing = await house.queries.drawing(request.number)
    assert drawing is not None
    assert [vote.step_up for vote in drawing.votes] == [StepUp.TOTP]


async def test_a_failure_counts_although_the_vote_is_refused(
    house: House, acts, instance: Instance, device: Device
) -> None:
    request = await _ask(house, instance)
    for _ in range(4):
        with pytest.raises(WrongPasscode):
            await _approve(house, acts, request, device.wrong_at(house.clock()))
    with pytest.raises(PasscodeLocked):
        await _approve(house, acts, request, device.wrong_at(house.clock()))
    with pytest.raises(PasscodeLocked):
        await _approve(house, acts, request, device.at(house.clock()))
    assert _count(house, "votes") == 0
    assert _count(house, "outbox WHERE kind = 'tell_admins' AND reason = 'passcode_locked'") == 1
    assert (await house.decisions.vote(request.number, acts(ALICE), VoteKind.DENY, "no")).status is Status.DENIED


async def test_the_same_form_may_come_again_with_the_right_passcode(
    house: House, acts, instance: Instance, device: Device
) -> None:
    request = await _ask(house, instance)
    with pytest.raises(WrongPasscode):
        await _approve(house, acts, request, device.wrong_at(house.clock()), id="V1:hash")
    right = device.at(house.clock())
    assert (await _approve(house, acts, request, right, id="V1:hash")).status is Status.APPROVED
    assert (await _approve(house, acts, request, right, id="V1:hash")).status is Status.APPROVED  # a repeat, no error


async def test_one_passcode_is_for_one_request(house: House, acts, instance: Instance, device: Device) -> None:
    requests = [await _ask(house, instance, f"key{at}") for at in range(6)]
    passcode = device.at(house.clock())
    outcomes = await asyncio.gather(
        *(_approve(house, acts, request, passcode) for request in requests), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Request", *["WrongPasscode"] * 5]
    assert _count(house, "votes") == 1


async def test_a_refusal_for_another_reason_uses_no_passcode_up(
    house: House, acts, instance: Instance, device: Device
) -> None:
    owners = await enrol(house.passcodes, house.town, house.clock, "U0OWNER")
    house.clock.now += 2 * STEP
    request, other = await _ask(house, instance), await _ask(house, instance, "other")
    with pytest.raises(NotYourDecision):
        await _approve(house, acts, request, owners.at(house.clock()), user="U0OWNER")
    await house.decisions.vote(request.number, acts("U0BOB"), VoteKind.DENY, "no")
    passcode = device.at(house.clock())
    with pytest.raises(AlreadyDecided):
        await _approve(house, acts, request, passcode)
    assert (await _approve(house, acts, other, passcode)).status is Status.APPROVED


async def test_who_has_no_device_approves_nothing(house: House, acts, instance: Instance) -> None:
    request = await _ask(house, instance)
    with pytest.raises(NotEnrolled):
        await _approve(house, acts, request, "000000")
    without = Decisions(house.store, house.clock, house.hearings)  # nobody to check passcodes
    with pytest.raises(MoreIsAsked):
        await without.vote(request.number, acts(ALICE), VoteKind.APPROVE, confirmed=True, passcode="000000")

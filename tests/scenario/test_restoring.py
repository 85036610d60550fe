"""A database that was restored: what may have been used since the backup is ended, once, and the rest is left alone."""

import json
from datetime import timedelta

import pytest

from bot.errors import ApprovalRevoked, EnrolmentOver, WrongCode, WrongPasscode
from bot.lifecycle import State, state_of
from bot.restoring import Restoring
from bot.revocation import RESTORED
from store.tables import FullView, Instance, OutcomeStatus, Request, Status, VoteKind
from tests.conftest import START, House, submission
from tests.passcode_support import STEP, enrol
from tests.scenario.ahead_support import CHANGED, Acts, change, rows

pytestmark = pytest.mark.both_databases
BACKED_UP = START - timedelta(hours=1)


async def ask(house: House, instance: Instance, key: str, *, amount: int, acts: Acts | None = None) -> Request:
    """Make a request, and have it approved where ``acts`` are given."""
    made, _ = await house.creation.submit(instance, submission(arguments=f'{{"amount": {amount}}}'), key)
    if acts is None:
        return made
    return await house.decisions.vote(made.number, acts("U0ALICE"), VoteKind.APPROVE)


async def test_what_was_open_is_revoked_and_nothing_else(house: House, instance: Instance, acts: Acts) -> None:
    opened = await ask(house, instance, "open", amount=1, acts=acts)
    by_rule, _ = await house.creation.submit(instance, submission("look_up", "{}"), "rule")
    taken = await ask(house, instance, "taken", amount=2, acts=acts)
    await house.approvals.consume(instance, taken.id, "c")
    ended = await ask(house, instance, "ended", amount=3, acts=acts)
    await house.approvals.consume(instance, ended.id, "c")
    await house.approvals.report_outcome(instance, ended.id, OutcomeStatus.SUCCEEDED, None)
    late = await ask(house, instance, "late", amount=4, acts=acts)
    waiting = await ask(house, instance, "waiting", amount=5)
    denied = await ask(house, instance, "denied", amount=6)
    await house.decisions.vote(denied.number, acts("U0ALICE"), VoteKind.DENY, "No")
    house.clock.advance(minutes=4)

    restored = await Restoring(house.store, house.clock).finish(BACKED_UP)

    assert [one.number for one in restored.revoked] == [opened.number, by_rule.number, late.number]
    assert (restored.lifted, restored.enrolments, restored.pending, restored.is_repeated) == (0, 0, 1, False)
    for one in (opened, by_rule, late):
        with pytest.raises(ApprovalRevoked, match="restored from a backup"):
            await house.approvals.consume(instance, one.id, "another")
    now = {one.number: await house.approvals.read(instance, one.id) for one in (opened, taken, ended, waiting, denied)}
    assert [state_of(one) for one in now.values()] == [
        State.REVOKED, State.CONSUMED, State.SUCCEEDED, State.PENDING, State.DENIED,
    ]  # fmt: skip
    assert now[opened.number].revoked_code == RESTORED
    assert (await house.approvals.consume(instance, taken.id, "c")).consumed_at  # its own answer, once more

    assert rows(house, "SELECT request_number FROM events WHERE type = 'request.revoked' ORDER BY number") == [
        (opened.number,), (by_rule.number,), (late.number,),
    ]  # fmt: skip
    ((body,),) = rows(house, "SELECT body FROM events WHERE type = 'database.restored'")
    facts = json.loads(body)
    assert (facts["revoked"], facts["lifted"], facts["pending"], facts["copied_at"]) == (3, 0, 1, BACKED_UP.isoformat())
    assert rows(house, "SELECT reason FROM outbox WHERE kind = 'tell_admins'") == [("database_restored",)]
    # Its card may show a decision of after the backup.
    assert rows(house, f"SELECT reason FROM outbox WHERE request_number = {waiting.number} AND kind = 'draw_card'") == [
        ("restored",)
    ]
    approved = await house.decisions.vote(waiting.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert approved.status is Status.APPROVED


async def test_an_approval_whose_time_is_over_may_have_been_used_as_well(
    house: House, instance: Instance, acts: Acts
) -> None:
    """It would lapse otherwise, and the record would say that it was never used."""
    late = await ask(house, instance, "late", amount=4, acts=acts)
    house.clock.advance(minutes=6)
    restored = await Restoring(house.store, house.clock).finish(None)
    assert [one.number for one in restored.revoked] == [late.number]
    await house.deadlines.sweep()
    assert state_of(await house.approvals.read(instance, late.id)) is State.REVOKED


async def test_a_vote_cast_ahead_is_not_taken_twice(house: House, instance: Instance, acts: Acts) -> None:
    asked = await ask(house, instance, "first", amount=9)
    granted = await change(house, asked, acts("U0ALICE", surface="modal", full_view=FullView.FORM))
    assert granted.standing is not None
    restored = await Restoring(house.store, house.clock).finish(None)
    assert restored.lifted == 1
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "second")
    assert retried.status is Status.PENDING
    ((body,),) = rows(house, "SELECT body FROM events WHERE type = 'standing.lifted'")
    assert json.loads(body)["code"] == RESTORED


async def test_codes_and_passcodes_that_may_have_been_used_are_used_up(house: House) -> None:
    device = await enrol(house.passcodes, house.town, house.clock, "U0ALICE")
    code, _ = await house.passcodes.open_enrolment("U0BOB")
    offered, _ = await house.passcodes.open_enrolment("U0CAROL")
    facts = await house.town.load_facts({"U0BOB", "U0CAROL"}, ())
    await house.passcodes.offer("U0CAROL", offered, facts)
    house.clock.advance(minutes=1)

    restored = await Restoring(house.store, house.clock).finish(None)

    assert restored.enrolments == 2
    facts = await house.town.load_facts({"U0BOB", "U0CAROL"}, ())
    with pytest.raises(WrongCode):
        await house.passcodes.offer("U0BOB", code, facts)
    with pytest.raises(EnrolmentOver):
        await house.passcodes.confirm("U0CAROL", "123456", facts)

    async def check(steps: int) -> object:
        now = house.clock()
        digits = device.at(now, steps)
        return await house.store.write(lambda unit: house.passcodes.check(unit, "U0ALICE", digits, now))

    for steps in (-1, 0, 1):
        refused = await check(steps)
        assert isinstance(refused, WrongPasscode)
        assert refused.code == "passcode_used"
    house.clock.now += 2 * STEP
    assert await check(0) is None


async def test_the_second_time_nothing_changes(house: House, instance: Instance, acts: Acts) -> None:
    await ask(house, instance, "open", amount=1, acts=acts)
    await ask(house, instance, "waiting", amount=2)
    restoring = Restoring(house.store, house.clock)
    await restoring.finish(None)
    before = rows(house, "SELECT number, hash FROM events"), rows(house, "SELECT id FROM outbox")
    house.clock.advance(minutes=1)
    again = await restoring.finish(None)
    assert (again.is_repeated, again.revoked, again.pending) == (True, (), 1)
    assert (rows(house, "SELECT number, hash FROM events"), rows(house, "SELECT id FROM outbox")) == before
    # What happens afterwards may have to be dealt with once more, after another restore.
    later = await ask(house, instance, "later", amount=3, acts=acts)
    third = await restoring.finish(None)
    assert [one.number for one in third.revoked] == [later.number]


async def test_more_than_a_batch(house: House, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.restoring.BATCH", 5)
    for number in range(11):
        await house.creation.submit(instance, submission("look_up", f'{{"order": {number}}}'), f"k{number}")
    restored = await Restoring(house.store, house.clock).finish(None)
    assert len(restored.revoked) == 11
    assert rows(house, "SELECT count(*) FROM requests WHERE revoked_code IS NULL") == [(0,)]


async def test_broken_off_it_goes_on(house: House, instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        await house.creation.submit(instance, submission("look_up", f'{{"order": {number}}}'), f"k{number}")
    restoring = Restoring(house.store, house.clock)
    monkeypatch.setattr("bot.restoring.BATCH", 2)
    with monkeypatch.context() as breaking:
        breaking.setattr("bot.restoring.Restoring._lift_standing", None)
        with pytest.raises(TypeError):
            await restoring.finish(None)
    assert rows(house, "SELECT count(*) FROM events WHERE type = 'database.restored'") == [(0,)]
    assert not (await restoring.finish(None)).is_repeated
    assert rows(house, "SELECT count(*) FROM events WHERE type = 'database.restored'") == [(1,)]

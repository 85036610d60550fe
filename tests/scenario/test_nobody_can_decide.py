"""A request that nobody can decide is denied at once; where that is not known, people are asked."""

import pytest

from bot.errors import NotYourDecision
from store.tables import DeciderKind, Instance, Status, VoteKind
from tests.conftest import SAMPLE, House, submission
from tests.scenario.ahead_support import Acts, rows, under


async def test_it_is_denied_at_once_without_a_card(house: House, instance: Instance) -> None:
    house.town.add("U0ALICE", is_deactivated=True)
    house.town.groups["S0FINANCE"] = frozenset({"U0OWNER"})
    denied, _ = await house.creation.submit(instance, submission(), "k1")
    assert (denied.status, denied.decided_by_kind, denied.decided_by, denied.decision_code) == (
        Status.DENIED, DeciderKind.RULE, "refunds", "nobody_can_decide",
    )  # fmt: skip
    assert (denied.note or "").startswith("nobody_can_decide")
    assert rows(house, "SELECT * FROM cards") == rows(house, "SELECT * FROM outbox") == []
    # It is no denial by people: once somebody can decide again, they are asked.
    house.town.add("U0ALICE")
    house.clock.advance(seconds=30)
    asked, _ = await house.creation.submit(instance, submission(), "k2")
    assert asked.status is Status.PENDING


async def test_the_person_it_was_made_for_does_not_count(house: House) -> None:
    house.town.groups["S0FINANCE"] = frozenset()
    own, _ = await house.instances.create("alice", "refund-bot", person="U0ALICE")
    denied, _ = await house.creation.submit(own, submission(), "k1")
    assert denied.decision_code == "nobody_can_decide"


async def test_it_waits_when_slack_cannot_be_asked(house: House, instance: Instance) -> None:
    house.town.people.clear()
    house.town.closed = True
    asked, _ = await house.creation.submit(instance, submission(), "k1")
    assert asked.status is Status.PENDING
    assert rows(house, "SELECT place FROM cards") == [("channel",)]


async def test_slack_is_never_asked_about_what_a_rule_decides(
    house: House, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise AssertionError("Slack was asked")

    monkeypatch.setattr(house.town, "load_facts", fail)
    approved, _ = await house.creation.submit(instance, submission("look_up"), "k1")
    denied, _ = await house.creation.submit(instance, submission("send_mail"), "k2")
    assert (approved.status, denied.status) == (Status.APPROVED, Status.DENIED)


async def test_slack_is_not_asked_for_each_request_of_a_rule(
    house: House, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, asked = house.town.load_facts, []

    async def count(*wanted: object) -> object:
        asked.append(wanted)
        return await load(*wanted)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(house.town, "load_facts", count)
    for at in range(5):
        await house.creation.submit(instance, submission(arguments=f'{{"amount": {at}}}'), f"k{at}")
    assert len(asked) == 1


async def test_it_waits_for_those_whom_the_plan_lets_decide_later(house: House, acts: Acts) -> None:
    plan = '[reviewers.leads]\nusers = ["U0CAROL"]\n[plans.later]\n'
    plan += 'steps = [{ after = "50%", notify = ["thread"], widen = ["leads"] }]\n'
    later = await under(house, f'{SAMPLE}plan = "later"\n{plan}')
    instance, _ = await later.instances.create("counter", "refund-bot")
    for user in ("U0ALICE", "U0BOB"):
        later.town.add(user, is_deactivated=True)
    asked, _ = await later.creation.submit(instance, submission(), "k1")
    assert asked.status is Status.PENDING
    with pytest.raises(NotYourDecision):
        await later.decisions.vote(asked.number, acts("U0CAROL"), VoteKind.APPROVE)
    later.clock.advance(minutes=5)
    await later.escalations.sweep()
    decided = await later.decisions.vote(asked.number, acts("U0CAROL"), VoteKind.APPROVE)
    assert decided.status is Status.APPROVED

"""Approve with changes on a real database: the call is denied, and a vote waits for the changed one."""

import json
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import pytest

from bot.errors import (
    AlreadyDecided,
    BadInput,
    CallTooLarge,
    ChangeRefused,
    ClosedChannel,
    FactsUnavailable,
    MoreIsAsked,
    NothingChanged,
    NotSeenWhole,
    NotYourDecision,
    Refusal,
    TooLate,
    UnknownRequest,
    WrongPasscode,
)
from bot.people import Channel, Facts
from bot.reload import Reloads
from store.tables import DeciderKind, FullView, Instance, Request, Status, StepUp, VoteKind
from tests.conftest import SAMPLE, House, sample_settings, submission
from tests.passcode_support import STEP, enrol
from tests.scenario.ahead_support import CHANGED, ORIGINAL, Acts, change, rows, still_open, under

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    made, _ = await house.creation.submit(instance, submission(arguments=ORIGINAL), "first")
    return made


async def test_the_call_is_denied_and_the_changed_one_waits(house: House, asked: Request, filled: Acts) -> None:
    house.clock.advance(seconds=5)
    granted = await change(house, asked, filled("U0ALICE"))
    assert (granted.request.status, granted.request.decided_by) == (Status.DENIED, "U0ALICE")
    first, arguments = (granted.request.note or "").split("\n")
    until = (house.clock.now + timedelta(hours=24)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert first == (f"Approved with changes. Call issue_refund again with exactly these arguments, before {until}:")
    assert arguments == '{"amount":49.00,"to":"Zo\\u00eb"}'
    assert granted.standing is not None
    assert granted.standing.digest == submission(arguments=arguments).digest
    assert granted.standing.full_view is FullView.FORM
    assert rows(house, "SELECT kind, full_view FROM votes") == [("deny", "card")]
    assert rows(house, "SELECT type FROM events ORDER BY number DESC LIMIT 4") == [
        ("override.made",),
        ("standing.granted",),
        ("request.decided",),
        ("vote.cast",),
    ]
    bodies = "".join(str(body) for (body,) in rows(house, "SELECT body FROM events"))
    assert "amount" not in bodies
    drawing = await house.queries.drawing(asked.number)
    assert drawing is not None
    assert drawing.granted == (granted.standing,)


# --- what cannot be approved with changes -----------------------------------------------------------------


@pytest.mark.parametrize("same", [ORIGINAL, '{"to":"Zoë",  "amount": 4.9e3}', '{"amount": 4900.0, "to": "Zo\\u00eb"}'])
async def test_the_same_call_in_other_letters_is_nochange(
    house: House, asked: Request, filled: Acts, same: str
) -> None:
    with pytest.raises(NothingChanged):
        await change(house, asked, filled("U0ALICE"), same)
    await still_open(house, asked)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", BadInput),
        ("[]", BadInput),
        ("null", BadInput),
        ('{"amount": NaN}', BadInput),
        ('{"amount": 1, "amount": 2}', BadInput),
        ('{"amount": 1}, "tool": "look_up"', BadInput),
        ('{"amount": 1}} {', BadInput),
        ('{"amount": "\udfff"}', BadInput),
        ('{"amount": "\\udfff"}', BadInput),
        (json.dumps({"amount": "x" * 65_536}), CallTooLarge),
        ('{"amount": "' + "x" * 1_048_576 + '"}', CallTooLarge),
    ],
)
async def test_arguments_are_parsed_as_strictly_as_an_agents(
    house: House, asked: Request, filled: Acts, text: str, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        await change(house, asked, filled("U0ALICE"), text)
    await still_open(house, asked)


async def test_who_has_not_seen_both_calls_whole_changes_nothing(house: House, asked: Request, filled: Acts) -> None:
    with pytest.raises(NotSeenWhole):
        await change(house, asked, filled("U0ALICE", full_view=FullView.CARD))
    with pytest.raises(NotSeenWhole):
        await house.standing.approve_with_changes(asked.number, filled("U0ALICE"), CHANGED, seen=None)
    await still_open(house, asked)


async def test_who_may_not_decide_the_call_may_not_change_it(house: House, asked: Request, filled: Acts) -> None:
    for user, code in [("U0CAROL", "not_a_reviewer"), ("U0OWNER", "owner"), ("U0NEMO", "unknown_person")]:
        with pytest.raises(NotYourDecision) as refused:
            await change(house, asked, filled(user))
        assert refused.value.code == code
    house.town.closed = True
    with pytest.raises(FactsUnavailable):
        await change(house, asked, filled("U0ALICE"))
    house.town.closed = False
    house.town.channels["C0REFUNDS"] = Channel("C0REFUNDS", is_shared=True)
    with pytest.raises(ClosedChannel):
        await change(house, asked, filled("U0ALICE"))
    with pytest.raises(UnknownRequest):
        await house.standing.approve_with_changes(999, filled("U0ALICE"), CHANGED, seen=FullView.CARD)
    await still_open(house, asked)


async def test_what_is_decided_or_over_is_not_changed_any_more(
    house: House, instance: Instance, asked: Request, filled: Acts, acts: Acts
) -> None:
    await house.decisions.vote(asked.number, acts("U0BOB"), VoteKind.DENY, "no")
    with pytest.raises(AlreadyDecided):
        await change(house, asked, filled("U0ALICE"))
    other, _ = await house.creation.submit(instance, submission(arguments='{"amount": 1}'), "k2")
    house.clock.now = other.deadline_at
    with pytest.raises(TooLate):
        await change(house, other, filled("U0ALICE"))
    assert rows(house, "SELECT * FROM standing_votes") == []


async def test_the_same_act_twice_grants_once(house: House, asked: Request, filled: Acts) -> None:
    act = filled("U0ALICE")
    first = await change(house, asked, act)
    assert await change(house, asked, act) == first
    assert len(rows(house, "SELECT * FROM standing_votes")) == 1


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ("arguments_schema = { properties = { amount = { minimum = 100 } } }", "arguments_misfit"),
        ('when = "arguments.amount >= 100"', "no_rule"),
        ('min_timeout = "30m"', "timeout_too_short"),
    ],
)
async def test_what_a_rule_denies_now_is_not_offered(
    house: House, asked: Request, filled: Acts, terms: str, code: str
) -> None:
    stricter = await under(house, SAMPLE.replace('min_timeout = "1m"', terms))
    with pytest.raises(ChangeRefused, match="The changed call would be denied") as refused:
        await change(stricter, asked, filled("U0ALICE"))
    assert refused.value.code == code
    await still_open(house, asked)


async def test_an_agent_that_may_no_longer_use_the_tool_gets_nothing(
    house: House, asked: Request, filled: Acts
) -> None:
    stricter = await under(house, SAMPLE.replace('"issue_refund", ', ""))
    with pytest.raises(NotYourDecision, match="may not use the tool"):
        await change(stricter, asked, filled("U0ALICE"))
    await still_open(house, asked)


async def test_other_rules_that_come_meanwhile_are_those_it_is_judged_by(
    house: House, asked: Request, filled: Acts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note and the vote must not promise what the rules in force no longer hold."""
    reloads = Reloads(house.store, house.clock, house.rulebook)
    texts = iter([SAMPLE.replace('min_timeout = "1m"', 'step_up = "totp"')])
    load_facts = house.town.load_facts

    async def reload_first(users: Iterable[str], groups: Iterable[str]) -> Facts:
        for text in texts:
            await reloads.take(partial(sample_settings, text))
        return await load_facts(users, groups)

    monkeypatch.setattr(house.town, "load_facts", reload_first)
    with pytest.raises(MoreIsAsked) as refused:
        await change(house, asked, filled("U0ALICE"))
    assert refused.value.code == "step_up_missing"
    await still_open(house, asked)


async def test_what_others_decide_is_not_approved_ahead(house: House, asked: Request, filled: Acts) -> None:
    others = await under(
        house, SAMPLE.replace('users = ["U0ALICE"]\nusergroups = ["S0FINANCE"]', 'users = ["U0CAROL"]')
    )
    with pytest.raises(ChangeRefused, match="You may not approve the changed call") as refused:
        await change(others, asked, filled("U0ALICE"))
    assert refused.value.code == "not_a_reviewer"
    await still_open(house, asked)


async def test_what_a_rule_approves_by_itself_needs_no_standing_vote(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    looser = await under(house, SAMPLE.replace('tool = "look_*"', 'tool = "*"'))
    granted = await change(looser, asked, filled("U0ALICE"))
    assert granted.standing is None
    assert (granted.request.note or "").startswith(
        "Approved with changes. Call issue_refund again with exactly these arguments:\n{"
    )
    assert rows(house, "SELECT * FROM standing_votes") == []
    retried, _ = await looser.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert (retried.status, retried.decided_by_kind) == (Status.APPROVED, DeciderKind.RULE)


async def test_the_reason_is_asked_for_as_the_rule_of_the_changed_call_says(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    asking = await under(house, SAMPLE + 'reason = "required"\n')
    with pytest.raises(MoreIsAsked) as refused:
        await change(asking, asked, filled("U0ALICE"))
    assert refused.value.code == "reason_missing"
    granted = await change(asking, asked, filled("U0ALICE"), reason="Two items, not one")
    assert (granted.request.note or "").endswith("\nReason: Two items, not one")
    retried, _ = await asking.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert (retried.status, retried.note) == (Status.APPROVED, "Two items, not one")


async def test_a_passcode_is_asked_for_and_a_wrong_one_counts(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    asking = await under(house, SAMPLE + 'step_up = "totp"\n')
    device = await enrol(asking.passcodes, house.town, house.clock, "U0ALICE")
    house.clock.now += 2 * STEP
    with pytest.raises(MoreIsAsked) as refused:
        await change(asking, asked, filled("U0ALICE"))
    assert refused.value.code == "step_up_missing"
    act = filled("U0ALICE")
    with pytest.raises(WrongPasscode):
        await change(asking, asked, act, passcode=device.wrong_at(house.clock.now))
    assert rows(house, "SELECT failures FROM authenticators") == [(1,)]
    await still_open(house, asked)
    granted = await change(asking, asked, act, passcode=device.at(house.clock.now))
    assert granted.standing is not None
    assert granted.standing.step_up is StepUp.TOTP
    retried, _ = await asking.creation.submit(instance, submission(arguments=CHANGED), "k2")
    assert retried.status is Status.APPROVED


async def test_an_older_vote_for_the_same_call_is_lifted(
    house: House, instance: Instance, asked: Request, filled: Acts
) -> None:
    first = await change(house, asked, filled("U0ALICE"))
    other, _ = await house.creation.submit(instance, submission(arguments='{"amount": 1}'), "k2")
    second = await change(house, other, filled("U0ALICE"))
    assert first.standing is not None
    assert second.standing is not None
    assert rows(house, "SELECT id, lifted_at IS NOT NULL FROM standing_votes ORDER BY id") == [
        (first.standing.id, 1), (second.standing.id, 0),
    ]  # fmt: skip
    assert rows(house, "SELECT count(*) FROM events WHERE type = 'standing.lifted'") == [(1,)]
    retried, _ = await house.creation.submit(instance, submission(arguments=CHANGED), "k3")
    assert retried.status is Status.APPROVED
    assert rows(house, "SELECT standing_id FROM votes WHERE standing_id IS NOT NULL") == [(second.standing.id,)]


# --- what a rule hides ------------------------------------------------------------------------------------

CARD = '{"amount": 4900, "card": {"number": "4111222233334444", "holder": "Zoë"}}'


async def test_a_hidden_value_is_neither_changed_nor_told(house: House, filled: Acts) -> None:
    hiding = await under(house, SAMPLE + 'redact = ["card.number"]\n')
    instance, _ = await hiding.instances.create("counter", "refund-bot")
    asked, _ = await hiding.creation.submit(instance, submission(arguments=CARD), "k1")
    for text in (
        CARD.replace("4444", "4445"),
        CARD.replace('"number": "4111222233334444", ', ""),
        CARD.replace('"amount": 4900', '"amount": 4900, "more": {"card": {"number": 1}}'),
    ):
        with pytest.raises(ChangeRefused) as refused:
            await change(hiding, asked, filled("U0ALICE"), text)
        assert refused.value.code == "hidden_value"
    await still_open(hiding, asked)
    granted = await change(hiding, asked, filled("U0ALICE"), CARD.replace("4900", "0.10"))
    note = granted.request.note or ""
    assert "4111" not in note + granted.arguments
    _, arguments, hint = note.split("\n")
    assert arguments == '{"amount":0.10,"card":{"number":"(as you sent it)","holder":"Zoë"}}'
    assert hint == 'Where it says "(as you sent it)", send the value that you sent before.'
    retried, _ = await hiding.creation.submit(instance, submission(arguments=CARD.replace("4900", "0.1")), "k2")
    assert retried.status is Status.APPROVED

"""Threats of no one room: a stored call that was altered, an agent that names its own approver, a namesake."""

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from bot.call import parse_submission
from bot.errors import BadInput, CallAltered, NotYourDecision
from bot.hearings import Act
from store.tables import Instance, Status, VoteKind
from tests.conftest import House, submission

Acts = Callable[..., Act]


def _alter(house: House, sql: str) -> None:
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        connection.execute(sql)


@pytest.mark.parametrize(
    "altered",
    [
        """arguments = '{"amount": 4900.0000000000001}'""",
        """arguments = '{"amount": 49000}'""",
        """arguments = '{"amount": 4900, "to": "somebody"}'""",
        "tool = 'send_money'",
        "server = 'elsewhere'",
        "digest = zeroblob(32)",
    ],
)
async def test_an_approval_is_not_used_for_a_stored_call_that_was_altered(
    house: House, instance: Instance, acts: Acts, altered: str
) -> None:
    request, _ = await house.creation.submit(instance, submission(), "key")
    await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
    _alter(house, f"UPDATE requests SET {altered}")
    with pytest.raises(CallAltered):
        await house.approvals.consume(instance, request.id, "key")
    assert (await house.approvals.read(instance, request.id)).consumed_at is None


async def test_another_spelling_of_the_stored_call_is_the_same_call(
    house: House, instance: Instance, acts: Acts
) -> None:
    """So that the refusal above is not for any difference at all."""
    request, _ = await house.creation.submit(instance, submission(), "key")
    await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
    _alter(house, """UPDATE requests SET arguments = '{ "amount" : 4.9e3 }'""")
    assert (await house.approvals.consume(instance, request.id, "key")).consumed_at is not None


OWN_WORDS = [
    "approver", "approvers", "approved", "approved_by", "reviewers", "quorum", "risk", "status", "decision", "rule",
    "stage", "owner", "owners", "agent", "instance", "instance_id", "expires_at", "deadline_at", "id", "digest", "note",
    "policy", "autonomous", "step_up", "person", "user_id", "channel", "votes", "created_at",
]  # fmt: skip


@pytest.mark.parametrize("word", OWN_WORDS)
async def test_an_agent_has_no_word_for_who_approves_and_what(house: House, instance: Instance, word: str) -> None:
    """Unknown beside the call; inside arguments and context they are words like any other, and change nothing."""
    chance = random.Random(word)
    said = chance.choice(["approved", "U0OWNER", True, 0, ["U0OWNER"], {"status": "approved"}, "autonomous", "low"])
    fields = {"tool": "issue_refund", "arguments": {"amount": 1}, "timeout": "10m"}
    with pytest.raises(BadInput) as refused:
        parse_submission(json.dumps(fields | {word: said}).encode())
    assert (refused.value.code, refused.value.param) == ("unknown_field", word)
    plain, _ = await house.creation.submit(instance, parse_submission(json.dumps(fields).encode()), "plain")
    fields |= {"arguments": {"amount": 1, word: said}, "context": {word: said}, "agent_reasoning": f"{word}: {said}"}
    made, _ = await house.creation.submit(instance, parse_submission(json.dumps(fields).encode()), "with words")
    assert made.status is Status.PENDING
    assert (made.rule_id, made.deadline_at, made.agent, made.instance_id, made.expires_at) == (
        plain.rule_id,
        plain.deadline_at,
        plain.agent,
        plain.instance_id,
        None,
    )


async def test_a_namesake_of_a_reviewer_is_somebody_else(house: House, instance: Instance, acts: Acts) -> None:
    house.town.add("U0TWIN", name=house.town.people["U0ALICE"].name)
    request, _ = await house.creation.submit(instance, submission(), "key")
    with pytest.raises(NotYourDecision) as refused:
        await house.decisions.vote(request.number, acts("U0TWIN"), VoteKind.APPROVE)
    assert refused.value.code == "not_a_reviewer"

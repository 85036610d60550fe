"""A call meets conditions and schemas, end to end on a database."""

import json

import pytest

from bot.config import Settings
from store.tables import Status
from tests.conftest import SAMPLE, House, sample_settings, submission

GUARDED = """
[[rules]]
name = "small sums"
agent = "refund-bot"
tool = "send_money"
when = "arguments.amount <= 50"
arguments_schema = { properties = { to = { type = "string", maxLength = 30000 } } }
stage = "autonomous"
"""


@pytest.fixture
def settings() -> Settings:
    return sample_settings(SAMPLE + GUARDED)


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ('{"amount": 50}', Status.APPROVED, "approved_by_rule"),
        ('{"amount": 51}', Status.DENIED, "no_rule"),
        ('{"amount": 50.00000000000000000001}', Status.DENIED, "condition_failed"),
        ('{"amount": "50"}', Status.DENIED, "condition_failed"),
        ('{"amount": 50, "to": 31337}', Status.DENIED, "arguments_misfit"),
        # Large enough to be judged in a thread.
        (json.dumps({"amount": 50, "to": "x" * 29_000}), Status.APPROVED, "approved_by_rule"),
        (json.dumps({"amount": 50, "to": "31337" * 10_000}), Status.DENIED, "arguments_misfit"),
    ],
)
async def test_what_becomes_of_a_call(house: House, arguments: str, status: Status, code: str) -> None:
    instance, _ = await house.instances.create("one", "refund-bot")
    request, _ = await house.creation.submit(instance, submission("send_money", arguments), "key")
    assert (request.status, request.decision_code) == (status, code)
    assert "31337" not in (request.note or "")

"""A press that comes between a card's posting and our record of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.queries import Queries
from handlers.slack.client import SlackClient
from handlers.slack.payloads import Click
from handlers.slack.recognition import Recognition
from store.tables import Card
from tests.conftest import House, submission


async def test_a_card_recorded_between_the_two_looks_is_recognised(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, _ = await house.instances.create("till", "refund-bot")
    request, _ = await house.creation.submit(instance, submission(), "key")
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    look: Callable[..., Awaitable[Card | None]] = Queries.card_at
    looks = 0

    async def record_after_the_first_look(queries: Queries, channel: str, ts: str) -> Card | None:
        nonlocal looks
        looks += 1
        found = await look(queries, channel, ts)
        if looks == 1:
            await house.outbox.posted(job, channel, ts)
        return found

    monkeypatch.setattr(Queries, "card_at", record_after_the_first_look)
    nobody: Any = object()  # Slack need not be asked; it would fail on this
    client: SlackClient = nobody
    click = Click(
        act_id="t1", user_id="U0ALICE", team_id="T0HOME", enterprise_id=None, action_id="approve",
        value=str(request.number), trigger_id="t1", surface="card", channel="C0REFUNDS", ts="1.1", view_id=None,
        view_external_id=None, view_hash=None, private_metadata=None, response_url=None, state={},
    )  # fmt: skip
    card = await Recognition(client, house.queries, house.outbox).card(click)
    assert (card.request_number, looks) == (request.number, 2)

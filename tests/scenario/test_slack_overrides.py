"""Overrides from card to agent: the real client, people who press and fill in forms, in both of Slack's modes."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from agentapprovalprotocol import Client
from agentapprovalprotocol import Request as Asked
from agentapprovalprotocol._client import ConflictError

from playground.model import Message, View
from tests.conftest import SAMPLE
from tests.scenario.service_support import MODES, Workplace, assert_sound, payload_of, playing, serving
from tests.waiting import until, within

RULES = (
    SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0ADMIN", "U0SAM"]').replace(
        'users = ["U0ALICE"]', 'users = ["U0ALICE", "U0BOB"]'
    )
    + """
[[rules]]
name = "transfers"
agent = "refund-bot"
tool = "send_money"
stage = "approve"
channel = "C0REFUNDS"
reviewers = ["finance"]
quorum = 2
"""
)
WHY = {"approve_reason": "wrong customer"}


class Till:
    """An agent at its client, and people who press."""

    def __init__(self, work: Workplace) -> None:
        self.work, self.slack = work, work.slack
        self.client = Client(work.agents_url, work.token)
        self._keys = count()

    async def ask(self, tool: str = "issue_refund", amount: int = 4900, lasts: str = "10m") -> Asked:
        call = {"tool": tool, "arguments": {"amount": amount}, "timeout": lasts}
        return await within(asyncio.to_thread(self.client.create, call, f"ask{next(self._keys)}"))

    async def use(self, asked: Asked) -> Asked:
        return await within(asyncio.to_thread(self.client.consume, asked.id, f"use{next(self._keys)}"))

    async def now(self, asked: Asked) -> Asked:
        return await within(asyncio.to_thread(self.client.get, asked.id))

    async def card(self, asked: Asked, words: str = "") -> Message:
        """Wait for the card of a request that says ``words``."""

        def shown() -> Message | None:
            of_it = (one for one in self.slack.messages("C0REFUNDS") if payload_of(one).get("request_id") == asked.id)
            return next((one for one in of_it if words in one.all_text()), None)

        card = await self.slack.until(shown)
        await until(lambda: self.work.rows(f"SELECT 1 FROM cards WHERE ts = '{card.ts}'") != [])
        return card

    async def press(self, user: str, card: Message, action: str, choice: str | None = None) -> None:
        number = card.blocks and next(
            element["value"] for block in card.blocks if block["type"] == "actions" for element in block["elements"]
        )
        selected = f"{choice}:{number}" if choice else None
        ack = await self.slack.click(user, card.channel, card.ts, action, selected=selected)
        assert ack.ok

    async def form(self, user: str, words: str) -> View:
        """Wait for the topmost modal of a person that says ``words``."""
        view = await self.slack.until(lambda: (m := self.slack.modals(user)) and words in m[-1].all_text() and m[-1])
        assert isinstance(view, View)
        return view

    async def override(
        self, user: str, card: Message, action: str, words: str, choice: str | None = None, reason: str = ""
    ) -> str:
        """Press, say why and submit; returns what the form then says."""
        await self.press(user, card, action, choice)
        form = await self.form(user, words)
        answer = await self.slack.submit(user, form.id, {"approve_reason": reason} if reason else WHY)
        assert answer.response_action == "update"
        said = self.slack.modals(user)[-1].all_text()
        self.slack.views.close(self.slack.modals(user)[0], all_of_them=True)
        return said


@pytest.fixture(params=MODES)
async def till(request: pytest.FixtureRequest, database: Path) -> AsyncIterator[Till]:
    async with playing() as slack, serving(slack, database, mode=request.param, text=RULES) as work:
        till = Till(work)
        yield till
        till.client.close()
    assert_sound(database)


async def test_revoked_before_it_is_used(till: Till) -> None:
    asked = await till.ask()
    await till.press("U0ALICE", await till.card(asked), "approve")
    card = await till.card(asked, "Not used yet")
    assert card.action_ids() == ["details", "revoke", "more"]
    said = await till.override("U0BOB", card, "revoke", "cannot use this approval")
    assert "Revoked" in said
    with pytest.raises(ConflictError) as refused:
        await till.use(asked)
    assert refused.value.code == "approval_revoked"
    shown = await till.card(asked, "*Revoked* by <@U0BOB>")
    assert "wrong customer" in shown.all_text()
    assert shown.action_ids() == ["details", "more"]
    assert (await till.now(asked)).status == "approved"  # for ever; it is just never used


async def test_who_is_late_reports_with_the_same_words(till: Till) -> None:
    """The agent takes the approval while the form is open: the form says so, and reports instead."""
    asked = await till.ask()
    await till.press("U0ALICE", await till.card(asked), "approve")
    await till.press("U0ALICE", await till.card(asked, "Not used yet"), "revoke")
    form = await till.form("U0ALICE", "cannot use this approval")
    await till.use(asked)
    await till.slack.submit("U0ALICE", form.id, WHY)
    form = await till.form("U0ALICE", "The agent was faster")
    assert "wrong customer" in str(form.values | {"blocks": form.blocks})
    await till.slack.submit("U0ALICE", form.id)
    await till.form("U0ALICE", "Reported as wrong")
    card = await till.card(asked, "*Reported as wrong* by <@U0ALICE>")
    assert "before an outcome came" in card.all_text()
    told = await till.slack.until(
        lambda: [one for one in till.slack.messages("U0OWNER") if "reported as wrong" in one.text]
    )
    assert "wrong customer" not in told[0].text  # a lock screen shows no reason
    assert "wrong customer" in told[0].all_text()
    await asyncio.to_thread(till.client.report_outcome, asked.id, "succeeded")
    card = await till.card(asked, "says it *succeeded*")
    assert "🚩 Approved, succeeded, reported as wrong" in card.all_text()
    assert card.action_ids() == ["details", "report", "more"]
    await till.override("U0OWNER", card, "report", "this stops nothing", reason="it went to another")
    assert "after it had succeeded" in (await till.card(asked, "*Reported as wrong* by <@U0OWNER>")).all_text()
    await till.press("U0OWNER", card, "report")
    assert "reported this already" in (await _refused(till, "U0OWNER")).all_text()


async def _refused(till: Till, user: str) -> View:
    form = await till.form(user, "this stops nothing")
    await till.slack.submit(user, form.id, WHY)
    return await till.form(user, "already")


async def test_a_denial_and_an_expiry_are_reversed(till: Till) -> None:
    denied, expired = await till.ask(), await till.ask(amount=2, lasts="2m")
    await till.press("U0ALICE", await till.card(denied), "deny")
    form = await till.form("U0ALICE", "Why not?")
    await till.slack.submit("U0ALICE", form.id, {"reason": "too_risky"})
    await till.card(expired)
    await till.work.until_delivered()  # no lease is to end by the jump
    await till.work.advance(minutes=3)
    for asked, words in ((denied, "*Denied* by"), (expired, "*Expired*")):
        card = await till.card(asked, words)
        said = await till.override("U0ALICE", card, "reverse", "Your approval waits")
        assert "waits for exactly that call" in said
        await till.card(asked, "*Reversed* by <@U0ALICE>")
    for amount in (4900, 2):
        again = await till.ask(amount=amount)
        assert again.status == "approved"
        assert (await till.use(again)).consumption is not None
    assert "was counted on #" in (await till.card(denied, "was counted on")).all_text()


async def test_one_admin_forces_and_the_reviewers_are_told(till: Till) -> None:
    asked = await till.ask()
    card = await till.card(asked)
    await till.override("U0ADMIN", card, "more", "past its reviewers", "force_approve", "nobody is in")
    shown = await till.card(asked, "*Approved* by admin <@U0ADMIN>")
    assert "nobody is in" in shown.all_text()
    assert (await till.use(asked)).consumption is not None
    for user in ("U0ALICE", "U0BOB"):
        [notice] = await till.slack.until(lambda at=user: [m for m in till.slack.messages(at) if "past its" in m.text])
        assert "nobody is in" in notice.all_text()
        assert notice.action_ids() == []
    denied = await till.ask(amount=2)
    await till.override("U0ADMIN", await till.card(denied), "more", "past its reviewers", "force_deny", "not today")
    got = await till.now(denied)
    assert (got.status, got.decision and got.decision.note) == ("denied", "not today")


async def test_two_admins_force_where_two_people_are_wanted(till: Till) -> None:
    asked = await till.ask("send_money")
    card = await till.card(asked)
    await till.press("U0BOB", card, "approve")
    await till.card(asked, "*1 of 2:* <@U0BOB>")
    said = await till.override("U0ADMIN", card, "more", "2 different admins", "force_approve", "on fire")
    assert "not decided yet" in said
    shown = await till.card(asked, "*1 of 2 admins*")
    assert "on fire" in shown.all_text()
    assert (await till.now(asked)).status == "pending"
    # The form says who wants it already: it is this approval that decides.
    await till.override("U0SAM", card, "more", "on fire", "force_approve", "still on fire")
    shown = await till.card(asked, "*Approved* by admins <@U0ADMIN> and <@U0SAM>")
    assert "still on fire" in shown.all_text()
    assert (await till.use(asked)).consumption is not None


async def test_who_may_not_is_told_why_and_no_form_is_opened(till: Till) -> None:
    asked = await till.ask()
    card = await till.card(asked)
    for user, choice, words in (
        ("U0ALICE", "force_approve", "Only admins may force"),
        ("U0OWNER", "force_deny", "Only admins may force"),
    ):
        await till.press(user, card, "more", choice)
        refused = await till.form(user, words)
        assert refused.submit is None
    await till.press("U0CAROL", card, "more", "why")
    await till.form("U0CAROL", "refunds asks people")
    assert (await till.now(asked)).status == "pending"
    await till.press("U0ALICE", card, "approve")
    await till.press("U0MIA", await till.card(asked, "Not used yet"), "revoke")
    await till.form("U0MIA", "Only reviewers of rule refunds")


@pytest.mark.parametrize("blank", ["  ", "\u200b\u200d", "\n\t"])
async def test_what_cannot_be_seen_is_no_reason(database: Path, blank: str) -> None:
    async with playing() as slack, serving(slack, database, text=RULES) as work:
        till = Till(work)
        asked = await till.ask()
        await till.press("U0ALICE", await till.card(asked), "approve")
        await till.press("U0ALICE", await till.card(asked, "Not used yet"), "revoke")
        form = await till.form("U0ALICE", "cannot use this approval")
        payload = till.slack.submit_payload("U0ALICE", form.id, {"approve_reason": blank})
        answer = await till.slack.deliver(payload)
        assert answer.response_action == "errors"
        assert (await till.use(asked)).consumption is not None
        till.client.close()

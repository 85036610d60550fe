"""The answers across requests as they are drawn: within Slack's limits, complete without the card, inert."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.halted import PAUSED
from bot.reports import Decided, OverrideRow, Page, Row, Wanted
from handlers.audit_slack import differing
from handlers.slack.asking import About, Question
from handlers.slack.cards import render_card
from handlers.slack.report_words import act_of, decision_of, duration, percent, render_decided
from store.tables import OverrideKind
from tests.unit.report_samples import CARD, SPAN, STANDING, address, full_pages, override, reports_of, waiting
from tests.unit.slack_calls import LINES, corpus, poisoned
from tests.unit.slack_support import NOW, STATES, check_message, drawing, live_in, mrkdwn_in, text_in, unseen_in


def test_full_pages_of_the_worst_fit() -> None:
    long = "x\u202e&<>" * 300
    one = drawing(**(STATES["denied"] | {"tool": long[:255], "server": long[:255], "agent": "a" * 75, "note": long}))
    for message in full_pages(one, long):
        check_message(message)


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_is_told_within_the_limits(state: str) -> None:
    for _, message in reports_of(drawing(**STATES[state]), "a reason"):
        check_message(message)


def test_each_entry_is_complete_and_leads_to_its_card() -> None:
    answers = dict(reports_of(drawing(**STATES["denied"]), "The customer was right."))
    told = text_in(answers["overrides"].blocks)
    for words in (
        "Override rate 5.0%", "5 requests overridden, 100 decided", "#42", "refund-bot", "issue_refund",
        "*Revoked* by <@U0BOB>", "was denied by <@U0ALICE>", "rule refunds", "The customer was right.",
        "card in <#C0REFUNDS>", "the vote ahead was taken by #42", "Page 2 of 50", "/signoff show 42",
    ):  # fmt: skip
        assert words in told, words
    parts = [
        part
        for block in answers["recent"].blocks if block["type"] == "rich_text"
        for element in block["elements"] for part in element["elements"]
    ]  # fmt: skip
    assert {part.get("url") for part in parts if part["type"] == "link"} == {address(CARD)}
    recent = text_in(answers["recent"].blocks)
    assert "*Denied* by <@U0ALICE>" in recent
    assert "3 more calls that rules approved by themselves" in recent
    assert "who is in 1 user group" in recent
    assert "median" in text_in(answers["stats"].blocks)
    assert "You: 1 approval" in text_in(answers["stats"].blocks)


@pytest.mark.parametrize(
    ("displaced", "told"),
    [("denied", "was denied by <@U0ALICE>"), ("open", "was approved by <@U0ALICE> ·"),
     ("succeeded", "was approved by <@U0ALICE>, succeeded"), ("overdue", "was approved by <@U0ALICE>, overdue")],
)  # fmt: skip
def test_whoever_approved_a_call_is_not_said_to_have_made_it_succeed(displaced: str, told: str) -> None:
    one = drawing(**STATES["succeeded"]).request
    row = OverrideRow(override(OverrideKind.REPORTED, "No lid", displaced=displaced), Row(one, None, None))
    assert told in act_of(row)


@pytest.mark.parametrize(
    ("state", "told", "since"),
    [("revoked", "🔙 *Approved* by <@U0ALICE>", " · *revoked* · "), ("failed", "❌ *Approved* by", " · *failed* · "),
     ("denied", "⛔ *Denied* by <@U0ALICE>", " · rule refunds"), ("open", "✅ *Approved* by", " · rule refunds")],
)  # fmt: skip
def test_lists_name_who_approved_a_call_beside_the_approval(state: str, told: str, since: str) -> None:
    one = drawing(**STATES[state])
    words = decision_of(Row(one.request, one.rule, None))
    assert words.startswith(told)
    assert since in words


def test_what_a_pause_denied_is_not_said_to_be_denied_by_its_rule() -> None:
    one = drawing(**STATES["denied_by_rule"] | {"decided_by": "refunds", "decision_code": PAUSED}).request
    assert "*Denied* by a pause" in decision_of(Row(one, None, None))


def test_what_was_reported_as_wrong_looks_right_nowhere() -> None:
    one = drawing(**STATES["succeeded"])
    assert not one.is_reported
    wrong = replace(one, overrides=(override(OverrideKind.REPORTED, "No lid", displaced="succeeded"),))
    row = Row(one.request, None, None, is_reported=True)
    words = "Approved, succeeded, reported as wrong"
    assert decision_of(row).startswith("🚩 *Approved* by <@U0ALICE>")
    assert decision_of(row).endswith(" · *succeeded, reported as wrong*")
    assert f"now {words.lower()}" in act_of(OverrideRow(override(OverrideKind.FORCED, "x"), row))
    taken = OverrideRow(override(OverrideKind.REVERSED, "x"), row, STANDING, one.request, is_taker_reported=True)
    assert f"was taken by #42: {words.lower()}" in act_of(taken)
    card = render_card(wrong, NOW)
    assert f"🚩 {words}" in text_in(card.blocks[:1])
    assert card.text.startswith(f"{words}: refund-bot")
    assert differing(one.request, card.blocks, was_reported=True) is None
    assert differing(one.request, card.blocks) == "Its first line is not what is stored."
    assert differing(one.request, render_card(one, NOW).blocks, was_reported=True) is None  # of an earlier version


def test_a_forgotten_reason_is_said_to_be() -> None:
    answers = dict(reports_of(drawing(**STATES["denied"]), None))
    assert "no longer kept" in text_in(answers["overrides"].blocks)
    assert override(OverrideKind.FORCED, None).reason is None


def test_names_that_were_asked_for_are_inert_in_the_title() -> None:
    for text in corpus()[:LINES]:
        (one,) = poisoned(text, "denied")
        wanted = Wanted(SPAN, agent=text[:75], tool=one.request.tool, rule=text[:75])
        question = Question(About.RECENT, wanted, readings=(f"There is no agent “{text[:60]}” here",))
        message = render_decided(question, Decided(wanted, Page((), 0)), address)
        assert live_in(message.text) == unseen_in(message.text) == []
        for markup in mrkdwn_in(message.blocks):
            assert live_in(markup) == unseen_in(markup) == []
        check_message(waiting([], agent=text[:75]))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (5430, "1 h 30 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time(seconds: int, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words


def test_nothing_has_no_rate_and_no_median() -> None:
    assert percent(None) == duration(None) == "–"  # noqa: RUF001
    assert percent(1 / 3) == "33.3%"

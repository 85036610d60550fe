"""What a paused request says of it wherever it is drawn: before anybody presses, and truly."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.drawings import Drawing
from bot.halted import pause_among, pauses_among
from bot.queries import Seen
from bot.timelines import Timeline
from handlers.slack.answers import render_show
from handlers.slack.blocks import Block
from handlers.slack.cards import render_card
from handlers.slack.home import render_home
from handlers.slack.override_form import Way, render_override
from handlers.slack.pauses import paused as blocks_of_pause
from handlers.slack.steps import render_reminder, render_still_waiting, render_told
from handlers.slack.timeline import render_why
from handlers.slack.views import render_details, render_review
from store.tables import Halt, HaltEffect
from tests.unit.slack_calls import corpus
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    check_message,
    check_modal,
    drawing,
    live_in,
    mrkdwn_in,
    rule,
    strings_of,
    text_in,
    unseen_in,
)
from tests.unit.test_halt_surfaces import halt, make_halt_of_all


def paused(*pauses: Halt, **fields: Any) -> Drawing:
    return replace(drawing(**fields), pauses=pauses_among(pauses or (make_halt_of_all("it refunds too much"),)))


def seen(one: Drawing) -> Seen:
    return Seen(one, (), may_decide=True)


WHOLE: list[Callable[[Drawing], list[Block]]] = [
    lambda one: render_card(one, NOW).blocks,
    lambda one: render_review(one, "m")["blocks"],
    lambda one: render_details(one, "m")["blocks"],
    lambda one: render_why(Timeline(one, (), 0, 1), "m")["blocks"],
    lambda one: render_show(seen(one)).blocks,
    lambda one: render_override(one, "m", Way.FORCE_APPROVE)["blocks"],
]
IN_SHORT: list[Callable[[Drawing], list[Block]]] = [
    lambda one: render_home([seen(one)], NOW)["blocks"],
    lambda one: render_reminder(one).blocks,
    lambda one: render_still_waiting(one).blocks,
    lambda one: render_told(one, "You own the agent.").blocks,
]


@pytest.mark.parametrize("render", WHOLE)
def test_it_says_who_paused_it_since_and_until_when_and_why(render: Callable[[Drawing], list[Block]]) -> None:
    shown = text_in(render(paused()))
    for words in ("*Every agent is paused* by <@U0BOB>", "since ", "until it is resumed", "it refunds too much"):
        assert words in shown
    assert "is paused" not in text_in(render(drawing()))
    timed = text_in(render(paused(halt())))
    assert "*Rule look-ups is paused* by <@U0BOB>" in timed
    assert "until {date_short_pretty}" in timed


@pytest.mark.parametrize("render", IN_SHORT)
def test_lists_and_reminders_say_that_it_is_paused(render: Callable[[Drawing], list[Block]]) -> None:
    assert "*Every agent is paused* until it is resumed" in text_in(render(paused()))
    assert "is paused" not in text_in(render(drawing()))


def test_it_stands_above_the_buttons_and_on_the_lock_screen() -> None:
    card = render_card(paused(), NOW)
    ids = [block["block_id"] for block in card.blocks]
    assert ids.index("paused") < ids.index("paused_reason") < ids.index("decide")
    assert text_in(card.blocks).startswith("⏸ Paused: ")
    assert "*Deny* works" in text_in(card.blocks)
    assert card.text.endswith("paused now")
    before = render_card(drawing(), NOW)
    assert [one["block_id"] for one in before.blocks] == [one for one in ids if not one.startswith("paused")]


def test_an_approval_that_cannot_be_used_is_not_said_to_be_usable() -> None:
    for render in WHOLE[:5]:
        shown = text_in(render(paused(**APPROVED)))
        assert "may be used until" not in shown
        assert "cannot be used meanwhile" in shown
    assert "may be used until" in text_in(render_card(drawing(**APPROVED), NOW).blocks)
    assert text_in(render_card(paused(**APPROVED), NOW).blocks).startswith("⏸ Approved")


def test_a_pause_that_outlasts_what_time_is_left_is_said_to() -> None:
    for fields, words in (({}, "outlasts the deadline"), (APPROVED, "outlasts it")):
        long = replace_until(hours=2)
        short = replace_until(minutes=1)
        assert words in text_in(render_card(paused(long, **fields), NOW).blocks)
        assert words not in text_in(render_card(paused(short, **fields), NOW).blocks)


def replace_until(number: int = 1, **length: int) -> Halt:
    one = halt(number=number)
    one.__dict__["until"] = NOW + timedelta(**length)
    return one


def test_of_several_the_longest_is_told_and_the_others_are_counted() -> None:
    short, long, stop = replace_until(1, hours=1), replace_until(2, hours=3), halt(effect=HaltEffect.ASK, number=4)
    for_good = make_halt_of_all()
    assert [one.id for one in pauses_among([short, long, stop, for_good])] == [7, 2, 1]
    assert pause_among([stop]) is None
    assert "1 more pause holds it too" in text_in(render_card(paused(short, long), NOW).blocks)
    assert "2 more pauses hold it too" in text_in(render_card(paused(short, long, for_good), NOW).blocks)


@pytest.mark.parametrize("fields", [{}, APPROVED])
def test_a_card_that_outsiders_may_see_names_nobody_and_no_reason(fields: dict[str, Any]) -> None:
    one = paused(frozen=rule(external=True), **fields)
    shown = text_in(render_card(one, NOW).blocks)
    assert "is paused" in shown
    assert "U0BOB" not in shown
    assert "it refunds too much" not in shown
    assert "U0BOB" in text_in(render_details(one, "m")["blocks"])  # which is for those alone who may see the request


def test_they_are_within_slacks_limits_and_hostile_reasons_inert() -> None:
    for reason in ("x" * 1000, "&<>" * 333):
        for fields in ({}, APPROVED):
            check_message(render_card(paused(make_halt_of_all(reason), **fields), NOW))
    check_modal(render_review(paused(make_halt_of_all("x" * 1000)), "m"))
    for reason in corpus():
        for block in blocks_of_pause(paused(make_halt_of_all(reason))):
            assert all(unseen_in(text) == [] for text in strings_of(block)), reason
            assert block["type"] == "rich_text" or all(live_in(text) == [] for text in mrkdwn_in(block)), reason

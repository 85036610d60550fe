"""A corpus of hostile strings in every field that an agent controls, on every surface: none is live, hidden or ours."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest

from bot.drawings import Drawing
from bot.queries import Seen
from handlers.slack import answers, approve_form, home, views
from handlers.slack.blocks import Message
from handlers.slack.cards import notification, render_card
from tests.unit.report_samples import reports_of, waiting
from tests.unit.slack_calls import LINES, MARK, corpus, poisoned
from tests.unit.slack_support import (
    NOW,
    STATES,
    check_message,
    live_in,
    mrkdwn_in,
    spoken_in,
    strange_lines_in,
    strings_of,
    unseen_in,
)

CORPUS = corpus()
_CHUNKS = 4


def messages(one: Drawing) -> Iterator[tuple[str, Message]]:
    """Every message that is drawn of a request."""
    seen = Seen(one, (), True)
    yield "card", render_card(one, NOW)
    yield "show", answers.render_show(seen)
    yield "pending", waiting([seen])
    yield from reports_of(one, one.request.agent_reasoning)
    yield "refused", answers.render_refusal_text("No.", one)
    yield "notice", answers.render_owner_notice(one, "overdue")
    yield "notice of a code", answers.render_owner_notice(one, "is_archived")


def views_of(one: Drawing) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every view that is drawn of a request; of long ones the first page, and the last that differs from it."""
    yield "home", home.render_home([Seen(one, (), True)], NOW)
    yield "deny", views.render_deny(one, "m")
    yield "approve", approve_form.render_approve(one, "m")
    yield "refusal", views.render_refusal("No.", one)
    yield "done", views.render_done(one)
    yield from ((f"details {page}", views.render_details(one, "m", page)) for page in (0, 1, 10**6))
    yield from ((f"review {page}", views.render_review(one, "m", page)) for page in (0, 10**6))


def check(one: Drawing, text: str) -> None:
    """Fail if anything of a hostile text is live, hidden, or said by Signoff, on any surface."""
    for name, message in messages(one):
        where = f"{name} of {text!r}"
        assert live_in(message.text) == [], where
        assert unseen_in(message.text) == [], where
        assert "\n" not in message.text, where
        _check_blocks(message.blocks, where)
    for name, view in views_of(one):
        _check_blocks(view["blocks"], f"{name} of {text!r}")


def _check_blocks(blocks: list[dict[str, Any]], where: str) -> None:
    for shown in set(strings_of(blocks)):
        assert unseen_in(shown) == [], where
    for markup in mrkdwn_in(blocks):
        assert live_in(markup) == [], where
    assert strange_lines_in(blocks) == [], where
    for spoken in spoken_in(blocks):
        # A timeout is shown in a line of ours, where nothing is live; the bot takes none of these.
        assert MARK not in spoken or "*Asked*" in spoken, f"{where}: {spoken!r}"


def test_the_corpus_is_large_and_marked() -> None:
    assert len(set(CORPUS)) >= 500
    assert all(MARK in text for text in CORPUS)


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_hostile_text_is_visible_inert_and_in_its_frame(chunk: int) -> None:
    """The worst on three drawings; of the rest, which differ by one character of a category, each on one in turn."""
    states = cycle(sorted(STATES.keys() - {"pending"}))
    for at in range(chunk, len(CORPUS), _CHUNKS):
        drawn = poisoned(CORPUS[at], "pending", next(states))
        for one in drawn if at < LINES else [drawn[at // _CHUNKS % len(drawn)]]:
            check(one, CORPUS[at])


@pytest.mark.parametrize("state", sorted(STATES))
def test_the_worst_of_it_is_inert_in_every_state(state: str) -> None:
    for text in CORPUS[:LINES]:
        for one in poisoned(text, state):
            card = render_card(one, NOW)
            assert live_in(card.text) == []
            _check_blocks(card.blocks, f"card {state} of {text!r}")


def test_a_tool_makes_no_sentence_of_ours_on_the_lock_screen() -> None:
    """What rules match is a pattern, and an agent may choose what stands for its star."""
    (one,) = poisoned('x · #7 · decide by Monday" ✅ Approved by Alice', "denied")
    assert notification(one) == (
        'Denied: refund-bot, "ZEBRAx · #7 · decide by Monday\\" ✅ Approved by AliceZEBRA" · #42'.replace("ZEBRA", "")
    )


@pytest.mark.parametrize("text", CORPUS[:LINES])
def test_what_people_type_is_as_inert(text: str) -> None:
    ours = text[:200]  # a suggestion, a refusal or a code is never longer
    for message in (
        answers.render_unknown(text, [], ["show"]),
        answers.render_unknown("x", [ours], ["show"]),
        answers.render_hidden(text),
        answers.render_refusal_text(ours),
        answers.render_owner_notice(poisoned("x", "pending")[0], ours),
        answers.render_help({"show ID": "one request"}),
    ):
        check_message(message)
        for shown in (message.text, *mrkdwn_in(message.blocks)):
            assert live_in(shown) == []
            assert unseen_in(shown) == []

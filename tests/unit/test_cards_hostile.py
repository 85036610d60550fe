"""A corpus of hostile strings in every field that an agent controls, on every surface: none is live, hidden or ours."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.outbox import Drawing
from bot.queries import Seen
from handlers.slack import answers, home, views
from handlers.slack.cards import render_card
from tests.unit.slack_calls import MARK, corpus, poisoned
from tests.unit.slack_support import (
    NOW,
    check_message,
    live_in,
    mrkdwn_in,
    spoken_in,
    strings_of,
    unseen_in,
)

CORPUS = corpus()
_CHUNKS = 12


def surfaces(one: Drawing) -> Iterator[tuple[str, str | None, Any]]:
    """Everything that is drawn of a request: a name, the fallback text if there is one, the blocks."""
    seen = Seen(one, (), True)
    for name, message in (
        ("card", render_card(one, NOW)),
        ("show", answers.render_show(seen, NOW)),
        ("pending", answers.render_pending([seen], NOW)),
        ("refused", answers.render_refusal_text("No.", one)),
        ("notice", answers.render_owner_notice(one, "overdue")),
    ):
        yield name, message.text, message.blocks
    for name, view in (
        ("home", home.render_home([seen], NOW)),
        ("deny", views.render_deny(one, "m")),
        ("refusal", views.render_refusal("No.", one)),
        ("done", views.render_done(one)),
        *((f"details {page}", views.render_details(one, "m", page)) for page in range(2)),
        *((f"review {page}", views.render_review(one, "m", page)) for page in range(2)),
    ):
        yield name, None, view["blocks"]


def test_the_corpus_is_large_and_marked() -> None:
    assert len(set(CORPUS)) >= 500
    assert all(MARK in text for text in CORPUS)


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_hostile_text_is_visible_inert_and_in_its_frame(chunk: int) -> None:
    for text in CORPUS[chunk::_CHUNKS]:
        for one in poisoned(text):
            for name, fallback, blocks in surfaces(one):
                where = f"{name} of {text!r}"
                for path, shown in strings_of(blocks):
                    assert unseen_in(shown) == [], f"{where} at {path}"
                for markup in (*mrkdwn_in(blocks), fallback or ""):
                    assert live_in(markup) == [], where
                assert unseen_in(fallback or "") == [], where
                assert "\n" not in (fallback or ""), where
                for spoken in spoken_in(blocks):
                    assert MARK not in spoken, f"{where}: {spoken!r}"


@pytest.mark.parametrize("text", CORPUS[:40])
def test_what_people_type_is_as_inert(text: str) -> None:
    for message in (
        answers.render_unknown(text),
        answers.render_unknown("x", [text]),
        answers.render_hidden(text),
        answers.render_refusal_text(text),
        answers.render_owner_notice(poisoned("x")[0], text),
    ):
        check_message(message)
        for shown in (message.text, *mrkdwn_in(message.blocks)):
            assert live_in(shown) == []
            assert unseen_in(shown) == []

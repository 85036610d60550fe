"""The queue card and its list: within Slack's limits however many there are, nothing live, nothing left out unsaid."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.drawings import Drawing
from bot.queues import ROWS_ON_CARD, ROWS_ON_PAGE, Listing
from handlers.slack.queue_card import AGAIN, BACK, LIST, NEXT, REVIEW, queue_metadata, render_list, render_queue
from playground.model import elements_of
from store.statements_queues import AgentCount
from store.tables import CardState, Halt, Queue
from tests.unit.slack_support import (
    NOW,
    check_message,
    check_modal,
    drawing,
    live_in,
    mrkdwn_in,
    rule,
    text_in,
    unseen_in,
)
from tests.unit.test_halt_surfaces import halt, make_halt_of_all

HOSTILE = [
    "issue_refund",
    "<!channel> <@U0ALICE> <https://evil.example|Approved>",
    "*Approved* by _everybody_ `ok` ~no~ :white_check_mark:",
    "\u202egnihtemos\u202c \u200b\u200d\U000e0041",
    "one\ntwo\r\n#12 · by *tomorrow*",
    "\U000e0061" * 255,
    "x" * 255,
    "&lt;!here&gt; & <",
    '"; Review',
]


def _listing(
    total: int, rows: list[Drawing] | None = None, *, offset: int = 0, agents: int = 1, **how: object
) -> Listing:
    size = min(total - offset, ROWS_ON_CARD) if rows is None else len(rows)
    shown = [
        drawing(number=offset + at + 1, deadline_at=NOW + timedelta(minutes=at + 1), arguments="") for at in range(size)
    ]
    queue = Queue(id=7, key="k", channel="C0REFUNDS", state=CardState.LIVE, created_at=NOW)
    first = AgentCount("refund-bot", total - agents + 1)
    counts = (first, *(AgentCount(f"agent-{at}", 1) for at in range(1, agents))) if total else ()
    given = rows if rows is not None else shown
    return Listing(queue, total, counts, tuple(given), asking=tuple(given[:1]), offset=offset, **how)  # type: ignore[arg-type]  # a test's shorthand


@pytest.mark.parametrize("total", [1, 2, ROWS_ON_CARD, ROWS_ON_CARD + 1, 999, 1000, 3000])
def test_a_queue_card_keeps_slacks_limits_and_counts_what_it_leaves_out(total: int) -> None:
    message = render_queue(_listing(total))
    check_message(message)
    said = text_in(message.blocks)
    assert f"{total:,} request" in said
    shown = min(total, ROWS_ON_CARD)
    rows = [element for _, element in elements_of(message.blocks) if element["action_id"] == REVIEW]
    assert [row["value"] for row in rows] == [str(at + 1) for at in range(shown)]
    if total > shown:
        assert f"{shown} of {total:,} are listed here" in said
        assert f"{total - shown:,} more" in said
    else:
        assert "All of them are listed here" in said
    assert next(element["action_id"] for _, element in elements_of(message.blocks)) == LIST


def test_what_is_paused_is_marked_and_each_pause_told_once() -> None:
    def row(number: int, *pauses: Halt) -> Drawing:
        return replace(drawing(number=number), pauses=pauses)

    every, rule_ = make_halt_of_all(), halt()
    listing = _listing(4, [row(1, every, rule_), row(2, every), row(3, rule_), row(4)])
    for blocks in (render_queue(listing).blocks, render_list(replace(listing, listed=4), "m")["blocks"]):
        said = text_in(blocks)
        assert said.count("⏸ *paused*") == 3
        assert said.count("*Every agent is paused* until it is resumed") == 1
        assert said.count("*Rule look-ups is paused* ") == 1
        assert "U0BOB" not in said  # who and why are for those who open the review
    check_message(render_queue(_listing(9, [row(at, halt(name="n" * 70 + str(at))) for at in range(1, 9)])))
    assert "paused" not in text_in(render_queue(_listing(3)).blocks)


@pytest.mark.parametrize("total", [1, ROWS_ON_PAGE, ROWS_ON_PAGE + 1, 1000, 3000])
def test_every_page_of_the_list_keeps_them_too(total: int) -> None:
    found = []
    for offset in range(0, total, ROWS_ON_PAGE):
        size = min(ROWS_ON_PAGE, total - offset)
        rows = [drawing(number=offset + at + 1, arguments="") for at in range(size)]
        view = render_list(_listing(total, rows, offset=offset, listed=size), "random")
        check_modal(view)
        assert f"{offset + 1:,} to {offset + size:,} of {total:,}" in text_in(view["blocks"])
        pressed = [element["action_id"] for _, element in elements_of(view["blocks"])]
        assert AGAIN in pressed
        assert (NEXT in pressed, BACK in pressed) == (offset + size < total, offset > 0)
        found += [element["value"] for _, element in elements_of(view["blocks"]) if element["action_id"] == REVIEW]
    assert found == [str(at + 1) for at in range(total)]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_live_or_unseen(name: str) -> None:
    rows = [drawing(number=at + 1, tool=name, server=name, arguments="") for at in range(ROWS_ON_CARD)]
    listing = _listing(50, rows)
    message = render_queue(listing)
    check_message(message)
    check_modal(render_list(_listing(50, rows, listed=len(rows)), "random"))
    for text in mrkdwn_in(message.blocks):
        assert live_in(text) == []
        assert unseen_in(text) == []
    assert live_in(message.text) == []
    assert all(text.count("\n") <= 1 for text in mrkdwn_in(message.blocks))


def test_a_long_name_says_how_much_of_it_is_missing() -> None:
    message = render_queue(_listing(1, [drawing(tool="x" * 255, arguments="")]))
    assert "(and 175 more characters: see Review)" in text_in(message.blocks)


def test_the_notification_has_counts_and_agents_and_no_call() -> None:
    message = render_queue(_listing(12, agents=3))
    assert message.text == (
        "12 requests wait for a decision: 10 from refund-bot, 1 from agent-1, 1 from agent-2"
        " · the first by 22 Nov 2026 09:01 UTC"
    )


def test_many_agents_are_counted_together() -> None:
    message = render_queue(_listing(100, agents=40))
    check_message(message)
    assert "32 from 32 more agents" in message.text


def test_it_asks_those_whom_the_cards_would_have_asked() -> None:
    said = text_in(render_queue(_listing(3)).blocks)
    assert "May decide: <@U0ALICE> <!subteam^S0FINANCE>" in said
    assert "U0OWNER" not in said
    quiet = [drawing(frozen=rule(mention=False), arguments="")]
    said = text_in(render_queue(_listing(1, quiet)).blocks)
    assert "May decide: finance" in said
    assert "<@" not in said


def test_an_empty_one_says_where_they_are() -> None:
    over = render_queue(_listing(0))
    moved = render_queue(_listing(0, is_continued=True))
    for message, words in ((over, "Nothing on this list waits"), (moved, "on a newer list below")):
        check_message(message)
        assert words in text_in(message.blocks)
        assert "✅" not in message.text + text_in(message.blocks)  # most of them may have expired
        assert list(elements_of(message.blocks)) == []
    check_modal(render_list(_listing(0), "random"))


def test_what_somebody_may_not_see_is_counted() -> None:
    view = render_list(_listing(5, [drawing(arguments="")], listed=5), "random")
    assert "4 of them are not shown" in text_in(view["blocks"])


def test_it_is_marked_by_its_key() -> None:
    queue = _listing(1).queue
    assert queue_metadata(queue)["event_payload"] == {"queue_id": 7, "key": "k"}

"""The modals: details and review in pages without a gap, deny with its reasons, and the small ones."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.queries import Seen, Waiting
from handlers.slack import answers, home, views
from handlers.slack.outline import outline
from handlers.slack.override_buttons import MORE, REPORT, REVERSE, REVOKE
from handlers.slack.payloads import BadPayload, Metadata, Values, parse_metadata
from handlers.slack.text import visible
from store.tables import Card, CardState, Place, VoteKind
from tests.unit.report_samples import waiting
from tests.unit.slack_calls import drawings, some
from tests.unit.slack_support import (
    NOW,
    STATES,
    buttons,
    check_message,
    check_modal,
    drawing,
    frames_in,
    rule,
    text_in,
    vote,
)

BIG = drawing({f"k{at}": "x" * 100 for at in range(500)}, agent_reasoning="All of it is needed.")


def all_pages(render: Any, one: Drawing) -> list[dict[str, Any]]:
    pages = parse_metadata(render(one, "m")["private_metadata"]).pages
    return [render(one, "m", page) for page in range(pages)]


# --- review -----------------------------------------------------------------------------------------------


def test_review_shows_every_line_once_over_its_pages() -> None:
    pages = all_pages(views.render_review, BIG)
    assert len(pages) > 3
    shown = [frame for page in pages for frame in frames_in(page["blocks"])][:-1]  # the last is the claim
    assert "\n".join(shown) == "\n".join(line.text for line in outline(BIG.request.arguments).lines)


def test_approving_is_on_the_last_page_alone() -> None:
    pages = all_pages(views.render_review, BIG)
    for at, page in enumerate(pages):
        pressed = buttons(page["blocks"])
        is_last = at == len(pages) - 1
        assert (views.REVIEW_APPROVE in pressed) is is_last
        assert (views.REVIEW_DENY in pressed) is is_last
        assert (views.REVIEW_NEXT in pressed) is not is_last
        assert (views.REVIEW_BACK in pressed) is (at > 0)
        assert parse_metadata(page["private_metadata"]) == Metadata(42, at, len(pages))
        assert page["external_id"] == "m"
        assert ("approving is on the last" in text_in(page["blocks"])) is not is_last
        assert "refund-bot" in text_in(page["blocks"])
        check_modal(page)


def test_a_short_call_is_reviewed_on_one_page() -> None:
    page = views.render_review(drawing(agent_reasoning="why"), "m")
    assert list(buttons(page["blocks"])) == [views.REVIEW_APPROVE, views.REVIEW_DENY, views.REVIEW_CHANGE, MORE]
    shown = text_in(page["blocks"])
    assert shown.index("amount: 4900") < shown.index("why")
    assert "Page" not in shown


@pytest.mark.parametrize("page", [-5, 10**6])
def test_a_page_that_is_not_there_gives_the_nearest(page: int) -> None:
    shown = parse_metadata(views.render_review(BIG, "m", page)["private_metadata"])
    assert shown.page == (0 if page < 0 else shown.pages - 1)
    details = parse_metadata(views.render_details(BIG, "m", page)["private_metadata"])
    assert details.page == (0 if page < 0 else details.pages - 1)


@pytest.mark.parametrize("state", sorted(STATES.keys() - {"pending"}))
def test_a_decided_request_cannot_be_approved_in_its_review(state: str) -> None:
    page = views.render_review(drawing(**STATES[state]), "m")
    assert set(buttons(page["blocks"])) <= {REVOKE, REPORT, REVERSE, MORE}
    assert len(buttons(page["blocks"])[MORE]["options"]) == 1
    assert "22 Nov 2026" in text_in(page["blocks"])


def test_a_tool_too_long_for_a_line_is_whole_in_the_review() -> None:
    tool = "\u3164" * 254 + "x"
    one = drawing(tool=tool)
    assert visible(tool) in frames_in(views.render_review(one, "m")["blocks"])
    assert visible(tool) in frames_in(views.render_details(one, "m")["blocks"])


# --- details ----------------------------------------------------------------------------------------------


def test_details_of_a_small_request_are_one_page_with_everything() -> None:
    one = drawing(
        '{"amount": 1.10, "to": "\u202e"}',
        server="payments", agent_reasoning="because", context='{"ticket": 7.0}',
        votes=(vote(VoteKind.DENY, note="too much"),), **STATES["denied"],
    )  # fmt: skip
    view = views.render_details(one, "m")
    check_modal(view)
    shown = text_in(view["blocks"])
    for words in (
        one.request.id, one.instance.id, "prod", "*Rule* refunds, version 7", "for 1h", "issue_refund", "payments",
        "amount: 1.10", r'{"amount": 1.10, "to": "\u{202E}"}', "because", '{"ticket": 7.0}', "<!subteam^S0FINANCE>",
        "*Denied* by <@U0ALICE>", "too much", "Wrong amount or target: 49, not 4900", "1 invisible character",
        "22 Nov 2026 10:00 UTC",
    ):  # fmt: skip
        assert words in shown
    assert list(buttons(view["blocks"])) == [REVERSE, MORE]


@pytest.mark.parametrize("name", ["agent_reasoning", "context", "arguments", "outcome_note"])
def test_details_show_a_megabyte_without_a_gap(name: str) -> None:
    lines = "\n".join(f"line {at} " + "x" * (at % 300) for at in range(6500))
    long = lines if name != "arguments" else json.dumps({"a": 1}) + " \n" * 500_000
    assert len(long) > 1_000_000
    given_ = {"agent_reasoning": None} | ({name: long} if name != "arguments" else {})
    one = drawing(long if name == "arguments" else None, **(STATES["failed"] | given_))
    last = parse_metadata(views.render_details(one, "m", 10**6)["private_metadata"])
    assert 100 < last.pages < 200
    if name == "arguments":
        return
    shown = []
    for page in range(last.pages):
        view = views.render_details(one, "m", page)
        if page in (0, 1, last.page):
            check_modal(view)
        if page:
            shown += frames_in(view["blocks"])
    together = "\n".join(shown).replace("\\u{20}", " ")
    assert [int(line.split()[1]) for line in re.findall(r"^│ (line .*)$", together, re.MULTILINE)] == list(range(6500))


def test_pages_of_details_are_cut_where_nothing_changes_its_meaning() -> None:
    from handlers.slack.pages import PAGE_CHARACTERS

    text = "x" * (PAGE_CHARACTERS - 1) + "\\u{202E}" + "y" * 100
    one = drawing(agent_reasoning=text)
    pages = all_pages(views.render_details, one)
    shown = "".join(frame for page in pages for frame in frames_in(page["blocks"]))
    assert r"\u{5C}u{202E}" in shown


def test_details_name_everybody_who_may_decide() -> None:
    crowd = ReviewerGroup(name="crowd", users=tuple(f"U{at:09}" for at in range(600)), usergroups=())
    one = drawing(frozen=rule(reviewers=(crowd,)))
    shown = "".join(text_in(page["blocks"]) for page in all_pages(views.render_details, one))
    assert all(f"<@U{at:09}>" in shown for at in range(600))
    for page in all_pages(views.render_details, one):
        check_modal(page)


def test_details_can_be_turned() -> None:
    first, *_, last = all_pages(views.render_details, BIG)
    assert list(buttons(first["blocks"])) == [MORE, views.DETAILS_NEXT]
    assert list(buttons(last["blocks"])) == [MORE, views.DETAILS_BACK]


# --- any call ---------------------------------------------------------------------------------------------


@some(60)
@given(drawings())
def test_slack_takes_every_view_of_any_call(one: Drawing) -> None:
    for page in all_pages(views.render_review, one)[-2:]:
        check_modal(page)
    for page in all_pages(views.render_details, one)[:3]:
        check_modal(page)
    check_modal(views.render_deny(one, "m"))
    check_modal(views.render_refusal("Too late.", one))
    check_modal(views.render_done(one))
    seen = Seen(one, (), True)
    check_modal(home.render_home([seen], NOW))
    check_message(answers.render_show(seen))
    check_message(waiting([seen]))


@pytest.mark.parametrize(
    "char", ["\u200b", "\U000e0041", "\U0001f600", "\x01", "\\", '"', "\n", "e\u0301\u0301\u0301\u0301"]
)
def test_slack_takes_the_largest_call_of_the_widest_characters(char: str) -> None:
    """A call at the protocol's limits: 64 KiB of it and a megabyte of claim, each character at its widest."""
    call = {"a": char * (60_000 // len(json.dumps(char, ensure_ascii=False).encode())), "b": 1}
    one = drawing(call, agent_reasoning=char * 300_000)
    pages = parse_metadata(views.render_review(one, "m")["private_metadata"]).pages
    for page in {0, pages // 2, pages - 1}:
        check_modal(views.render_review(one, "m", page))
    for page in (0, 5, 10**6):
        check_modal(views.render_details(one, "m", page))


# --- deny -------------------------------------------------------------------------------------------------


def test_deny_asks_for_one_of_five_reasons_and_a_note() -> None:
    view = views.render_deny(drawing(), "m")
    check_modal(view)
    reason, note = (block for block in view["blocks"] if block["type"] == "input")
    assert reason["element"]["type"] == "radio_buttons"
    assert len(reason["element"]["options"]) == 5
    assert "optional" not in reason
    assert note["optional"] is True
    assert note["element"]["multiline"] is True
    assert view["callback_id"] == views.DENY_SUBMITTED
    assert view["submit"]["text"] == "Deny"
    assert parse_metadata(view["private_metadata"]) == Metadata(42)


@pytest.mark.parametrize(
    ("reason", "note", "reaches"),
    [
        ("wrong_target", "49, not 4900", "Wrong amount or target: 49, not 4900"),
        ("too_risky", None, "Too risky"),
        ("unclear", "  \n", "Not clear enough what it does"),
    ],
)
def test_the_reason_and_the_note_reach_the_agent(reason: str, note: str | None, reaches: str) -> None:
    values: Values = {views.REASON_BLOCK: {views.REASON_INPUT: reason}, views.NOTE_BLOCK: {views.NOTE_INPUT: note}}
    assert views.deny_note(values) == reaches


@pytest.mark.parametrize(
    "values", [{}, {"reason": {}}, {"reason": {"reason": None}}, {"reason": {"reason": "approve"}}]
)
def test_a_reason_that_is_not_ours_is_refused(values: dict[str, dict[str, str | None]]) -> None:
    with pytest.raises(BadPayload):
        views.deny_note(values)


# --- small ones -------------------------------------------------------------------------------------------


def test_small_views() -> None:
    check_modal(views.render_loading("m", "Request #42"))
    refusal = views.render_refusal("Guests cannot decide.")
    check_modal(refusal)
    assert "Guests cannot decide." in text_in(refusal["blocks"])
    waiting = views.render_refusal("Guests cannot decide.", drawing())
    assert "decide by" in str(waiting)
    assert "#42" in str(waiting)
    late = views.render_refusal("Too late.", drawing(**STATES["denied"]))
    assert "*Denied* by <@U0ALICE>" in text_in(late["blocks"])
    assert "*Approved* by <@U0ALICE>" in text_in(views.render_done(drawing(**STATES["open"]))["blocks"])
    assert "not decided yet" in text_in(views.render_done(drawing())["blocks"])


def test_a_title_never_outgrows_slack() -> None:
    check_modal(views.render_details(drawing(number=2**63 - 1), "m"))


# --- home and answers -------------------------------------------------------------------------------------


def _seen(number: int, *, mine: bool = True, **fields: Any) -> Seen:
    card = Card(
        id=1, request_number=number, place=Place.CHANNEL, target="C0REFUNDS", channel="C0REFUNDS", ts="1.0",
        state=CardState.LIVE, created_at=NOW,
    )  # fmt: skip
    return Seen(drawing(number=number, **fields), (card,), mine)


def test_home_lists_what_waits_for_me_with_review() -> None:
    view = home.render_home([_seen(1), _seen(2, mine=False), _seen(3)], NOW)
    check_modal(view)
    values = [e["value"] for b in view["blocks"] if b["type"] == "actions" for e in b["elements"]]
    assert values == ["1", "1", "3", "3"]
    assert "1 request that you can see wait" not in text_in(view["blocks"])
    assert "Waiting for others: 1" in text_in(view["blocks"])


def test_home_says_what_it_does_not_list() -> None:
    view = home.render_home([_seen(number) for number in range(1, 200)], NOW)
    check_modal(view)
    assert f"{199 - home.MAX_SHOWN} more wait for you" in text_in(view["blocks"])


def test_home_counts_what_it_was_not_even_given() -> None:
    numbers = tuple(range(1, 301))
    waiting = Waiting(all=(*numbers, 901, 902), for_them=numbers, may_decide=frozenset(numbers), given=())
    assert home.shown_of(waiting) == list(range(1, home.MAX_SHOWN + 1))
    view = home.render_home([_seen(number) for number in home.shown_of(waiting)], NOW, "U0ALICE", waiting)
    assert f"{300 - home.MAX_SHOWN} more wait for you" in text_in(view["blocks"])
    assert "Waiting for others: 2," in text_in(view["blocks"])
    # One of them was decided since they were counted.
    view = home.render_home([_seen(number) for number in home.shown_of(waiting)[1:]], NOW, "U0ALICE", waiting)
    assert f"{300 - home.MAX_SHOWN} more wait for you" in text_in(view["blocks"])
    assert "Waiting for others: 2," in text_in(view["blocks"])


def test_home_without_anything() -> None:
    over = _seen(1, deadline_at=NOW - timedelta(seconds=1), created_at=NOW - timedelta(hours=1))
    view = home.render_home([over], NOW)
    check_modal(view)
    assert "Nothing waits for you." in text_in(view["blocks"])


def test_pending_lists_and_counts() -> None:
    many = waiting([_seen(number, server="payments") for number in range(1, 9)], 1234)
    check_message(many)
    assert many.text == "1,234 requests waiting"
    assert "1 to 8 of 1,234. Page 1 of 155" in text_in(many.blocks)
    assert "in <#C0REFUNDS> · *you may decide*" in text_in(many.blocks)
    assert list(buttons(many.blocks)) == ["report_turn_next"]
    assert waiting([]).text == "Nothing is waiting that you can see."
    assert waiting([], user="U0BOB").text == "Nothing is waiting for <@U0BOB> that you can see."


def test_show_tells_the_call_and_its_state() -> None:
    message = answers.render_show(_seen(7, **STATES["denied"]))
    check_message(message)
    shown = text_in(message.blocks)
    assert "amount: 4900" in shown
    assert "*Denied* by <@U0ALICE>" in shown
    assert "Card in <#C0REFUNDS>" in shown
    assert buttons(message.blocks) == {}


def test_hidden_and_unknown_are_answered_alike() -> None:
    assert answers.render_hidden("42").text == "There is no request “42” that you can see."


def test_help_and_unknown_commands() -> None:
    check_message(answers.render_help({"show ID": "one request"}))
    assert "Did you mean `pending`?" in answers.render_unknown("pendign", ["pending"], ["help"]).text


def test_owners_are_told_what_went_wrong() -> None:
    overdue = answers.render_owner_notice(drawing(**STATES["overdue"]), "overdue")
    assert "no outcome came" in overdue.text
    gone = answers.render_owner_notice(drawing(), "is_archived")
    assert "is_archived" in gone.text
    for message in (overdue, gone):
        check_message(message)
        assert "4900" not in message.text

"""What is held ahead, drawn: it fits, nothing of agents and people is live, and it says what it does not show."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.ahead import Held, HeldDenial, HeldVote
from bot.reports import Row
from handlers.slack.blocks import Message
from handlers.slack.held import BACK, LIFT, NEXT, REOPEN, ROWS, render_held
from store.tables import FullView, StandingVote
from tests.unit.slack_calls import LINES, MARK, corpus
from tests.unit.slack_support import (
    NOW,
    STATES,
    check_message,
    drawing,
    live_in,
    mrkdwn_in,
    rule,
    spoken_in,
    strings_of,
    text_in,
    unseen_in,
)

CORPUS = corpus()


def row(number: int = 42, **fields: object) -> Row:
    return Row(drawing(number=number, **(STATES["denied"] | fields)).request, rule(), None)


def vote(
    number: int = 3, note: str | None = None, *, may_lift: bool = True, digest: bytes = b"", **fields: object
) -> HeldVote:
    standing = StandingVote(
        id=number, request_number=42, instance_id="i", canonical_version=1, digest=digest, user_id="U0BOB",
        team_id="T0HOME", note=note, surface="card", full_view=FullView.FORM, granted_at=NOW,
        expires_at=NOW + timedelta(hours=24),
    )  # fmt: skip
    return HeldVote(standing, row(**fields), may_lift)


def denial(number: int = 42, **fields: object) -> HeldDenial:
    return HeldDenial(row(number, **fields), NOW + timedelta(hours=24))


def drawn(held: Held) -> Message:
    message = render_held(held, lambda card: None)
    check_message(message)
    return message


def ids(message: Message) -> list[str]:
    return [one["action_id"] for block in message.blocks if block["type"] == "actions" for one in block["elements"]]


def test_what_is_said() -> None:
    message = drawn(Held((vote(note="it is right"), denial(note="too much")), 1, 1))
    text = text_in(message.blocks)
    assert "1 vote cast ahead, 1 remembered denial" in text
    assert "<@U0BOB> approves exactly this call if it comes again until" in text
    assert "Denied by <@U0ALICE> · the same call is denied again without asking until" in text
    assert "it is right" in text
    assert "too much" in text
    assert ids(message) == [LIFT, REOPEN]
    first = text_in(drawn(Held((vote(), replace(denial(), votes_first=True)), 1, 1)).blocks)
    assert "a vote ahead waits for this call and goes first while it may count; without it, the same call is" in first
    assert "a changed call in its place" in text_in(drawn(Held((vote(digest=b"other"),), 1, 0)).blocks)


def test_only_who_may_lift_is_offered_it() -> None:
    assert ids(drawn(Held((vote(may_lift=False),), 1, 0))) == []


def test_nothing() -> None:
    assert "Nothing is held ahead that you can see." in text_in(drawn(Held((), 0, 0)).blocks)
    assert "2 user groups" in text_in(drawn(Held((), 0, 0, untold=2)).blocks)


@pytest.mark.parametrize(("offset", "turns"), [(0, [NEXT]), (ROWS, [BACK, NEXT]), (2 * ROWS, [BACK])])
def test_pages(offset: int, turns: list[str]) -> None:
    shown = tuple(vote(number, "n" * 5_000, tool="t" * 255) for number in range(1, ROWS + 1))
    message = drawn(Held(shown, 2 * ROWS, ROWS, offset))
    assert [one for one in ids(message) if one in (BACK, NEXT)] == turns
    assert f"{offset + 1} to {offset + ROWS} of {3 * ROWS}" in text_in(message.blocks)
    assert "more characters of it" in text_in(message.blocks)
    (lift,) = {
        one["value"].partition(":")[2]
        for block in message.blocks if block["type"] == "actions"
        for one in block["elements"] if one["action_id"] == LIFT
    }  # fmt: skip
    assert lift == str(offset // ROWS + 1)


def test_the_fullest_page_fits() -> None:
    shown = tuple(
        denial(number, note="\u202e<&>" * 1_000, tool="Ü" * 255, server="s" * 255) for number in range(1, ROWS + 1)
    )
    drawn(Held(shown, 0, 99, 0, 1))


@pytest.mark.parametrize("text", CORPUS[:LINES])
def test_hostile_text_is_inert_and_apart(text: str) -> None:
    message = drawn(
        Held((vote(note=text, tool=text[:255], server=text[:255]), denial(note=text, tool=text[:255])), 1, 1)
    )
    for shown in strings_of(message.blocks):
        assert unseen_in(shown) == []
    for markup in (message.text, *mrkdwn_in(message.blocks)):
        assert live_in(markup) == []
    assert not any(MARK in spoken for spoken in spoken_in(message.blocks))

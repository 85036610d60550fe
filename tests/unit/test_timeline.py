"""The time line, drawn: every type of event has words, nothing of an agent or a person is live, and it fits."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.changed_calls import changed_call_in
from bot.events import EventType
from bot.policy import Passed, Why
from bot.timelines import PER_PAGE, Moment, Timeline
from handlers.slack import timeline
from handlers.slack.timeline import WHY_BACK, WHY_NEXT, render_why
from tests.unit.slack_calls import LINES, MARK, corpus
from tests.unit.slack_support import (
    NOW,
    STATES,
    buttons,
    check_modal,
    drawing,
    frames_in,
    live_in,
    mrkdwn_in,
    rule,
    spoken_in,
    strings_of,
    text_in,
    unseen_in,
)

CORPUS = corpus()
# About no request, so that they stand in no time line.
GENERAL = {
    kind
    for kind in EventType
    if kind.value.split(".")[0]
    in ("halt", "digest", "instance", "delivery", "provisioner", "credential", "config", "passcode", "absence",
        "checkpoint", "database")
} | {EventType.RECORD_QUERIED}  # fmt: skip


def moment(kind: str, words: str | None = None, /, **facts: Any) -> Moment:
    return Moment(NOW, kind, facts, words)


def line_of(
    *moments: Moment, page: int = 0, pages: int = 1, passed: tuple[Passed, ...] = (), **fields: Any
) -> Timeline:
    return Timeline(drawing(**(STATES["open"] | fields)), moments, page, pages, passed)


def drawn(*moments: Moment, **fields: Any) -> str:
    view = render_why(line_of(*moments, **fields), "m")
    check_modal(view)
    return text_in(view["blocks"])


def test_every_event_of_a_request_has_words() -> None:
    assert set(timeline._TOLD) == set(EventType) - GENERAL
    for kind in EventType:
        assert drawn(moment(kind.value))  # whatever facts it has, and if it has none


@pytest.mark.parametrize(
    ("kind", "facts", "told"),
    [
        (EventType.REQUEST_MADE, {"agent": "refund-bot", "rule": "refunds"}, "*Asked* by refund-bot under"),
        (EventType.REQUEST_MADE, {"agent": "refund-bot"}, "no rule fitted"),
        (EventType.VOTE_CAST, {"user": "U0BOB", "kind": "approve", "full_view": "pages", "step_up": "totp"},
         "*<@U0BOB> approved* (seen on every page of the review, with a passcode)"),
        (EventType.VOTE_CAST, {"user": "U0BOB", "kind": "deny"}, "👎 *<@U0BOB> denied*"),
        (EventType.VOTE_CAST, {"user": "U0BOB", "kind": "approve", "forced": True}, "past the reviewers, as an admin"),
        (EventType.VOTE_CAST, {"user": "U0BOB", "kind": "approve", "standing": 3}, "ahead, and now it counts"),
        (EventType.REQUEST_DECIDED, {"status": "denied", "by_kind": "rule", "by": "refunds", "code": "agent_paused"},
         "⛔ *Denied* by a pause, whatever its rule says"),
        (EventType.REQUEST_DECIDED, {"status": "expired", "by_kind": "clock", "code": "deadline_passed"},
         "⌛ *Expired* by the clock: nobody decided in time"),
        (EventType.REQUEST_DECIDED, {"status": "approved", "by_kind": "admin", "by": "U0ALICE", "code": "forced"},
         "by admin <@U0ALICE> past the reviewers"),
        (EventType.REQUEST_DECIDED, {"status": "cancelled", "by_kind": "agent", "code": "cancelled_by_agent"},
         "🚫 *Cancelled* by the agent"),
        (EventType.OVERRIDE_MADE, {"kind": "revoked", "user": "U0BOB", "displaced": "open", "displaced_by": "U0ALICE"},
         "*<@U0BOB> revoked it*; it was approved by <@U0ALICE>"),
        (EventType.OVERRIDE_MADE, {"kind": "reported", "user": "U0BOB", "displaced": "consumed",
                                   "displaced_by": "refunds", "displaced_by_kind": "rule"},
         "it was approved by rule refunds, in use"),
        (EventType.OVERRIDE_MADE, {"kind": "reversed", "displaced": "denied", "displaced_by": "U0ALICE"},
         "it was denied by <@U0ALICE>"),
        (EventType.REQUEST_REVOKED, {"by_kind": "person", "by": "U0BOB"}, "*Revoked* by <@U0BOB>"),
        (EventType.STEP_TAKEN, {"targets": "thread, channel:C0REFUNDS, user:U0BOB, oncall:night"},
         "to be told: the reviewers in the thread, <#C0REFUNDS>, <@U0BOB> and night on call"),
        (EventType.STEP_TAKEN, {"targets": "nothing:known"}, "to be told: nothing:known"),
        (EventType.NOTIFICATION_FAILED, {"target": "oncall:night", "code": "no_one_on_call"},
         "Not told: night on call: nobody is on call (no"),
        (EventType.STEP_FAILED, {"codes": "channel_not_found, new<code>"},
         "*Nobody could be told*: there is no such channel, or Signoff is not in it (channel_not_found) and "
         "new&lt;code&gt;"),
        (EventType.STANDING_LIFTED, {"user": "U0BOB", "by": "U0ALICE"}, "<@U0ALICE> lifted <@U0BOB>'s vote ahead"),
        (EventType.STANDING_LIFTED, {"user": "U0BOB", "by": "U0BOB"}, "<@U0BOB> lifted their vote ahead"),
        (EventType.STANDING_LIFTED, {"user": "U0BOB", "code": "voted_since"}, "there is a newer vote"),
        (EventType.REQUEST_LOOKED_AT, {"user": "U0BOB", "what": "review"}, "<@U0BOB> looked at it: review"),
        (EventType.PAGES_OPENED, {"user": "U0BOB", "what": "<b>"}, "<@U0BOB> opened every page"),
        (EventType.NOTIFICATION_SENT, {"to": "U0BOB, U0ALICE"}, "Told <@U0BOB> and <@U0ALICE>"),
        (EventType.NOTIFICATION_FAILED, {"to": "U0BOB", "code": "user_not_found"},
         "Not told: <@U0BOB>: Slack knows no such person (user_not"),
        (EventType.CARD_POSTED, {"place": "dm", "channel": "D0BOB"}, "Card sent as a direct message"),
    ],
)  # fmt: skip
def test_what_is_told(kind: EventType, facts: dict[str, Any], told: str) -> None:
    assert told in drawn(moment(kind, **facts))


def test_the_rule_and_why_it_fits() -> None:
    passed = (
        Passed("look-ups", Why.NAMES, ""), Passed("small", Why.CONDITION_FALSE, ""),
        Passed("b", Why.CONDITION_FAILED, ""),
    )  # fmt: skip
    frozen = rule(when="arguments.amount <= 5000", server="payments")
    text = drawn(passed=passed, frozen=frozen)
    assert "Rule refunds asks people." in text.replace("\n", "")
    assert "the tool fits issue_*" in text
    assert "its condition is true: arguments.amount <= 5000" in text
    assert "small has a condition that is false here; b has a condition that failed here; 1 rule is for other" in text
    without = Timeline(replace(drawing(**STATES["denied_by_rule"]), rule=None), (), 0, 1)
    assert "No rule let this through" in text_in(render_why(without, "m")["blocks"])
    assert "Rule refunds" not in drawn(page=1, pages=2, frozen=frozen)


def test_words_stand_apart_and_are_cut_where_they_are_long() -> None:
    view = render_why(
        line_of(
            moment(EventType.VOTE_CAST, "x" * 2_000, user="U0BOB", kind="approve"),
            moment(EventType.OUTCOME_REPORTED, "*done* <!channel>", outcome="succeeded"),
        ),
        "m",
    )
    check_modal(view)
    assert "1,700 more characters of it: see Details." in text_in(view["blocks"])
    assert frames_in(view["blocks"]) == ["*done* <!channel>"]


def test_a_changed_call_is_not_spelled_out() -> None:
    note = 'Approved with changes. Call issue_refund again with exactly these arguments:\n{"amount": 49}'
    assert changed_call_in(note) is not None
    assert "amount" not in drawn(moment(EventType.VOTE_CAST, note, user="U0BOB", kind="deny"))


def test_the_longest_page_fits() -> None:
    kinds = [*timeline._TOLD] * 3
    for first in range(0, len(timeline._TOLD), PER_PAGE):
        facts = dict.fromkeys(("agent", "rule", "by", "code", "targets", "source", "what", "displaced"), "Ü" * 255)
        moments = [moment(kind, "<&>\u202e" * 500, **facts) for kind in kinds[first : first + PER_PAGE]]
        drawn(*moments, page=0, pages=99, frozen=rule(when="true || " * 200 + "true", name="r" * 75))


def test_pages_turn() -> None:
    def turns(page: int) -> set[str]:
        view = render_why(line_of(page=page, pages=3), "m")
        assert f"Page {page + 1} of 3" in text_in(view["blocks"])
        return buttons(view["blocks"]).keys() & {WHY_BACK, WHY_NEXT}

    assert turns(0) == {WHY_NEXT}
    assert turns(1) == {WHY_NEXT, WHY_BACK}
    assert turns(2) == {WHY_BACK}


def hostile(text: str) -> Iterator[Moment]:
    """The text in every fact that anybody but Signoff had a say in, and in what was written."""
    for kind in timeline._TOLD:
        yield moment(
            kind, text, agent=text, rule=text, by=text, by_kind="person", code=text, user=text, status=text, kind=text,
            displaced=text, displaced_by=text, targets=text, widens=text, source=text, users=text, usergroups=text,
            channel=text, outcome=text, paused_until=text, expires_at=text, granted_on=text, codes=text, what=text,
        )  # fmt: skip
    yield moment(text, text)


@pytest.mark.parametrize("chunk", range(4))
def test_hostile_text_is_inert_visible_and_apart(chunk: int) -> None:
    for text in CORPUS[:LINES][chunk::4]:
        one = drawing(tool=text[:255], **(STATES["open"] | {"expires_at": NOW + timedelta(minutes=1)}))
        view = render_why(Timeline(one, tuple(hostile(text)), 0, 1), "m")
        for shown in strings_of(view["blocks"]):
            assert unseen_in(shown) == []
        for markup in mrkdwn_in(view["blocks"]):
            assert live_in(markup) == []
        # Of what was written nothing is said by Signoff; the facts are names, which are.
        written = render_why(Timeline(one, tuple(moment(kind, text) for kind in timeline._TOLD), 0, 1), "m")
        assert not any(MARK in spoken for spoken in spoken_in(written["blocks"]))

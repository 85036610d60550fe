"""The words of a plan: on cards, in the thread, in notices. Within Slack's limits, inert, and nothing pings unasked."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.config_plans import Plan, StepTable, Widening
from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.escalation import Position
from bot.expiries import NEWEST, Expired
from bot.plan_state import PlanState, Taken
from handlers.slack.answers import render_expired
from handlers.slack.blocks import Message
from handlers.slack.cards import CLAIM, DETAILS, render_card
from handlers.slack.home import render_home
from handlers.slack.pages import details_page
from handlers.slack.steps import (
    coming,
    done_so_far,
    render_reminder,
    render_still_waiting,
    render_told,
    still_asked,
    why_told,
)
from store.escalation_tables import Claim, StepTarget, TakenStep
from store.tables import Intent, IntentKind, VoteKind
from store.vocabulary import StepState, TargetState
from tests.unit.slack_calls import LINES, corpus, poisoned
from tests.unit.slack_support import (
    APPROVED,
    NOW,
    buttons,
    check_message,
    check_modal,
    drawing,
    live_in,
    mrkdwn_in,
    rule,
    text_in,
    unseen_in,
    vote,
)

MINUTE = timedelta(minutes=1)
LONG_NAME = "n" * 63


def plan(*targets: str, **fields: Any) -> Plan:
    step = StepTable.model_construct(after="5m", notify=targets or ("thread",), hours=None, widen=(), **fields)
    return Plan.model_construct(name="standard", steps=(step,), repeat=1, before_deadline=MINUTE, claim_pause=MINUTE)


def planned(one: Drawing, its_plan: Plan | None = None, **fields: Any) -> Drawing:
    at = Position(0, 0, NOW + 8 * MINUTE)
    return replace(one, plan_state=PlanState(its_plan or plan("oncall:finance"), **({"next": at} | fields)))


def claim(user: str = "U0BOB", minutes: int = 5) -> Claim:
    return Claim(request_number=42, user_id=user, at=NOW, was_due_at=NOW + MINUTE, paused_until=NOW + minutes * MINUTE)


def taken(state: StepState, *targets: tuple[str, TargetState, str | None], index: int = 0) -> Taken:
    step = TakenStep(id=1, request_number=42, round=0, index=index, due_at=NOW, taken_at=NOW, state=state)
    rows = [
        StepTarget(id=at, step_id=1, target=target, state=its_state, code=code)
        for at, (target, its_state, code) in enumerate(targets, start=1)
    ]
    return Taken(step, tuple(rows))


# --- the card ---


def test_a_card_says_what_comes_next_and_when() -> None:
    [block] = coming(planned(drawing()), NOW)
    shown = text_in([block])
    assert shown.startswith("<!date^")
    assert "{ago}" in shown
    assert shown.endswith(">: asks finance on call.")


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (("thread",), "reminds the reviewers"),
        (("owners",), "tells the agent's owners"),
        (("channel:C0REFUNDS",), "asks in <#C0REFUNDS>"),
        (("user:U0CAROL",), "asks 1 more person"),
        (("user:U0CAROL", "user:U0DAN"), "asks 2 more people"),
        (("usergroup:S0ONCALL",), "asks a user group"),
        (("pager:main", "thread"), "calls the pager main and reminds the reviewers"),
    ],
)
def test_the_card_names_targets_without_pinging_anybody(targets: tuple[str, ...], words: str) -> None:
    shown = text_in(coming(planned(drawing(), plan(*targets)), NOW))
    assert words in shown
    assert "<@" not in shown
    assert "<!subteam" not in shown


@pytest.mark.parametrize(
    ("targets", "widening", "words"),
    [
        (("oncall:finance", "owners"), {"oncall": ("finance",)},
         "asks finance on call (who may then decide too) and tells the agent's owners."),
        (("owners",), {"oncall": ("finance",)}, "tells the agent's owners and lets finance on call decide too."),
        (("oncall:finance",), {"groups": (ReviewerGroup.model_construct(name="finance", users=(), usergroups=()),)},
         "asks finance on call and lets finance decide too."),
    ],
)  # fmt: skip
def test_the_card_says_whom_the_next_step_lets_decide(
    targets: tuple[str, ...], widening: dict[str, Any], words: str
) -> None:
    widen = (Widening.model_construct(**{"seat": None, "groups": (), "oncall": ()} | widening),)
    step = StepTable.model_construct(after="5m", notify=targets, hours=None, widen=widen)
    its_plan = Plan.model_construct(name="p", steps=(step,), repeat=0, before_deadline=None, claim_pause=MINUTE)
    assert text_in(coming(planned(drawing(), its_plan), NOW)).endswith(words)


def test_a_card_says_who_is_on_it_until_when_and_no_longer() -> None:
    one = planned(drawing(), claims=(claim(),))
    assert f"<@U0BOB> is on it <!date^{int((NOW + 5 * MINUTE).timestamp())}^until " in text_in(coming(one, NOW))
    assert "Said *I'm on it* before: <@U0BOB>" in text_in(coming(one, NOW + 6 * MINUTE))


def test_the_button_keeps_its_place_and_goes_with_the_decision() -> None:
    before = render_card(planned(drawing()), NOW)
    ended = render_card(planned(drawing(), next=None, claims=(claim(),)), NOW)
    rows = [[one["action_id"] for one in buttons(message.blocks).values()] for message in (before, ended)]
    assert rows[0] == rows[1]
    assert rows[0].index(CLAIM) == rows[0].index(DETAILS) + 1
    ids = [[block.get("block_id") for block in message.blocks] for message in (before, ended)]
    assert ids[0] == ids[1]
    assert CLAIM not in buttons(render_card(planned(drawing(**APPROVED)), NOW).blocks)
    assert CLAIM not in buttons(render_card(drawing(), NOW).blocks)


def test_a_card_at_its_fullest_is_within_the_limits() -> None:
    names = (f"oncall:{LONG_NAME}", f"pager:{LONG_NAME}", "thread", "owners", "channel:C0REFUNDS", "usergroup:S0X")
    one = planned(drawing(), plan(*names), claims=tuple(claim(f"U0{at:04}") for at in range(40)))
    card = render_card(one, NOW)
    check_message(card)
    assert "more" in text_in(coming(one, NOW))


# --- the details ---


def test_the_details_tell_what_was_done_and_whom_it_did_not_reach() -> None:
    steps = (
        taken(StepState.FAILED, ("oncall:finance", TargetState.FAILED, "no_one_on_call")),
        taken(StepState.FIRED, ("user:U0ALICE", TargetState.NOTIFIED, None), ("owners", TargetState.WAITING, None)),
        taken(StepState.SKIPPED),
        taken(StepState.FIRED, ("thread", TargetState.NOTIFIED, None), ("owners", TargetState.NOTIFIED, None)),
        taken(StepState.FIRED, ("thread", TargetState.NOTIFIED, None), index=1),
    )
    owners = steps[3].targets[1].model_copy(update={"reached": '["U0OWNER", "U0DAN"]'})
    steps = (*steps[:3], replace(steps[3], targets=(steps[3].targets[0], owners)), *steps[4:])
    one = planned(drawing(), taken=steps, claims=(claim(),))
    told = "\n".join(done_so_far(one))
    assert "could not reach finance on call: nobody is on call (no_one_on_call)" in told
    assert "told <@U0ALICE>; is about to tell the agent's owners" in told
    assert "was skipped, outside its hours" in told
    assert "*Step 1* told the reviewers in the thread and the agent's owners (<@U0OWNER> <@U0DAN>)." in told
    assert "*Last reminder*" in told
    assert "<@U0BOB> said *I'm on it*" in told
    assert all(line in text_in(details_page(one, 0).blocks) for line in done_so_far(one))


def test_two_hundred_steps_are_told_in_pages_within_the_limits() -> None:
    many = tuple(
        taken(StepState.FAILED, *[(f"oncall:{LONG_NAME}", TargetState.FAILED, "x" * 75)] * 5) for _ in range(200)
    )
    one = planned(drawing(), taken=many)
    count = details_page(one, 0).count
    for at in range(count):
        check_modal(
            {"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": details_page(one, at).blocks}
        )


# --- messages ---


def messages(one: Drawing) -> list[Message]:
    return [
        render_reminder(one),
        render_reminder(one, ["U0BOB"], is_last=True),
        render_still_waiting(one),
        *(render_told(one, why_told(target)) for target in ("owners", "oncall:finance", "user:U0BOB")),
        render_told(one, why_told("owners", "U0ALICE")),
    ]


def test_a_reminder_mentions_whoever_may_still_decide() -> None:
    one = drawing(votes=(vote(VoteKind.APPROVE, "U0ALICE"),))
    assert still_asked(one) == ["<!subteam^S0FINANCE>"]  # not who approved, nor the owner among the reviewers
    assert still_asked(drawing()) == ["<@U0ALICE>", "<!subteam^S0FINANCE>"]


def test_a_reminder_mentions_a_bounded_number() -> None:
    crowd = ReviewerGroup.model_construct(name="crowd", users=tuple(f"U0{at:04}" for at in range(300)), usergroups=())
    message = render_reminder(drawing(frozen=rule(reviewers=(crowd,))))
    check_message(message)
    assert text_in(message.blocks).count("<@") == 20
    assert "280 more" in text_in(message.blocks)


def test_no_message_shows_an_argument_or_the_claim() -> None:
    one = drawing({"secret": "ZEBRA"}, agent_reasoning="ZEBRA", context='{"a": "ZEBRA"}')
    for message in messages(one):
        check_message(message)
        assert "ZEBRA" not in message.text + str(message.blocks)
        assert not buttons(message.blocks)


@pytest.mark.parametrize("text", corpus()[:LINES])
def test_what_an_agent_wrote_is_inert_in_every_message(text: str) -> None:
    for one in poisoned(text, "pending"):
        gathered = Expired(_intent(), one.request.agent, frozenset(), 1, (one.request,), {}, 1)
        for message in [*messages(one), render_expired(gathered, {})]:
            check_message(message)
            for shown in [message.text, *mrkdwn_in(message.blocks)]:
                assert live_in(shown) == []
                assert unseen_in(shown) == []


# --- expired ---


def _intent() -> Intent:
    return Intent(
        id=1, kind=IntentKind.TELL_OWNERS, lane="expired:refund-bot", request_number=42, reason="expired",
        created_at=NOW, due_at=NOW,
    )  # fmt: skip


@pytest.mark.parametrize("count", [1, NEWEST, 10_000])
def test_owners_are_told_how_many_and_of_the_newest(count: int) -> None:
    requests = tuple(drawing(number=at).request for at in range(1, min(count, NEWEST) + 1))
    message = render_expired(Expired(_intent(), "refund-bot", frozenset(), count, requests, {}, 1), {})
    check_message(message)
    assert (f"{count:,} requests" if count > 1 else "#1 of refund-bot") in message.text
    assert ("earlier" in text_in(message.blocks)) == (count > NEWEST)


@pytest.mark.parametrize("link", ["https://x.example/a|b", "javascript:alert(1)", "https://x.example/ <!channel>", ""])
def test_a_strange_link_is_no_link(link: str) -> None:
    one = drawing().request
    message = render_expired(Expired(_intent(), "refund-bot", frozenset(), 1, (one,), {}, 1), {42: link})
    assert "://" not in text_in(message.blocks)
    assert "javascript" not in text_in(message.blocks)


def test_home_has_the_button_too() -> None:
    from bot.queries import Seen

    view = render_home([Seen(planned(drawing()), (), may_decide=True)], NOW, "U0ALICE")
    check_modal(view)
    assert CLAIM in buttons(view["blocks"])

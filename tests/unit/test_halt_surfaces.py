"""What is said of pauses, and gathered notices: within Slack's limits, and hostile text visible and inert."""

from datetime import timedelta

import pytest

from bot.digests import Gathered
from bot.halt_notices import HaltNotice
from bot.halt_rights import Target
from bot.halts import Resumed
from handlers.slack.blocks import Message
from handlers.slack.digest_card import LIFT, STOP, render_digest
from handlers.slack.halt_answers import (
    LIFT_SUBMITTED,
    STOP_SUBMITTED,
    render_form,
    render_in_force,
    render_notice,
    render_paused,
    render_resumed,
    render_stopped,
)
from store.compiled import changed_record, make_record
from store.statements_digests import ToolCount
from store.tables import Digest, Halt, HaltEffect, HaltScope, Intent, Rank, Request
from tests.unit.slack_calls import corpus
from tests.unit.slack_support import NOW, buttons, check_message, check_modal, live_in, strings_of, text_in, unseen_in

LONGEST = "n" * 75
RULE = Target(HaltScope.RULE, "look-ups")


def halt(
    reason: str = "too much", effect: HaltEffect = HaltEffect.DENY, name: str = "look-ups", number: int = 1
) -> Halt:
    return make_record(
        Halt, id=number, effect=effect, scope=HaltScope.RULE, name=name, user_id="U0BOB", team_id="T0HOME",
        rank=Rank.REVIEWER, reason=reason, salt=b"", at=NOW, until=NOW + timedelta(hours=2),
        ended_at=None,
    )  # fmt: skip


def make_halt_of_all(reason: str = "stop") -> Halt:
    return make_record(
        Halt, id=7, effect=HaltEffect.DENY, scope=HaltScope.ALL, name="", user_id="U0BOB", team_id="T0HOME",
        rank=Rank.REVIEWER, reason=reason, salt=b"", at=NOW, until=None, ended_at=None,
    )  # fmt: skip


def gathered(tool: str = "look_up", stop: Halt | None = None, *, tools: int = 1, **fields: bool) -> Gathered:
    digest = make_record(
        Digest, id=3, key="k", rule=LONGEST, channel="C0REFUNDS", first_number=1, last_number=10**12, count=10**9,
        created_at=NOW,
    )  # fmt: skip
    newest = tuple(make_record(Request, number=10**12 - at, agent="bot", tool=tool, created_at=NOW) for at in range(5))
    counts = tuple(ToolCount("refund-bot", tool, 10**9) for _ in range(tools))
    return Gathered(digest, counts, newest, stop, **{"can_ask": True, "is_there": True, "external": False} | fields)


def told(reason: str, many: int = 40) -> list[Message]:
    target = Target(HaltScope.RULE, LONGEST)
    one = halt(reason)
    return [
        render_paused(target, one),
        render_stopped(target, one),
        render_resumed(target, Resumed((), tuple(halt(reason, number=at) for at in range(many)))),
        render_in_force([halt(reason, number=at) for at in range(many)], "pause AGENT REASON"),
        render_digest(gathered(stop=halt(reason, HaltEffect.ASK))),
        notice(target, *(halt(reason, number=at) for at in range(many))),
        notice(target, halt(reason, number=many), *(ended(halt(reason, number=at), reason) for at in range(many))),
        notice(
            Target(HaltScope.ALL),
            ended(halt(reason), reason),
            still=tuple(halt(reason, number=at + 9) for at in range(many)),
        ),
    ]  # fmt: skip


def ended(one: Halt, reason: str) -> Halt:
    return changed_record(one, ended_at=NOW, ended_by="U0ALICE", end_reason=reason)


def notice(target: Target, *halts: Halt, still: tuple[Halt, ...] = ()) -> Message:
    over = tuple(one for one in halts if one.ended_at is not None)
    in_force = tuple(one for one in halts if one.ended_at is None)
    return render_notice(HaltNotice(make_record(Intent, id=1), target, in_force, over, still, (), 0))


@pytest.mark.parametrize("reason", ["x", "x" * 1000, "\n".join("line" for _ in range(200)), "&<>" * 333])
def test_they_are_within_slacks_limits(reason: str) -> None:
    for message in told(reason):
        check_message(message)
    for tool in ("look_up", "t" * 255, "two words " * 20):
        check_message(render_digest(gathered(tool, tools=300)))
    for callback in (STOP_SUBMITTED, LIFT_SUBMITTED):
        check_modal(render_form("Stop the rule", callback, LONGEST, asks=False, modal_id="m"))


def test_hostile_text_is_visible_and_inert() -> None:
    for text in corpus():
        messages = [*told(text, many=1), render_digest(gathered(text[:255].strip() or "t"))]
        for message in messages:
            assert live_in(message.text) == [], text
            for block in message.blocks:
                if block["type"] != "rich_text":
                    for string in strings_of(block):
                        assert live_in(string) == [], text
            for string in strings_of(message.blocks):
                assert unseen_in(string) == [], text


def test_a_channel_of_two_companies_hears_nothing_of_who_and_why() -> None:
    shown = text_in(render_digest(gathered(stop=halt("a secret", HaltEffect.ASK), external=True)).blocks)
    assert "*Stopped*" in shown
    assert "U0BOB" not in shown
    assert "a secret" not in shown


def test_one_button_stops_or_lifts_and_none_where_there_is_nothing_to_stop() -> None:
    assert list(buttons(render_digest(gathered()).blocks)) == [STOP]
    assert list(buttons(render_digest(gathered(stop=halt(effect=HaltEffect.ASK))).blocks)) == [LIFT]
    assert list(buttons(render_digest(gathered(is_there=False)).blocks)) == []


def test_a_rule_that_names_nobody_is_said_to_deny() -> None:
    stop = halt(effect=HaltEffect.ASK)
    assert "it denies, as it names nobody" in text_in(render_digest(gathered(stop=stop, can_ask=False)).blocks)


def test_what_goes_on_is_said_as_it_is() -> None:
    assert "goes on" in text_in(render_resumed(RULE, Resumed((halt(),))).blocks)
    assert "approves by itself again" in text_in(render_resumed(RULE, Resumed((halt(effect=HaltEffect.ASK),))).blocks)
    paused = make_halt_of_all()
    still = text_in(render_resumed(RULE, Resumed((halt(),), still=(paused,))).blocks)
    assert "still denied" in still
    assert "Every agent" in still
    assert "goes on" not in still
    assert "does not go on yet" in text_in(render_resumed(RULE, Resumed((halt(),), (halt(),))).blocks)


@pytest.mark.parametrize(("reason", "said"), [("for 2x because", True), ("forty refunds", False), ("", False)])
def test_a_time_that_was_not_read_is_said(reason: str, said: bool) -> None:
    paused = make_halt_of_all(reason)
    assert ("No time was read" in text_in(render_paused(Target(HaltScope.ALL), paused).blocks)) is said

"""Samples of what people see of corrections: overrides, pauses, *Why?*, votes ahead, and the answers that look back."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot.ahead import Held, HeldDenial, HeldVote
from bot.digests import Gathered
from bot.drawings import Drawing
from bot.events import EventType
from bot.halt_notices import HaltNotice
from bot.halt_rights import EVERYTHING, Target
from bot.halts import Resumed
from bot.homes import AgentHere, Overview
from bot.periods import Period
from bot.policy import Passed, Why
from bot.reports import Decided, Figures, Overridden, OverrideRow, Page, PersonFigures, Row, Stats, Wanted
from bot.timelines import Moment, Timeline
from handlers.slack.asking import About, Question
from handlers.slack.blocks import Message
from handlers.slack.cards import render_card
from handlers.slack.digest_card import render_digest
from handlers.slack.halt_answers import (
    render_in_force,
    render_notice,
    render_paused,
    render_resumed,
    render_stopped,
)
from handlers.slack.held import render_held
from handlers.slack.override_form import Way, render_override
from handlers.slack.report_words import render_decided, render_overridden, render_stats
from handlers.slack.switching import PAUSE_SUBMITTED, render_switch
from handlers.slack.timeline import render_why
from store.compiled import changed_record, make_record
from store.statements_audit import EventMark
from store.statements_digests import ToolCount
from store.tables import (
    Digest,
    FullView,
    Halt,
    HaltEffect,
    HaltScope,
    Intent,
    Override,
    OverrideKind,
    Rank,
    StandingVote,
    StepUp,
)
from tests.browser.surfaces_base import CHANNEL, MORNING, Sample, request
from tests.unit.report_samples import CARD, address, override
from tests.unit.slack_support import STATES, rule, vote


def _ago(minutes: float) -> datetime:
    return MORNING - timedelta(minutes=minutes)


# --- overrides --------------------------------------------------------------------------------------------

_ORDER = {"order": "A-10482", "amount": 129.90}
_AHEAD = StandingVote(
    id=1, request_number=44, instance_id="i", canonical_version=1, digest=b"", user_id="U0BOB", team_id="T0HOME",
    surface="modal", note="The lid is on the photo after all", full_view=FullView.FORM, granted_at=_ago(1),
    expires_at=MORNING + timedelta(hours=24),
)  # fmt: skip


def _act(kind: OverrideKind, reason: str, displaced: str, minutes_ago: float = 1, **fields: Any) -> Override:
    return override(kind, reason, displaced=displaced, at=_ago(minutes_ago), **fields)


_REVOKED = _act(OverrideKind.REVOKED, "The customer called: her sister ordered, and has been paid", "open")
_REPORTED = (
    _act(OverrideKind.REPORTED, "It looks like the wrong account", "consumed", 2, id=7, user_id="U0OWNER"),
    _act(OverrideKind.REPORTED, "The lid was not broken", "succeeded", 1, id=8),
)
_REVERSED = _act(OverrideKind.REVERSED, "The lid is on the photo after all", "denied", user_id="U0BOB", standing_id=1)
_FORCED = _act(OverrideKind.FORCED, "The supplier's lorry waits at the gate", "pending", user_id="U0ADMIN")


def _with(state: str, number: int, *overrides: Override, **fields: Any) -> Drawing:
    one = request(_ORDER, number=number, **(STATES[state] | fields))
    mark = EventMark(1180 + number, bytes.fromhex("9f3a61c04be7d25f") * 4)
    return replace(one, overrides=overrides, witness=mark)


_PAYMENT = replace(
    request({"supplier": "Nordlicht Lampen GmbH", "amount": 48_200.0}, tool="pay_supplier", number=45),
    rule=rule(name="supplier payments", tool="pay_supplier", quorum=2, step_up=StepUp.TOTP),
)
_FORCED_ONCE = replace(
    _PAYMENT,
    votes=(
        vote(
            user="U0ADMIN", note=_FORCED.reason, is_forced=True, full_view=FullView.FORM, surface="modal",
            cast_at=_ago(1),
        ),
    ),
)  # fmt: skip


def _taken_back() -> list[Message]:
    reported = _with("succeeded", 43, *_REPORTED, outcome_note=None)
    return [render_card(one, MORNING) for one in (_with("revoked", 42, _REVOKED), reported)]


def _turned() -> list[Message]:
    reversed_ = replace(_with("denied", 44, _REVERSED, note="No photo"), granted=(_AHEAD,))
    return [render_card(one, MORNING) for one in (reversed_, _FORCED_ONCE)]


# --- why --------------------------------------------------------------------------------------------------


def _moment(minutes_ago: float, kind: EventType, words: str | None = None, /, **facts: Any) -> Moment:
    return Moment(_ago(minutes_ago), kind, facts, words)


_WHY = Timeline(
    replace(_with("revoked", 42), rule=rule(when="arguments.amount <= 5000")),
    (
        _moment(8, EventType.REQUEST_MADE, agent="refund-bot", rule="refunds"),
        _moment(8, EventType.CARD_POSTED, place="channel", channel=CHANNEL),
        _moment(5, EventType.STEP_TAKEN, targets="thread, oncall:finance"),
        _moment(4, EventType.NOTIFICATION_FAILED, target="oncall:finance", code="no_one_on_call"),
        _moment(3, EventType.REQUEST_LOOKED_AT, user="U0ALICE", what="details"),
        _moment(2, EventType.VOTE_CAST, "The photo shows it", user="U0ALICE", kind="approve", full_view="card"),
        _moment(2, EventType.REQUEST_DECIDED, status="approved", by_kind="person", by="U0ALICE",
                code="decided_by_votes"),
        _moment(1, EventType.OVERRIDE_MADE, _REVOKED.reason, kind="revoked", user="U0BOB", displaced="open",
                displaced_by="U0ALICE"),
    ),
    0,
    1,
    (Passed("look-ups", Why.NAMES, ""), Passed("small refunds", Why.CONDITION_FALSE, "")),
)  # fmt: skip


# --- looking back -----------------------------------------------------------------------------------------

_WANTED = Wanted(Period(MORNING - timedelta(days=7), MORNING))


def _row(one: Drawing) -> Row:
    return Row(one.request, one.rule, CARD)


_DENIED = _row(_with("denied", 44, note="No photo"))
_DECIDED = Decided(_WANTED, Page((_DENIED, _row(_with("succeeded", 43)), _row(_with("expired", 41))), 3), automatic=212)
_OVERRIDDEN = Overridden(
    _WANTED,
    Page(
        (
            OverrideRow(_REVOKED, _row(_with("revoked", 42))),
            OverrideRow(_REPORTED[1], _row(_with("succeeded", 43))),
            OverrideRow(_REVERSED, _DENIED, _AHEAD),
        ),
        3,
    ),
    Counter({OverrideKind.REVOKED: 1, OverrideKind.REPORTED: 1, OverrideKind.REVERSED: 1}),
    3,
    261,
)
_REFUNDS = Figures(
    approved=180, approved_by_rule=140, denied=15, denied_by_people=12, expired=6, overrides=3, overridden=3,
    consumed=176, overdue=1, succeeded=168, failed=7, revoked=2, lapsed=2,
    waits=[timedelta(seconds=at * 9) for at in range(1, 60)],
)  # fmt: skip
_MAILS = Figures(
    approved=54, approved_by_rule=40, denied=4, denied_by_people=4, expired=2, consumed=54,
    succeeded=54, waits=[timedelta(seconds=at * 21) for at in range(1, 20)],
)  # fmt: skip
_ALL = Figures(
    approved=234, approved_by_rule=180, denied=19, denied_by_people=16, expired=8, overrides=3, overridden=3,
    consumed=230, overdue=1, succeeded=222, failed=7, revoked=2, lapsed=2, waits=[*_REFUNDS.waits, *_MAILS.waits],
)  # fmt: skip
_STATS = Stats(
    _WANTED, _ALL, {"refund-bot": _REFUNDS, "mail-bot": _MAILS},
    {"U0ALICE": PersonFigures(approvals=31, denials=9, decided=38, overrides=5, waits=_REFUNDS.waits)},
)  # fmt: skip
_HELD = Held(
    (
        HeldVote(_AHEAD, _DENIED, may_lift=True),
        HeldDenial(_row(_with("denied", 40, note="Wrong amount")), MORNING + timedelta(hours=20)),
    ),
    1,
    1,
)


# --- pauses -----------------------------------------------------------------------------------------------

_BOT = Target(HaltScope.AGENT, "refund-bot")
_LOOK_UPS = Target(HaltScope.RULE, "look-ups")


def _halt(target: Target, effect: HaltEffect, reason: str, **fields: Any) -> Halt:
    given: dict[str, Any] = {
        "id": len(reason), "effect": effect, "scope": target.scope, "name": target.name, "user_id": "U0BOB",
        "team_id": "T0HOME", "rank": Rank.REVIEWER, "reason": reason, "salt": b"", "at": _ago(9), "until": None,
    }  # fmt: skip
    return Halt(**(given | fields))


_PAUSED = _halt(_BOT, HaltEffect.DENY, "It refunds each order twice", until=MORNING + timedelta(hours=2))
_BY_ADMIN = _halt(_BOT, HaltEffect.DENY, "Until the books are checked", user_id="U0ADMIN", rank=Rank.ADMIN)
_STOPPED = _halt(_LOOK_UPS, HaltEffect.ASK, "Look at each of them for a day")


def _pauses() -> list[Message]:
    return [
        render_paused(_BOT, _PAUSED),
        render_resumed(_BOT, Resumed((_PAUSED,), (_BY_ADMIN,))),
        render_stopped(_LOOK_UPS, _STOPPED),
        render_resumed(_LOOK_UPS, Resumed((_STOPPED,))),
        render_in_force([_BY_ADMIN, _STOPPED], "resume AGENT|rule:NAME|all REASON"),
    ]


def _held_up() -> list[Message]:
    """Cards of what a pause keeps from being approved, and from being used."""
    asked = replace(request(number=47), pauses=(_PAUSED,))
    opened = replace(_with("open", 46), pauses=(_BY_ADMIN, _PAUSED))
    return [render_card(one, MORNING) for one in (asked, opened)]


def _told() -> list[Message]:
    """What owners and admins are told."""
    ended = changed_record(_PAUSED, ended_at=MORNING, ended_by="U0ALICE", end_reason="The orders were looked at")
    everything = _halt(EVERYTHING, HaltEffect.DENY, "An incident at the bank", user_id="U0ADMIN", rank=Rank.ADMIN)
    intent = make_record(Intent, id=1)
    return [
        render_notice(HaltNotice(intent, target, in_force, gone, (), ("U0OWNER",), 0))
        for target, in_force, gone in (
            (_BOT, (_PAUSED,), ()), (_BOT, (), (ended,)), (_LOOK_UPS, (_STOPPED,), ()), (EVERYTHING, (everything,), ()),
        )
    ]  # fmt: skip


def _notice(stop: Halt | None) -> Message:
    digest = Digest(
        id=3, key="k", rule="look-ups", channel=CHANNEL, first_number=101, last_number=317, count=214,
        created_at=MORNING,
    )  # fmt: skip
    newest = tuple(request(number=317 - at, tool="look_up_order").request for at in range(5))
    counts = (ToolCount("refund-bot", "look_up_order", 201), ToolCount("mail-bot", "look_up_customer", 13))
    return render_digest(Gathered(digest, counts, newest, stop, can_ask=True, is_there=True, external=False))


OVERVIEW = Overview(
    decided=Decided(_WANTED, Page((_row(_with("succeeded", 43)), _DENIED), 38)),
    agents=(
        AgentHere("refund-bot", True, (("look-ups", "autonomous"), ("refunds", "approve")), (_BY_ADMIN,)),
        AgentHere("mail-bot", False, (("customer mail", "approve"),), ()),
    ),
    agent_count=2,
    stopped=(_STOPPED,),
    stopped_count=1,
    overridden=replace(_OVERRIDDEN, page=Page(_OVERRIDDEN.page.rows[:1], 3)),
    held=_HELD,
)
"""Of the person whose Home tab it is."""

CORRECTED: dict[str, Sample] = {
    "revoke": Sample("Revoke", "modal", lambda: render_override(_with("open", 42), "m", Way.REVOKE)),
    "force": Sample(
        "Force, where it takes two admins", "modal", lambda: render_override(_FORCED_ONCE, "m", Way.FORCE_APPROVE)
    ),
    "taken-back": Sample("Revoked, and reported before and after the outcome", "messages", _taken_back),
    "turned": Sample("Reversed; and forced by one of two admins", "messages", _turned),
    "why": Sample("Why?, the time line", "modal", lambda: render_why(_WHY, "m")),
    "recent": Sample(
        "Slash answers: standing, recent", "messages", is_private=True,
        content=lambda: [
            render_held(_HELD, address), render_decided(Question(About.RECENT, _WANTED), _DECIDED, address),
        ],
    ),
    "figures": Sample(
        "Slash answers: overrides, stats", "messages", is_private=True,
        content=lambda: [
            render_overridden(Question(About.OVERRIDES, _WANTED), _OVERRIDDEN, address),
            render_stats(Question(About.STATS, _WANTED), _STATS, "U0ALICE"),
        ],
    ),
    "pauses": Sample("Slash answers: pause, resume, and what is stopped", "messages", _pauses, is_private=True),
    "paused": Sample("What a pause holds up", "messages", _held_up, in_dark=True),
    "halt-notices": Sample("Direct messages: paused, resumed, stopped", "messages", _told, place="DM"),
    "pause": Sample("Pause", "modal", lambda: render_switch("Pause", PAUSE_SUBMITTED, _BOT, "m")),
    "gathered": Sample(
        "What a rule approved by itself: the notice, and once it is stopped", "messages",
        lambda: [_notice(None), _notice(_STOPPED)],
    ),
}  # fmt: skip

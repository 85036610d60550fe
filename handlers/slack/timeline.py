"""*Why?*: the time line of a request, in pages: its rule and why that fits, then what happened, when and by whom. Pure.

A line each. What a person wrote stands behind a bar, what an agent wrote in a frame, both cut where they are long,
which is said. The call itself is not here: its cards show it, and Details.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from bot.changed_calls import changed_call_in
from bot.config import FrozenRule
from bot.events import EventType
from bot.halted import PAUSED
from bot.policy import FORBIDDEN, Passed, Why
from bot.revocation import RESTORED
from bot.timelines import Moment, Timeline
from handlers.slack.blocks import (
    TITLE_CHARACTERS,
    Block,
    View,
    actions,
    button,
    context,
    frame,
    line,
    modal,
    quote,
    said,
)
from handlers.slack.cards import headline
from handlers.slack.corrections import OVERRIDE_SIGNS, was
from handlers.slack.pauses import paused
from handlers.slack.quorum import joined
from handlers.slack.reasons import in_words
from handlers.slack.steps import target_name
from handlers.slack.text import (
    barred,
    channel_mention,
    date,
    excerpt,
    how_many,
    mrkdwn,
    user_mention,
    usergroup_mention,
    visible,
)
from store.tables import DeciderKind, OverrideKind, Place, Status, VoteKind

WHY_BACK = "why_back"
WHY_NEXT = "why_next"
MOST_PASSED = 4
_WORDS_CHARACTERS, _WORDS_LINES = 300, 4
_CONDITION_CHARACTERS = 400
_NAME = 80
_MOST_LISTED = 6

Facts = Mapping[str, Any]


def render_why(timeline: Timeline, modal_id: str) -> View:
    """Draw a page of a time line; the rule stands on the first."""
    drawing = timeline.drawing
    number = drawing.request.number
    blocks: list[Block] = [line(headline(drawing), "head")]
    if timeline.pages > 1:
        blocks.append(context([f"Page {timeline.page + 1:,} of {timeline.pages:,}, the oldest first"], "page"))
    if timeline.page == 0:
        blocks += [*_rule(timeline), *paused(drawing)]
    if not timeline.moments:
        blocks.append(context(["Nothing is on record."], "nothing"))
    blocks += _moments(timeline.moments)
    turn = [button("Next →", WHY_NEXT, str(number))] if timeline.page + 1 < timeline.pages else []
    turn += [button("← Back", WHY_BACK, str(number))] if timeline.page else []
    if turn:
        blocks.append(actions(turn, "turn"))
    title = f"Why? #{number}"
    return modal(
        title if len(title) <= TITLE_CHARACTERS else "Why?",
        blocks,
        external_id=modal_id,
        private_metadata=json.dumps({"number": number, "page": timeline.page, "pages": timeline.pages}),
    )


# --- the rule ---------------------------------------------------------------------------------------------


def _rule(timeline: Timeline) -> Iterator[Block]:
    rule, request = timeline.drawing.rule, timeline.drawing.request
    if rule is None:
        yield line([said("No rule let this through. ", bold=True), said("What no rule allows is denied.")], "rule")
        return
    course = "approves by itself" if rule.stage == "autonomous" else "asks people"
    yield line(
        [said("Rule ", bold=True), said(f"{visible(rule.name)} {course}.", bold=True), said(f" {_fits(rule)}")], "rule"
    )
    if timeline.passed:
        yield line([said(_passed(timeline.passed))], "passed")
    if request.repeats is not None:
        yield context([f"It repeats #{request.repeats}, which people denied."], "repeats")


def _fits(rule: FrozenRule) -> str:
    """Say what of a call the rule fits; a rule is the operator's to write, and no part of it is an agent's."""
    names = [f"the agent fits {visible(rule.agent)}", f"the tool fits {visible(rule.tool)}"]
    names += [f"the server fits {visible(rule.server)}"] if rule.server is not None else []
    if rule.when is None:
        return f"It is the first whose terms fit: {joined(names)}."
    part = excerpt(rule.when, _CONDITION_CHARACTERS, 1_000)
    more = f"… ({how_many(part.left_out, 'more character')})" if part.left_out else ""
    return f"It is the first whose terms fit: {joined([*names, 'its condition is true'])}: {part.shown}{more}"


_PASSED = {
    Why.NAMES: "is for other agents, tools or servers",
    Why.CONDITION_FALSE: "has a condition that is false here",
    Why.CONDITION_FAILED: "has a condition that failed here",
    Why.AFTER_A_FAILURE: "comes after a condition that failed, and asks nobody",
}


def _passed(passed: Iterable[Passed]) -> str:
    told = [one for one in passed if one.why is not Why.NAMES]
    others = len(list(passed)) - len(told)
    words = [f"{visible(one.rule)} {_PASSED[one.why]}" for one in told[:MOST_PASSED]]
    more = len(told) - MOST_PASSED
    words += [how_many(more, "more rule") + (" does" if more == 1 else " do") + " not fit either"] if more > 0 else []
    words += [f"{how_many(others, 'rule')} {'is' if others == 1 else 'are'} for other calls"] if others else []
    return f"Passed over before it, by today's rules: {'; '.join(words)}."


# --- what happened ----------------------------------------------------------------------------------------


def _moments(moments: Iterable[Moment]) -> Iterator[Block]:
    """Lines that nothing was written with share a block: that is a third of the blocks, and reads as a list."""
    lines: list[str] = []
    first = 0
    for at, moment in enumerate(moments):
        lines.append(f"{date(moment.at)} · {_told(moment)}")
        written = list(_written(moment, f"written_{at}"))
        if written or sum(map(len, lines)) > 1_500:
            yield context(lines, f"moments_{first}")
            yield from written
            lines, first = [], at + 1
    if lines:
        yield context(lines, f"moments_{first}")


def _written(moment: Moment, block_id: str) -> Iterator[Block]:
    if not moment.words:
        return
    if changed_call_in(moment.words) is not None:
        if moment.type == EventType.OVERRIDE_MADE:
            yield context(["The changed call: see Details."], block_id)
        return
    part = excerpt(moment.words, _WORDS_CHARACTERS, _WORDS_LINES)
    is_agents = moment.type == EventType.OUTCOME_REPORTED
    yield frame(barred(part.shown), block_id) if is_agents else quote(part.shown, block_id)
    if part.left_out:
        yield context([f"{how_many(part.left_out, 'more character')} of it: see Details."], f"{block_id}_rest")


def _told(moment: Moment) -> str:
    words = _TOLD.get(moment.type)
    return words(moment.facts) if words is not None else f"*{_text(moment.type)}*"


def _text(value: object) -> str:
    shown = mrkdwn(str(value))
    return shown if len(shown) <= _NAME else f"{mrkdwn(str(value)[: _NAME // 8])}…"


def _who(facts: Facts, key: str = "user") -> str:
    return user_mention(str(facts[key])) if key in facts else "somebody"


def _when(facts: Facts, key: str) -> str:
    try:
        return date(datetime.fromisoformat(str(facts.get(key))))
    except ValueError:
        return _text(facts.get(key, "no time"))


def _list(facts: Facts, key: str, shown: Callable[[str], str]) -> list[str]:
    found = [one for one in str(facts.get(key, "")).split(", ") if one]
    rest = [f"{len(found) - _MOST_LISTED} more"] if len(found) > _MOST_LISTED else []
    return [*map(shown, found[:_MOST_LISTED]), *rest]


def _made(facts: Facts) -> str:
    rule = f" under rule {_text(facts['rule'])}" if "rule" in facts else "; no rule fitted"
    return f"🤖 *Asked* by {_text(facts.get('agent'))}{rule}"


_VIEWS = {"card": "on the card, whole", "pages": "on every page of the review", "form": "in a form, whole"}


def _vote(facts: Facts) -> str:
    approves = facts.get("kind") == VoteKind.APPROVE
    word = "approved" if approves else "denied"
    forced = ", past the reviewers, as an admin" if facts.get("forced") else ""
    ahead = " ahead, and now it counts" if "standing" in facts else ""
    notes = [_VIEWS.get(str(facts.get("full_view")), "")] if approves else []
    notes += ["with a passcode"] if "step_up" in facts else []
    how = ", ".join(note for note in notes if note)
    return f"{'👍' if approves else '👎'} *{_who(facts)} {word}*{ahead}{forced}{f' (seen {how})' if how else ''}"


_DECIDED = {
    Status.APPROVED: "✅ *Approved*",
    Status.DENIED: "⛔ *Denied*",
    Status.EXPIRED: "⌛ *Expired*",
    Status.CANCELLED: "🚫 *Cancelled*",
}
_CODES = {
    **dict.fromkeys(("decided_by_votes", "approved_by_rule", "cancelled_by_agent", "deadline_passed"), ""),
    "forced": " past the reviewers",
    "denied_before": ", as the same call was before",
    PAUSED: ", whatever its rule says",
    "rule_stopped": ": the rule was stopped",
    "nobody_can_decide": ": nobody can decide it",
    "instance_revoked": ": the agent's access was revoked",
    FORBIDDEN: ": the configuration no longer allows it",
    "no_rule": ": no rule fits",
    "tool_not_allowed": ": the agent may not use the tool",
    "unknown_agent": ": the agent is not in the configuration",
    "arguments_misfit": ": the arguments do not fit the rule's schema",
    "condition_failed": ": a rule's condition failed",
    "timeout_too_short": ": the agent wanted an answer sooner than the rule lets it",
}


def _decided(facts: Facts) -> str:
    status = str(facts.get("status"))
    word = next((words for known, words in _DECIDED.items() if known == status), f"*{_text(status)}*")
    return f"{word} {_decider(facts)}{_code(facts)}"


def _decider(facts: Facts) -> str:
    if facts.get("code") == PAUSED:
        return "by a pause"
    match facts.get("by_kind"):
        case DeciderKind.PERSON:
            return f"by {_who(facts, 'by')}"
        case DeciderKind.ADMIN:
            return f"by admin {_who(facts, 'by')}"
        case DeciderKind.RULE:
            return f"by rule {_text(facts['by'])}" if "by" in facts else "without a rule"
        case DeciderKind.MEMORY:
            return "without asking"
        case DeciderKind.AGENT:
            return "by the agent"
        case DeciderKind.OPERATOR:
            return "by the operator"
        case _:
            return "by the clock: nobody decided in time"


def _code(facts: Facts) -> str:
    code = facts.get("code")
    return _CODES.get(str(code), f" ({_text(code)})") if code is not None else ""


def _revoked(facts: Facts) -> str:
    by = f" by {_who(facts, 'by')}" if facts.get("by_kind") in (DeciderKind.PERSON, DeciderKind.ADMIN) else ""
    why = {
        FORBIDDEN: ": the configuration no longer allows it",
        RESTORED: ": the database was restored from a backup",
    }.get(str(facts.get("code")), "")
    return f"🔙 *Revoked*{by}, before it was used{why}"


_OVERRIDES = {
    OverrideKind.CHANGED: "*{who} approved a changed call* in its place",
    OverrideKind.REVOKED: "*{who} revoked it*",
    OverrideKind.REVERSED: "*{who} reversed it*, by a vote cast ahead for this call",
    OverrideKind.REPORTED: "*{who} reported it as wrong*",
    OverrideKind.FORCED: "*Admin {who} forced it*, past the reviewers",
}


def _override(facts: Facts) -> str:
    kind = next((kind for kind in OverrideKind if kind == facts.get("kind")), None)
    words = "*{who} overrode it*" if kind is None else f"{OVERRIDE_SIGNS[kind]} {_OVERRIDES[kind]}"
    by = facts.get("displaced_by")
    is_rule = facts.get("displaced_by_kind") == DeciderKind.RULE
    whose = f" by {'rule ' + _text(by) if is_rule else user_mention(str(by))}" if by is not None else ""
    return f"{words.format(who=_who(facts))}; it was {was(_text(facts.get('displaced')), whose)}"


_PLACES = {
    Place.CHANNEL: "Card posted",
    Place.FALLBACK: "Card posted in the fallback channel",
    Place.DM: "Card sent as a direct message",
    Place.STEP: "Card repeated",
    Place.QUEUE: "Put on the list of waiting cards",
    Place.THREAD: "Reply posted under the card",
}


def _posted(facts: Facts) -> str:
    words = next((words for place, words in _PLACES.items() if place == facts.get("place")), "Card posted")
    where = None if facts.get("place") == Place.DM else facts.get("channel")
    return words if where is None else f"{words} in {channel_mention(str(where))}"


def _target(text: str) -> str:
    try:
        return target_name(text)
    except ValueError:
        return _text(text)


def _step(facts: Facts) -> str:
    told = _list(facts, "targets", _target)
    joining = _list(facts, "widens", _text)
    words = f"; to be told: {joined(told)}" if told else ""
    return f"⏰ *Nobody had decided*{words}{f'; {joined(joining)} may decide too' if joining else ''}"


def _untold(facts: Facts) -> str:
    """Whom something did not reach: people, or what a step names, which nobody may stand behind."""
    whom = _list(facts, "to", user_mention) or _list(facts, "target", _target)
    return f"🔕 Not told: {joined(whom) or 'a message'}{_because(facts, 'code')}"


def _because(facts: Facts, key: str) -> str:
    """Why something reached nobody: the codes on record, in words."""
    why = _list(facts, key, in_words)
    return f": {joined(why)}" if why else ""


def _widened(facts: Facts) -> str:
    people = [*_list(facts, "users", user_mention), *_list(facts, "usergroups", usergroup_mention)]
    return f"{joined(people) if people else 'Nobody'} may decide too, from {_text(facts.get('source'))}"


def _claimed(facts: Facts) -> str:
    until = f"; the next step waits until {_when(facts, 'paused_until')}" if "paused_until" in facts else ""
    return f"✋ *{_who(facts)} is on it*{until}"


_LIFTED = {"granted_anew": ": there is a newer one", "voted_since": ": there is a newer vote", RESTORED: ": restored"}


def _lifted(facts: Facts) -> str:
    if "by" in facts and facts["by"] != facts.get("user"):
        return f"*{_who(facts, 'by')} lifted {_who(facts)}'s vote ahead*"
    if "by" in facts:
        return f"*{_who(facts)} lifted their vote ahead*"
    return f"*{_who(facts)}'s vote ahead ended*{_LIFTED.get(str(facts.get('code')), '')}"


_PLACES_LOOKED_AT = ("details", "review", "changes", "why", "show")


def _of(facts: Facts) -> str:
    """Where somebody looked, in a word of ours."""
    return f": {facts['what']}" if facts.get("what") in _PLACES_LOOKED_AT else ""


_TOLD: dict[str, Callable[[Facts], str]] = {
    EventType.REQUEST_MADE: _made,
    EventType.REQUEST_DECIDED: _decided,
    EventType.REQUEST_CONSUMED: lambda facts: "🔑 *Used* by the agent",
    EventType.REQUEST_REVOKED: _revoked,
    EventType.REQUEST_LAPSED: lambda facts: "⌛ *Not used in time*: the approval is void",
    EventType.REQUEST_OVERDUE: lambda facts: "🚨 *No outcome in time*",
    EventType.REQUEST_CLAIMED: _claimed,
    EventType.REQUEST_FORGOTTEN: lambda facts: "🧹 *Arguments and notes removed*, as the retention says",
    EventType.REQUEST_LOOKED_AT: lambda facts: (
        "👀 Looked at on the command line" if "by" in facts else f"👀 {_who(facts)} looked at it{_of(facts)}"
    ),
    EventType.OUTCOME_REPORTED: lambda facts: f"🏁 *The agent says it {_text(facts.get('outcome'))}*",
    EventType.VOTE_CAST: _vote,
    EventType.VOTE_WITHDRAWN: lambda facts: f"🔄 *{_who(facts)} took their vote back*",
    EventType.OVERRIDE_MADE: _override,
    EventType.STANDING_GRANTED: lambda facts: (
        f"*{_who(facts)}'s approval waits* for the call, until {_when(facts, 'expires_at')}"
    ),
    EventType.STANDING_TAKEN: lambda facts: (
        f"{_who(facts)}'s vote ahead was taken; it was cast on #{_text(facts.get('granted_on'))}"
    ),
    EventType.STANDING_LIFTED: _lifted,
    EventType.DENIAL_REOPENED: lambda facts: f"🔓 *{_who(facts)} reopened it*: people are asked again",
    EventType.STEP_TAKEN: _step,
    EventType.STEP_SKIPPED: lambda facts: "A step was skipped: outside its hours",
    EventType.STEP_FAILED: lambda facts: f"🔕 *Nobody could be told*{_because(facts, 'codes')}",
    EventType.SEAT_WIDENED: _widened,
    EventType.PAGES_OPENED: lambda facts: f"📖 {_who(facts)} opened every page{_of(facts)}",
    EventType.CARD_POSTED: _posted,
    EventType.CARD_LOST: lambda facts: "The card was deleted in Slack",
    EventType.NOTIFICATION_SENT: lambda facts: f"🔔 Told {joined(_list(facts, 'to', user_mention)) or 'people'}",
    EventType.NOTIFICATION_FAILED: _untold,
    EventType.RECORD_EXPORTED: lambda facts: f"📦 Exported on the command line ({_text(facts.get('what'))})",
}

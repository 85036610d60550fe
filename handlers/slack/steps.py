"""The words of escalation: what comes next, who is on it, reminders, and notices to those who may not decide.

Pure. Nothing here shows an argument, the agent's claim or context: a reminder may stand on a lock screen. What a plan
names is drawn without pinging anybody, but for a reminder's own mentions.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime

from bot.config_plans import StepTable, Target, parse_target
from bot.drawings import Drawing
from bot.escalation import Position
from bot.plan_state import PlanState, Taken
from handlers.slack.blocks import Block, Message, context, line, section
from handlers.slack.call_parts import deciders, facts, some_of, wanted
from handlers.slack.pauses import paused_in_short
from handlers.slack.quorum import approvals, joined, score
from handlers.slack.reasons import in_words
from handlers.slack.text import (
    channel_mention,
    date,
    how_many,
    mrkdwn,
    name_in_mrkdwn,
    plain_date,
    soon,
    user_mention,
    usergroup_mention,
)
from store.escalation_tables import StepTarget
from store.tables import Request
from store.vocabulary import StepState, TargetState

MAX_NAMED = 4
"""So many targets of a step, and people who are on it, a card names."""
MAX_TOOL = 200


# --- the card ---------------------------------------------------------------------------------------------


def coming(drawing: Drawing, now: datetime) -> list[Block]:
    """What comes next and who is on it, in small print; nothing for a request without a plan."""
    state = drawing.plan_state
    if state is None:
        return []
    return [context([*_on_it(state, now), _next(state)], "plan")]


def _next(state: PlanState) -> str:
    if state.next is None:
        return "Nobody else is told before the deadline."
    step = state.next_step
    words = _do(step) if step is not None else "reminds the reviewers for the last time"
    return f"{soon(state.next.due_at)}: {words}."


def _on_it(state: PlanState, now: datetime) -> list[str]:
    pausing = [claim for claim in state.claims if claim.paused_until > max(now, claim.was_due_at)]
    lines = [
        f"{user_mention(one.user_id)} is on it {date(one.paused_until, 'until ')}." for one in pausing[-MAX_NAMED:]
    ]
    others = [claim for claim in state.claims if claim not in pausing]
    if others:
        lines.append(f"Said *I'm on it* before: {_people([claim.user_id for claim in reversed(others)])}.")
    return lines


def _people(users: Sequence[str]) -> str:
    rest = f" and {len(users) - MAX_NAMED} more" if len(users) > MAX_NAMED else ""
    return " ".join(map(user_mention, users[:MAX_NAMED])) + rest


def _do(step: StepTable) -> str:
    """What a step does, without pinging anybody."""
    people = sum(target.kind == "user" for target in step.targets)
    joining = {name for one in step.widen for name in one.oncall}
    asked = [target for target in step.targets if target.kind != "user"]
    words = [_DOES[one.kind](one.id) + _then(one, joining) for one in asked]
    if people:
        words.append(f"asks {how_many(people, 'more person').replace('persons', 'people')}")
    words = list(dict.fromkeys(words))
    if len(words) > MAX_NAMED:
        words = [*words[:MAX_NAMED], f"{len(words) - MAX_NAMED} more"]
    told = {target.id for target in asked if target.kind == "oncall"}
    others = [mrkdwn(group.name) for one in step.widen for group in one.groups]
    others += [f"{mrkdwn(name)} on call" for name in sorted(joining - told)]
    if others:
        words.append(f"lets {some_of(others, ', ', MAX_NAMED)} decide too")
    return joined(words)


def _then(target: Target, joining: Collection[str]) -> str:
    """Said of people on call whom the same step lets decide. A group of the rule may have their schedule's name."""
    return " (who may then decide too)" if target.kind == "oncall" and target.id in joining else ""


_DOES: dict[str, Callable[[str], str]] = {
    "thread": lambda its_id: "reminds the reviewers",
    "owners": lambda its_id: "tells the agent's owners",
    "channel": lambda its_id: f"asks in {channel_mention(its_id)}",
    "usergroup": lambda its_id: "asks a user group",
    "oncall": lambda its_id: f"asks {mrkdwn(its_id)} on call",
    "pager": lambda its_id: f"calls the pager {mrkdwn(its_id)}",
}


# --- what was done ----------------------------------------------------------------------------------------


def done_so_far(drawing: Drawing) -> Iterator[str]:
    """A line for each step that was taken, and each person who is on it, oldest first, for the details."""
    state = drawing.plan_state
    if state is None:
        return
    told = [(one.step.taken_at, _taken(one, state)) for one in state.taken]
    told += [(one.at, f"{date(one.at)}: {user_mention(one.user_id)} said *I'm on it*.") for one in state.claims]
    for _, words in sorted(told):
        yield words


def _taken(taken: Taken, state: PlanState) -> str:
    step = taken.step
    is_last = Position(step.round, step.index, step.due_at).is_reminder_of(state.plan)
    name = "*Last reminder*" if is_last else f"*Step {step.index + 1}*"
    again = f", round {step.round + 1}" if step.round else ""
    if step.state is StepState.SKIPPED:
        return f"{date(step.due_at)}: {name}{again} was skipped, outside its hours."
    became = [_all_of(taken.targets, TargetState.NOTIFIED, "told")]
    became += [
        f"could not reach {target_name(one.target)}{f': {in_words(one.code)}' if one.code else ''}"
        for one in taken.targets
        if one.state is TargetState.FAILED
    ]
    became.append(_all_of(taken.targets, TargetState.WAITING, "is about to tell"))
    failed = " Nobody was reached, so the next step came at once." if step.state is StepState.FAILED else ""
    return f"{date(step.taken_at)}: {name}{again} {'; '.join(filter(None, became))}.{failed}"


def _all_of(targets: Iterable[StepTarget], state: TargetState, words: str) -> str:
    named = [f"{target_name(one.target)}{_reached(one)}" for one in targets if one.state is state]
    return f"{words} {joined(named)}" if named else ""


def _reached(target: StepTarget) -> str:
    """Who was meant by a target that names nobody."""
    if target.reached is None or parse_target(target.target).kind not in _NAMELESS:
        return ""
    return f" ({_people(json.loads(target.reached))})"


_NAMELESS = ("oncall", "usergroup", "owners")


def target_name(text: str) -> str:
    """Name a target where mentions ping nobody: in a modal, or a message that is edited."""
    target = parse_target(text)
    match target.kind:
        case "user":
            return user_mention(target.id)
        case "usergroup":
            return usergroup_mention(target.id)
        case "channel":
            return channel_mention(target.id)
        case "oncall":
            return f"{mrkdwn(target.id)} on call"
        case "pager":
            return f"the pager {mrkdwn(target.id)}"
        case "owners":
            return "the agent's owners"
        case _:
            return "the reviewers in the thread"


# --- messages ---------------------------------------------------------------------------------------------


def still_asked(drawing: Drawing) -> list[str]:
    """Mention those who may decide and have not: user groups and people, those whose own business it is left out."""
    voted = {user_mention(vote.user_id) for vote in approvals(drawing)}
    return [mention for mention in deciders(drawing) if mention not in voted]


def render_reminder(
    drawing: Drawing, stand_ins: Iterable[str] = (), *, is_last: bool = False, others: int = 0
) -> Message:
    """A reply in a card's thread. Its mentions make phones buzz, which no edit of the card does.

    ``others``: so many more of the same rule stand on the same queue card, and are meant as well.
    """
    request = drawing.request
    asked = deciders(drawing) if others else still_asked(drawing)  # of the others nothing is approved by that
    who = some_of(list(dict.fromkeys([*asked, *map(user_mention, stand_ins)])))
    what = f"#{request.number} and {others:,} more on this list" if others else f"#{request.number}"
    title = f"Last reminder of {what}" if is_last else f"{what} still wait{'' if others else 's'} for a decision"
    far = f" {counted} approved." if (counted := score(drawing)) and not others else ""
    deadline = f"Decide{f' #{request.number}' if others else ''} by *{date(request.deadline_at)}*.{far}"
    return Message(_notification(request), [section(f"⏰ *{title}:* {who}\n{deadline}", "reminder"), *_paused(drawing)])


def render_still_waiting(drawing: Drawing) -> Message:
    """To somebody who has the card already, in the same conversation."""
    request = drawing.request
    words = f"⏰ *#{request.number} still waits for you.* Its card is above."
    return Message(_notification(request), [section(words, "reminder"), *_short(drawing)], request.deadline_at)


def render_told(drawing: Drawing, reason: str) -> Message:
    """A notice to somebody who may not decide, without buttons. ``reason``: why they get it, in mrkdwn."""
    request = drawing.request
    words = f"⏰ *#{request.number} still waits for a decision.* {reason} You may not decide it yourself."
    return Message(_notification(request), [section(words, "notice"), *_short(drawing)], request.deadline_at)


def _short(drawing: Drawing) -> list[Block]:
    return [line(wanted(drawing.request), "head"), context(facts(drawing), "facts"), *_paused(drawing)]


def _paused(drawing: Drawing) -> list[Block]:
    """Said with every request to decide: who is asked shall not find out by pressing."""
    words = paused_in_short(drawing)
    return [context([f"{words[0]}: nothing is approved meanwhile."], "paused")] if words else []


def why_told(target: str, away: str | None = None) -> str:
    """Say why somebody gets a notice. ``away``: whom they stand in for."""
    if away is not None:
        return f"You stand in for {user_mention(away)}, who is away."
    found = parse_target(target)
    match found.kind:
        case "owners":
            return "You own the agent that asks."
        case "oncall":
            return f"You are on call for {mrkdwn(found.id)}."
        case _:
            return "The plan of its rule names you."


def _notification(request: Request) -> str:
    """For the lock screen: agent, tool, number, deadline; no arguments."""
    tool = name_in_mrkdwn(request.tool[:MAX_TOOL])
    return (
        f"Still waiting: {mrkdwn(request.agent)} wants to run {tool} · #{request.number} · "
        f"decide by {plain_date(request.deadline_at)}"
    )

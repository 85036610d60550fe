"""What is said about pauses and stopped rules: answers, the form that asks why, and a line for each. Pure."""

import json
from collections.abc import Sequence

from bot.halt_notices import HaltNotice
from bot.halt_rights import Target
from bot.halted import name_of
from bot.halts import MAX_REASON, Resumed
from handlers.manifest import COMMAND
from handlers.slack.blocks import Block, Message, View, context, modal, plain, quote, section
from handlers.slack.halt_words import TIME_WORDS, written
from handlers.slack.text import date, excerpt, how_many, mrkdwn, plain_date, user_mention
from store.tables import Halt, HaltEffect, HaltScope

STOP_SUBMITTED = "halt_stop_submitted"
LIFT_SUBMITTED = "halt_lift_submitted"
REASON_BLOCK = REASON_INPUT = "halt_reason"
_MOST_LISTED = 10
MOST_NAMED = 3
"""So many stops of one target a notice tells of each way, the newest of what ended."""
_UNREAD = ("No time was read in that reason. A time is written as in `for 2h` or `until Monday 9:00`.",)
_REASON_CHARACTERS, _REASON_LINES = 300, 4


def render_paused(target: Target, halt: Halt) -> Message:
    """Say what a pause does, and how it ends; also where its reason begins like a time that could not be read."""
    unread = halt.until is None and halt.reason.lower().startswith(tuple(f"{word} " for word in TIME_WORDS))
    until = f"until {date(halt.until)}" if halt.until is not None else "until it is resumed"
    return _told(
        f"⏸ *{mrkdwn(str(target))} is paused* {until}.",
        [halt],
        "New calls are denied with this reason, nothing is approved, and no open approval is used. Deny still works.",
        f"`{COMMAND} resume {mrkdwn(written(target))} REASON` lets it go on.",
        *(_UNREAD if unread else ()),
    )


def render_stopped(target: Target, halt: Halt) -> Message:
    """Say what stopping a rule does, and how it ends."""
    return _told(
        f"🛑 *{mrkdwn(str(target))} may not approve by itself* until that is lifted.",
        [halt],
        "What it has approved already can still be used: pause it as well if that is too much.",
        f"`{COMMAND} resume {mrkdwn(written(target))} REASON` lifts it: an admin's or a reviewer's to say.",
    )


def render_resumed(target: Target, resumed: Resumed) -> Message:
    """Say what goes on, and what somebody else stopped that does not."""
    if not resumed.left and resumed.still:
        words = f"⏸ *{mrkdwn(str(target))}*: this is ended, but calls are still denied by what follows."
        return _told(words, resumed.still[:_MOST_LISTED], named=True)
    if not resumed.left:
        lifted = all(halt.effect is HaltEffect.ASK for halt in resumed.ended)
        words = "approves by itself again" if lifted and resumed.ended else "goes on"
        return _told(f"▶️ *{mrkdwn(str(target))} {words}.*", [])
    return _told(f"⏸ Your part is done, but *{mrkdwn(str(target))} does not go on yet*:", resumed.left[:_MOST_LISTED])


def render_in_force(halts: Sequence[Halt], usage: str) -> Message:
    """List what is paused and stopped, and say what can be typed."""
    title = "This is stopped now:" if halts else "Nothing is paused or stopped that you could resume."
    more = [f"{len(halts) - _MOST_LISTED} more are not listed here."] if len(halts) > _MOST_LISTED else []
    return _told(title, halts[:_MOST_LISTED], *more, f"Type `{COMMAND} {mrkdwn(usage)}`.", named=True)


def render_notice(notice: HaltNotice) -> Message:
    """Tell somebody whom it concerns what was stopped, or goes on. The lock screen has no names and no reasons."""
    target, name = notice.target, mrkdwn(str(notice.target))
    blocks: list[Block] = []
    until = None
    pauses = [one for one in notice.in_force if one.effect is HaltEffect.DENY]
    if pauses:
        last = max(pauses, key=lambda one: (one.until is None, one.until or one.at))
        until = last.until
        text = f"{name} is paused {f'until {plain_date(until)}' if until else 'until it is resumed'}."
        does = "Its new calls are denied, nothing is approved, and no open approval is used."
        words = _told(f"⏸ *{name} is paused* {_until(last)}.", notice.in_force[:MOST_NAMED], does)
    elif notice.in_force:
        text = f"{name} may not approve by itself now."
        words = _told(f"🛑 *{name} may not approve by itself* until that is lifted.", notice.in_force[:MOST_NAMED])
    else:
        words = render_resumed(target, Resumed(notice.ended, still=notice.still))
        text = f"{name} is still paused by others." if notice.still else f"{name} goes on."
    blocks += words.blocks
    if (rest := len(notice.in_force) - MOST_NAMED) > 0:
        blocks.append(context([f"{how_many(rest, 'more stop')} of it."], "others"))
    for one in notice.ended[-MOST_NAMED:]:
        blocks += _ended(one)
    if (rest := len(notice.ended) - MOST_NAMED) > 0:
        blocks.append(context([f"{how_many(rest, 'earlier one')} ended too."], "earlier"))
    why = "as an admin, or because you own an agent" if target.scope is HaltScope.ALL else "because you own an agent"
    blocks.append(context([f"You are told {why} that it touches."], "why_told"))
    return Message(text, blocks, until)


def _until(halt: Halt) -> str:
    return date(halt.until, "until ") if halt.until is not None else "until it is resumed"


def _ended(halt: Halt) -> list[Block]:
    """Who ended a stop, and why; also whose it was and why, which its beginning may not have told."""
    done = "paused" if halt.effect is HaltEffect.DENY else "stopped"
    by = f"{user_mention(halt.ended_by)} ended it" if halt.ended_by is not None else "its time was over"
    at = f", {date(halt.ended_at)}" if halt.ended_at is not None else ""
    blocks = [context([f"It was {done} by {user_mention(halt.user_id)}, {date(halt.at)}; {by}{at}:"], f"end_{halt.id}")]
    if halt.end_reason:
        shown = excerpt(halt.end_reason, _REASON_CHARACTERS, _REASON_LINES).shown
        blocks.append(quote(shown, f"end_reason_{halt.id}"))
    return blocks


def render_form(title: str, callback_id: str, rule: str, *, asks: bool, modal_id: str) -> View:
    """Ask why a rule is to be stopped, or why that is lifted."""
    if callback_id == STOP_SUBMITTED:
        instead = "asks its reviewers about each call" if asks else "denies each call, as it names nobody to ask"
        words = f"Rule *{mrkdwn(rule)}* then {instead}, until an admin or a reviewer lifts that."
    else:
        words = f"Rule *{mrkdwn(rule)}* then approves by itself again."
    blocks: list[Block] = [
        section(words, "what"),
        reason_block(),
    ]
    return modal(
        title, blocks, external_id=modal_id, callback_id=callback_id, private_metadata=json.dumps({"rule": rule}),
        submit=title, close="Cancel",
    )  # fmt: skip


def reason_block() -> Block:
    """The field that asks why something is stopped, or goes on."""
    return {
        "type": "input",
        "block_id": REASON_BLOCK,
        "label": plain("Why?"),
        "hint": plain("It is kept on record; agents and people who meet the stop read it."),
        "element": {
            "type": "plain_text_input",
            "action_id": REASON_INPUT,
            "multiline": True,
            "max_length": MAX_REASON,
        },
    }


def _told(words: str, halts: Sequence[Halt], *small: str, named: bool = False) -> Message:
    blocks: list[Block] = [section(words, "answer")]
    for halt in halts:
        blocks.append(context([who_stopped(halt, named=named)], f"halt_{halt.id}"))
        part = excerpt(halt.reason, _REASON_CHARACTERS, _REASON_LINES)
        blocks.append(quote(part.shown, f"reason_{halt.id}"))
        if part.left_out:
            blocks.append(context([f"{how_many(part.left_out, 'more character')} of it."], f"rest_{halt.id}"))
    if small:
        blocks.append(context(small, "more"))
    return Message(words, blocks)


def who_stopped(halt: Halt, *, named: bool) -> str:
    done = "paused" if halt.effect is HaltEffect.DENY else "stopped"
    what = f"*{mrkdwn(name_of(halt.scope, halt.name))}* was {done}" if named else done.capitalize()
    until = f", until {date(halt.until)}" if named and halt.until is not None else ""
    return f"{what} by {user_mention(halt.user_id)}, {date(halt.at)}{until}:"

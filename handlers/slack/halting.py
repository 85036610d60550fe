"""Pausing and resuming by slash command, and *Stop this rule* on a gathered notice.

Who may is ``bot.halts``'. A form keeps no record of ours: it names what it is about, and what is sent with it is judged
by the rights of whoever sends it, as the same typed by hand would be. Reasons never reach the log.
"""

import json
from collections.abc import Sequence

import structlog

from bot.clock import Clock
from bot.digests import Digests
from bot.errors import FactsUnavailable, ReasonMissing, Refusal, UnknownCard
from bot.halted import can_ask, name_of
from bot.halts import MAX_REASON, Halts, Resumed, Target
from bot.hearings import Act
from bot.people import Directory, zone_of
from bot.rulebook import Rulebook
from handlers.manifest import COMMAND
from handlers.slack import digest_card
from handlers.slack.actions import Actions
from handlers.slack.blocks import Block, Message, View, context, modal, plain, quote, section
from handlers.slack.commands import Subcommand
from handlers.slack.halt_words import USAGE, parse_target, parse_until, said_in, written
from handlers.slack.payloads import BadPayload, Body, Click, Command, Submission
from handlers.slack.text import date, excerpt, how_many, mrkdwn, user_mention, without_hidden
from store.tables import Digest, Halt, HaltEffect, HaltScope

STOP_SUBMITTED = "halt_stop_submitted"
LIFT_SUBMITTED = "halt_lift_submitted"
REASON_BLOCK = REASON_INPUT = "halt_reason"
_MOST_LISTED = 10
_REASON_CHARACTERS, _REASON_LINES = 300, 4

log = structlog.get_logger(__name__)


class Halting:
    """The subcommands ``pause`` and ``resume``, and the buttons and forms of gathered notices."""

    def __init__(self, halts: Halts, digests: Digests, rulebook: Rulebook, directory: Directory, clock: Clock) -> None:
        self._halts = halts
        self._digests = digests
        self._rulebook = rulebook
        self._directory = directory
        self._clock = clock

    def subcommands(self) -> list[Subcommand]:
        return [
            Subcommand("pause", f"pause {USAGE} [for 2h] REASON", "deny its calls and let no approval of it be used; "
                       "alone: what is paused", self._pause),
            Subcommand("resume", f"resume {USAGE} REASON", "let what was paused or stopped go on", self._resume),
        ]  # fmt: skip

    def join(self, actions: Actions) -> None:
        """Take the buttons of gathered notices, and their forms."""
        self._open = actions.desk.open
        actions.add_press("card", digest_card.STOP, self._ask_to_stop)
        actions.add_press("card", digest_card.LIFT, self._ask_to_lift)
        actions.add_form(STOP_SUBMITTED, self._stop)
        actions.add_form(LIFT_SUBMITTED, self._lift)

    # --- typed ---

    async def _pause(self, command: Command, rest: str) -> Message:
        if not rest:
            return render_in_force(await self._halts.in_force_for(command.user_id), f"pause {USAGE} [for 2h] REASON")
        target, rest = await self._target(command.user_id, rest)
        zone = zone_of((await self._directory.load_facts({command.user_id}, ())).people[command.user_id])
        until, reason = parse_until(said_in(rest), self._clock(), zone)
        if not without_hidden(reason).strip():
            raise ReasonMissing(f"Say why, as in {COMMAND} pause {written(target)} for 2h it refunds too much. "
                                "Nothing changed.")  # fmt: skip
        halt = await self._halts.pause(target, _act(command), reason, until)
        log.info("paused", scope=target.scope.value, name=target.name, user=command.user_id, timed=until is not None)
        return render_paused(target, halt)

    async def _resume(self, command: Command, rest: str) -> Message:
        if not rest:
            return render_in_force(await self._halts.in_force_for(command.user_id), f"resume {USAGE} REASON")
        target, rest = await self._target(command.user_id, rest)
        reason = said_in(rest)
        if not without_hidden(reason).strip():
            raise ReasonMissing(f"Say why, as in {COMMAND} resume {written(target)} it is repaired. Nothing changed.")
        resumed = await self._halts.resume(target, _act(command), reason)
        log.info("resumed", scope=target.scope.value, name=target.name, user=command.user_id, left=len(resumed.left))
        return render_resumed(target, resumed)

    async def _target(self, user_id: str, text: str) -> tuple[Target, str]:
        """Find out what is meant: of today's configuration, or what was stopped and is not in it any more."""
        await self._halts.refuse_stranger(user_id)
        settings = self._rulebook.policy.settings
        stopped = await self._halts.in_force()
        agents = {*settings.agents, *(halt.name for halt in stopped if halt.scope is HaltScope.AGENT)}
        rules = {
            *(rule.name for rule in settings.rules), *(halt.name for halt in stopped if halt.scope is HaltScope.RULE)
        }  # fmt: skip
        return parse_target(text, agents, rules)

    # --- on a gathered notice ---

    async def _ask_to_stop(self, click: Click) -> None:
        await self._ask(click, "Stop the rule", STOP_SUBMITTED)

    async def _ask_to_lift(self, click: Click) -> None:
        await self._ask(click, "Lift the stop", LIFT_SUBMITTED)

    async def _ask(self, click: Click, title: str, callback_id: str) -> None:
        """Open the form that asks why, about the rule of the notice that was pressed."""
        digest = await self._pressed(click)

        async def build(modal_id: str) -> View:
            await self._halts.refuse_stranger(click.user_id)
            rule = next((one for one in self._rulebook.policy.settings.rules if one.name == digest.rule), None)
            asks = rule is not None and can_ask(rule)
            return render_form(title, callback_id, digest.rule, asks=asks, modal_id=modal_id)

        await self._open(click, title, build)

    async def _pressed(self, click: Click) -> Digest:
        found = await self._digests.at(click.channel or "", click.ts or "")
        if found is None:
            raise UnknownCard
        return found

    async def _stop(self, submission: Submission) -> Body:
        return await self._take(submission, stops=True)

    async def _lift(self, submission: Submission) -> Body:
        return await self._take(submission, stops=False)

    async def _take(self, submission: Submission, *, stops: bool) -> Body:
        """Do what a form asks for; a reason that is none is said at its field."""
        target = Target(HaltScope.RULE, _rule_in(submission.private_metadata))
        reason = submission.values.get(REASON_BLOCK, {}).get(REASON_INPUT) or ""
        if not without_hidden(reason).strip():
            return _at_field(ReasonMissing())
        act = Act(submission.act_id, submission.user_id, submission.team_id, "modal")
        try:
            if stops:
                said = render_stopped(target, await self._halts.stop_rule(target.name, act, reason))
            else:
                said = render_resumed(target, await self._halts.resume(target, act, reason, HaltEffect.ASK))
        except (ReasonMissing, FactsUnavailable) as error:
            return _at_field(error)
        log.info("stopped" if stops else "lifted", rule=target.name, user=submission.user_id)
        return {"response_action": "update", "view": modal("Done", said.blocks)}


def _at_field(error: Refusal) -> Body:
    return {"response_action": "errors", "errors": {REASON_BLOCK: error.message}}


def _act(command: Command) -> Act:
    return Act(command.trigger_id, command.user_id, command.team_id, "command")


def _rule_in(private_metadata: str) -> str:
    """Read which rule a form is about. Raises ``BadPayload``."""
    try:
        carried = json.loads(private_metadata)
    except (ValueError, RecursionError) as error:
        raise BadPayload("private_metadata is not what we wrote") from error
    rule = carried.get("rule") if isinstance(carried, dict) else None
    if not isinstance(rule, str):
        raise BadPayload("private_metadata is not what we wrote")
    return rule


# --- words ---


def render_paused(target: Target, halt: Halt) -> Message:
    """Say what a pause does, and how it ends."""
    until = f"until {date(halt.until)}" if halt.until is not None else "until it is resumed"
    return _told(
        f"⏸ *{mrkdwn(str(target))} is paused* {until}.",
        [halt],
        "New calls are denied with this reason, nothing is approved, and no open approval is used. Deny still works.",
        f"`{COMMAND} resume {mrkdwn(written(target))} REASON` lets it go on.",
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


def render_form(title: str, callback_id: str, rule: str, *, asks: bool, modal_id: str) -> View:
    """Ask why a rule is to be stopped, or why that is lifted."""
    if callback_id == STOP_SUBMITTED:
        instead = "asks its reviewers about each call" if asks else "denies each call, as it names nobody to ask"
        words = f"Rule *{mrkdwn(rule)}* then {instead}, until an admin or a reviewer lifts that."
    else:
        words = f"Rule *{mrkdwn(rule)}* then approves by itself again."
    blocks: list[Block] = [
        section(words, "what"),
        {
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
        },
    ]
    return modal(
        title, blocks, external_id=modal_id, callback_id=callback_id, private_metadata=json.dumps({"rule": rule}),
        submit=title, close="Cancel",
    )  # fmt: skip


def _told(words: str, halts: Sequence[Halt], *small: str, named: bool = False) -> Message:
    blocks: list[Block] = [section(words, "answer")]
    for halt in halts:
        blocks.append(context([_who(halt, named=named)], f"halt_{halt.id}"))
        part = excerpt(halt.reason, _REASON_CHARACTERS, _REASON_LINES)
        blocks.append(quote(part.shown, f"reason_{halt.id}"))
        if part.left_out:
            blocks.append(context([f"{how_many(part.left_out, 'more character')} of it."], f"rest_{halt.id}"))
    if small:
        blocks.append(context(small, "more"))
    return Message(words, blocks)


def _who(halt: Halt, *, named: bool) -> str:
    done = "paused" if halt.effect is HaltEffect.DENY else "stopped"
    what = f"*{mrkdwn(name_of(halt.scope, halt.name))}* was {done}" if named else done.capitalize()
    until = f", until {date(halt.until)}" if named and halt.until is not None else ""
    return f"{what} by {user_mention(halt.user_id)}, {date(halt.at)}{until}:"

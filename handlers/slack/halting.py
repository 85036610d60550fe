"""Pausing and resuming by slash command, and *Stop this rule* on a gathered notice.

Who may is ``bot.halts``'. A form keeps no record of ours: it names what it is about, and what is sent with it is judged
by the rights of whoever sends it, as the same typed by hand would be. Reasons never reach the log.
"""

import json

import structlog

from bot.clock import Clock
from bot.digests import Digests
from bot.errors import FactsUnavailable, ReasonMissing, Refusal, UnknownCard
from bot.halt_rights import Target
from bot.halted import can_ask
from bot.halts import Halts
from bot.hearings import Act
from bot.people import Directory, zone_of
from bot.rulebook import Rulebook
from handlers.manifest import COMMAND
from handlers.slack import digest_card
from handlers.slack.actions import Actions
from handlers.slack.blocks import Message, View, modal
from handlers.slack.commands import Subcommand
from handlers.slack.halt_answers import (
    LIFT_SUBMITTED,
    REASON_BLOCK,
    REASON_INPUT,
    STOP_SUBMITTED,
    render_form,
    render_in_force,
    render_paused,
    render_resumed,
    render_stopped,
)
from handlers.slack.halt_words import USAGE, parse_target, parse_until, written
from handlers.slack.payloads import BadPayload, Body, Click, Command, Submission
from handlers.slack.plain import said_in
from handlers.slack.text import without_hidden
from store.tables import Digest, HaltEffect, HaltScope

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
        self._desk = actions.desk
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
        self._desk.refresh_home(command.user_id)
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
        self._desk.refresh_home(command.user_id)
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

        await self._desk.open(click, title, build)

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
            return at_field(ReasonMissing())
        act = Act(submission.act_id, submission.user_id, submission.team_id, "modal")
        try:
            if stops:
                said = render_stopped(target, await self._halts.stop_rule(target.name, act, reason))
            else:
                said = render_resumed(target, await self._halts.resume(target, act, reason, HaltEffect.ASK))
        except (ReasonMissing, FactsUnavailable) as error:
            return at_field(error)
        log.info("stopped" if stops else "lifted", rule=target.name, user=submission.user_id)
        self._desk.refresh_home(submission.user_id)
        return {"response_action": "update", "view": modal("Done", said.blocks)}


def at_field(error: Refusal) -> Body:
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

"""Carries a plan's steps out in Slack: the thread, copies of the card, people on call, owners, pagers.

Whom a target means is asked now, and whoever may decide is judged with fresh facts under the rule as widened by now:
they get the card with working buttons, the others a notice. What Slack takes later is tried again for as long as the
request is pending; what it never takes is a failed target with Slack's code. Nothing here decides a request, and
nothing is sent twice: what an earlier try may have sent is looked for first.
"""

import json
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

import structlog

from bot.clock import Clock
from bot.config_plans import Target, parse_target
from bot.drawings import Drawing
from bot.errors import FactsUnavailable
from bot.notices import facts_of
from bot.oncall import OnCallNow, OnCallTrouble
from bot.outbox import Job, Outbox
from bot.people import Directory
from bot.queues import Queues
from bot.step_targets import StepToCarry
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.pagers import PagerTrouble
from handlers.slack.blocks import Message
from handlers.slack.client import SlackClient
from handlers.slack.copies import PATIENT_TRIES, Copies, Turns
from handlers.slack.places import is_less_private, why_closed
from handlers.slack.reach import Outcome, Reach
from handlers.slack.recipients import Recipients, find_recipients
from handlers.slack.replies import TOLD_TOGETHER, Replies
from handlers.slack.steps import render_still_waiting, render_told, why_told
from handlers.slack.telling import Teller
from handlers.slack.trouble import SlackTrouble, Temporary
from store.tables import Card, CardState, Place, Status
from store.vocabulary import TargetState

MOST_DMS = 50  # people written to one by one
_ASK_AGAIN = (OnCallTrouble.GROUP_UNAVAILABLE, OnCallTrouble.PEOPLE_UNAVAILABLE)
_OUTDATED = (OnCallTrouble.GROUP_UNAVAILABLE, OnCallTrouble.CALENDAR_UNAVAILABLE)
"""What is remembered from before serves to tell people, and gives nobody a right."""

log = structlog.get_logger(__name__)


class Escalating:
    """Carries ``IntentKind.NOTIFY`` out. ``posts`` is the pace of all new messages."""

    def __init__(
        self,
        client: SlackClient,
        directory: Directory,
        outbox: Outbox,
        queues: Queues,
        reach: Reach,
        teller: Teller,
        posts: Pacer,
        clock: Clock,
        faults: Callable[[str], None],
    ) -> None:
        self._client = client
        self._directory = directory
        self._outbox = outbox
        self._reach = reach
        self._teller = teller
        self._clock = clock
        self._faults = faults
        self._turns = Turns(posts, clock)
        self._copies = Copies(client, directory, outbox, self._turns, clock)
        self._replies = Replies(client, directory, outbox, queues, reach.stand_ins, self._turns)

    async def carry_out(self, job: Job) -> None:
        """Notify one target of a step, and settle it. Raises what asks to be tried again later."""
        target_id = int(facts_of(job.intent).get("step_target", 0))
        step = await self._reach.targets.load(target_id)
        if step.target.state is not TargetState.WAITING:
            await self._outbox.done(job)
            return
        if _is_over(job, self._clock()):
            await self._end_copies(job, step)
            await self._settle(job, step, Outcome().fail("decided"))
            return
        await self._widen(job, step)
        if step.planned is not None and step.planned.widen:
            # Another target of the step may have widened it after this job was loaded.
            loaded = await self._outbox.load(job.intent)
            job = loaded if isinstance(loaded, Job) else job
        target = parse_target(step.target.target)
        if target.kind == "thread":
            outcome = await self._remind(job, step)
        elif target.kind == "channel":
            outcome = await self._repeat(job, step, target.id)
        elif target.kind == "pager":
            outcome = await self._page(job, step, target.id)
        else:
            outcome = await self._tell(job, step, target)
        await self._end_copies(job, step)  # of people who were meant at an earlier try, and are not any more
        await self._settle(job, step, outcome)

    async def _settle(self, job: Job, step: StepToCarry, outcome: Outcome) -> None:
        """Somebody reached is a target notified. Those in Do Not Disturb are not where the step has other targets."""
        code = next(iter(dict.fromkeys(outcome.codes)), None)
        reached = list(dict.fromkeys(outcome.reached))
        if reached and _has_others(step) and await self._all_disturbed(reached):
            state, code = TargetState.FAILED, "do_not_disturb"
        elif reached:
            state, code = TargetState.NOTIFIED, TOLD_TOGETHER if outcome.together else None
        else:
            state, code = TargetState.FAILED, code or "nobody_to_notify"
        if state is TargetState.FAILED and code is not None and code != "decided":
            self._note(job, step, code)
        await self._reach.targets.settle(
            step.target.id, state, code, json.dumps(reached) if reached else None, intent=job.intent
        )

    async def _all_disturbed(self, reached: list[str]) -> bool:
        """Whether all of them are people who want no notifications now. What Slack does not tell counts as reached."""
        now = self._clock()
        for one in reached:
            if one[:1] not in ("U", "W"):
                return False
            try:
                if not (await self._client.load_do_not_disturb(one)).holds(now):
                    return False
            except SlackTrouble:
                return False
        return True

    # --- who may decide from now on ---

    async def _widen(self, job: Job, step: StepToCarry) -> None:
        """Let those on call decide whom the step lets, whatever becomes of notifying.

        Who is on call by what is known now: neither a user group that Slack does not tell about, nor a calendar that
        was last read long ago, lets anybody decide.
        """
        for seat, name in step.joining:
            on_call = await self._reach.oncall.on_call(name, self._clock())
            if on_call.trouble in _ASK_AGAIN and job.intent.attempts < PATIENT_TRIES:
                raise FactsUnavailable
            if on_call.users and on_call.trouble not in _OUTDATED:
                await self._reach.targets.widen_by_oncall(step.step.id, seat, name, on_call.users, ())
            else:
                code = on_call.trouble or OnCallTrouble.NO_ONE
                log.warning("not_widened", request=step.request.number, oncall=name, code=code)
                self._faults(code)

    # --- the thread ---

    async def _remind(self, job: Job, step: StepToCarry) -> Outcome:
        cards = [card for card in await self._outbox.cards_of(step.request) if card.step_target_id is None]
        standing = await self._outbox.card_in_channel(step.request.number)
        if standing is not None:
            return await self._replies.reply(job, step, standing)
        if any(card.state is CardState.POSTING and card.place is not Place.THREAD for card in cards):
            raise NotNow("card_not_posted")
        return await self._remind_in_dms(job, step, cards, "card_gone")

    async def _remind_in_dms(self, job: Job, step: StepToCarry, cards: Iterable[Card], code: str) -> Outcome:
        """Where the cards went to people one by one, remind those who have not approved."""
        approved = {vote.user_id for vote in job.drawing.votes}
        people = [
            card.target
            for card in cards
            if card.place is Place.DM and card.state is CardState.LIVE and card.target not in approved
        ]
        outcome = Outcome()
        if not people:
            return outcome.fail(code)
        later = await self._write(job, step, outcome, [(people[:MOST_DMS], render_still_waiting(job.drawing))])
        if later is not None:
            outcome.try_again(later)
        return outcome

    # --- a copy in another channel ---

    async def _repeat(self, job: Job, step: StepToCarry, channel: str) -> Outcome:
        outcome, rule = Outcome(), job.drawing.rule
        if rule is None or rule.channel is None:
            return outcome.fail("no_rule")
        if closed := await why_closed(self._directory, channel, external=rule.external):
            return outcome.fail(closed)
        if channel != rule.channel and await is_less_private(self._directory, rule.channel, channel):
            return outcome.fail("less_private")
        card = await self._outbox.plan_copy(step.request, Place.STEP, channel, step.target.id)
        if card.step_target_id != step.target.id:
            # It stands there from an earlier round, or was posted there first.
            if card.state is CardState.POSTING:
                raise NotNow("card_not_posted")
            return await self._replies.reply(job, step, card)
        if code := await self._copies.post(job, card):
            return outcome.fail(code)
        outcome.reached.append(channel)
        return outcome

    async def _end_copies(self, job: Job, step: StepToCarry) -> None:
        """Of copies that are not posted any more: find what may be in Slack, to be drawn anew; drop the rest."""
        for card in await self._outbox.cards_of(step.request):
            is_own = card.step_target_id == step.target.id and card.state is CardState.POSTING
            if is_own and not await self._copies.find(job, card):
                await self._outbox.drop(card)

    # --- people ---

    async def _tell(self, job: Job, step: StepToCarry, target: Target) -> Outcome:
        outcome, rule = Outcome(), job.drawing.rule
        if rule is None:
            return outcome.fail("no_rule")
        people, code = await self._people(job, target)
        if not people:
            return outcome.fail(code or "nobody_to_notify")
        stand_ins = await self._reach.stand_ins(people)
        found = await find_recipients(
            self._directory, job.drawing, rule, people[:MOST_DMS], stand_ins, self._clock(),
            is_patient=job.intent.attempts < PATIENT_TRIES,
        )  # fmt: skip
        outcome.codes += found.codes
        return await self._reach_out(job, step, found, outcome)

    async def _people(self, job: Job, target: Target) -> tuple[list[str], str | None]:
        """Who is meant by a target now; if nobody, why."""
        is_patient = job.intent.attempts < PATIENT_TRIES
        match target.kind:
            case "user":
                return [target.id], None
            case "owners":
                return sorted(job.drawing.parties.owners), "no_owners"
            case "usergroup":
                facts = await self._directory.load_facts((), (target.id,))
                if target.id in facts.unknown_groups and is_patient:
                    raise FactsUnavailable
                return sorted(facts.groups.get(target.id, ())), "usergroup_unknown"
            case _:
                on_call: OnCallNow = await self._reach.oncall.on_call(target.id, self._clock())
                if not on_call.users and on_call.trouble in _ASK_AGAIN and is_patient:
                    raise FactsUnavailable
                return list(on_call.users), on_call.trouble or OnCallTrouble.NO_ONE

    async def _reach_out(self, job: Job, step: StepToCarry, found: Recipients, outcome: Outcome) -> Outcome:
        """Send cards to those who may decide and notices to the others. One who fails keeps it from nobody."""
        siblings = _targets_beside(job.drawing, step)
        reminded: list[str] = []
        later: NotNow | Temporary | None = None
        for user in found.deciding:
            card = await self._outbox.plan_copy(step.request, Place.DM, user, step.target.id)
            if card.step_target_id != step.target.id:
                if card.step_target_id in siblings:
                    outcome.reached.append(user)  # by another target of this very step
                else:
                    reminded.append(user)
                continue
            try:
                code = await self._copies.post(job, card)
            except (NotNow, Temporary) as trouble:
                later = trouble
                continue
            if code is None:
                outcome.reached.append(user)
            else:
                outcome.fail(code)
        target = step.target.target
        notices = [([user], render_told(job.drawing, why_told(target, away))) for user, away in found.told.items()]
        later = (
            await self._write(job, step, outcome, [(reminded, render_still_waiting(job.drawing)), *notices]) or later
        )
        if later is not None:
            outcome.try_again(later)
        return outcome

    async def _write(
        self, job: Job, step: StepToCarry, outcome: Outcome, letters: Collection[tuple[list[str], Message]]
    ) -> NotNow | Temporary | None:
        """Write to people one by one, each once however often it is tried, and however many targets mean them.

        Returns what asks to be tried again later.
        """
        failed: set[str] = set()
        own = await self._reach.targets.take_on(step, [person for people, _ in letters for person in people])

        def give_up(code: str, person: str) -> None:
            failed.add(person)
            outcome.fail(code)

        later: NotNow | Temporary | None = None
        for people, message in letters:
            outcome.reached += [person for person in people if person not in own]
            mine = [person for person in people if person in own]
            try:
                await self._teller.tell(job.intent, mine, message, give_up)
            except (NotNow, Temporary) as trouble:
                later = trouble
            else:
                outcome.wrote |= bool(mine)
                outcome.reached += [person for person in mine if person not in failed]
        return later

    # --- pagers ---

    async def _page(self, job: Job, step: StepToCarry, name: str) -> Outcome:
        outcome = Outcome()
        if self._reach.pagers is None:
            return outcome.fail("pager_unavailable")
        try:
            await self._reach.pagers.page(name, job.drawing, step.step)
        except PagerTrouble as trouble:
            if not trouble.is_final:
                raise NotNow(trouble.code, trouble.retry_after) from trouble
            return outcome.fail(trouble.code)
        outcome.reached.append(f"pager:{name}")
        return outcome

    # --- inside ---

    def _note(self, job: Job, step: StepToCarry, code: str) -> None:
        log.warning("target_not_reached", request=job.drawing.request.number, target=step.target.target, code=code)
        self._faults(code)


def _is_over(job: Job, now: datetime) -> bool:
    request = job.drawing.request
    return request.status is not Status.PENDING or now >= request.deadline_at


def _has_others(step: StepToCarry) -> bool:
    """Whether the step has another target than this."""
    return step.planned is not None and len(set(step.planned.notify)) > 1


def _targets_beside(drawing: Drawing, step: StepToCarry) -> set[int]:
    """The ids of the same step's targets."""
    taken = drawing.plan_state.taken if drawing.plan_state is not None else ()
    return {target.id for one in taken if one.step.id == step.step.id for target in one.targets}

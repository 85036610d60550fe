"""Reminders of a plan's step in a card's thread: they mention those who may still decide, which no edit of a card does.

Under a queue card one speaks for all that stand on it and ask the same people by the same step: one each would keep the
channel from everything else for as long as a card each would have.
"""

from datetime import timedelta

from bot.drawings import Drawing
from bot.errors import FactsUnavailable
from bot.outbox import Job, Outbox
from bot.people import Directory
from bot.policy import reviewer_usergroups, reviewer_users
from bot.queues import Queues
from bot.step_targets import StepToCarry
from handlers.delivery import NotNow
from handlers.slack.client import SlackClient
from handlers.slack.copies import Turns, final_code
from handlers.slack.places import why_closed
from handlers.slack.reach import Outcome, StandIns
from handlers.slack.steps import render_reminder, still_asked
from handlers.slack.trouble import ContentRefused, MessageGone, PlaceClosed, Refused, Temporary
from store.tables import Card

STEP_EVENT = "signoff_step"
"""The type of the metadata by which a reply is found again."""
TOLD_TOGETHER = "told_together"
"""The code of a reminder that another one under the same queue card stands for."""
TOGETHER = timedelta(minutes=1)
"""A reminder under a queue card speaks for what else is on it and due by then, and for so long after."""


class Replies:
    """Posts them, each once."""

    def __init__(
        self,
        client: SlackClient,
        directory: Directory,
        outbox: Outbox,
        queues: Queues,
        stand_ins: StandIns,
        turns: Turns,
    ) -> None:
        self._client = client
        self._directory = directory
        self._outbox = outbox
        self._queues = queues
        self._stand_ins = stand_ins
        self._turns = turns
        self._under_way: set[tuple[int, int | None, int, int]] = set()  # queue cards, with whom they remind, and why

    async def reply(self, job: Job, step: StepToCarry, card: Card) -> Outcome:
        """Post a reply under a card that mentions who may still decide."""
        outcome = Outcome()
        if card.channel is None or card.ts is None or job.drawing.rule is None:
            return outcome.fail("card_gone")
        if closed := await why_closed(self._directory, card.channel, external=job.drawing.rule.external):
            return outcome.fail(closed)
        if not still_asked(job.drawing):
            return outcome.fail("nobody_left_to_ask")
        mark: dict[str, object] = {"request_id": step.request.id, "step_target": step.target.id}
        if job.intent.attempts > 1:
            async for sighting in self._client.load_own_replies(card.channel, card.ts):
                if sighting.event_type == STEP_EVENT and sighting.event_payload == mark:
                    outcome.reached.append(card.channel)
                    return outcome
        if card.queue_id is None:
            return await self._post(job, step, card, outcome, mark)
        return await self._post_for_all(job, step, card, outcome, mark)

    async def _post_for_all(
        self, job: Job, step: StepToCarry, card: Card, outcome: Outcome, mark: dict[str, object]
    ) -> Outcome:
        """Post a reply under a queue card, for all that stand on it and ask the same people; unless one was."""
        if card.queue_id is None or card.channel is None:
            return outcome.fail("card_gone")
        place = card.queue_id, step.request.rule_id, step.step.round, step.step.index
        if place in self._under_way:
            raise NotNow("reminder_under_way", timedelta(seconds=1), counts=False)
        self._under_way.add(place)
        try:
            together = await self._queues.asked_together(card.queue_id, step.request, step.step)
            if together.reminded_at is not None and together.reminded_at > step.step.taken_at - TOGETHER:
                self._turns.leave(card.channel, job)
                outcome.reached.append(card.channel)
                outcome.together = True
                return outcome
            return await self._post(job, step, card, outcome, mark, others=together.others)
        finally:
            self._under_way.discard(place)

    async def _post(
        self, job: Job, step: StepToCarry, card: Card, outcome: Outcome, mark: dict[str, object], *, others: int = 0
    ) -> Outcome:
        if card.channel is None or card.ts is None:
            return outcome.fail("card_gone")
        self._turns.wait(card.channel, job)
        message = render_reminder(
            job.drawing, await self._stand_ins_in(job.drawing), is_last=step.planned is None, others=others
        )
        metadata = {"event_type": STEP_EVENT, "event_payload": mark}
        try:
            await self._client.post(card.channel, message.text, message.blocks, metadata, thread_ts=card.ts)
        except Temporary as trouble:
            self._turns.hold(card.channel, trouble)
            raise
        except MessageGone:
            await self._outbox.card_deleted(card.channel, card.ts)
            raise NotNow("card_gone") from None
        except (PlaceClosed, ContentRefused, Refused) as trouble:
            return outcome.fail(final_code(trouble, job))
        outcome.reached.append(card.channel)
        return outcome

    async def _stand_ins_in(self, drawing: Drawing) -> list[str]:
        """Who stands in for those whom a reminder mentions, by name or with their user group."""
        if drawing.rule is None:
            return []
        users = set(reviewer_users(drawing.rule))
        try:
            facts = await self._directory.load_facts((), reviewer_usergroups(drawing.rule))
        except FactsUnavailable:
            pass  # the reminder itself does not wait for that
        else:
            users.update(*facts.groups.values())
        return sorted(set((await self._stand_ins(users)).values()))

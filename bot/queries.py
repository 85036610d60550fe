"""What people may ask for in Slack, and who may see what.

A request is visible to those who are in a channel with one of its cards, to the reviewers of its rule, and to the
admins; to guests and members of other teams never. What is hidden and what does not exist are answered alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from bot.clock import Clock
from bot.config import FrozenRule
from bot.drawings import Drawing, load_drawing
from bot.hearings import is_pressable
from bot.people import Directory, Facts
from bot.policy import Parties, judge, reviewer_usergroups, reviews
from bot.redaction import Redactor
from bot.references import find_request
from bot.rulebook import Rulebook
from bot.sight import Sights
from bot.tellings import record_look, record_pages
from store import statements, statements_reports
from store.engine import Store
from store.statements_reports import Waiter
from store.tables import Card, FullView, Modal, ModalKind, Place, Request
from store.unit import Unit

MAX_LISTED = 200

_LOOKS = (ModalKind.DETAILS, ModalKind.REVIEW, ModalKind.CHANGES, ModalKind.WHY)
"""Modals that show what is stored of a request, opened to look; what is opened to decide leads to votes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as one person sees it. ``may_decide``: whether they could decide it as things stand."""

    drawing: Drawing
    cards: tuple[Card, ...]
    may_decide: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is pending, as far as one person may see it: numbers of requests, by deadline.

    ``for_them`` has what waits for somebody: they may decide it and have not voted. ``given`` has what they voted on
    and waits for others, ``may_decide`` all that they may decide. ``untold``: see ``bot.sight``.
    """

    all: tuple[int, ...]
    for_them: tuple[int, ...]
    may_decide: frozenset[int]
    given: tuple[int, ...]
    untold: int = 0


class Queries:
    """Use cases that only read. ``sights``: how far people see."""

    def __init__(
        self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory, redactor: Redactor
    ) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory
        self._redactor = redactor
        self.sights = Sights(store, clock, rulebook, directory)

    async def pending(self, user_id: str) -> list[Seen]:
        """Return the pending requests that a person may see, at most ``MAX_LISTED`` of the soonest deadlines.

        How many there are beside these, ``waiting`` says. Raises ``FactsUnavailable``.
        """
        waiting = await self.waiting(user_id)
        return await self.draw(waiting, waiting.all[:MAX_LISTED])

    async def waiting(
        self, user_id: str, *, to: str | None = None, channel: str | None = None, agent: str | None = None
    ) -> Waiting:
        """Return all that is pending and that a person may see, however many there are, the soonest deadline first.

        ``to``: for whom it is asked what waits, in place of the one who asks. Only what has a card in ``channel``, only
        what is ``agent``'s. Raises ``FactsUnavailable``.
        """
        sight = await self.sights.of(user_id)
        whose = to or user_id
        given = {"channel": channel, "agent": agent}
        filters = sight.filters.union(name for name, value in given.items() if value is not None)

        async def work(unit: Unit) -> list[tuple[Waiter, FrozenRule | None]]:
            waiters = await unit.all(
                statements_reports.waiting(filters), now=self._clock(), user=whose, **sight.parameters, **given
            )
            return [
                (one, await self._rulebook.rule_at(unit, one.rule_id, one.number) if one.rule_id is not None else None)
                for one in waiters
            ]

        found = await self._store.read(work)
        rules = {id(rule): rule for _, rule in found if rule is not None}.values()
        facts = await self._directory.load_facts({whose}, {one for rule in rules for one in reviewer_usergroups(rule)})
        now, policy = self._clock(), self._rulebook.policy

        @cache
        def may_decide(rule: int, agent: str, person: str | None) -> bool:
            return judge(whose, by_id[rule], Parties(policy.owners(agent), person), facts, now).allowed

        by_id = {id(rule): rule for rule in rules}
        able = [one.number for one, rule in found if rule is not None and may_decide(id(rule), one.agent, one.person)]
        voted = frozenset(one.number for one, _ in found if one.has_voted)
        return Waiting(
            all=tuple(one.number for one, _ in found),
            for_them=tuple(number for number in able if number not in voted),
            may_decide=frozenset(able),
            given=tuple(one.number for one, _ in found if one.number in voted),
            untold=sight.untold,
        )

    async def agents_waiting(self, user_id: str) -> list[str]:
        """Return the agents of which something waits that a person may see. Raises ``FactsUnavailable``."""
        sight = await self.sights.of(user_id)
        names = statements_reports.names_waiting(sight.filters)
        return await self._store.read(
            lambda unit: unit.all(names, now=self._clock(), limit=MAX_LISTED, **sight.parameters)
        )

    async def draw(self, waiting: Waiting, numbers: Iterable[int]) -> list[Seen]:
        """Return some of what waits, as it is drawn; what was decided meanwhile stays away.

        They come without arguments, reasoning and context: many megabytes, of which a list shows nothing.
        """

        async def work(unit: Unit) -> list[Seen]:
            drawn = []
            for number in numbers:
                request = await unit.one(statements_reports.PENDING_REQUEST, number=number)
                if request is not None:
                    drawing, cards = await self._with_cards(unit, request, compare=False)
                    drawn.append(Seen(drawing, tuple(cards), number in waiting.may_decide))
            return drawn

        return await self._store.read(work)

    async def pending_count(self) -> int:
        """Count what waits for a decision."""
        return await self._store.read(lambda unit: unit.one(statements.PENDING_COUNT)) or 0

    async def show(self, user_id: str, reference: str) -> Seen | None:
        """Return one request by its number or id; None when there is none or it is not for this person's eyes.

        Raises ``FactsUnavailable``.
        """

        async def work(unit: Unit) -> list[tuple[Drawing, list[Card]]]:
            request = await find_request(unit, reference)
            return [await self._with_cards(unit, request)] if request else []

        seen = await self._visible(user_id, await self._store.read(work))
        return seen[0] if seen else None

    async def note_look(self, seen: Seen, user_id: str, what: str) -> None:
        """Put on record that somebody is shown a request elsewhere than in a modal: ``what``."""
        number = seen.drawing.request.number
        await self._store.write(lambda unit: record_look(unit, self._clock(), number, user_id, what, None))

    async def card_at(self, channel: str, ts: str) -> Card | None:
        """Return the live card that a message is, or None; also for a reply, which has nothing to press."""
        card = await self._store.peek(lambda unit: unit.one(statements.CARD_BY_MESSAGE, channel=channel, ts=ts))
        return card if card is not None and is_pressable(card) else None

    async def drawing(self, number: int) -> Drawing | None:
        """Return what a request is drawn from, for somebody whose right to see it is settled."""

        async def work(unit: Unit) -> Drawing | None:
            request = await unit.one(statements.REQUEST, number=number)
            if request is None:
                return None
            return await load_drawing(unit, self._rulebook, self._redactor, request, self._clock())

        return await self._store.peek(work)

    async def visible(self, user_id: str, requests: Sequence[Request]) -> frozenset[int]:
        """Return the numbers of those requests that a person may see. Raises ``FactsUnavailable``."""

        async def work(unit: Unit) -> list[tuple[Drawing, list[Card]]]:
            return [await self._with_cards(unit, request, compare=False) for request in requests]

        seen = await self._visible(user_id, await self._store.read(work))
        return frozenset(one.drawing.request.number for one in seen)

    async def remember_modal(
        self,
        modal_id: str,
        kind: ModalKind,
        number: int,
        user_id: str,
        channel: str | None,
        full_view: FullView | None = None,
    ) -> None:
        """Record a modal before it is opened on its first page.

        ``modal_id`` is random and becomes Slack's ``external_id``; ``channel`` is that of the card it is opened from,
        ``full_view`` how its person had seen the whole call by then.
        """

        async def work(unit: Unit) -> None:
            now = self._clock()
            await unit.run(
                statements.INSERT_MODAL,
                id=modal_id,
                kind=kind,
                request_number=number,
                user_id=user_id,
                channel=channel,
                pages_seen=1,
                full_view=full_view,
                opened_at=now,
            )
            if kind in _LOOKS:
                await record_look(unit, now, number, user_id, kind.value, channel)

        await self._store.write(work)

    async def see_page(self, modal_id: str, page: int, pages: int = 0) -> bool:
        """Record that a page of a modal, counted from 0, is about to be shown; False if one before it never was.

        ``pages``: how many there are, where it is known.
        """

        async def work(unit: Unit) -> bool:
            before = await unit.one(statements.MODAL, modal_id=modal_id)
            seen = await unit.run(statements.SEE_PAGE, modal_id=modal_id, page=page)
            if before is not None and seen and before.pages_seen < pages == page + 1:
                number, kind = before.request_number, before.kind.value
                await record_pages(unit, self._clock(), number, before.user_id, kind, pages)
            return bool(seen)

        return await self._store.write(work)

    async def modal(self, modal_id: str, user_id: str) -> Modal | None:
        """Return a modal that we opened for this person, or None."""
        modal = await self._store.peek(lambda unit: unit.one(statements.MODAL, modal_id=modal_id))
        return modal if modal is not None and modal.user_id == user_id else None

    async def _with_cards(self, unit: Unit, request: Request, *, compare: bool = True) -> tuple[Drawing, list[Card]]:
        return (
            await load_drawing(unit, self._rulebook, self._redactor, request, self._clock(), compare=compare),
            await unit.all(statements.CARDS_OF, request_number=request.number),
        )

    async def _visible(self, user_id: str, found: Sequence[tuple[Drawing, list[Card]]]) -> list[Seen]:
        usergroups = {
            usergroup for drawing, _ in found if drawing.rule for usergroup in reviewer_usergroups(drawing.rule)
        }
        facts = await self._directory.load_facts({user_id}, usergroups)
        person = facts.people.get(user_id)
        if person is None or person.is_guest or person.is_stranger or person.is_bot or person.is_deactivated:
            return []
        if person.team_id != facts.home_team:
            return []
        is_admin = user_id in self._rulebook.policy.admins
        # Asked though nothing may be found: trouble with Slack must not tell the hidden from what is not there.
        channels = frozenset[str]() if is_admin else await self._directory.load_channels_of(user_id)
        return [
            Seen(drawing, tuple(cards), self._may_decide(drawing, user_id, facts))
            for drawing, cards in found
            if is_admin
            or (drawing.rule is not None and reviews(user_id, drawing.rule, facts))
            or any(card.channel in channels for card in cards if card.place is not Place.DM)
        ]

    def _may_decide(self, drawing: Drawing, user_id: str, facts: Facts) -> bool:
        return drawing.rule is not None and judge(user_id, drawing.rule, drawing.parties, facts, self._clock()).allowed

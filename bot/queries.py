"""What people may ask for in Slack, and who may see what.

A request is visible to those who are in a channel with one of its cards, to the reviewers of its rule, and to the
admins; to guests and members of other teams never. What is hidden and what does not exist are answered alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bot.clock import Clock
from bot.drawings import Drawing, load_drawing
from bot.people import Directory, Facts
from bot.policy import judge, reviewer_usergroups, reviews
from bot.redaction import Redactor
from bot.rulebook import Rulebook
from store import statements
from store.engine import Store
from store.tables import Card, CardState, FullView, Modal, ModalKind, Place, Request
from store.unit import Unit

MAX_LISTED = 200
_PAGE = 50


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as one person sees it. ``may_decide``: whether they could decide it as things stand."""

    drawing: Drawing
    cards: tuple[Card, ...]
    may_decide: bool


class Queries:
    """Use cases that only read."""

    def __init__(
        self, store: Store, clock: Clock, rulebook: Rulebook, directory: Directory, redactor: Redactor
    ) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._directory = directory
        self._redactor = redactor

    async def pending(self, user_id: str) -> list[Seen]:
        """Return the pending requests that a person may see, by deadline, at most some ``MAX_LISTED`` of the oldest.

        However many there are that others see, they hide none of this person's. They come without arguments, reasoning
        and context: many megabytes, of which a list shows nothing. Raises ``FactsUnavailable``.
        """
        seen: list[Seen] = []
        last = 0
        while len(seen) < MAX_LISTED:
            page = await self._store.read(partial(self._load_page, after=last))
            seen += await self._visible(user_id, page)
            if len(page) < _PAGE:
                break
            last = page[-1][0].request.number
        return sorted(seen, key=lambda one: one.drawing.request.deadline_at)

    async def pending_count(self) -> int:
        """Count what waits for a decision."""
        return await self._store.read(lambda unit: unit.one(statements.PENDING_COUNT)) or 0

    async def show(self, user_id: str, reference: str) -> Seen | None:
        """Return one request by its number or id; None when there is none or it is not for this person's eyes.

        Raises ``FactsUnavailable``.
        """

        async def work(unit: Unit) -> list[tuple[Drawing, list[Card]]]:
            wanted = reference.strip().lstrip("#").lower()
            request: Request | None = None
            if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
                request = await unit.one(statements.REQUEST, number=int(wanted))
            elif len(wanted) == 36:
                request = await unit.one(statements.REQUEST_BY_ID, id=wanted)
            return [await self._with_cards(unit, request)] if request else []

        seen = await self._visible(user_id, await self._store.read(work))
        return seen[0] if seen else None

    async def card_at(self, channel: str, ts: str) -> Card | None:
        """Return the live card that a message is, or None; also for a reply, which has nothing to press."""
        card = await self._store.peek(lambda unit: unit.one(statements.CARD_BY_MESSAGE, channel=channel, ts=ts))
        is_card = card is not None and card.state is CardState.LIVE and card.place is not Place.THREAD
        return card if is_card else None

    async def drawing(self, number: int) -> Drawing | None:
        """Return what a request is drawn from, for somebody whose right to see it is settled."""

        async def work(unit: Unit) -> Drawing | None:
            request = await unit.one(statements.REQUEST, number=number)
            return await load_drawing(unit, self._rulebook, self._redactor, request) if request else None

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
        await self._store.write(
            lambda unit: unit.run(
                statements.INSERT_MODAL,
                id=modal_id,
                kind=kind,
                request_number=number,
                user_id=user_id,
                channel=channel,
                pages_seen=1,
                full_view=full_view,
                opened_at=self._clock(),
            )
        )

    async def see_page(self, modal_id: str, page: int) -> bool:
        """Record that a page of a modal, counted from 0, is about to be shown; False if one before it never was."""
        return bool(await self._store.write(lambda unit: unit.run(statements.SEE_PAGE, modal_id=modal_id, page=page)))

    async def modal(self, modal_id: str, user_id: str) -> Modal | None:
        """Return a modal that we opened for this person, or None."""
        modal = await self._store.peek(lambda unit: unit.one(statements.MODAL, modal_id=modal_id))
        return modal if modal is not None and modal.user_id == user_id else None

    async def _load_page(self, unit: Unit, after: int) -> list[tuple[Drawing, list[Card]]]:
        requests = await unit.all(statements.PENDING_REQUESTS, after=after, limit=_PAGE)
        return [await self._with_cards(unit, request, compare=False) for request in requests]

    async def _with_cards(self, unit: Unit, request: Request, *, compare: bool = True) -> tuple[Drawing, list[Card]]:
        return (
            await load_drawing(unit, self._rulebook, self._redactor, request, compare=compare),
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

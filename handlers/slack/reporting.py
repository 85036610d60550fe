"""The subcommands ``pending``, ``recent``, ``overrides`` and ``stats``, and the buttons that turn their pages.

An answer shows what the asker may see, at the time it is given; a page is asked anew by whoever turns it. What is typed
is read by ``handlers.slack.asking``, worded by ``handlers.slack.report_words``.
"""

import difflib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from bot.clock import Clock
from bot.errors import UnknownCard
from bot.lookups import Lookups
from bot.queries import Queries
from bot.reports import Decided, Overridden, Reports, Wanted
from bot.sight import Sight
from handlers.slack.actions import Actions
from handlers.slack.asking import USAGE, About, Question, parse_question, parse_value
from handlers.slack.blocks import Message
from handlers.slack.client import SlackClient
from handlers.slack.commands import Subcommand
from handlers.slack.links import CardLinks
from handlers.slack.payloads import Click, Command
from handlers.slack.quorum import joined
from handlers.slack.report_words import (
    ROWS,
    TURN,
    Address,
    page_of,
    render_decided,
    render_overridden,
    render_stats,
    render_waiting,
)

_HELP = {
    About.PENDING: "what waits, of what you may see; `mine`: for you",
    About.RECENT: "what was decided",
    About.OVERRIDES: "what people overrode, and the override rate",
    About.STATS: "counts, rates and times; of people only your own, unless you are an admin",
}
_CLOSE = 0.6
_NAMES = ("agent", "tool", "rule")
_MOST_NAMED = 6
_LONGEST = 60  # characters of a name

T = TypeVar("T", Decided, Overridden)
C = TypeVar("C", Decided, Overridden, covariant=True)
Render = Callable[[Question, T, Address, int], Message]


class Ask(Protocol[C]):
    """A question that has pages."""

    async def __call__(self, sight: Sight, wanted: Wanted, *, offset: int, limit: int) -> C: ...


class Reporting:
    """Answers the four subcommands."""

    def __init__(
        self,
        client: SlackClient,
        queries: Queries,
        reports: Reports,
        lookups: Lookups,
        links: CardLinks,
        clock: Clock,
    ) -> None:
        self._client = client
        self._queries = queries
        self._reports = reports
        self._lookups = lookups
        self._links = links
        self._clock = clock

    def subcommands(self) -> list[Subcommand]:
        return [Subcommand(about.value, USAGE[about], _HELP[about], self._answer(about)) for about in About]

    def join(self, actions: Actions) -> None:
        """Take the buttons that turn pages."""
        for label in ("back", "next"):
            actions.add_press("card", f"{TURN}_{label}", self._turn)

    def _answer(self, about: About) -> Callable[[Command, str], Awaitable[Message]]:
        async def answer(command: Command, rest: str) -> Message:
            sight = await self._queries.sights.of(command.user_id)
            question = parse_question(about, rest, self._clock(), sight.zone, command.user_id)
            return await self._ask(question, sight, command.user_id)

        return answer

    async def _turn(self, click: Click) -> None:
        if click.response_url is None:
            raise UnknownCard
        question = parse_value(click.value, self._clock())
        message = await self._ask(question, await self._queries.sights.of(click.user_id), click.user_id)
        await self._client.respond(click.response_url, message.text, message.blocks, replace=True)

    async def _ask(self, question: Question, sight: Sight, asker: str) -> Message:
        if question.wanted is None:
            return await self._waiting(question, asker)
        wanted = question.wanted
        if question.about is About.STATS:
            stats = await self._reports.stats(sight, wanted)
            if not stats.agents and (helped := await self._helped(question, sight, wanted)):
                return await self._ask(helped, sight, asker)
            await self._note(question, asker, stats.total.decided)
            return render_stats(question, stats, asker, sight.untold)
        if question.about is About.OVERRIDES:
            return await self._paged(question, sight, wanted, self._reports.overridden, render_overridden)
        return await self._paged(question, sight, wanted, self._reports.decided, render_decided)

    async def _paged(self, question: Question, sight: Sight, wanted: Wanted, ask: Ask[T], render: Render[T]) -> Message:
        answer = await ask(sight, wanted, offset=(question.page - 1) * ROWS, limit=ROWS)
        beside = answer.decided if isinstance(answer, Overridden) else answer.automatic
        if not answer.page.total and not beside and (helped := await self._helped(question, sight, wanted)):
            return await self._ask(helped, sight, sight.user_id or "")
        last, _ = page_of(question, answer.page.total)
        if last != question.page:
            question = question.on_page(last)
            answer = await ask(sight, wanted, offset=(last - 1) * ROWS, limit=ROWS)
        await self._note(question, sight.user_id or "", answer.page.total)
        return render(question, answer, await self._links.addresses(), sight.untold)

    async def _waiting(self, question: Question, asker: str) -> Message:
        waiting = await self._queries.waiting(asker, to=question.user, channel=question.channel, agent=question.agent)
        numbers = waiting.for_them if question.is_mine or question.user is not None else waiting.all
        if not numbers and (helped := await self._helped_waiting(question, asker)):
            return await self._waiting(helped, asker)
        page, _ = page_of(question, len(numbers))
        await self._note(question.on_page(page), asker, len(numbers))
        seen = await self._queries.draw(waiting, numbers[(page - 1) * ROWS : page * ROWS])
        address = await self._links.addresses()
        return render_waiting(replace(question, page=page), seen, len(numbers), address, waiting.untold)

    async def _note(self, question: Question, asker: str, found: int) -> None:
        narrowed = {"agent": question.agent, "person": question.user, "channel": question.channel}
        if question.is_mine:
            narrowed["person"] = asker
        if question.wanted is not None:
            narrowed = {}  # what it has is in ``wanted``
        await self._lookups.note_query(
            question.about, found, user=asker, page=question.page, wanted=question.wanted, **narrowed
        )

    async def _helped(self, question: Question, sight: Sight, wanted: Wanted) -> Question | None:
        """The same question of the name that was meant, or with a word that nothing in sight has the name typed.

        None where every name that was typed is there. What is out of sight and what there is not are told alike.
        """
        if question.is_helped:
            return None
        question = replace(question, is_helped=True)
        for name, typed in wanted.values(*_NAMES).items():
            known = await self._reports.names(sight, wanted, name, of_overrides=False)
            if question.about is About.OVERRIDES:
                known += await self._reports.names(sight, wanted, name, of_overrides=True)
            if typed in known:
                continue
            if near := difflib.get_close_matches(typed, known, n=1, cutoff=_CLOSE):
                reading = f"There is no {name} “{typed[:_LONGEST]}” here; this is the nearest"
                narrower: dict[str, Any] = {name: near[0]}
                wanted = replace(wanted, **narrower)
            else:
                but = f", but of {_some(known)}" if known else ""
                reading = f"In that time you can see nothing of the {name} “{typed[:_LONGEST]}”{but}"
            question = replace(question, wanted=wanted, readings=(*question.readings, reading))
        return question if question.readings else None

    async def _helped_waiting(self, question: Question, asker: str) -> Question | None:
        """The same of what waits."""
        if question.agent is None or question.is_helped:
            return None
        typed, known = question.agent, await self._queries.agents_waiting(asker)
        question = replace(question, is_helped=True)
        if not known or typed in known:
            return None
        if near := difflib.get_close_matches(typed, known, n=1, cutoff=_CLOSE):
            reading = f"There is no agent “{typed[:_LONGEST]}” here; this is the nearest"
            return replace(question, agent=near[0], readings=(*question.readings, reading))
        return replace(question, readings=(*question.readings, f"What waits is of {_some(known)}"))


def _some(names: Iterable[str]) -> str:
    """Name some of what there is, each once."""
    there = sorted(set(names))
    more = [f"{len(there) - _MOST_NAMED} more"] if len(there) > _MOST_NAMED else []
    return joined([*(name[:_LONGEST] for name in there[:_MOST_NAMED]), *more])

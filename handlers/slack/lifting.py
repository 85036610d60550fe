"""What is held ahead, in Slack: ``/signoff standing``, and *Lift* and *Reopen* there and on the Home tab.

What a button carries is a question only: who may do what it says is judged in ``bot.ahead`` and ``bot.memory``.
"""

import re

import structlog

from bot.ahead import Ahead
from bot.errors import NotAQuestion, UnknownCard
from bot.hearings import Act
from bot.lookups import Lookups
from bot.memory import Memory
from handlers.manifest import COMMAND
from handlers.slack.actions import Actions
from handlers.slack.blocks import Message
from handlers.slack.client import SlackClient
from handlers.slack.commands import Subcommand
from handlers.slack.held import BACK, LIFT, NEXT, REOPEN, ROWS, render_held
from handlers.slack.links import CardLinks
from handlers.slack.payloads import Click, Command
from handlers.slack.recognition import number_in
from handlers.slack.text import user_mention
from handlers.slack.trouble import SlackTrouble

_PAGE = re.compile(r"(?:page\s*)?(\d{1,9})?", re.IGNORECASE | re.ASCII)

log = structlog.get_logger(__name__)


class Lifting:
    """The subcommand ``standing``, and its buttons."""

    def __init__(self, client: SlackClient, ahead: Ahead, memory: Memory, lookups: Lookups, links: CardLinks) -> None:
        self._client = client
        self._ahead = ahead
        self._memory = memory
        self._lookups = lookups
        self._links = links

    def subcommand(self) -> Subcommand:
        return Subcommand(
            "standing", "standing [page 2]", "votes cast ahead and remembered denials; lift and reopen them there",
            self._standing,
        )  # fmt: skip

    def join(self, actions: Actions) -> None:
        """Take the buttons of the list, and those of the Home tab."""
        self._desk = actions.desk
        actions.add_press("card", LIFT, self._lift, at_once=True)
        actions.add_press("home", LIFT, self._lift, at_once=True)
        actions.add_press("card", REOPEN, self._reopen, at_once=True)
        actions.add_press("card", BACK, self._turn)
        actions.add_press("card", NEXT, self._turn)

    async def _standing(self, command: Command, rest: str) -> Message:
        page = _PAGE.fullmatch(rest.strip())
        if page is None:
            raise NotAQuestion(f"{COMMAND} standing shows all that is held ahead; {COMMAND} standing page 2 goes on.")
        return await self._list(command.user_id, int(page[1] or 1))

    async def _list(self, user_id: str, page: int, done: str = "") -> Message:
        held = await self._ahead.held(user_id, offset=(max(page, 1) - 1) * ROWS, limit=ROWS)
        if held.offset and not held.shown:
            last = max(-(-held.total // ROWS), 1)
            held = await self._ahead.held(user_id, offset=(last - 1) * ROWS, limit=ROWS)
        if not done:  # else the answer that was given is drawn again
            await self._lookups.note_query("standing", held.total, user=user_id, page=held.offset // ROWS + 1)
        return render_held(held, await self._links.addresses(), done)

    async def _turn(self, click: Click) -> None:
        if click.response_url is None:
            raise UnknownCard
        await self._show(click, number_in(click.value))

    async def _lift(self, click: Click) -> None:
        standing_id, page = _number_and_page(click)
        standing = await self._ahead.lift(standing_id, _act(click))
        log.info("standing_lifted", standing=standing_id, user=click.user_id, surface=click.surface)
        self._afterwards(
            click, page, f"*Lifted*: {user_mention(standing.user_id)}'s vote from #{standing.request_number}."
        )

    async def _reopen(self, click: Click) -> None:
        number, page = _number_and_page(click)
        await self._desk.drawing_for(click.user_id, number)  # the hidden is answered as what is not there
        await self._memory.reopen(number, _act(click))
        log.info("reopened", request=number, user=click.user_id, surface=click.surface)
        self._afterwards(click, page, f"*Reopened*: people are asked again about the call of #{number}.")

    def _afterwards(self, click: Click, page: int, done: str) -> None:
        """Show the list as it is now where it was pressed, and the Home tab."""
        self._desk.refresh_home(click.user_id)
        if click.surface == "card" and click.response_url is not None:

            async def show(pressed: Click) -> None:
                await self._show(pressed, page, done)

            self._desk.later(click, show)

    async def _show(self, click: Click, page: int, done: str = "") -> None:
        message = await self._list(click.user_id, page, done)
        try:
            await self._client.respond(click.response_url or "", message.text, message.blocks, replace=True)
        except SlackTrouble as trouble:
            # What was done is done; an answer can be replaced five times in half an hour, then it is typed again.
            log.warning("standing_not_shown", user=click.user_id, code=trouble.code)


def _act(click: Click) -> Act:
    return Act(click.act_id, click.user_id, click.team_id, click.surface)


def _number_and_page(click: Click) -> tuple[int, int]:
    number, _, page = (click.value or "").partition(":")
    return number_in(number), number_in(page) if page else 1

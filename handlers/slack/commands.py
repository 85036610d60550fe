"""The slash command: a table of subcommands, and the answer to whoever typed one, seen by them alone.

A subcommand joins by ``add``; help and the guess at a mistyped word are made of the table. Who may see what is the
use cases' business.
"""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from bot.errors import Refusal
from bot.queries import Queries
from handlers.manifest import COMMAND
from handlers.slack.afterwards import Afterwards
from handlers.slack.answers import (
    render_help,
    render_hidden,
    render_refusal_text,
    render_show,
    render_unknown,
)
from handlers.slack.blocks import Message
from handlers.slack.client import SlackClient
from handlers.slack.payloads import Command
from handlers.slack.plain import said_in
from handlers.slack.trouble import SlackTrouble
from store.unit import StoreUnavailable

_CLOSE = 0.6
_HELP = ("help", "?", "--help", "-h")
ANSWER_WITHIN = timedelta(seconds=2)  # Slack waits three for the acknowledgement that carries the answer

Body = dict[str, Any]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Subcommand:
    """One word after ``/signoff``. ``answer`` is given the command and what follows the word.

    It returns None where nothing is left to say: a modal stands.
    """

    name: str
    usage: str
    help: str
    answer: Callable[[Command, str], Awaitable[Message | None]]


class Commands:
    """The router. ``answered`` by the acknowledgement if it is ready in time, else by the response URL."""

    def __init__(
        self,
        client: SlackClient,
        afterwards: Afterwards,
        subcommands: Iterable[Subcommand] = (),
        *,
        within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._client = client
        self._afterwards = afterwards
        self._within = within
        self._table: dict[str, Subcommand] = {}
        for subcommand in subcommands:
            self.add(subcommand)
        self.add(Subcommand("help", "help", "this list", self._help))

    def add(self, subcommand: Subcommand) -> None:
        """Let a subcommand join. Raises ``ValueError`` for a name that is taken."""
        if subcommand.name in self._table:
            raise ValueError(f"{subcommand.name} is a command already")
        self._table[subcommand.name] = subcommand

    async def answer(self, command: Command) -> Body | None:
        """Return the body that acknowledges a command; None if its answer follows later, or there is none."""
        work = asyncio.get_running_loop().create_task(self._answer(command))
        done, _ = await asyncio.wait({work}, timeout=self._within.total_seconds())
        if done:
            message = work.result()
            if message is None:
                return None
            return {"response_type": "ephemeral", "text": message.text, "blocks": message.blocks}
        self._afterwards.spawn(self._answer_later(command, work))
        return None

    async def _answer(self, command: Command) -> Message | None:
        word, _, rest = command.text.strip().partition(" ")
        name = word.lower() or "help"
        if name in _HELP or rest.strip().lower() in _HELP:
            name, rest = "help", name if name not in _HELP else rest
        subcommand = self._table.get(name)
        if subcommand is None:
            return render_unknown(said_in(word), self._nearest(name), list(self._table))
        log.info("command", command=name, user=command.user_id)
        try:
            return await subcommand.answer(command, rest.strip())
        except Refusal as refusal:
            return render_refusal_text(said_in(refusal.message))  # it may repeat what was typed
        except StoreUnavailable:
            log.warning("command_failed", command=name, code="store_unavailable")
            return render_refusal_text("Signoff cannot reach its database right now. Try again in a minute.")
        except Exception:
            log.exception("command_failed", command=name)
            return render_refusal_text("Signoff could not answer that; its log says why.")

    async def _answer_later(self, command: Command, work: asyncio.Task[Message | None]) -> None:
        message = await work
        if message is None:
            return
        try:
            await self._client.respond(command.response_url, message.text, message.blocks)
        except SlackTrouble as trouble:
            log.warning("command_unanswered", user=command.user_id, code=trouble.code)

    def _nearest(self, word: str) -> list[str]:
        starting = [name for name in self._table if name.startswith(word)]
        return starting or difflib.get_close_matches(word, self._table, n=2, cutoff=_CLOSE)

    async def _help(self, command: Command, rest: str) -> Message:
        """List the commands; or only the one that was asked about, however it was asked."""
        one = self._table.get(rest.lower().removeprefix(COMMAND).strip())
        return render_help({one.usage: one.help for one in ([one] if one is not None else self._table.values())})


def show_command(queries: Queries) -> Subcommand:
    """Return the subcommand that shows one request."""

    async def show(command: Command, rest: str) -> Message:
        if not rest:
            return render_refusal_text(f"Say which: {COMMAND} show 42.")
        seen = await queries.show(command.user_id, rest)
        if seen is None:
            return render_hidden(said_in(rest))
        await queries.note_look(seen, command.user_id, "show")
        return render_show(seen)

    return Subcommand("show", "show ID", f"one request, such as `{COMMAND} show 42`", show)

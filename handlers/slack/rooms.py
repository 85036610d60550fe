"""Makes the rooms of subcommands, and of what is pressed in their answers, in the gathered notices and the Home tab.

They join the router of commands and that of presses, which know nothing of them. Only wiring is here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.absences import Absences
from bot.ahead import Ahead
from bot.clock import Clock
from bot.digests import Digests
from bot.halts import Halts
from bot.lookups import Lookups
from bot.memory import Memory
from bot.passcodes import Passcodes
from bot.people import Directory
from bot.queries import Queries
from bot.reports import Reports
from bot.rulebook import Rulebook
from bot.timelines import Timelines
from handlers.oncall import OnCallSources
from handlers.slack.actions import Actions
from handlers.slack.client import SlackClient
from handlers.slack.commands import Subcommand, show_command
from handlers.slack.enrolment import Enrolment
from handlers.slack.explaining import Explaining
from handlers.slack.halting import Halting
from handlers.slack.lifting import Lifting
from handlers.slack.links import CardLinks
from handlers.slack.oncall import OnCallCommands
from handlers.slack.reporting import Reporting
from handlers.slack.switching import Switching
from store.engine import Store


class Joins(Protocol):
    """A room whose buttons and forms join those of the cards."""

    def join(self, actions: Actions) -> None: ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """What was made: ``subcommands`` in the order of the help."""

    subcommands: Sequence[Subcommand]
    joining: Iterable[Joins]

    def join(self, actions: Actions) -> None:
        for room in self.joining:
            room.join(actions)


def make_rooms(
    client: SlackClient,
    store: Store,
    clock: Clock,
    rulebook: Rulebook,
    directory: Directory,
    *,
    queries: Queries,
    reports: Reports,
    ahead: Ahead,
    memory: Memory,
    halts: Halts,
    digests: Digests,
    passcodes: Passcodes,
    oncall: OnCallSources,
    absences: Absences,
    links: CardLinks,
) -> Rooms:
    """Make them all."""
    lookups = Lookups(store, clock)
    reporting = Reporting(client, queries, reports, lookups, links, clock)
    lifting = Lifting(client, ahead, memory, lookups, links)
    halting = Halting(halts, digests, rulebook, directory, clock)
    enrolment = Enrolment(client, passcodes, directory, clock)
    return Rooms(
        [
            *reporting.subcommands(),
            show_command(queries),
            lifting.subcommand(),
            *OnCallCommands(oncall, absences, directory, clock).subcommands(),
            *halting.subcommands(),
            enrolment.subcommand(),
        ],
        (
            reporting,
            lifting,
            halting,
            Switching(halts, clock),
            enrolment,
            Explaining(Timelines(store, rulebook, queries)),
        ),
    )

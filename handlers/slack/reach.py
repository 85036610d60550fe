"""What steps of a plan are carried out with, and what became of one of their targets. Sends nothing."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from bot.drawings import Drawing
from bot.oncall import OnCallDirectory
from bot.step_targets import StepTargets
from handlers.delivery import NotNow
from handlers.slack.trouble import Temporary
from store.escalation_tables import TakenStep


class PagerDesk(Protocol):
    """Calls pagers."""

    async def page(self, name: str, drawing: Drawing, step: TakenStep) -> None:
        """Call one because of a step. Raises ``PagerTrouble``."""
        ...


StandIns = Callable[[Collection[str]], Awaitable[Mapping[str, str]]]
"""Says who stands in for those who are away now."""


async def nobody_is_away(users: Collection[str]) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Reach:
    """By which steps are settled, and through which people are reached beyond Slack's own record."""

    targets: StepTargets
    oncall: OnCallDirectory
    pagers: PagerDesk | None = None
    stand_ins: StandIns = nobody_is_away


@dataclass(slots=True)
class Outcome:
    """What became of a target. ``reached``: user ids, or a channel; ``codes``: why others were not.

    ``wrote``: a message went out that is only known of by looking for it. ``together``: another request's reminder
    speaks for this one.
    """

    reached: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    wrote: bool = False
    together: bool = False

    def fail(self, code: str) -> "Outcome":
        self.codes.append(code)
        return self

    def try_again(self, later: NotNow | Temporary) -> NoReturn:
        """Raise ``later``. What was written is only looked for after a try that counted."""
        if self.wrote and isinstance(later, NotNow):
            raise NotNow(later.code, later.delay) from later
        raise later

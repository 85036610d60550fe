"""What samples of surfaces are made of: a request on one morning, and a surface with what is on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bot.drawings import Drawing
from handlers.slack.blocks import Message, View
from handlers.slack.cards import render_card
from tests.unit.slack_support import drawing, rule

PHONE = (390, 844)
PERSON = "U0ALICE"
CHANNEL = "C0REFUNDS"
MORNING = datetime(2026, 11, 23, 8, 12, tzinfo=UTC)

_RULES = {"send_email": "customer mail", "run_sql": "databases", "run_shell": "hosts", "terraform_apply": "plans"}

ORDERED = {"order": "A-10482", "customer": "m.ibrahim@example.com", "amount": 129.90, "currency": "EUR"}


def request(arguments: Any = None, *, tool: str = "issue_refund", **fields: Any) -> Drawing:
    """A request made three minutes ago that waits for an hour, unless ``fields`` say otherwise."""
    made = MORNING - timedelta(minutes=3)
    times = {"created_at": made, "deadline_at": made + timedelta(hours=1), "due_at": made + timedelta(hours=1)}
    call = ORDERED if arguments is None else arguments
    return drawing(
        call, frozen=rule(name=_RULES.get(tool, "refunds"), tool=tool), tool=tool, **(times | _moved(fields))
    )


def _moved(fields: dict[str, Any]) -> dict[str, Any]:
    """Bring the times of a sample state to this morning."""
    ago = timedelta(minutes=2)
    moved = dict.fromkeys(("decided_at", "consumed_at", "overdue_at", "outcome_at", "lapsed_at"), MORNING - ago)
    return {
        name: moved.get(name, MORNING + timedelta(minutes=3)) if isinstance(value, datetime) else value
        for name, value in fields.items()
    }


@dataclass(frozen=True)
class Sample:
    """A surface with what is on it. ``facts``: what has to be seen on a phone's first screen."""

    title: str
    kind: Literal["messages", "modal", "home"]
    content: Callable[[], list[Message] | View]
    facts: tuple[str, ...] = ()
    is_private: bool = False
    """Whether its messages are ephemeral, as answers are."""
    place: str = CHANNEL
    end: Literal["top", "bottom"] | None = None
    """Of a surface higher than any picture should be: the end that is pictured, as high as a phone."""
    in_dark: bool = False
    """Whether the set has a dark picture of it too."""


def card_of(one: Drawing) -> Callable[[], list[Message]]:
    return lambda: [render_card(one, MORNING)]

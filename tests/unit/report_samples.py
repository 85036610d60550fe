"""Lists and figures made of one request, as they are answered to those who ask across requests."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from bot.drawings import Drawing
from bot.periods import Period
from bot.queries import Seen
from bot.reports import Decided, Figures, Overridden, OverrideRow, Page, PersonFigures, Row, Stats, Wanted
from handlers.slack.asking import About, Question
from handlers.slack.blocks import Message
from handlers.slack.report_words import ROWS, render_decided, render_overridden, render_stats, render_waiting
from store.tables import Card, CardState, DeciderKind, Override, OverrideKind, Place, StandingVote
from tests.unit.slack_support import NOW

SPAN = Period(NOW - timedelta(days=7), NOW)
CARD = Card(
    id=1, request_number=42, place=Place.CHANNEL, target="C0REFUNDS", channel="C0REFUNDS", ts="1763802000.000100",
    state=CardState.LIVE, created_at=NOW,
)  # fmt: skip


def address(card: Card | None) -> str | None:
    return "https://acme.slack.com/archives/C0REFUNDS/p1763802000000100" if card is not None else None


def waiting(seen: Sequence[Seen], total: int | None = None, **fields: Any) -> Message:
    """The list of what waits."""
    return render_waiting(Question(About.PENDING, **fields), seen, len(seen) if total is None else total, address)


def override(kind: OverrideKind, reason: str | None, **fields: Any) -> Override:
    given: dict[str, Any] = {
        "id": list(OverrideKind).index(kind) + 1, "kind": kind, "request_number": 42, "agent": "refund-bot",
        "tool": "issue_refund", "rule": "refunds", "user_id": "U0BOB", "team_id": "T0HOME", "at": NOW,
        "reason": reason, "displaced": "denied", "displaced_by_kind": DeciderKind.PERSON, "displaced_by": "U0ALICE",
    }  # fmt: skip
    return Override(**(given | fields))


STANDING = StandingVote(
    id=5, request_number=42, instance_id="i", canonical_version=1, digest=b"", user_id="U0BOB", team_id="T0HOME",
    surface="card", granted_at=NOW, expires_at=NOW + timedelta(days=1),
)  # fmt: skip


def reports_of(one: Drawing, reason: str | None) -> Iterator[tuple[str, Message]]:
    """Every list that a request may be in, with ``reason`` for its overrides; and figures about its agent."""
    request = one.request
    row = Row(request, one.rule, CARD)
    wanted = Wanted(SPAN, agent=request.agent, rule="refunds")
    if request.decided_at is not None:
        decided = Decided(wanted, Page((row,), 400), automatic=3)
        yield "recent", render_decided(Question(About.RECENT, wanted), decided, address, untold=1)
    rows = [
        OverrideRow(override(kind, reason), row, STANDING if kind is OverrideKind.REVERSED else None, request)
        for kind in OverrideKind
    ]
    found = Overridden(wanted, Page(tuple(rows), 400, 0), Counter(OverrideKind), 5, 100)
    yield "overrides", render_overridden(Question(About.OVERRIDES, wanted, page=2), found, address)
    figures = Figures(approved=3, denied=1, overrides=1, overridden=1, overdue=1, waits=[timedelta(seconds=90)])
    stats = Stats(wanted, figures, {request.agent: figures, "other": figures}, {"U0BOB": PersonFigures(approvals=1)})
    yield "stats", render_stats(Question(About.STATS, wanted), stats, "U0BOB")


def full_pages(one: Drawing, reason: str) -> Iterator[Message]:
    """Pages with as many entries as there may be."""
    wanted = Wanted(SPAN)
    rows = [Row(one.request.model_copy(update={"number": number}), one.rule, CARD) for number in range(ROWS)]
    yield render_decided(Question(About.RECENT, wanted, page=2), Decided(wanted, Page(tuple(rows), 400)), address, 2)
    overrides = [
        OverrideRow(override(OverrideKind.REVERSED, reason, id=at), row, STANDING) for at, row in enumerate(rows)
    ]
    found = Overridden(wanted, Page(tuple(overrides), 400, 0), Counter(OverrideKind), 5, 100)
    yield render_overridden(Question(About.OVERRIDES, wanted, page=2), found, address, 2)
    agents = {f"{one.request.agent[:60]} {at}": Figures(approved=at) for at in range(40)}
    people = {f"U0{at:05}": PersonFigures(approvals=at) for at in range(40)}
    yield render_stats(Question(About.STATS, wanted), Stats(wanted, Figures(), agents, people), "U000001")

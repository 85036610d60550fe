"""The Home tab as a whole: its limits, what it does not show, and that nothing on it is live but what is ours."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from bot.ahead import Held
from bot.homes import (
    MAX_AGENTS,
    MAX_DECIDED,
    MAX_OVERRIDES,
    MAX_STOPPED,
    MAX_VOTES,
    AgentHere,
    Overview,
)
from bot.periods import Period
from bot.queries import Seen
from bot.reports import Decided, Overridden, OverrideRow, Page, Wanted
from handlers.slack.blocks import View
from handlers.slack.held import LIFT
from handlers.slack.home import MAX_SHOWN, render_home
from handlers.slack.home_sections import PAUSE, RESUME, render_below
from store.tables import Halt, HaltEffect, HaltScope, Override, OverrideKind, Rank
from tests.unit.slack_calls import LINES, MARK, corpus
from tests.unit.slack_support import (
    NOW,
    STATES,
    check_modal,
    drawing,
    live_in,
    mrkdwn_in,
    spoken_in,
    strings_of,
    text_in,
    unseen_in,
    vote,
)
from tests.unit.test_held import row
from tests.unit.test_held import vote as held_vote

WEEK = Wanted(Period(NOW - timedelta(days=7), NOW), by="U0ALICE")
CORPUS = corpus()


def halt(
    number: int = 1, scope: HaltScope = HaltScope.AGENT, name: str = "refund-bot", reason: str = "too much"
) -> Halt:
    return Halt(
        id=number, effect=HaltEffect.DENY, scope=scope, name=name, user_id="U0BOB", team_id="T0HOME",
        rank=Rank.REVIEWER, reason=reason, salt=b"", at=NOW, until=NOW + timedelta(hours=1),
    )  # fmt: skip


def override(number: int, reason: str | None = "wrong customer", **fields: Any) -> OverrideRow:
    made = Override(
        id=number, kind=OverrideKind.REVOKED, request_number=number, agent="refund-bot", tool="issue_refund",
        rule="refunds", user_id="U0BOB", team_id="T0HOME", at=NOW, reason=reason, displaced="open",
    )  # fmt: skip
    return OverrideRow(made, row(number, **fields))


def overview(
    *, agents: tuple[AgentHere, ...] = (), stopped: tuple[Halt, ...] = (), decided: tuple[Any, ...] = (),
    overrides: tuple[OverrideRow, ...] = (), held: Held | None = None, more: int = 0,
    kept: frozenset[int] = frozenset(),
) -> Overview:  # fmt: skip
    return Overview(
        decided=Decided(WEEK, Page(decided, len(decided) + more)),
        agents=agents,
        agent_count=len(agents) + more,
        stopped=stopped,
        stopped_count=len(stopped) + more,
        overridden=Overridden(WEEK, Page(overrides, len(overrides) + more), Counter(), 1, 8),
        held=held or Held((), 0, 0),
        kept=kept,
    )


def drawn(over: Overview, waiting: int = 0, given: int = 0, **fields: Any) -> View:
    seen = [Seen(drawing(number=number, **fields), (), True) for number in range(1, waiting + 1)]
    seen += [Seen(drawing(number=number, votes=(vote(),)), (), True) for number in range(500, 500 + given)]
    view = render_home(seen, NOW, "U0ALICE", None, render_below(over, lambda card: None))
    check_modal(view)
    return view


def full(text: str, more: int = 3) -> Overview:
    """As much of everything as there can be."""
    long = text[:255]
    return overview(
        agents=tuple(
            AgentHere(f"agent-{at}", True, (("r" * 75, "autonomous"),) * 9, (halt(at, reason=text),))
            for at in range(MAX_AGENTS)
        ),
        stopped=tuple(halt(100 + at, HaltScope.RULE, "r" * 75, text) for at in range(MAX_STOPPED)),
        decided=tuple(row(200 + at, tool=long, server=long) for at in range(MAX_DECIDED)),
        overrides=tuple(override(300 + at, text, tool=long, server=long) for at in range(MAX_OVERRIDES)),
        held=Held(tuple(held_vote(at, text, tool=long) for at in range(MAX_VOTES)), MAX_VOTES + more, 5, 0, 2),
        more=more,
    )


def test_the_fullest_tab_fits_and_says_what_it_does_not_show() -> None:
    view = drawn(full("\u202e<&>" * 1_000), 60, 30, tool="Ü" * 255, server="Ü" * 255)
    text = text_in(view["blocks"])
    assert len(view["blocks"]) <= 100
    for words in (
        "more wait for you", "more that you approved wait", "3 more agents", "3 more: `/signoff pause`",
        "3 more decisions: `/signoff recent 7d by:me`", "3 more overrides: `/signoff overrides 30d`",
        "3 more votes and 5 remembered denials: `/signoff standing`", "2 user groups",
    ):  # fmt: skip
        assert words in text
    assert ids(view).count("review") >= 5  # what waits comes first, whatever else there is
    assert ids(drawn(overview(), 60)).count("review") == MAX_SHOWN


def ids(view: View) -> list[str]:
    made = [one for block in view["blocks"] for one in [block.get("accessory"), *block.get("elements", [])]]
    return [one["action_id"] for one in made if one and "action_id" in one]


def test_the_switch_of_an_agent() -> None:
    stages = (("refunds", "approve"), ("look-ups", "autonomous"))
    view = drawn(overview(agents=(AgentHere("refund-bot", True, stages, ()), AgentHere("b", False, (), (halt(),)))))
    text = text_in(view["blocks"])
    assert "*refund-bot* · yours\nrefunds: approve · look-ups: autonomous" in text
    assert "*b*\nNo rule: all of its calls are denied." in text
    assert "was paused by <@U0BOB>" in text
    assert "too much" in text
    assert ids(view) == [PAUSE, RESUME]


def test_what_others_must_resume_has_no_button_and_says_so() -> None:
    everything = halt(scope=HaltScope.ALL, name="")
    view = drawn(
        overview(
            agents=(AgentHere("b", True, (), (halt(),), may_resume=False),), stopped=(everything,),
            kept=frozenset({everything.id}),
        )
    )  # fmt: skip
    assert ids(view) == []
    assert text_in(view["blocks"]).count("It is for others to resume, not for you.") == 2


def test_what_else_is_stopped_and_the_rest() -> None:
    view = drawn(
        overview(
            stopped=(halt(scope=HaltScope.ALL, name=""),), decided=(row(7),), overrides=(override(8, None),),
            held=Held((held_vote(),), 1, 0),
        )
    )  # fmt: skip
    text = text_in(view["blocks"])
    assert "Every agent" in text
    assert "You decided in the last 7 days" in text
    assert "override rate 12.5% in 30 days" in text
    assert "The reason is no longer kept." in text
    assert ids(view) == [RESUME, LIFT]


def test_nothing_of_an_empty_list_is_shown() -> None:
    assert render_below(overview(), lambda card: None) == []
    view = drawn(overview())
    assert text_in(view["blocks"]) == "Waiting for you\nNothing waits for you."


@pytest.mark.parametrize("text", CORPUS[:LINES])
def test_hostile_text_is_inert_visible_and_apart(text: str) -> None:
    view = drawn(full(text), 2, 1, tool=text[:255])
    for shown in strings_of(view["blocks"]):
        assert unseen_in(shown) == []
    for markup in mrkdwn_in(view["blocks"]):
        assert live_in(markup) == []
    assert not any(MARK in spoken for spoken in spoken_in(view["blocks"]))


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_is_listed(state: str) -> None:
    drawn(overview(decided=(row(7, **{"note": None} | STATES[state]),), overrides=(override(8, **STATES[state]),)))

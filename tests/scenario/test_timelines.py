"""Asking why: who may, what is told of a request's rule, votes, overrides and events, and of what was forgotten."""

import pytest

from bot.errors import FactsUnavailable
from bot.events import EventType, append_event
from bot.policy import Why
from bot.retention import Retention
from bot.timelines import PER_PAGE, Timelines
from handlers.slack.timeline import render_why
from store.tables import FullView, Instance, Request, VoteKind
from store.unit import Unit
from tests.conftest import SAMPLE, House, sample_settings, submission
from tests.scenario.ahead_support import Acts, change, under
from tests.stores import database_of, rows_at

pytestmark = pytest.mark.both_databases

SMALL = SAMPLE.replace(
    '[[rules]]\nname = "refunds"',
    '[[rules]]\nname = "small"\nagent = "refund-bot"\ntool = "issue_refund"\nstage = "autonomous"\n'
    'when = "arguments.amount <= 100"\n\n[[rules]]\nname = "refunds"',
)


@pytest.fixture
async def asked(house: House, instance: Instance) -> Request:
    made, _ = await house.creation.submit(instance, submission(), "key")
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    await house.outbox.posted(job, "C0REFUNDS", "1.1")
    return made


def timelines(house: House) -> Timelines:
    return Timelines(house.store, house.rulebook, house.queries)


@pytest.mark.parametrize(
    ("user", "facts", "sees"),
    [
        ("U0ALICE", {}, True),
        ("U0BOB", {}, True),
        ("U0ADMIN", {}, True),
        ("U0OWNER", {}, False),
        ("U0CAROL", {}, False),
        ("U0MEMBER", {}, True),
        ("U0MEMBER", {"is_guest": True}, False),
        ("U0MEMBER", {"team_id": "T0OTHER"}, False),
        ("U0ALICE", {"is_deactivated": True}, False),
        ("U0ADMIN", {"is_bot": True}, False),
        ("U0NEMO", None, False),
    ],
)
async def test_who_may_ask(
    house: House, asked: Request, user: str, facts: dict[str, object] | None, sees: bool
) -> None:
    """As for ``show``: in a channel with its card, reviewer of its rule, admin."""
    house.town.memberships["U0MEMBER"] = frozenset({"C0REFUNDS"})
    if facts is not None:
        house.town.add(user, **facts)
    assert (await timelines(house).of(user, asked.number) is not None) is sees
    assert await timelines(house).of(user, 99) is None


async def test_slack_out_is_not_nothing(house: House, asked: Request) -> None:
    house.town.closed = True
    with pytest.raises(FactsUnavailable):
        await timelines(house).of("U0ALICE", asked.number)


async def test_it_tells_all_in_order(house: House, asked: Request, acts: Acts) -> None:
    await house.decisions.vote(asked.number, acts("U0BOB"), VoteKind.DENY, "too much")
    await house.overrides.reverse(asked.number, acts("U0ALICE"), "it is right")
    line = await timelines(house).of("U0ALICE", asked.number)
    assert line is not None
    assert [one.type for one in line.moments] == [
        "request.made", "card.posted", "vote.cast", "request.decided", "standing.granted", "override.made"
    ]  # fmt: skip
    assert [one.words for one in line.moments if one.words] == ["too much", "it is right"]
    text = str(render_why(line, "m"))
    assert all(words in text for words in ("<@U0BOB> denied", "too much", "<@U0ALICE> reversed it", "it is right"))
    assert "4900" not in text  # the call is on the card, and in Details


async def test_the_rules_passed_over(house: House, acts: Acts) -> None:
    small = await under(house, SMALL)
    instance, _ = await small.instances.create("till", "refund-bot")
    made, _ = await small.creation.submit(instance, submission(), "key")
    line = await timelines(small).of("U0ALICE", made.number)
    assert line is not None
    assert [(one.rule, one.why) for one in line.passed] == [
        ("look-ups", Why.NAMES), ("small", Why.CONDITION_FALSE)
    ]  # fmt: skip
    assert "small has a condition that is false here" in str(render_why(line, "m"))
    # Under other rules nothing is said of what would be passed over: it was another file that ruled.
    later = await under(house, SMALL.replace('validity = "5m"', 'validity = "6m"'))
    again = await timelines(later).of("U0ALICE", made.number)
    assert again is not None
    assert again.passed == ()


async def test_hidden_values_stay_hidden(house: House, acts: Acts) -> None:
    hiding = await under(house, SAMPLE.replace('validity = "5m"', 'validity = "5m"\nredact = ["card"]'))
    instance, _ = await hiding.instances.create("till", "refund-bot")
    made, _ = await hiding.creation.submit(instance, submission(arguments='{"card": "4000123412341234"}'), "key")
    await hiding.decisions.vote(made.number, acts("U0ALICE"), VoteKind.DENY, "not 4000123412341234 again")
    line = await timelines(hiding).of("U0ALICE", made.number)
    assert line is not None
    assert "[redacted" in str(render_why(line, "m"))
    assert "4000123412341234" not in str(line) + str(render_why(line, "m"))


async def test_a_changed_call_is_left_to_details(house: House, asked: Request, acts: Acts) -> None:
    await change(house, asked, acts("U0ALICE", full_view=FullView.FORM), '{"amount": 49.00}')
    line = await timelines(house).of("U0ALICE", asked.number)
    assert line is not None
    text = str(render_why(line, "m"))
    assert "approved a changed call" in text
    assert "49.00" not in text


async def test_pages_and_a_page_too_far(house: House, asked: Request) -> None:
    async def work(unit: Unit) -> None:
        for _ in range(3 * PER_PAGE - 2):
            await append_event(unit, house.clock(), EventType.PAGES_OPENED, asked, user="U0BOB")

    await house.store.write(work)
    shown = []
    for page in range(3):
        line = await timelines(house).of("U0ALICE", asked.number, page)
        assert line is not None
        assert (line.page, line.pages) == (page, 3)
        shown += line.moments
    assert len(shown) == 3 * PER_PAGE
    far = await timelines(house).of("U0ALICE", asked.number, 10**6)
    assert far is not None
    assert far.page == 2


@pytest.mark.parametrize("body", ["{", "[]", '{"user": {"a": 1}, "kind": 7, "at": null}'])
async def test_what_stands_in_an_event_need_not_be_true(house: House, asked: Request, body: str) -> None:
    """Whoever edits the database is found by the chain's check; the view does not break on it."""
    rows_at(database_of(house.store), "UPDATE events SET body = ? WHERE type = 'request.made'", body)
    line = await timelines(house).of("U0ALICE", asked.number)
    assert line is not None
    assert "Asked" in str(render_why(line, "m"))


async def test_of_a_forgotten_request_what_is_left_is_told(house: House, asked: Request, acts: Acts) -> None:
    await house.decisions.vote(asked.number, acts("U0BOB"), VoteKind.DENY, "the-note")
    house.clock.advance(days=100)
    keeping = sample_settings(SAMPLE + '\n[retention]\narguments = "90d"\n')
    assert await Retention(house.store, house.clock, lambda: keeping).forget_old()
    line = await timelines(house).of("U0ALICE", asked.number)
    assert line is not None
    text = str(render_why(line, "m"))
    assert "Arguments and notes removed" in text
    assert "<@U0BOB> denied" in text
    assert "the-note" not in text
    assert line.passed == ()

"""Who sees which request: in a channel with its card, reviewer of its rule, admin; nobody else."""

from collections.abc import Callable

import pytest

from bot.call import load_json, parse_submission
from bot.decisions import Act
from bot.errors import FactsUnavailable
from bot.queries import MAX_LISTED
from store.engine import SqliteStore
from store.tables import Request, VoteKind
from tests.conftest import SAMPLE, House, StandingClock, Town, furnish, sample_settings, submission


@pytest.fixture
async def request_made(house: House) -> Request:
    instance, _ = await house.instances.create("till", "refund-bot")
    made, _ = await house.creation.submit(instance, submission(), "key")
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    await house.outbox.posted(job, "C0REFUNDS", "1.1")
    return made


@pytest.mark.parametrize(
    ("user", "facts", "sees", "may_decide"),
    [
        ("U0ALICE", {}, True, True),
        ("U0BOB", {}, True, True),
        ("U0ADMIN", {}, True, False),
        ("U0CAROL", {}, False, False),
        ("U0MEMBER", {}, True, False),
        ("U0MEMBER", {"is_guest": True}, False, False),
        ("U0MEMBER", {"team_id": "T0OTHER"}, False, False),
        ("U0MEMBER", {"is_stranger": True}, False, False),
        ("U0ALICE", {"is_deactivated": True}, False, False),
        ("U0ADMIN", {"is_bot": True}, False, False),
        ("U0NEMO", None, False, False),
    ],
)
async def test_visibility(
    house: House, request_made: Request, user: str, facts: dict[str, object] | None, sees: bool, may_decide: bool
) -> None:
    house.town.memberships["U0MEMBER"] = frozenset({"C0REFUNDS"})
    if facts is not None:
        house.town.add(user, **facts)
    for reference in (str(request_made.number), f"#{request_made.number}", request_made.id, request_made.id.upper()):
        seen = await house.queries.show(user, reference)
        assert (seen is not None) is sees
        assert (seen is not None and seen.may_decide) is may_decide
    assert len(await house.queries.pending(user)) == sees


@pytest.mark.parametrize("reference", ["", "#", "0", "99", "-1", "9" * 40, "x" * 36, "²"])
async def test_what_does_not_exist_is_not_shown(house: House, request_made: Request, reference: str) -> None:
    assert await house.queries.show("U0ADMIN", reference) is None


async def test_pending_is_sorted_by_deadline(house: House, request_made: Request) -> None:
    [listing] = await house.instances.list_all()
    await house.creation.submit(listing.instance, submission(timeout="2m"), "sooner")
    seen = await house.queries.pending("U0ALICE")
    assert [one.drawing.request.timeout for one in seen] == ["2m", "10m"]


async def test_a_flood_of_others_requests_hides_none_of_mine(
    store: SqliteStore, clock: StandingClock, town: Town
) -> None:
    mail = SAMPLE.split("[[rules]]")[-1].replace('"refunds"', '"mail"').replace("issue_refund", "send_*")
    legal = '[reviewers.legal]\nusers = ["U0CAROL"]\n'
    text = f"{SAMPLE}\n{legal}\n[[rules]]{mail.replace('finance', 'legal')}"
    house = await furnish(store, clock, town, sample_settings(text))
    instance, _ = await house.instances.create("till", "refund-bot")
    for number in range(MAX_LISTED + 10):
        await house.creation.submit(instance, submission(), f"k{number}")
    mine, _ = await house.creation.submit(instance, submission(tool="send_mail"), "mine")
    assert [one.drawing.request.number for one in await house.queries.pending("U0CAROL")] == [mine.number]
    assert len(await house.queries.pending("U0ALICE")) == MAX_LISTED
    waiting = await house.queries.waiting("U0ALICE")
    assert len(waiting.all) == len(waiting.for_them) == MAX_LISTED + 10  # however many are drawn, all are counted
    assert waiting.given == ()


async def test_what_was_decided_meanwhile_is_not_drawn(
    house: House, request_made: Request, acts: Callable[..., Act]
) -> None:
    waiting = await house.queries.waiting("U0ALICE")
    assert waiting.for_them == (request_made.number,)
    await house.decisions.vote(request_made.number, acts("U0ALICE"), VoteKind.DENY, "no")
    assert await house.queries.draw(waiting, waiting.all) == []


async def test_trouble_with_slack_tells_hidden_and_unknown_alike(
    house: House, request_made: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(user: str) -> frozenset[str]:
        raise FactsUnavailable

    monkeypatch.setattr(house.town, "load_channels_of", closed)
    for reference in (str(request_made.number), "99"):
        with pytest.raises(FactsUnavailable):
            await house.queries.show("U0CAROL", reference)


async def test_a_list_holds_no_megabytes(house: House, request_made: Request) -> None:
    [listing] = await house.instances.list_all()
    large = parse_submission(
        b'{"tool": "issue_refund", "timeout": "10m", "agent_reasoning": "because", "arguments": {"to": "me"}, '
        b'"context": {"page": "' + b"x" * 900_000 + b'"}}'
    )
    made, _ = await house.creation.submit(listing.instance, large, "large")
    listed = [one.drawing.request for one in await house.queries.pending("U0ALICE")]
    assert [request.number for request in listed] == [request_made.number, made.number]
    for request in listed:
        assert (request.agent_reasoning, request.context) == (None, None)
        with pytest.raises(ValueError, match="Expecting value"):
            load_json(request.arguments)
    whole = await house.queries.show("U0ALICE", str(made.number))
    assert whole is not None
    assert whole.drawing.request == made

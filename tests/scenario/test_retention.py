"""Retention: what was written is forgotten, wherever it stood; who did what stays on record, and the chain verifies."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.audit import Audit
from bot.audit_rights import check_rights
from bot.call import Submission, parse_submission
from bot.chain import Faults
from bot.config import Settings
from bot.decisions import Act
from bot.drawings import load_drawing
from bot.errors import IdempotencyConflict, NothingToOverride, UnknownRequest
from bot.events import EventType
from bot.redaction import Redactor
from bot.retention import BETWEEN_DRAWS, Retention
from handlers.slack.cards import render_card
from handlers.slack.views import render_details
from store import statements, statements_ahead, statements_overrides
from store.tables import Event, FullView, Instance, OutcomeStatus, OverrideKind, Request, Status, VoteKind
from store.unit import Unit
from tests.conftest import SAMPLE, TEAM, House, sample_settings
from tests.scenario.halts_support import AGENT
from tests.scenario.slack_support import running_bot

Acts = Callable[..., Act]
KEEPING = '\n[retention]\narguments = "90d"\n'
REASONED = SAMPLE.replace('stage = "approve"', 'stage = "approve"\nreason = "required"')
WRITTEN = ("the-amount", "the-claim", "the-context", "the-note", "the-outcome", "the-reason")


@pytest.fixture
def settings() -> Settings:
    return sample_settings(REASONED + KEEPING)


@pytest.fixture
def retention(house: House) -> Retention:
    return Retention(house.store, house.clock, lambda: house.rulebook.policy.settings)


def a_call(tool: str = "issue_refund") -> Submission:
    body = {
        "tool": tool, "arguments": {"amount": "the-amount"}, "timeout": "10m",
        "agent_reasoning": "the-claim", "context": {"why": "the-context"},
    }  # fmt: skip
    return parse_submission(json.dumps(body).encode())


async def over(house: House, instance: Instance, acts: Acts) -> Request:
    """A request of which every part was written, and of which nothing more will come."""
    made, _ = await house.creation.submit(instance, a_call(), "key")
    await house.decisions.vote(made.number, acts("U0ALICE"), VoteKind.APPROVE, "the-note", confirmed=True)
    await house.approvals.consume(instance, made.id, "k")
    done = await house.approvals.report_outcome(instance, made.id, OutcomeStatus.SUCCEEDED, "the-outcome")
    await house.store.write(
        lambda unit: unit.one(
            statements_overrides.INSERT_OVERRIDE, kind=OverrideKind.REPORTED, request_number=made.number,
            agent=made.agent, tool=made.tool, rule="refunds", user_id="U0BOB", team_id=TEAM, at=house.clock(),
            reason="the-reason", displaced="succeeded", displaced_by_kind=None, displaced_by=None, standing_id=None,
        )
    )  # fmt: skip
    return done


async def load(house: House, request: Request) -> Request:
    found = await house.store.read(lambda unit: unit.one(statements.REQUEST, number=request.number))
    assert found is not None
    return found


def everything_in(path: Path) -> str:
    """All that the database holds, in whatever table."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return str([connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables])


async def test_what_was_written_is_nowhere_in_the_database_and_the_chain_verifies(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    done = await over(house, instance, acts)
    assert all(word in everything_in(house.store.path) for word in WRITTEN)
    commitments = [event.body for event in await house.store.read(lambda unit: events_of(unit, done))]

    house.clock.advance(days=89)
    assert await retention.forget_old() == 0
    house.clock.advance(days=2)
    assert await retention.forget_old() == 1

    left = everything_in(house.store.path)
    assert [word for word in WRITTEN if word in left] == []
    for secret in (done.salt, done.digest, done.submission_digest):
        assert secret.hex() not in left
        assert str(secret) not in left
    forgotten = await load(house, done)
    assert (forgotten.forgotten_at, forgotten.salt, forgotten.digest) == (house.clock.now, b"", b"")
    kept = ("number", "id", "agent", "tool", "status", "decided_by", "decided_at", "consumed_at", "outcome", "rule_id")
    assert [getattr(forgotten, name) for name in kept] == [getattr(done, name) for name in kept]

    events = await house.store.read(lambda unit: events_of(unit, done))
    assert [event.body for event in events][:-1] == commitments
    assert events[-1].type == EventType.REQUEST_FORGOTTEN
    verdict = await Audit(house.store, house.clock).verify()
    assert verdict.fault_count == 0
    # Once is enough.
    assert await retention.forget_old() == 0


async def test_why_something_was_stopped_is_forgotten_once_it_is_long_over(
    house: House, retention: Retention, acts: Acts
) -> None:
    for reason in ("the-reason", "the-note"):
        await house.halts.pause(AGENT, acts("U0ALICE"), reason)
        await house.halts.resume(AGENT, acts("U0ALICE"), "the-outcome")
    await house.halts.pause(AGENT, acts("U0ALICE"), "it goes on")
    house.clock.advance(days=89)
    await retention.forget_old()
    assert all(word in everything_in(house.store.path) for word in ("the-reason", "the-note", "the-outcome"))
    house.clock.advance(days=2)
    await retention.forget_old()
    left = everything_in(house.store.path)
    assert [word for word in WRITTEN if word in left] == []
    assert "it goes on" in left
    assert [halt.reason for halt in await house.halts.in_force()] == ["it goes on"]
    faults = Faults()
    await check_rights(house.store, faults)
    assert (faults.count, (await Audit(house.store, house.clock).verify()).fault_count) == (0, 0)


async def test_it_leaves_no_trace_in_the_file(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    await over(house, instance, acts)
    house.clock.advance(days=91)
    await retention.forget_old()
    path = house.store.path
    await house.store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert [word for word in WRITTEN if word.encode() in path.read_bytes()] == []


async def test_an_agent_hears_that_there_is_none_and_its_key_stays_taken(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    done = await over(house, instance, acts)
    house.clock.advance(days=91)
    await retention.forget_old()
    with pytest.raises(UnknownRequest):
        await house.approvals.read(instance, done.id)
    with pytest.raises(UnknownRequest):
        await house.approvals.consume(instance, done.id, "k")
    with pytest.raises(UnknownRequest):
        await house.approvals.report_outcome(instance, done.id, OutcomeStatus.SUCCEEDED, "the-outcome")
    with pytest.raises(UnknownRequest):
        await house.approvals.cancel(instance, done.id)
    with pytest.raises(IdempotencyConflict):
        await house.creation.submit(instance, a_call(), "key")
    with pytest.raises(NothingToOverride):
        await house.overrides.report(done.number, acts("U0ADMIN"), "too late")
    # Under a new key it is a new request.
    again, new = await house.creation.submit(instance, a_call(), "another")
    assert new
    assert again.status is Status.PENDING


async def test_nothing_is_forgotten_that_something_may_still_come_of(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    waiting, _ = await house.creation.submit(instance, a_call(), "waiting")
    in_use, _ = await house.creation.submit(instance, a_call("look_up"), "in use")
    await house.approvals.consume(instance, in_use.id, "k")
    unused, _ = await house.creation.submit(instance, a_call("look_up"), "unused")
    house.clock.advance(days=91)
    assert await retention.forget_old() == 0  # the sweep has not been, and an outcome may come
    for one in (waiting, in_use, unused):
        assert (await load(house, one)).forgotten_at is None
    while (await house.deadlines.sweep()).requests:
        pass
    assert await retention.forget_old() == 2  # overdue, and lapsed; what expired just now is young
    assert (await load(house, waiting)).forgotten_at is None


async def test_a_vote_cast_ahead_keeps_what_it_was_granted_on(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    made, _ = await house.creation.submit(instance, a_call(), "key")
    await house.standing.approve_with_changes(
        made.number,
        acts("U0ALICE", surface="modal", full_view=FullView.FORM),
        '{"amount": "less"}',
        seen=FullView.CARD,
        reason="the-note",
    )
    with closing(sqlite3.connect(house.store.path)) as connection:  # as if it had been granted just now
        late = (house.clock.now + timedelta(days=92)).isoformat(timespec="microseconds")
        connection.execute("UPDATE standing_votes SET expires_at = ?", (late,))
        connection.commit()
    house.clock.advance(days=91)
    assert await retention.forget_old() == 0
    house.clock.advance(days=2)
    assert await retention.forget_old() == 1
    (standing,) = await house.store.read(
        lambda unit: unit.all(statements_ahead.STANDING_GRANTED_ON, request_number=made.number)
    )
    assert (standing.note, standing.digest) == (None, f"forgotten {standing.id}".encode())


async def test_many_are_forgotten_in_batches_and_their_cards_drawn_one_after_the_other(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    for at in range(45):
        made, _ = await house.creation.submit(instance, a_call(), f"key{at}")
        await house.decisions.vote(made.number, acts("U0ALICE"), VoteKind.APPROVE, "the-note", confirmed=True)
        house.clock.advance(minutes=10)
        await house.deadlines.sweep()
    with closing(sqlite3.connect(house.store.path)) as connection:
        connection.execute("DELETE FROM outbox")
        connection.commit()
    house.clock.advance(days=91)
    assert await retention.forget_old() == 45
    with closing(sqlite3.connect(house.store.path)) as connection:
        due = [at for (at,) in connection.execute("SELECT due_at FROM outbox WHERE kind = 'draw_card' ORDER BY due_at")]
    step = BETWEEN_DRAWS
    assert due == [(house.clock.now + at * step).isoformat(timespec="microseconds") for at in range(45)]


async def test_without_a_table_nothing_is_forgotten(house: House, instance: Instance, acts: Acts) -> None:
    await over(house, instance, acts)
    house.clock.advance(days=4000)
    retention = Retention(house.store, house.clock, lambda: sample_settings())
    assert await retention.forget_old() == 0


async def test_a_later_card_is_not_compared_with_what_is_gone(
    house: House, instance: Instance, retention: Retention, acts: Acts
) -> None:
    done = await over(house, instance, acts)
    house.clock.advance(days=91)
    await retention.forget_old()
    made, _ = await house.creation.submit(instance, a_call(), "another")
    redactor = Redactor(b"k" * 32)
    for request in (made, await load(house, done)):
        drawing = await house.store.read(
            lambda unit, request=request: load_drawing(unit, house.rulebook, redactor, request, house.clock())
        )
        assert drawing.previous is None
        text = json.dumps([render_card(drawing, house.clock()).blocks, render_details(drawing, "m")["blocks"]])
        assert ("the-amount" in text) is (request.number == made.number)
        assert ("were removed" in text) is (request.number == done.number)
        assert "does not count" not in text
    assert "<@U0ALICE>" in text  # who approved stays


async def events_of(unit: Unit, request: Request) -> list[Event]:
    return await unit.all(statements.EVENTS_OF, request_number=request.number)


async def test_the_card_in_slack_loses_what_was_forgotten(database: Path) -> None:
    async with running_bot(database, text=SAMPLE + KEEPING) as bot:
        made, _ = await bot.creation.submit(bot.instance, a_call(), "key")
        card = await bot.card(made)
        await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")

        def shown() -> str:
            (message,) = bot.cards(made)
            return str(message.blocks)

        await bot.slack.until(lambda: "Approved" in shown())
        await bot.until_delivered()
        await bot.advance(hours=2)
        await bot.slack.until(lambda: "not used" in shown())
        await bot.until_delivered()
        assert "the-amount" in shown()
        await bot.advance(days=91)
        await Retention(bot.store, bot.clock, lambda: bot.service.settings).forget_old()
        bot.deliverer.wake()
        await bot.slack.until(lambda: "were removed" in shown())
        assert [word for word in WRITTEN if word in shown()] == []
        assert "<@U0ALICE>" in shown()
        await bot.until_delivered()

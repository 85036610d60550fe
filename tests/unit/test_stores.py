"""What both kinds of store promise: group commit, units undone alone, announcements, the chain of events."""

import asyncio
import hashlib
import json
import sqlite3
from functools import partial
from typing import Any

import asyncpg
import pytest

from bot.events import EventType, append_event
from store import statements, statements_audit
from store.announcing import Announcer
from store.engine import Store
from store.tables import RuleVersion
from store.unit import StoreUnavailable, Unit
from tests.conftest import START

pytestmark = pytest.mark.both_databases
REFUSED_VALUE = (sqlite3.IntegrityError, asyncpg.IntegrityConstraintViolationError)


def take(act: str) -> Any:
    async def work(unit: Unit) -> int:
        return await unit.run(statements.TAKE_ACT, id=act, user_id="U0", at=START)

    return work


async def is_there(store: Store, act: str) -> bool:
    """Whether an act is committed; if it was, this leaves it as it is."""

    async def work(unit: Unit) -> None:
        if await take(act)(unit):
            raise LookupError(act)

    try:
        await store.write(work)
    except LookupError:
        return False
    return True


async def refuse_after_writing(unit: Unit) -> None:
    await take("lost")(unit)
    await append_event(unit, START, EventType.INSTANCE_CREATED, name="lost")
    raise LookupError("refused")


async def test_what_is_returned_is_committed(store: Store) -> None:
    assert await store.write(take("a")) == 1
    assert await store.write(take("a")) == 0
    assert await is_there(store, "a")
    assert not await is_there(store, "b")


async def test_events_of_a_group_are_chained_without_those_of_who_refused(store: Store) -> None:
    def add(name: str, *, then: BaseException | None = None) -> Any:
        async def work(unit: Unit) -> None:
            await append_event(unit, START, EventType.INSTANCE_CREATED, name=name)
            if then is not None:
                raise then

        return work

    for before_writing in (True, False):  # either leaves no trace; the second runs the group with savepoints
        results = await asyncio.gather(
            store.write(add("a")),
            store.write(add("lost", then=LookupError()) if before_writing else refuse_after_writing),
            store.write(add("b")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), LookupError, type(None)]
    events = await store.read(lambda unit: unit.all(statements_audit.LINKS_AFTER, number=0, limit=10))
    assert [json.loads(event.body)["name"] for event in events] == ["a", "b", "a", "b"]
    assert [event.number for event in events] == [1, 2, 3, 4]  # without a gap: one would look like a missing event
    head = statements.CHAIN_START
    for event in events:
        head = hashlib.sha256(head + event.body.encode()).digest()
        assert event.hash == head


async def test_what_the_database_refuses_undoes_its_unit_alone(store: Store) -> None:
    async def wrong_event(unit: Unit) -> None:
        await take("lost")(unit)
        await unit.run(
            statements.INSERT_EVENT, at=START, type="instance.created", request_number=404, body="{}", hash=None
        )

    async def wrong_row(unit: Unit) -> None:
        await take("lost")(unit)
        await unit.run(statements.INSERT_MODAL, **dict.fromkeys(statements.modals.c.keys()))

    for wrong in (wrong_event, wrong_row):
        for others in ([f"{wrong.__name__}-a", f"{wrong.__name__}-b"], []):
            results = await asyncio.gather(
                *(store.write(take(act)) for act in others), store.write(wrong), return_exceptions=True
            )
            assert results[:-1] == [1] * len(others)
            assert isinstance(results[-1], REFUSED_VALUE)
            assert [await is_there(store, act) for act in others] == [True] * len(others)
    assert not await is_there(store, "lost")


async def test_one_failing_unit_of_a_group_undoes_itself_alone(store: Store) -> None:
    results = await asyncio.gather(
        store.write(take("a")),
        store.write(take("b")),
        store.write(refuse_after_writing),
        store.write(take("c")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, int, LookupError, int]
    assert [await is_there(store, act) for act in ("a", "b", "c", "lost")] == [True, True, True, False]


async def test_changes_are_announced_after_the_commit_and_before_the_answer(store: Store) -> None:
    heard: list[object] = []
    store.subscribe(heard.append)

    async def work(unit: Unit) -> None:
        await take("a")(unit)
        unit.announce("changed")
        assert heard == []

    async def refused(unit: Unit) -> None:
        unit.announce("never")
        raise LookupError

    await store.write(work)
    assert heard == ["changed"]
    with pytest.raises(LookupError):
        await store.write(refused)
    assert heard == ["changed"]


async def test_a_listener_that_fails_keeps_nobody_from_hearing(store: Store) -> None:
    heard: list[object] = []
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context["exception"]))

    def fail(change: object) -> None:
        raise LookupError("a listener's own fault")

    store.subscribe(fail)
    store.subscribe(heard.append)

    async def work(unit: Unit) -> int:
        unit.announce("changed")
        return await take("a")(unit)

    async with asyncio.timeout(5):
        assert await asyncio.gather(store.write(work), store.write(take("b"))) == [1, 1]
    assert heard == ["changed"]
    assert [type(trouble) for trouble in troubles] == [LookupError]


async def test_a_caller_that_goes_away_does_not_undo_its_work(store: Store) -> None:
    loop = asyncio.get_running_loop()
    entered = asyncio.Event()

    async def work(unit: Unit) -> None:
        loop.call_soon_threadsafe(entered.set)
        await take("kept")(unit)
        unit.announce("kept")

    heard: asyncio.Future[object] = loop.create_future()
    store.subscribe(heard.set_result)
    task = asyncio.ensure_future(store.write(work))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await heard == "kept"
    assert await is_there(store, "kept")


async def test_nothing_is_written_while_reading(store: Store) -> None:
    for look in (store.read, store.peek):
        assert await look(lambda unit: unit.one(statements.INTENT_COUNT)) == 0
        with pytest.raises(StoreUnavailable, match=r"read-?only"):
            await look(take("a"))
        with pytest.raises(LookupError):
            await look(_refuse)
    assert not await is_there(store, "a")


async def _refuse(unit: Unit) -> None:
    raise LookupError


async def test_a_reader_sees_one_moment(store: Store) -> None:
    async def look(unit: Unit) -> list[int | None]:
        return [await unit.one(statements.INTENT_COUNT) for _ in range(3)]

    assert await store.read(look) == [0, 0, 0]


async def test_a_closed_store_refuses(store: Store) -> None:
    assert isinstance(store, Announcer)
    queued = asyncio.ensure_future(store.write(take("last")))
    await asyncio.sleep(0)
    await store.close()
    assert await queued == 1
    for work in (store.write, store.read, store.peek):
        with pytest.raises(StoreUnavailable, match="closed"):
            await work(take("late"))


async def test_any_text_is_kept_to_the_letter(store: Store) -> None:
    for text in ("", "a\0b", "\0", "\ue000", "\ue0000 \ue0001", "\ue000\0\ue000", "\0\ue0001", "0é1🜁"):
        version = {"digest": text.encode(), "name": "n", "body": text, "seen_at": START}
        await store.write(partial(_store_version, version=version))
        stored = await store.read(partial(_load_version, digest=text.encode()))
        assert stored is not None
        assert stored.body == text


async def _store_version(unit: Unit, version: dict[str, Any]) -> None:
    await unit.run(statements.INSERT_RULE_VERSION, **version)


async def _load_version(unit: Unit, digest: bytes) -> RuleVersion | None:
    return await unit.one(statements.RULE_VERSION_BY_DIGEST, digest=digest)


async def test_a_use_cases_own_error_is_its_own_whatever_it_is(store: Store) -> None:
    """Also one that the driver raises for a network that is gone."""

    async def fail(unit: Unit) -> None:
        await take("lost")(unit)
        raise OSError("no such file")

    for work in (store.write, store.read):
        with pytest.raises(OSError, match="no such file"):
            await work(fail if work == store.write else _fail_reading)
    assert not await is_there(store, "lost")


async def _fail_reading(unit: Unit) -> None:
    await unit.one(statements.INTENT_COUNT)
    raise OSError("no such file")

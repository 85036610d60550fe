"""Running units beside each other in one transaction of PostgreSQL: side by side, a statement of all of them at a time.

Each unit runs until it asks for a statement; then the same statements of all are sent together, and each goes on with
its own answer. So many units cost as many ways to the server and back as the longest of them has statements. What may
be asked for, and why that is sound, is ``store.statements_beside``'s; who must run alone instead is found out here.
"""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from store.announcing import Job
from store.compiled import Statement
from store.statements_beside import BESIDE, once_each
from store.statements_chain import Appended
from store.unit import Unit

if TYPE_CHECKING:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

R = TypeVar("R")


class _Alone(BaseException):
    """The unit is to be run alone. No ``Exception``, so that no use case takes it for one of its own."""


class AllAlone(Exception):
    """A unit that must run alone has written something: nothing of this transaction is to be kept."""


class _Ask:
    """What a unit waits for: the row of a statement, None where there is none."""

    def __init__(self, statement: Statement[Any], values: dict[str, Any]) -> None:
        self.statement = statement
        self.order = tuple(values[name] for name in BESIDE[statement])
        self.bound = statement.postgresql.bind(values)

    def __await__(self) -> Generator["_Ask", Sequence[Any] | None, Sequence[Any] | None]:
        return (yield self)


class BesideUnit(Unit):
    """A unit that runs beside others. ``appended`` are its events, to be chained at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.appended: list[Appended] = []
        self.has_written = False
        self.is_alone = False
        """Whether it must be run again, alone."""

    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        row = await self._ask(statement, values)
        return None if row is None else statement.postgresql.load(row)

    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        row = await self._ask(statement, values)
        return [] if row is None else [statement.postgresql.load(row)]

    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        return int(await self._ask(statement, values) is not None)

    async def be_alone(self) -> None:
        self.is_alone = True
        raise _Alone

    async def append(self, at: datetime, type: str, request_number: int | None, body: bytes) -> None:
        self.appended.append(Appended(at, type, request_number, body.decode()))

    async def _ask(self, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any] | None:
        if statement not in BESIDE or self.is_alone:
            await self.be_alone()
        row = await _Ask(statement, values)
        if statement.is_write:
            if row is None:
                await self.be_alone()
            self.has_written = True
        return row


class _Run:
    """A unit under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.unit = BesideUnit()
        self.ask: _Ask | None = None
        self._going: Any = job.work(self.unit)

    def go_on(self, row: Sequence[Any] | None) -> None:
        """Let it run until it asks for a statement, or has come to its end."""
        self.ask = None
        try:
            asked = self._going.send(row)
        except StopIteration as stop:
            self.job.result = stop.value
        except (Exception, _Alone):
            self.unit.is_alone = True
        else:
            if isinstance(asked, _Ask):
                self.ask = asked
                return
            self.close()  # it waits for something else than its unit
            self.unit.is_alone = True

    def close(self) -> None:
        """End it where it stands."""
        self._going.close()


async def run_beside(connection: "asyncpg.Connection", jobs: Sequence[Job]) -> tuple[list[Appended], list[Job]]:
    """Run units in the transaction that has begun; returns the events of those that succeeded, and who must run alone.

    Those have left nothing. Raises ``AllAlone`` where that cannot be said, and what the database raises.
    """
    runs = [_Run(job) for job in jobs]
    try:
        for run in runs:
            run.go_on(None)
        while waiting := [run for run in runs if run.ask is not None]:
            answers: list[tuple[_Run, Sequence[Any] | None]] = []
            for statement in BESIDE:
                answers += await _answer(connection, statement, waiting)
            for run, row in answers:
                run.go_on(row)
    finally:
        for run in runs:
            run.close()
    if any(run.unit.is_alone and run.unit.has_written for run in runs):
        raise AllAlone
    appended: list[Appended] = []
    for run in runs:
        if not run.unit.is_alone:
            run.job.changes = run.unit.changes
            appended += run.unit.appended
    return appended, [run.job for run in runs if run.unit.is_alone]


async def _answer(
    connection: "asyncpg.Connection", statement: Statement[Any], waiting: Sequence[_Run]
) -> list[tuple[_Run, Sequence[Any] | None]]:
    """Run ``statement`` for all that wait for it."""
    asking = [(run, run.ask) for run in waiting if run.ask is not None and run.ask.statement is statement]
    if not asking:
        return []
    asking.sort(key=lambda one: one[1].order)
    rows = await connection.fetchmany(once_each(statement), [ask.bound for _, ask in asking])
    if len(rows) != len(asking):
        raise AllAlone  # somebody has several
    return [(run, row[1:] if row[0] else None) for (run, _), row in zip(asking, rows, strict=True)]

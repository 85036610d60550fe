"""A statement, compiled once for each database.

A SQLAlchemy construct over the SQLModel tables is turned into text, an ordered list of parameters and the types'
own processors, so that running it costs no more than the driver does. For SQLite that is done at once, for PostgreSQL
when the statement is first run there. Nothing here runs a statement.
"""

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from operator import itemgetter
from typing import Any, Generic, TypeVar, overload

from sqlalchemy import BindParameter, Executable, LargeBinary
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.default import DefaultDialect

from store.tables import Record

R = TypeVar("R", covariant=True)
T = TypeVar("T", bound=Record)
_NO_FIELDS: frozenset[str] = frozenset()  # records are compared by their values, whoever set them
Processor = Callable[[Any], Any]

SQLITE: DefaultDialect = sqlite.dialect(paramstyle="qmark")


@cache
def postgresql() -> DefaultDialect:
    """The dialect of the driver for PostgreSQL."""
    from sqlalchemy.dialects.postgresql.asyncpg import dialect

    return dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own


def make_record(record: type[T], **values: Any) -> T:
    """Make a record of what the database takes or gave; a column that is not named is null."""
    return _record(record, _nulls(record) | values)


def changed_record(record: T, **values: Any) -> T:
    """Return a copy of ``record`` with other ``values``: what was just written need not be read back."""
    return _record(type(record), record.__dict__ | values)


@cache  # pydantic takes its time to name a model's fields
def _nulls(record: type[Record]) -> dict[str, Any]:
    return dict.fromkeys(record.model_fields)


def _record(record: type[T], values: dict[str, Any]) -> T:
    # The database's constraints check these values; validating each again would cost more than the query. These four
    # are what pydantic's own model_construct sets.
    made = object.__new__(record)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", _NO_FIELDS)
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


class Form(Generic[R]):
    """A statement as one database's driver takes it."""

    def __init__(self, clause: Executable, row: Callable[..., Any] | None, dialect: DefaultDialect) -> None:
        compiled = clause.compile(dialect=dialect)  # type: ignore[attr-defined]  # every construct has it; Executable does not say so
        self.sql = str(compiled)
        self._constants: dict[str, Any] = {}  # of the statement itself, as the driver takes them
        self._processors: list[tuple[int, Processor]] = []  # for what each call brings, by its place
        names = tuple(compiled.positiontup or ())
        for at, name in enumerate(names):
            bind: BindParameter[Any] = compiled.binds[name]
            processor = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required:
                value = bind.effective_value
                self._constants[name] = processor(value) if processor else value
            elif processor is not None:
                self._processors.append((at, processor))
        self.parameters = frozenset(names) - self._constants.keys()
        """The names of what each call brings."""
        self._picked = _picker(names)
        self._load = _loader(clause, row, dialect) if row is not None else None

    def bind(self, values: dict[str, Any]) -> Sequence[Any]:
        """Return the driver's parameters for ``values``. Raises ``KeyError`` for one that is missing."""
        # On the hot path a dozen times for each request: nothing is done here by name that can be done by place.
        picked = self._picked(values | self._constants if self._constants else values)
        if not self._processors:
            return picked
        bound = list(picked)
        for at, processor in self._processors:
            bound[at] = processor(bound[at])
        return bound

    def load(self, row: Sequence[Any]) -> R:
        """Turn one row of the driver into this statement's kind of value."""
        if self._load is None:
            raise TypeError("this statement returns no rows")
        loaded: R = self._load(row)
        return loaded


def _picker(names: tuple[str, ...]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What takes the values of ``names`` out of a dictionary, in that order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)  # of one name an itemgetter makes no tuple


class Statement(Form[R]):
    """A statement with its parameters and the shape of its rows: in itself SQLite's form, and ``postgresql``.

    ``row`` is what a row becomes: a ``Record`` class (the statement must return exactly its columns), or a plain
    function of the row's values. Statements that return nothing leave it out. ``gathered`` says that no unit reads
    back in its transaction what this writes: then it is written once for a whole group of units, before their commit.
    ``on_postgresql`` is the construct where PostgreSQL needs another; it takes the same parameters.
    """

    @overload
    def __init__(
        self: "Statement[None]", clause: Executable, *, gathered: bool = False, on_postgresql: Executable | None = None
    ) -> None: ...

    @overload
    def __init__(
        self, clause: Executable, row: Callable[..., R], *, on_postgresql: Executable | None = None
    ) -> None: ...

    def __init__(
        self,
        clause: Executable,
        row: Callable[..., Any] | None = None,
        *,
        gathered: bool = False,
        on_postgresql: Executable | None = None,
    ) -> None:
        super().__init__(clause, row, SQLITE)
        self.is_gathered = gathered
        self.is_write = bool(clause.is_dml)
        self._row = row
        self._on_postgresql = clause if on_postgresql is None else on_postgresql

    @cached_property
    def postgresql(self) -> Form[R]:
        """This statement as PostgreSQL takes it."""
        return Form(self._on_postgresql, self._row, postgresql())


def _loader(clause: Any, row: Callable[..., Any], dialect: DefaultDialect) -> Callable[[Sequence[Any]], Any]:
    columns = list(clause.exported_columns)
    names = [column.name for column in columns]
    # Both drivers give bytes as they are; SQLAlchemy's processor for them would only look at them.
    processors = [
        None
        if isinstance(column.type, LargeBinary)
        else column.type.dialect_impl(dialect).result_processor(dialect, None)
        for column in columns
    ]
    converted = [(at, processor) for at, processor in enumerate(processors) if processor is not None]

    def values(raw: Sequence[Any]) -> list[Any]:
        cells = list(raw)
        for at, processor in converted:
            cells[at] = processor(cells[at])
        return cells

    if isinstance(row, type) and issubclass(row, Record):
        if set(names) != set(row.model_fields):
            raise TypeError(f"{row.__name__} is not what this statement returns: {names}")

        def load_record(raw: Sequence[Any]) -> Any:
            return _record(row, dict(zip(names, values(raw), strict=True)))

        return load_record
    return lambda raw: row(*values(raw))

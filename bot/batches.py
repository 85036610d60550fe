"""Many things done in one transaction; and one by one where one of them cannot be done, so that it holds up no other.

Only of requests that nobody waits for: what a person or an agent does is one act, and fails as one.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, TypeVar

from store.engine import Store
from store.unit import StoreUnavailable, Unit

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class One(Protocol[T_co]):
    """Does for one request, inside a transaction, what there is still to do; returns what came of it."""

    def __call__(self, unit: Unit, number: int) -> Awaitable[Iterable[T_co]]: ...


async def do_together(
    store: Store,
    together: Callable[[Unit], Awaitable[Iterable[T]]],
    numbers: Callable[[], Awaitable[Iterable[int]]],
    one: One[T],
) -> tuple[list[T], dict[int, Exception]]:
    """Run ``together`` in a transaction; if it fails, ``one`` in a transaction of its own for each of ``numbers``.

    Returns what was done, and by number why some requests could not be moved on. Raises ``StoreUnavailable``: then
    nothing can be done for anybody.
    """
    try:
        return list(await store.write(together)), {}
    except StoreUnavailable:
        raise
    except Exception:  # what it is comes again with the request it belongs to
        return await _do_singly(store, await numbers(), one)


async def _do_singly(store: Store, numbers: Iterable[int], one: One[T]) -> tuple[list[T], dict[int, Exception]]:
    done: list[T] = []
    stuck: dict[int, Exception] = {}
    for number in numbers:
        try:
            done += await store.write(partial(one, number=number))
        except StoreUnavailable:
            raise
        except Exception as error:
            stuck[number] = error
    return done, stuck

"""Rounds in which a process, of the service or of PostgreSQL, is killed, with -9, while agents and people are at work.

The named points are in ``tests.faults.dying``; a seed says which, and the so-manieth time. Where the process does not
come to it, it is killed when all is done. A seed's threads and sockets are the machine's: a failure comes again often,
and not to the letter.
"""

import asyncio
import os
import random
import signal
from contextlib import AsyncExitStack, suppress

from playground import PlaygroundSettings
from store.opening import Database
from tests.faults.dying import POINTS
from tests.faults.shift import Shift
from tests.faults.stage import POSTGRESQL, Stage, assert_whole
from tests.scenario.process_support import Site, site_at
from tests.scenario.service_support import playing, until
from tests.stores import rows_at

PATIENT = PlaygroundSettings(ack_seconds=20)  # so that Slack still waits for the acknowledgement after a restart
RULED, ASKED = 8, 3  # no more people's calls than a channel takes at once
_MOST_TIMES = {"statement": 120, "ack": 5, "acked": 5, "send": 20, "sending": 20, "sent": 20}
_TIMES = 35  # of all other points
_WITHIN_SECONDS = 0.004


def point_of(chance: random.Random, seed: int) -> str:
    """Choose where to die: one point after the other, and by chance the so-manieth time."""
    name = list(POINTS)[seed % len(POINTS)]
    delay = chance.uniform(0.0001, _WITHIN_SECONDS) if name.endswith("ing") else 0
    return f"{name}:{chance.randint(1, _MOST_TIMES.get(name, _TIMES))}:{delay:.5f}"


async def one_killed(stage: Stage, kind: str, seed: int) -> None:
    """The one process of a database dies, one time in four also while it recovers."""
    chance = random.Random(f"kill {seed}")
    folder = stage.folder()
    database = stage.database(kind, folder)
    async with playing(PATIENT) as slack, site_at(stage.starter, slack, database, folder=folder) as site:
        shift = Shift(slack, [site], chance, RULED, ASKED)
        for again in range(chance.choice([1, 1, 1, 2])):
            point = point_of(chance, seed + again)
            await site.launch(point)
            await shift.run()
            assert again or ":1:" not in point or site.has_died, f"{point} is never come to"
            await _bury(site)
        await site.start()
        await shift.run()
        await shift.settle(site)
        shift.assert_kept(site)
        await assert_whole(database)


async def one_of_two_killed(stage: Stage, kind: str, seed: int) -> None:
    """Two replicas serve one database; one dies at any point or at any time, and starts again while the other works."""
    assert kind == POSTGRESQL
    chance = random.Random(f"replicas {seed}")
    folders = [stage.folder(), stage.folder()]
    database = stage.database(kind, folders[0])
    async with AsyncExitStack() as both:
        slack = await both.enter_async_context(playing(PATIENT))
        here = await both.enter_async_context(site_at(stage.starter, slack, database, folder=folders[0]))
        there = await both.enter_async_context(
            site_at(stage.starter, slack, database, folder=folders[1], token=here.token)
        )
        await there.start()
        shift = Shift(slack, [here, there], chance, RULED * 2, ASKED)
        await here.launch(point_of(chance, seed))
        working = asyncio.ensure_future(shift.run())
        if chance.random() < 0.5:
            await asyncio.sleep(chance.uniform(0, 0.6))
        else:
            while not (here.has_died or working.done()):  # noqa: ASYNC110  another process, that tells nobody
                await asyncio.sleep(0.01)
        await _bury(here)
        await here.start(waits_for_slack=False)
        await working
        await shift.run()
        await shift.settle(there)
        shift.assert_kept(there)
        await assert_whole(database)


async def server_killed(stage: Stage, kind: str, seed: int) -> None:
    """PostgreSQL dies, all of it or one of its processes, again and again, while one or two replicas serve from it.

    One process that dies takes all connections with it: the server ends the others, because they share its memory.
    """
    assert kind == POSTGRESQL
    chance = random.Random(f"server {seed}")
    server, folders = stage.server, [stage.folder() for _ in range(chance.choice([1, 2]))]
    database = stage.database(kind, folders[0])
    async with AsyncExitStack() as all_of_them:
        slack = await all_of_them.enter_async_context(playing(PATIENT))
        sites: list[Site] = []
        for folder in folders:
            token = sites[0].token if sites else None
            site = site_at(stage.starter, slack, database, folder=folder, token=token)
            sites.append(await all_of_them.enter_async_context(site))
            await sites[-1].start()
        shift = Shift(slack, sites, chance, RULED * 2, ASKED)
        working = asyncio.ensure_future(shift.run())
        for _ in range(chance.randint(1, 3)):
            wanted = shift.answers + chance.randint(0, 25)
            await until(lambda wanted=wanted: shift.answers >= wanted or working.done())  # type: ignore[misc]
            if chance.random() < 0.3:
                os.kill(chance.choice(server.others()), signal.SIGKILL)
            else:
                await asyncio.to_thread(server.die)
                await asyncio.sleep(chance.uniform(0, 0.2))
                await asyncio.to_thread(server.start)
        await working
        await asyncio.to_thread(server.until_ready)
        await shift.settle(sites[0])
        shift.assert_kept(sites[0])
        assert not any(site.has_died for site in sites), "the service ended with its database"
        await assert_whole(database)


async def _bury(site: Site) -> None:
    """End the process if it has not ended, and let the minute of its leases pass."""
    pid = site.pid
    assert pid is not None
    if not site.has_died:
        with suppress(ProcessLookupError):  # it has died this moment
            os.kill(pid, signal.SIGKILL)
    assert await site.until_ended() == -9
    if isinstance(site.path, str):
        _end_leases(site.path, pid)


def _end_leases(database: Database, pid: int) -> None:
    rows_at(database, f"UPDATE outbox SET leased_until = created_at WHERE leased_by LIKE '%:{pid}'")
    rows_at(database, "SELECT pg_notify('signoff', 'faults outbox')")

"""``signoff serve`` as a process whose provisioner makes instances with receivers on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.provisioners import Provisioners
from playground import Playground
from store.engine import SqliteStore
from tests.conftest import SAMPLE, StandingClock
from tests.scenario.process_support import Site, Starter, site_at
from tests.scenario.receiver_support import Station, receiving
from tests.scenario.service_support import SECRET_KEY, send

TEXT = SAMPLE + "\n[delivery]\nallow_loopback = true\n"
LOOK_UP = {"tool": "look_up", "arguments": {}, "timeout": "10m"}


@dataclass
class Wired:
    """A site, a provisioner's token and a receiver."""

    site: Site
    token: str
    station: Station

    async def call(self, method: str, path: str, body: object = None, key: str | None = None) -> tuple[int, Any]:
        """Call the API as the provisioner."""
        return await send(self.site.session, self.site.agents_url, self.token, method, path, body, key=key)

    async def provision(self, key: str = "k", **changes: object) -> tuple[int, Any]:
        """Make an instance with the receiver; its requests are the site's from then on."""
        status, made = await self.call(
            "POST", "/v1/instances", {"delivery": self.station.configuration(**changes)}, key
        )
        if status < 300:
            self.site.token = made["credential"]["token"]
        return status, made


@asynccontextmanager
async def wired_at(
    starter: Starter, slack: Playground, database: Path, *, env: dict[str, str] | None = None
) -> AsyncIterator[Wired]:
    """Prepare all of it. Nothing runs yet."""
    async with receiving() as station, site_at(starter, slack, database, text=TEXT, env=env) as site:
        store = await SqliteStore.open(database)
        _, token = await Provisioners(store, StandingClock(), SECRET_KEY).create("fleet", "refund-bot")
        await store.close()
        yield Wired(site, token, station)

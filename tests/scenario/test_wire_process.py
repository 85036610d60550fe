"""The real process and its receivers: it is told to stop while it challenges one, and it keeps their secrets."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.scenario.process_support import Starter
from tests.scenario.service_support import assert_sound, playing
from tests.scenario.wire_process_support import LOOK_UP, Wired, wired_at
from tests.waiting import until, within

METRICS_TOKEN = secrets.token_hex(20)


@pytest.fixture
async def wired(starter: Starter, database: Path) -> AsyncIterator[Wired]:
    env = {"SIGNOFF_LOG_LEVEL": "debug", "SIGNOFF_METRICS_TOKEN": METRICS_TOKEN}
    async with playing() as slack, wired_at(starter, slack, database, env=env) as wired:
        yield wired
    assert_sound(database)


async def test_a_stop_in_the_middle_of_a_challenge_leaves_nothing_half_done(wired: Wired) -> None:
    site, station = wired.site, wired.station
    never = asyncio.Event()

    async def hang(http_request: web.Request, body: bytes) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    await site.start()
    station.answer = hang
    asking = asyncio.ensure_future(wired.provision())
    await station.until_challenged()
    began = time.monotonic()
    await site.terminate()
    assert time.monotonic() - began < 5  # two seconds on a machine that is not busy; a challenge takes ten
    with pytest.raises(aiohttp.ClientError):
        await within(asking)
    assert site.rows("SELECT count(*) FROM instances WHERE provisioner_id IS NOT NULL") == [(0,)]
    assert site.rows("SELECT * FROM deliveries") == []
    assert not any(line["level"] in ("error", "critical") for line in site.logged())

    station.answer = None
    await site.start()
    assert (await wired.provision())[0] == 201  # the same key
    assert len(station.got) == 2


async def test_a_receivers_address_and_secret_are_told_to_nobody(wired: Wired) -> None:
    """An address may hold a secret in its path: it is not logged, counted, put on record or said in an error."""
    site, station = wired.site, wired.station
    await site.start()
    word = f"canary{secrets.token_hex(8)}"
    secret = secrets.token_bytes(32)
    text = base64.b64encode(secret).decode()
    changes = {"url": f"{station.url}&token={word}", "signing_secret": f"whsec_{text}"}
    inward = {"url": f"https://10.0.0.1/{word}", "signing_secret": changes["signing_secret"]}
    answers = [
        await wired.provision("k1", **inward),
        await wired.provision("k2", **(inward | {"url": f"http://{word}/"})),
        await wired.provision("k3", **changes, retries=word),
        await wired.provision("k4", **changes, registration_id=word),
        await wired.provision("k5", **(changes | {"url": f"http://127.0.0.1:1/{word}"})),
    ]
    station.answer = lambda http_request, body: _says(200, json.loads(body)["challenge"])
    answers.append(await wired.provision("k6", **changes))
    assert [status for status, _ in answers] == [400, 400, 400, 400, 422, 422]

    async def agree(http_request: web.Request, body: bytes) -> web.StreamResponse:
        return web.json_response({"challenge": json.loads(body)["challenge"]})

    station.answer = agree
    assert (await wired.provision("k", **changes))[0] == 201
    station.answer = lambda http_request, body: _says(503, word)
    await site.send("POST", "/v1/requests", LOOK_UP, key="r")
    await until(lambda: site.rows("SELECT last_code FROM notifications") == [("http_503",)])
    async with site.session.get(f"{site.url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}) as answer:
        metrics = await answer.text()
    assert 'signoff_notifications_total{result="http_503"}' in metrics
    await site.terminate()
    told = {
        "log": "\n".join(json.dumps(line) for line in site.logged()),
        "errors": str(answers),
        "metrics": metrics,
        "events": str(site.rows("SELECT body FROM events")),
        "notifications": str(site.rows("SELECT * FROM notifications")),
    }
    for place, said in told.items():
        for unsaid in (word, text, repr(secret), secret.hex(), wired.token, site.token):
            assert unsaid not in said, place
    assert text not in str(site.rows("SELECT * FROM deliveries")) + str(site.rows("SELECT * FROM instances"))
    assert word in str(site.rows("SELECT url FROM deliveries"))  # it was there to be told


async def _says(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"X-Said": text})

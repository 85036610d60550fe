"""The demo as it is started: the page's hand on the clock reaches the bot."""

import aiohttp
import pytest

from handlers.demo import running_demo
from playground.settings import utc_now


async def test_moving_the_clock_moves_the_bots_and_wakes_its_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_demo() as demo, aiohttp.ClientSession() as session:
        slack, service = demo.slack, demo.service
        woken: list[str] = []
        monkeypatch.setattr(service.sweeper, "wake", lambda: woken.append("sweep"))
        monkeypatch.setattr(service.deliverer, "wake", lambda: woken.append("delivery"))
        async with session.ws_connect(f"{slack.base_url}/playground/ws", headers={"Origin": slack.base_url}) as page:
            await page.send_json({"id": 1, "act": "advance", "seconds": 3600})
            while (answer := await page.receive_json(timeout=5))["type"] != "done":
                assert answer["clock"] is not None
        assert answer["ok"]
        assert sorted(woken) == ["delivery", "sweep"]
        for clock in (service.clock, slack.settings.now):
            assert 3590 < (clock() - utc_now()).total_seconds() < 3610
        assert abs(int(slack.sign(b"")["X-Slack-Request-Timestamp"]) - utc_now().timestamp()) < 30

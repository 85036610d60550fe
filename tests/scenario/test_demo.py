"""The demo as it is started: the page's hand on the clock reaches the bot."""

from datetime import timedelta

import aiohttp
import pytest

from bot.clock import MovableClock
from handlers.demo import running_demo
from playground.settings import utc_now
from tests.scenario.service_support import rows, send


async def test_moving_the_clock_moves_the_bots_and_wakes_its_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_demo() as demo, aiohttp.ClientSession() as session:
        slack, service = demo.slack, demo.service
        woken: list[str] = []
        _, token = await service.instances.create("looks", "refund-bot")
        call = {"tool": "look_up_order", "arguments": {"order": 1}, "timeout": "30m"}
        status, made = await send(session, f"{service.base_url}/aap", token, "POST", "/v1/requests", call, key="k")
        assert (status, made["status"]) == (201, "approved")
        monkeypatch.setattr(service.sweeper, "wake", lambda: woken.append("sweep"))
        monkeypatch.setattr(service.deliverer, "wake", lambda: woken.append("delivery"))
        async with session.ws_connect(f"{slack.base_url}/playground/ws", headers={"Origin": slack.base_url}) as page:
            await page.send_json({"id": 1, "act": "advance", "seconds": 3600})
            while (answer := await page.receive_json(timeout=5))["type"] != "done":
                assert answer["clock"] is not None
        assert answer["ok"]
        assert sorted(woken) == ["delivery", "sweep"]
        # Gathered each minute of the wall clock, and at once where the hour has passed on the page's.
        await slack.until(lambda: any("by itself" in one.all_text() for one in slack.messages("C0REFUNDS")))
        for clock in (service.clock, slack.settings.now):
            assert 3590 < (clock() - utc_now()).total_seconds() < 3610
        assert abs(int(slack.sign(b"")["X-Slack-Request-Timestamp"]) - utc_now().timestamp()) < 30


async def test_nobody_at_a_deploy_brings_the_thread_then_more_people_who_may_decide() -> None:
    async with running_demo() as demo, aiohttp.ClientSession() as session:
        slack, service = demo.slack, demo.service
        _, token = await service.instances.create("deploys", "deploy-bot")
        call = {"tool": "terraform_apply", "arguments": {"workspace": "production"}, "timeout": "30m"}
        status, made = await send(session, f"{service.base_url}/aap", token, "POST", "/v1/requests", call, key="k")
        assert status == 201, made

        def wait(minutes: float) -> None:
            assert isinstance(service.clock, MovableClock)
            service.clock.advance(timedelta(minutes=minutes))
            service.sweeper.wake()
            service.deliverer.wake()

        await slack.until(lambda: len(slack.messages("C0DEPLOYS")) == 1)
        wait(8)
        await slack.until(lambda: len(slack.messages("C0DEPLOYS")) == 2)
        wait(5)
        await slack.until(lambda: bool(slack.messages("U0ADMIN")) and bool(slack.messages("C0OPS")))
        copy = slack.messages("U0ADMIN")[-1]
        await slack.until(lambda: bool(rows(service.store.path, f"SELECT 1 FROM cards WHERE ts = '{copy.ts}'")))
        assert (await slack.click("U0ADMIN", copy.channel, copy.ts, "approve")).ok
        await slack.until(lambda: "Approved" in slack.messages("C0DEPLOYS")[0].all_text())

"""Setting a device up in Slack: two forms, who is refused, and that the key is nowhere but in the one modal."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from structlog.testing import capture_logs

from handlers.slack import enrolment
from playground import Fault
from playground.model import View
from tests.passcode_support import STEP, Device
from tests.scenario.slack_support import Bot, running_bot

ALICE = "U0ALICE"


@pytest.fixture(params=["socket", "http"])
async def bot(database: Path, request: pytest.FixtureRequest) -> AsyncIterator[Bot]:
    async with running_bot(database, mode=request.param) as bot:
        yield bot


@pytest.fixture
async def one_bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database) as bot:
        yield bot


async def _open(bot: Bot, user: str = ALICE) -> View:
    ack = await bot.slack.slash(user, "C0REFUNDS", "/signoff enroll")
    assert ack.ok
    assert not ack.body  # the modal says it all
    return await bot.modal(user, "Code")


async def _submit(bot: Bot, view: View, values: dict[str, Any], user: str = ALICE) -> dict[str, str]:
    """Submit a form; returns what is said at its fields."""
    ack = await bot.slack.submit(user, view.id, values)
    assert ack.ok
    return ack.errors


async def _offered(bot: Bot, user: str = ALICE) -> tuple[View, Device]:
    code, _ = await bot.service.passcodes.open_enrolment(user)
    assert await _submit(bot, await _open(bot, user), {"code": code}, user) == {}
    view = await bot.modal(user, "First passcode")
    found = re.search(r"secret=([A-Z2-7]{32})", view.all_text())
    assert found
    return view, Device(found[1])


async def test_a_device_is_set_up_and_its_passcodes_count(bot: Bot) -> None:
    with capture_logs() as logged:
        code, _ = await bot.service.passcodes.open_enrolment(ALICE)
        form = await _open(bot)
        assert "goes on working" not in form.all_text()
        assert await _submit(bot, form, {"code": code.lower()}) == {}
        shown = await bot.modal(ALICE, "First passcode")
        uri = re.search(r"otpauth://\S+", shown.all_text())
        assert uri
        parsed = pyotp.parse_uri(uri[0])
        device = Device(parsed.secret)
        assert parsed.issuer == "Signoff"
        grouped = " ".join(re.findall("....", device.seed))
        assert grouped in shown.all_text()
        wrong = await _submit(bot, shown, {"passcode": device.wrong_at(bot.clock())})
        assert "wrong" in wrong["passcode"]
        passcode = device.at(bot.clock())
        assert await _submit(bot, shown, {"passcode": f"{passcode[:3]} {passcode[3:]}"}) == {}
    done = await bot.modal(ALICE, "Done")
    assert done.id == shown.id
    assert device.seed not in json.dumps([view.blocks for view in bot.slack.modals(ALICE)])
    assert "otpauth" not in done.all_text()
    assert done.submit is None
    assert (await bot.service.passcodes.status(ALICE)).is_enrolled
    bot.clock.advance(2 * STEP)
    now = bot.clock()
    refusal = await bot.store.write(lambda unit: bot.service.passcodes.check(unit, ALICE, device.at(now), now))
    assert refusal is None
    for canary in (code, code.replace("-", ""), device.seed, grouped, passcode):
        assert canary not in str(logged)
    await bot.until_delivered()
    [told] = bot.slack.messages("U0ADMIN")[-1:]
    assert f"<@{ALICE}> set up a device" in told.text
    for canary in (device.seed, "otpauth", code):
        assert canary not in told.all_text()


async def test_the_form_says_that_the_present_device_goes_on(one_bot: Bot) -> None:
    view, device = await _offered(one_bot)
    await _submit(one_bot, view, {"passcode": device.at(one_bot.clock())})
    await one_bot.slack.close_view(ALICE, view.id)
    assert "goes on working until" in (await _open(one_bot)).all_text()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("2222-2222", "wrong, or no longer good"),
        ("xyz", "such as ABCD-2345"),
        ("000000", "such as ABCD-2345"),
        ("🦊" * 8, "such as ABCD-2345"),
    ],
)
async def test_a_wrong_code_is_said_at_its_field(one_bot: Bot, typed: str, said: str) -> None:
    await one_bot.service.passcodes.open_enrolment(ALICE)
    form = await _open(one_bot)
    assert said in (await _submit(one_bot, form, {"code": typed}))["code"]
    assert await one_bot.modal(ALICE, "Code")  # and the form stands


async def test_without_an_open_enrolment_no_code_is_right(one_bot: Bot) -> None:
    form = await _open(one_bot)
    assert "wrong, or no longer good" in (await _submit(one_bot, form, {"code": "2222-2222"}))["code"]


async def test_five_wrong_first_passcodes_take_the_key_away(one_bot: Bot) -> None:
    view, device = await _offered(one_bot)
    for _ in range(4):
        assert await _submit(one_bot, view, {"passcode": device.wrong_at(one_bot.clock())})
    assert await _submit(one_bot, view, {"passcode": device.wrong_at(one_bot.clock())}) == {}
    over = await one_bot.modal(ALICE, "The time to set this up is over")
    assert device.seed not in over.all_text()
    await one_bot.until_delivered()
    assert "that was ended after 5 wrong" in one_bot.slack.messages("U0ADMIN")[-1].text


async def test_an_offer_that_came_too_late_takes_the_key_away(one_bot: Bot) -> None:
    view, device = await _offered(one_bot)
    one_bot.clock.advance(timedelta(minutes=15))
    await _submit(one_bot, view, {"passcode": device.at(one_bot.clock())})
    assert device.seed not in (await one_bot.modal(ALICE, "is over")).all_text()
    assert not (await one_bot.service.passcodes.status(ALICE)).is_enrolled


async def test_one_persons_code_and_key_are_nothing_to_another(one_bot: Bot) -> None:
    code, _ = await one_bot.service.passcodes.open_enrolment(ALICE)
    bobs = await _open(one_bot, "U0BOB")
    assert await _submit(one_bot, bobs, {"code": code}, "U0BOB")
    view, device = await _offered(one_bot)
    payload = one_bot.slack.submit_payload(ALICE, view.id, {"passcode": device.at(one_bot.clock())})
    payload["user"] = {**payload["user"], "id": "U0BOB", "name": "bob"}
    await one_bot.slack.deliver(payload)
    for user in (ALICE, "U0BOB"):
        assert not (await one_bot.service.passcodes.status(user)).is_enrolled


@pytest.mark.parametrize(("user", "channel"), [("U0GUEST", "C0REFUNDS"), ("U0PAT", "C0PARTNERS")])
async def test_guests_and_strangers_are_refused_at_once_and_with_a_forged_form(
    one_bot: Bot, user: str, channel: str
) -> None:
    code, _ = await one_bot.service.passcodes.open_enrolment(user)
    ack = await one_bot.slack.slash(user, channel, "/signoff enroll")
    assert "no passcode to set up" in str(ack.body)
    assert one_bot.slack.modals(user) == []
    form = await _open(one_bot)
    payload = one_bot.slack.submit_payload(ALICE, form.id, {"code": code})
    payload["user"] = {**payload["user"], "id": user}
    answer = await one_bot.slack.deliver(payload)
    assert "otpauth" not in str(answer.body)
    assert "Not possible" in str(answer.body)


async def test_slack_that_cannot_be_asked_takes_neither_the_form_nor_the_code(
    one_bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrolment, "LOOKED_UP_WITHIN", timedelta(0))
    ack = await one_bot.slack.slash(ALICE, "C0REFUNDS", "/signoff enroll")
    assert "could not be asked" in str(ack.body)
    monkeypatch.undo()
    code, _ = await one_bot.service.passcodes.open_enrolment(ALICE)
    form = await _open(one_bot)
    one_bot.clock.advance(timedelta(seconds=31))  # what was looked up is too old by then
    fault = one_bot.slack.faults.add(Fault("error", methods="users.info", error_code="internal_error"))
    assert "could not be asked" in (await _submit(one_bot, form, {"code": code}))["code"]
    one_bot.slack.faults.remove(fault)
    assert await _submit(one_bot, form, {"code": code}) == {}
    assert await one_bot.modal(ALICE, "First passcode")


async def test_a_form_that_slack_does_not_open_is_said(one_bot: Bot) -> None:
    one_bot.slack.faults.add(Fault("error", methods="views.open", error_code="expired_trigger_id"))
    ack = await one_bot.slack.slash(ALICE, "C0REFUNDS", "/signoff enroll")
    assert "did not let Signoff open the form" in str(ack.body)


async def test_help_names_it(one_bot: Bot) -> None:
    ack = await one_bot.slack.slash(ALICE, "C0REFUNDS", "/signoff help")
    assert "/signoff enroll" in str(ack.body)

"""Slack over HTTP: nothing unsigned, stale or malformed gets in, and nothing is ever answered with a 500."""

import asyncio
import io
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from store.tables import Request, Status
from tests.scenario.slack_support import Bot, running_bot

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database, mode="http") as bot:
        yield bot


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _click(bot: Bot, request: Request) -> dict[str, Any]:
    card = await bot.card(request)
    return bot.slack.click_payload("U0ALICE", card.channel, card.ts, "approve")


def _form(payload: Mapping[str, Any]) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


async def _send(
    bot: Bot, http: aiohttp.ClientSession, body: bytes, headers: Mapping[str, str] | list[tuple[str, str]],
    content_type: str = FORM,
) -> int:  # fmt: skip
    given = list(headers.items()) if isinstance(headers, Mapping) else headers
    async with http.post(bot.address, data=body, headers=[("Content-Type", content_type), *given]) as response:
        await response.read()
        return response.status


async def test_what_slack_signed_gets_in(bot: Bot, http: aiohttp.ClientSession) -> None:
    request = await bot.submit()
    body = _form(await _click(bot, request))
    assert await _send(bot, http, body, bot.slack.sign(body)) == 200
    assert await bot.status(request) is Status.APPROVED


async def test_forged_stale_and_malformed_signatures_do_not(bot: Bot, http: aiohttp.ClientSession) -> None:
    request = await bot.submit()
    body = _form(await _click(bot, request))
    good = bot.slack.sign(body)
    timestamp, signature = good["X-Slack-Request-Timestamp"], good["X-Slack-Signature"]
    now = int(time.time())
    forgeries: list[Mapping[str, str] | list[tuple[str, str]]] = [
        {},
        {"X-Slack-Signature": signature},
        {"X-Slack-Request-Timestamp": timestamp},
        good | {"X-Slack-Signature": "v0=" + "0" * 64},
        good | {"X-Slack-Signature": ""},
        good | {"X-Slack-Signature": signature.upper()},
        good | {"X-Slack-Signature": "v0=\u00fc" + "0" * 63},
        good | {"X-Slack-Request-Timestamp": "soon"},
        good | {"X-Slack-Request-Timestamp": "-5"},
        good | {"X-Slack-Request-Timestamp": "9" * 400},
        good | {"X-Slack-Request-Timestamp": "\u0661\u0662"},
        bot.slack.sign(body, now - 301),
        bot.slack.sign(body, now + 301),
        bot.slack.sign(body + b" "),
        [*good.items(), ("X-Slack-Signature", signature)],
        [*good.items(), ("X-Slack-Request-Timestamp", timestamp)],
    ]
    for forgery in forgeries:
        assert await _send(bot, http, body, forgery) == 401
    assert await bot.status(request) is Status.PENDING


async def test_a_body_that_was_changed_on_the_way_does_not(bot: Bot, http: aiohttp.ClientSession) -> None:
    request = await bot.submit()
    body = _form(await _click(bot, request))
    headers = bot.slack.sign(body)
    dice = random.Random(7)
    for _ in range(100):
        at = dice.randrange(len(body))
        changed = body[:at] + bytes([body[at] ^ (1 << dice.randrange(8))]) + body[at + 1 :]
        assert await _send(bot, http, changed, headers) == 401
    assert await bot.status(request) is Status.PENDING


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (b"payload=", FORM),
        (b"payload=%7B", FORM),
        (b"payload=[]", FORM),
        (b"payload=null", FORM),
        (b"payload=5", FORM),
        (b"payload=%FF", FORM),
        (b"\xff\xfe\x00", FORM),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"NaN", "application/json"),
        (b"{}", "application/json"),
        (b'{"type": "event_callback"}', "application/json"),
        (b'{"type": "event_callback", "event": 5}', "application/json"),
        (b'{"type": "event_callback", "event": []}', "application/json"),
        (b'{"type": "event_callback", "event": {"type": []}}', "application/json"),
        (b'{"type": "event_callback", "event": {"type": "message", "subtype": "message_deleted"}}', "application/json"),
        (b'{"type": "event_callback", "authorizations": 7}', "application/json"),
        (b'{"type": ["block_actions"]}', "application/json"),
        (b'{"type": "block_actions"}', "application/json"),
        (b'{"type": "block_actions", "actions": []}', "application/json"),
        (b'{"type": "block_actions", "actions": [{}], "user": {}, "team": 1}', "application/json"),
        (b'{"type": "view_submission", "view": 1}', "application/json"),
        (b'{"type": "view_submission", "view": {"type": "modal"}, "user": {"id": "U0ALICE"}}', "application/json"),
        (b'{"type": "view_closed", "view": {}}', "application/json"),
        (b'{"type": "shortcut"}', "application/json"),
        (b'{"type": "' + b"x" * 5000 + b'"}', "application/json"),
        (b'{"command": 5}', "application/json"),
        (b"command=%2Fsignoff", FORM),
        (b"command=%2Fsignoff&user_id=nobody", FORM),
        (b"[" * 5000, "application/json"),
        (b'{"a":' * 100_000, "application/json"),
        (b'{"type": "block_actions", "trigger_id": "\\ud800"}', "application/json"),
        (b"{}", "text/html; charset=no-such-charset"),
        (b"\xe9", "text/plain; charset=latin-1"),
        (b"ssl_check=1&token=x", FORM),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, bytes) else "",
)
async def test_signed_nonsense_is_answered_and_breaks_nothing(
    bot: Bot, http: aiohttp.ClientSession, body: bytes, content_type: str
) -> None:
    assert await _send(bot, http, body, bot.slack.sign(body), content_type) in (200, 400)
    request = await bot.submit()
    click = _form(await _click(bot, request))
    assert await _send(bot, http, click, bot.slack.sign(click)) == 200
    assert await bot.status(request) is Status.APPROVED


async def test_unsigned_nonsense_is_refused_alike(bot: Bot, http: aiohttp.ClientSession) -> None:
    dice = random.Random(11)
    for _ in range(200):
        body = dice.randbytes(dice.randrange(200))
        headers = {
            "X-Slack-Request-Timestamp": dice.choice(["", "1", str(int(time.time())), "x" * 50, "\u2460"]),
            "X-Slack-Signature": dice.choice(["", "v0=", "v0=" + dice.randbytes(32).hex(), "\u00ff" * 5]),
        }
        assert await _send(bot, http, body, headers, dice.choice([FORM, "application/json", "x/y"])) == 401


async def test_a_body_of_megabytes_is_not_read(bot: Bot, http: aiohttp.ClientSession) -> None:
    body = b"x" * (3 << 20)
    async with http.post(bot.address, data=io.BytesIO(body), headers=bot.slack.sign(body)) as response:
        assert response.status == 413


async def test_slack_s_handshake_is_answered(bot: Bot, http: aiohttp.ClientSession) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c4a11en6e", "token": "x"}).encode()
    headers = {"Content-Type": "application/json", **bot.slack.sign(body)}
    async with http.post(bot.address, data=body, headers=headers) as response:
        assert response.status == 200
        assert "c4a11en6e" in await response.text()
    assert await _send(bot, http, body, {}, "application/json") == 401


async def test_before_we_know_who_we_are_slack_is_asked_to_wait(
    bot: Bot, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await bot.submit()
    body = _form(await _click(bot, request))
    identity = bot.client.known_identity
    monkeypatch.setattr(bot.client, "_identity", None)
    assert await _send(bot, http, body, bot.slack.sign(body)) == 503
    assert await bot.status(request) is Status.PENDING
    assert await _send(bot, http, body, {}) == 401  # and whoever cannot sign learns nothing
    monkeypatch.setattr(bot.client, "_identity", identity)
    assert await _send(bot, http, body, bot.slack.sign(body)) == 200


async def test_an_event_that_could_not_be_taken_is_taken_when_slack_repeats_it(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await bot.submit()
    card = await bot.card(request)
    taken, broken = bot.outbox.card_deleted, 1

    async def once_broken(channel: str, ts: str) -> Request | None:
        nonlocal broken
        if broken:
            broken -= 1
            raise ZeroDivisionError
        return await taken(channel, ts)

    monkeypatch.setattr(bot.outbox, "card_deleted", once_broken)
    await bot.slack.delete_message(card.channel, card.ts)
    again = await bot.card(request)
    assert again.ts != card.ts


async def test_many_at_once_are_told_apart(bot: Bot, http: aiohttp.ClientSession) -> None:
    """Genuine clicks among forged ones: each gets its own answer."""
    requests = [await bot.submit() for _ in range(20)]
    bodies = [_form(await _click(bot, request)) for request in requests]
    sent = [_send(bot, http, body, bot.slack.sign(body) if at % 2 else {}) for at, body in enumerate(bodies)]
    assert await asyncio.gather(*sent) == [401, 200] * 10
    expected = [Status.PENDING, Status.APPROVED] * 10
    assert [await bot.status(request) for request in requests] == expected

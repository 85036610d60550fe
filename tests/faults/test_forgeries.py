"""Payloads that Slack did not send, and payloads that it did, bent: none decides anything, none breaks anything."""

import asyncio
import copy
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from playground.model import Message
from tests.faults.rounds import seeds
from tests.scenario.service_support import Workplace, assert_sound, playing, serving
from tests.waiting import until, within

FORGERIES, BENT = 600, 300
REFUND = {"tool": "issue_refund", "arguments": {"amount": 4900}, "timeout": "10m"}
AT_ONCE = 20


@pytest.fixture
async def work(database: Path) -> AsyncIterator[Workplace]:
    async with playing() as slack, serving(slack, database, mode="http") as work:
        yield work
    assert_sound(database)


@pytest.fixture
async def card(work: Workplace) -> Message:
    await work.send("POST", "/v1/requests", REFUND, key="k")
    return await work.card()


async def post(work: Workplace, headers: dict[str, str], body: bytes) -> int:
    async with work.session.post(f"{work.service.base_url}/slack/events", data=body, headers=headers) as answer:
        await answer.read()
        return answer.status


async def post_all(work: Workplace, letters: Iterator[tuple[dict[str, str], bytes]]) -> list[int]:
    """Post everything, some at once; returns the answers' statuses."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def post_one(headers: dict[str, str], body: bytes) -> int:
        async with gate:
            return await post(work, headers, body)

    return await within(asyncio.gather(*(post_one(*letter) for letter in letters)), seconds=60)


def untouched(work: Workplace) -> bool:
    return (
        work.rows("SELECT status FROM requests") == [("pending",)]
        and work.rows("SELECT count(*) FROM acts") == [(0,)]
        and work.rows("SELECT count(*) FROM votes") == [(0,)]
    )


# --- unsigned, or signed by somebody else -----------------------------------------------------------------


Headers = dict[str, str]
SIGNATURE, TIMESTAMP = "X-Slack-Signature", "X-Slack-Request-Timestamp"


def _flip(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def _without(headers: Headers, name: str) -> Headers:
    return {key: value for key, value in headers.items() if key != name}


def forged(work: Workplace, honest: bytes, content_type: str, chance: random.Random) -> tuple[Headers, bytes]:
    """What somebody could try who has one honest payload with its signature, but not the secret."""
    signed = work.slack.sign(honest)
    stale = chance.choice([-1, 1]) * chance.randint(310, 10**9)
    now = int(signed[TIMESTAMP])
    ways: list[Callable[[], tuple[Headers, bytes]]] = [
        lambda: (_without(signed, SIGNATURE), honest),
        lambda: (_without(signed, TIMESTAMP), honest),
        lambda: ({}, honest),
        lambda: (signed | {SIGNATURE: "v0=" + _flip(signed[SIGNATURE][3:], chance)}, honest),
        lambda: (signed | {SIGNATURE: signed[SIGNATURE][: chance.randrange(len(signed[SIGNATURE]))]}, honest),
        lambda: (signed | {SIGNATURE: signed[SIGNATURE] + chance.choice(["0", " 0", "=", ",v0=0"])}, honest),
        lambda: (signed | {SIGNATURE: "v0=" + chance.randbytes(32).hex()}, honest),
        lambda: (signed | {SIGNATURE: chance.choice(["v1", "V0", "", "v0:"]) + signed[SIGNATURE][2:]}, honest),
        lambda: (signed | {SIGNATURE: "v0=" + "é" * chance.randint(1, 64)}, honest),
        lambda: (signed | {TIMESTAMP: str(now + chance.choice([-2, -1, 1, 2]))}, honest),
        lambda: (signed | {TIMESTAMP: chance.choice(["soon", "-1", "1e9", "", "٣", "9" * 400, f"{now}.0"])}, honest),
        lambda: (work.slack.sign(honest, now + stale), honest),  # truly Slack's, and old
        lambda: (signed, _flip(honest.decode(), chance).encode()),
        lambda: (signed, honest + chance.randbytes(chance.randint(1, 20))),
        lambda: (signed, honest[: chance.randrange(len(honest))]),
        lambda: (signed, b""),
        lambda: ({}, urlencode({"ssl_check": "1", "token": "x"}).encode()),
        lambda: ({}, json.dumps({"type": "url_verification", "challenge": "x"}).encode()),
        lambda: (signed, chance.randbytes(chance.randint(1, 300))),
    ]
    headers, body = chance.choice(ways)()
    return {"Content-Type": chance.choice([content_type, "application/json"]), **headers}, body


@seeds(1)
async def test_forgeries_are_all_refused(work: Workplace, card: Message, seed: int) -> None:
    chance = random.Random(seed)
    content_type, honest = work.slack.encode(work.slack.click_payload("U0ALICE", card.channel, card.ts, "approve"))
    statuses = await post_all(work, (forged(work, honest, content_type, chance) for _ in range(FORGERIES)))
    assert set(statuses) == {401}
    assert untouched(work)
    # The honest one, at last, so that it is not for another reason that none of them got in.
    assert await post(work, {"Content-Type": content_type, **work.slack.sign(honest)}, honest) == 200
    assert work.rows("SELECT status FROM requests") == [("approved",)]


# --- signed, but not what Slack sends ---------------------------------------------------------------------


STRANGE: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, "", "\x00", "U0NOBODY", "a" * 5000, "\ud800", "‮", [], {}, [None], [[]], {"": {}},
    {"id": None}, {"type": "view"}, {"type": "message"}, "C0OPS", "1.1", "approve", "null",
]  # fmt: skip


def bent(value: Any, chance: random.Random) -> Any:
    """Change one thing somewhere inside: leave it out, put something strange there, or double it."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        changed = dict(value)
        if chance.random() < 0.25:
            del changed[key]
        else:
            changed[key] = bent(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return chance.choice(
            [value[:at] + value[at + 1 :], [*value, value[at]], [*value[:at], bent(value[at], chance)]]
        )
    return chance.choice(STRANGE)


@seeds(1)
async def test_bent_payloads_decide_nothing_and_break_nothing(work: Workplace, card: Message, seed: int) -> None:
    """Those of an owner, whose clicks never count, however they are bent; and a form's, sent by the wrong person."""
    slack, chance = work.slack, random.Random(seed)
    await slack.click("U0ALICE", card.channel, card.ts, "deny")
    (modal,) = await slack.until(lambda: slack.modals("U0ALICE"))
    form = slack.submit_payload("U0ALICE", modal.id, {"reason": "too_risky", "note": "no"})
    form["user"] = copy.deepcopy(slack.click_payload("U0OWNER", card.channel, card.ts, "approve")["user"])
    honest = [
        slack.click_payload("U0OWNER", card.channel, card.ts, "approve"),
        slack.click_payload("U0OWNER", card.channel, card.ts, "deny"),
        slack.click_payload("U0OWNER", card.channel, card.ts, "details"),
        form,
        slack.slash_payload("U0GUEST", card.channel, "/signoff show 1"),
        {
            "type": "event_callback",
            "team_id": slack.team_id,
            "event_id": "Ev1",
            "event": {"type": "message", "subtype": "message_deleted", "channel": "C0OPS", "deleted_ts": "1.1"},
        },
    ]

    def letters() -> Iterator[tuple[Headers, bytes]]:
        for _ in range(BENT):
            payload = chance.choice(honest)
            for _ in range(chance.randint(1, 3)):
                payload = bent(payload, chance)
            content_type, body = encoded(payload)
            yield {"Content-Type": content_type, **slack.sign(body)}, body

    statuses = await post_all(work, letters())
    assert set(statuses) <= {200, 400}, set(statuses)
    assert work.rows("SELECT status FROM requests") == [("pending",)]
    assert work.rows("SELECT count(*) FROM votes") == [(0,)]
    # And the service is as well as before.
    assert (await slack.submit("U0ALICE", modal.id, {"reason": "too_risky", "note": "no"})).ok
    assert work.rows("SELECT status FROM requests") == [("denied",)]
    await until(lambda: "approve" not in slack.message(card.channel, card.ts).action_ids())


def encoded(payload: Any) -> tuple[str, bytes]:
    """Content type and body, as Slack would have it whatever the payload has become."""
    if isinstance(payload, dict) and "command" in payload:
        fields = {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in payload.items()}
        return "application/x-www-form-urlencoded", urlencode(fields, errors="replace").encode()
    if isinstance(payload, dict) and "event" in payload:
        return "application/json", json.dumps(payload).encode()
    return "application/x-www-form-urlencoded", urlencode({"payload": json.dumps(payload)}).encode()


# --- genuine acts, turned to another end ------------------------------------------------------------------


async def test_an_approval_is_not_turned_to_another_request(work: Workplace, card: Message) -> None:
    """The click on one card, signed as Slack's, with the number, message, channel or trigger of another."""
    await work.send("POST", "/v1/requests", REFUND | {"arguments": {"amount": 1_000_000}}, key="other")
    await work.until_delivered()
    slack = work.slack
    first, second = slack.messages("C0REFUNDS")
    number = {message.ts: message.element("approve")["value"] for message in (first, second)}
    aims: list[Callable[[dict[str, Any]], object]] = [
        lambda payload: payload["actions"][0].update(value=number[second.ts]),
        lambda payload: payload["container"].update(message_ts=second.ts),
        lambda payload: payload["container"].update(message_ts="1.000001"),
        lambda payload: payload["container"].update(channel_id="C0OPS"),
        lambda payload: payload["actions"][0].update(action_id="review_approve"),
        lambda payload: payload["actions"][0].update(value=f"0{number[first.ts]}"),
        lambda payload: payload["actions"][0].update(value=f"{number[first.ts]} "),
        lambda payload: payload["actions"][0].update(value="99"),
        lambda payload: payload["actions"][0].pop("value"),
    ]
    for aim in aims:
        payload = slack.click_payload("U0ALICE", first.channel, first.ts, "approve")
        aim(payload)
        assert (await slack.deliver(payload)).ok
    assert work.rows("SELECT status FROM requests") == [("pending",), ("pending",)]

    # The first one approved, its act is used up: it does not approve the second one too.
    genuine = slack.click_payload("U0ALICE", first.channel, first.ts, "approve")
    assert (await slack.deliver(genuine)).ok
    again = copy.deepcopy(genuine)
    again["actions"][0]["value"] = number[second.ts]
    again["container"]["message_ts"] = again["message"]["ts"] = second.ts
    for payload in (genuine, again):
        await slack.deliver(payload)
    assert work.rows("SELECT status FROM requests ORDER BY number") == [("approved",), ("pending",)]
    assert work.rows("SELECT count(*) FROM votes") == [(1,)]

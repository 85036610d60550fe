"""What a rule hides is in the store and with the agent, and nowhere else; approvals are for the call as it was sent."""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.call import digest_of
from bot.drawings import Drawing
from bot.hearings import Act
from bot.redaction_marks import MARK, MARK_SIGN
from playground import Playground
from store.engine import SqliteStore
from store.tables import Instance, Request, VoteKind
from tests.conftest import SAMPLE, House, StandingClock, Town, furnish, sample_settings, submission
from tests.scenario.process_support import Relay, Site, Starter, site_at
from tests.scenario.service_support import payload_of
from tests.scenario.test_service_canaries import Canaries

Acts = Callable[..., Act]
HIDING = SAMPLE + 'redact = ["card_number", "*.password", "cards.*.number"]\n'
CALL = '{"card_number": 4111111111111111, "amount": 4900.10}'


@pytest.fixture
def settings() -> Any:
    return sample_settings(HIDING)


async def drawing_of(house: House, request: Request) -> Drawing:
    drawing = await house.queries.drawing(request.number)
    assert drawing is not None
    return drawing


async def test_people_see_a_copy_and_the_approval_is_for_the_call(house: House, instance: Instance, acts: Acts) -> None:
    request, _ = await house.creation.submit(instance, submission(arguments=CALL), "k")
    job = await house.outbox.load((await house.outbox.claim(1))[0])
    seen = await house.queries.show("U0ADMIN", "1")
    assert seen is not None
    for drawing in (job.drawing, seen.drawing, await drawing_of(house, request)):
        assert MARK.sub("#", drawing.request.arguments) == '{"card_number": "#", "amount": 4900.10}'
        assert drawing.request.digest == digest_of("issue_refund", None, CALL)
    await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE, None)
    consumed = await house.approvals.consume(instance, request.id, "c")
    assert consumed.arguments == CALL
    with closing(sqlite3.connect(house.store.path)) as connection:
        (events,) = connection.execute("SELECT group_concat(body) FROM events").fetchone()
    assert "4111" not in events


async def test_a_list_of_what_waits_comes_without_arguments(house: House, instance: Instance) -> None:
    await house.creation.submit(instance, submission(arguments=CALL), "k")
    (seen,) = await house.queries.pending("U0ALICE")
    assert seen.drawing.request.arguments == ""


async def test_notes_are_copies_too(house: House, instance: Instance, acts: Acts) -> None:
    request, _ = await house.creation.submit(instance, submission(arguments=CALL), "k")
    note = 'Take 4111111111111111 off, or {"card_number": "5500-0000"}.'
    denied = await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.DENY, note)
    assert denied.note == note  # the agent gets it whole
    drawing = await drawing_of(house, request)
    for seen in (drawing.request.note, drawing.votes[0].note):
        assert MARK.sub("#", seen or "") == 'Take # off, or {"card_number": "#"}.'


async def test_marks_of_the_call_it_is_compared_with_are_true(
    house: House, instance: Instance, acts: Acts, store: SqliteStore, clock: StandingClock, town: Town
) -> None:
    async def ask(house: House, arguments: str) -> Request:
        made, _ = await house.creation.submit(instance, submission(arguments=arguments), f"k{arguments}{id(house)}")
        return made

    first = await ask(house, CALL)
    await house.decisions.vote(first.number, acts("U0ALICE"), VoteKind.APPROVE, None)
    clock.advance(seconds=1)
    same, other = await ask(house, CALL + " "), await ask(house, CALL.replace("4111", "5500"))
    drawn = await drawing_of(house, same)
    assert drawn.previous is not None
    assert (
        drawn.previous.arguments
        == drawn.request.arguments.rstrip()
        != (await drawing_of(house, first)).request.arguments
    )
    drawn = await drawing_of(house, other)
    assert drawn.previous is not None
    assert MARK.findall(drawn.previous.arguments) != MARK.findall(drawn.request.arguments)
    # Under a rule that hides nothing any more, what was hidden then stays so; and under one that hides more, more does.
    for text in (SAMPLE, SAMPLE + 'redact = ["amount"]\n'):
        later = await furnish(store, clock, town, sample_settings(text))
        clock.advance(seconds=1)
        drawn = await drawing_of(later, await ask(later, '{"card_number": 7, "amount": 1}'))
        assert drawn.previous is not None
        assert "4111" not in drawn.previous.arguments
        assert ("4900" in drawn.previous.arguments) is (text == SAMPLE)


async def test_what_was_denied_a_moment_ago_is_hidden_too(
    house: House, instance: Instance, acts: Acts, clock: StandingClock
) -> None:
    first, _ = await house.creation.submit(instance, submission(arguments=CALL), "k1")
    await house.decisions.vote(first.number, acts("U0ALICE"), VoteKind.DENY, "No 4111111111111111")
    clock.advance(seconds=1)
    second, _ = await house.creation.submit(instance, submission(arguments=CALL.replace(".10", ".20")), "k2")
    drawn = await drawing_of(house, second)
    assert drawn.near_denial is not None
    assert "4111" not in str(drawn.near_denial.model_dump())
    assert MARK.findall(drawn.near_denial.arguments) == MARK.findall(drawn.request.arguments)


# --- the whole service ------------------------------------------------------------------------------------


class Tap(Relay):
    """A network that keeps what went through it, in either direction."""

    def __init__(self, slack: Playground) -> None:
        super().__init__(slack)
        self.heard = bytearray()

    async def _carry(self, source: Any, target: Any) -> None:
        tap = self

        class Listening:
            async def read(self, most: int) -> bytes:
                said: bytes = await source.read(most)
                tap.heard.extend(said)
                return said

        await super()._carry(Listening(), target)  # type: ignore[arg-type]


@pytest.fixture
async def tap(slack: Playground) -> AsyncIterator[Tap]:
    async with Tap(slack) as tap:
        yield tap


@pytest.fixture
async def site(starter: Starter, slack: Playground, tap: Tap, database: Path) -> AsyncIterator[Site]:
    env = {"SIGNOFF_LOG_LEVEL": "debug"}
    async with site_at(starter, slack, database, mode="http", text=HIDING, env=env) as site:
        yield site


async def test_nothing_hidden_leaves_the_service_but_to_its_agent(site: Site, slack: Playground, tap: Tap) -> None:
    hidden = Canaries()
    await site.start()

    async def ask(call: dict[str, Any], key: str) -> str:
        said = f"for {' and '.join(hidden.found_in(json.dumps(call)))}"
        body = {"tool": "issue_refund", "timeout": "10m", "agent_reasoning": said, "context": {"said": [said]}}
        status, request = await site.send("POST", "/v1/requests", body | {"arguments": call}, key=key)
        assert status == 201
        status, again = await site.send("GET", f"/v1/requests/{request['id']}")
        assert again["arguments"] == call
        return str(request["id"])

    def call(**more: Any) -> dict[str, Any]:
        cards = [{"number": hidden(), "year": year} for year in (2027, 2028)]
        deep = {"Password": [hidden(), {"key": hidden()}]}
        return {"amount": 4900, "CARD_NUMBER": hidden(), "login": deep, "cards": cards, "memo": hidden.all[-1]} | more

    first = call()
    ids = [await ask(first, "k1")]
    await slack.until(lambda: len(slack.messages("C0REFUNDS")) == 1)
    await site.until_delivered()
    (card,) = slack.messages("C0REFUNDS")
    await slack.click("U0ALICE", "C0REFUNDS", card.ts, "details")
    await slack.until(lambda: slack.modals("U0ALICE"))
    await slack.click("U0ALICE", "C0REFUNDS", card.ts, "approve")
    for step, body in (("consume", None), ("outcome", {"status": "failed", "note": f"no {first['CARD_NUMBER']}"})):
        status, _ = await site.send("POST", f"/v1/requests/{ids[0]}/{step}", body, key="c" if body is None else None)
        assert status == 200
    # Compared with the first; one too long for a card.
    second, secret = call(amount=4901), hidden()
    long = call(password=secret, text=[f"line {n} {secret}" for n in range(300)])
    ids += [await ask(second, "k2"), await ask(long, "k3")]
    await slack.until(lambda: len(slack.messages("C0REFUNDS")) == 3)
    await site.until_delivered()
    cards = {payload_of(message)["request_id"]: message for message in slack.messages("C0REFUNDS")}
    await slack.click("U0ALICE", "C0REFUNDS", cards[ids[1]].ts, "deny")
    (modal,) = await slack.until(lambda: [one for one in slack.modals("U0ALICE") if "Why not?" in one.all_text()])
    note = f"Never {second['CARD_NUMBER']}, nor {second['memo']}"
    await slack.submit("U0ALICE", modal.id, {"reason": "too_risky", "note": note})
    await slack.click("U0BOB", "C0REFUNDS", cards[ids[1]].ts, "approve")
    await slack.click("U0GUEST", "C0REFUNDS", cards[ids[2]].ts, "review")
    await slack.click("U0CAROL", "C0REFUNDS", cards[ids[2]].ts, "review")
    await slack.until(lambda: slack.modals("U0CAROL"))
    for text in ("pending", "show 1", "show 2", "show 3"):
        await slack.slash("U0ALICE", "C0REFUNDS", f"/signoff {text}")
    await slack.open_home("U0ALICE")
    slack.workspace.change_channel("C0REFUNDS", is_archived=True)
    await ask(call(), "k4")
    await slack.until(lambda: slack.messages("C0OPS") and slack.messages("U0OWNER"), timeout=10)
    await site.until_delivered()
    async with site.session.get(f"{site.url}/metrics") as answer:
        metrics = await answer.text()
    await site.terminate()

    heard = tap.heard.decode(errors="replace")
    log = "\n".join(json.dumps(line) for line in site.logged())
    events = str(site.rows("SELECT body FROM events"))
    for place, text in {"Slack": heard, "log": log, "metrics": metrics, "events": events}.items():
        assert hidden.found_in(text) == [], place
        assert MARK_SIGN not in text
    assert len(heard) > 100_000
    assert heard.count("hmac:") > 100
    assert len(hidden.found_in(str(site.rows("SELECT arguments FROM requests")))) == len(hidden.all)

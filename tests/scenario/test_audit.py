"""The record as auditors use it: verified against checkpoints, Slack's cards and what is stored; shown, exported."""

import asyncio
import csv
import io
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bot.call import parse_submission
from bot.decisions import Act
from bot.events import EventType
from handlers.cli import main
from playground import Fault
from store.engine import SqliteStore
from store.statements import CHAIN_START
from store.tables import Instance, OutcomeStatus, Request, VoteKind
from tests.conftest import SAMPLE, House, StandingClock, Town, furnish, sample_settings
from tests.scenario.slack_support import Bot, running_bot

Acts = Callable[..., Act]
KEY = "k" * 32
HIDING = SAMPLE.replace('name = "refunds"', 'name = "refunds"\nredact = ["arguments.card"]')
ARGUMENTS = {"amount": 4900, "card": "4111-hidden", "text": "<script>alert(1)</script> \u202eevil"}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def faults(self) -> list[str]:
        return [fault["code"] for fault in self.json["faults"]]


Run = Callable[..., Ran]


def runner(folder: Path, database: Path, text: str, capfd: pytest.CaptureFixture[str], **env: str) -> Run:
    (folder / "config.toml").write_text(text.replace("sqlite:///signoff.db", f"sqlite:///{database}"))

    def run(line: str, *more: str) -> Ran:
        capfd.readouterr()
        given = {"SIGNOFF_CONFIG": str(folder / "config.toml"), "SIGNOFF_SECRET_KEY": KEY, **env}
        return Ran(main([*line.split(), *more], given), *capfd.readouterr())

    return run


@pytest.fixture
def run(tmp_path: Path, database: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(tmp_path, database, HIDING, capfd)


@pytest.fixture
def settings() -> Any:
    return sample_settings(HIDING)


async def lived(house: House, acts: Acts, instance: Instance, key: str = "key", *, denied: bool = False) -> Request:
    """A request that was decided by people, and used."""
    body = {"tool": "issue_refund", "arguments": ARGUMENTS, "timeout": "10m", "agent_reasoning": "the-claim"}
    made, _ = await house.creation.submit(instance, parse_submission(json.dumps(body).encode()), key)
    if denied:
        return await house.decisions.vote(made.number, acts("U0ALICE"), VoteKind.DENY, "=the-note")
    await house.decisions.vote(made.number, acts("U0ALICE"), VoteKind.APPROVE, "the-note", confirmed=True)
    await house.approvals.consume(instance, made.id, "k")
    await house.overrides.report(made.number, acts("U0ADMIN"), "the-reason")
    return await house.approvals.report_outcome(instance, made.id, OutcomeStatus.FAILED, "the-outcome")


@pytest.fixture
def filled(database: Path, acts: Acts, clock: StandingClock, town: Town) -> Request:
    """A database with two requests in it; the second was denied. Closed, so that the commands are alone with it."""

    async def fill() -> Request:
        store = await SqliteStore.open(database)
        house = await furnish(store, clock, town, sample_settings(HIDING))
        instance, _ = await house.instances.create("till", "refund-bot")
        first = await lived(house, acts, instance)
        await lived(house, acts, instance, "other", denied=True)
        await store.close()
        return first

    return asyncio.run(fill())


def change(database: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute(sql, values).rowcount > 0
        connection.commit()


def rebuild(database: Path) -> None:
    """Make all hashes anew, as whoever owns the database can."""
    with closing(sqlite3.connect(database)) as connection:
        head = CHAIN_START
        for number, body in connection.execute("SELECT number, body FROM events ORDER BY number").fetchall():
            head = sha256(head + body.encode()).digest()
            connection.execute("UPDATE events SET hash = ? WHERE number = ?", (head, number))
        connection.commit()


# --- verify -----------------------------------------------------------------------------------------------


def test_a_record_that_agrees(filled: Request, run: Run) -> None:
    ran = run("audit verify")
    assert (ran.code, ran.err) == (0, "")
    assert "Everything agrees." in ran.out
    assert "No witness vouches for any of it." in ran.out
    assert run("audit verify --json").json["requests"] is None
    found = run("audit verify --stored --json").json
    assert found["ok"]
    assert found["unwitnessed"] == found["events"] == found["last_event"]
    assert found["requests"] == 2


def test_a_checkpoint_vouches_for_what_was_there_when_it_was_signed(filled: Request, run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    assert run(f"audit checkpoint {kept}").code == 0
    printed = run("audit checkpoint -").out
    assert printed.count("\n") == 1
    (tmp_path / "key.pem").write_text(run("audit key").out)
    assert json.loads(run("audit key --json").out)["crv"] == "Ed25519"

    found = run(f"audit verify --json --checkpoint {kept}").json
    assert found["ok"]
    assert found["unwitnessed"] == 1  # that the second was signed
    with kept.open("a") as file:
        file.write(printed)
    ran = run(f"audit verify --checkpoint {kept} --key {tmp_path / 'key.pem'}")
    assert ran.code == 0
    assert "Events after the last witness: 0." in ran.out
    assert "Witnesses: 2 checkpoints;" in ran.out

    missing = run(f"audit checkpoint {tmp_path}/missing/kept.txt")
    assert (missing.code, missing.out) == (1, "")
    assert "There is no folder" in missing.err
    assert run(f"audit verify --json --checkpoint {kept}").json["unwitnessed"] == 0  # nothing is on record of that


def test_a_chain_that_was_made_anew_is_found_with_a_checkpoint_alone(
    filled: Request, run: Run, tmp_path: Path, database: Path
) -> None:
    kept, resigned = tmp_path / "kept.txt", tmp_path / "resigned.txt"
    run(f"audit checkpoint {kept}")
    change(database, "DELETE FROM events WHERE number = (SELECT max(number) FROM events WHERE type = 'override.made')")
    with closing(sqlite3.connect(database)) as connection:
        numbers = [number for (number,) in connection.execute("SELECT number FROM events ORDER BY number")]
        for at, number in enumerate(numbers, 1):
            connection.execute("UPDATE events SET number = ? WHERE number = ?", (at, number))
        connection.execute("DELETE FROM overrides")
        connection.commit()
    rebuild(database)
    assert run("audit verify --stored").code == 0  # it agrees with itself, and with what is stored
    run(f"audit checkpoint {resigned}")  # and the key was stolen, too
    assert run(f"audit verify --checkpoint {resigned}").code == 0
    ran = run(f"audit verify --json --checkpoint {kept}")
    assert ran.code == 1
    assert "witness_differs" in ran.faults


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE requests SET status = 'approved', expires_at = decided_at WHERE status = 'denied'",
        "UPDATE requests SET decided_by = 'U0BOB' WHERE number = 1",
        "UPDATE requests SET note = 'another' WHERE number = 2",
        "UPDATE requests SET outcome = 'succeeded' WHERE number = 1",
        "UPDATE requests SET outcome_note = 'another' WHERE number = 1",
        "UPDATE requests SET consumed_at = NULL WHERE number = 1",
        "UPDATE requests SET arguments = replace(arguments, '4900', '49') WHERE number = 1",
        "UPDATE requests SET arguments = 'no call' WHERE number = 1",
        "UPDATE requests SET tool = 'look_up' WHERE number = 1",
        "UPDATE requests SET agent = 'other' WHERE number = 1",
        "UPDATE votes SET user_id = 'U0BOB' WHERE request_number = 1",
        "UPDATE votes SET note = NULL WHERE request_number = 1",
        "UPDATE votes SET withdrawn_at = cast_at WHERE request_number = 1",
        "DELETE FROM votes WHERE request_number = 1",
        "UPDATE overrides SET reason = 'another'",
        "DELETE FROM overrides",
        "UPDATE requests SET number = 7 WHERE number = 2",
        "INSERT INTO votes (request_number, user_id, team_id, kind, surface, is_forced, cast_at) "
        "VALUES (2, 'U0BOB', 'T0HOME', 'approve', 'card', 0, '2026-11-22T09:00:00.000000+00:00')",
    ],
)
def test_what_is_stored_otherwise_than_on_record_is_found(sql: str, filled: Request, run: Run, database: Path) -> None:
    change(database, sql)
    assert run("audit verify").code == 0
    ran = run("audit verify --stored --json")
    assert ran.code == 1
    assert set(ran.faults) <= {"record_differs", "request_missing"}


def test_a_checkpoint_that_is_none_is_a_fault(filled: Request, run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    run(f"audit checkpoint {kept}")
    kept.write_text(kept.read_text() + "nothing of the kind\n")
    ran = run(f"audit verify --json --checkpoint {kept}")
    assert (ran.code, ran.faults) == (1, ["checkpoint_unreadable"])
    (tmp_path / "empty").write_text("\n")
    assert "holds no checkpoint" in run(f"audit verify --checkpoint {tmp_path / 'empty'}").err
    assert "cannot be read" in run(f"audit verify --checkpoint {tmp_path / 'none'}").err
    assert "no public key" in run(f"audit verify --checkpoint {kept} --key {kept}").err


def test_without_a_database_nothing_is_made(run: Run, database: Path) -> None:
    database.unlink()
    for line in ("audit verify", "audit show 1", "audit export", "audit checkpoint -", "evidence 1"):
        ran = run(line)
        assert (ran.code, ran.out) == (1, "")
        assert "nothing is on record" in ran.err
    assert not database.exists()


# --- show and export --------------------------------------------------------------------------------------


def test_what_is_on_record_of_one_request(filled: Request, run: Run) -> None:
    ran = run("audit show 1")
    assert ran.code == 0
    kinds = [line.split("  ")[2] for line in ran.out.splitlines() if not line.startswith(" ")]
    assert kinds[0] == EventType.REQUEST_MADE
    assert EventType.OVERRIDE_MADE in kinds
    assert "user: U0ALICE" in ran.out
    assert run(f"audit show {filled.id}").out == run("audit show #1").out == ran.out
    assert len(json.loads(run("audit show 1 --json").out)) == len(kinds)
    assert "There is no request 99" in run("audit show 99").err


def test_an_export_can_be_verified_by_whoever_has_it_and_is_on_record(filled: Request, run: Run) -> None:
    ran = run("audit export --format jsonl")
    events = [json.loads(line) for line in ran.out.splitlines()]
    head = CHAIN_START
    for event in events:
        head = sha256(head + event["body"].encode()).digest()
        assert head.hex() == event["hash"]
    assert events[-1]["type"] == EventType.RECORD_EXPORTED
    assert json.loads(events[-1]["body"])["by"] == f"uid {os.getuid()}"
    rows = list(csv.reader(io.StringIO(run("audit export --format csv").out)))
    assert rows[0] == ["number", "at", "type", "request", "body", "hash"]
    assert [row[5] for row in rows[1:-1]] == [event["hash"] for event in events]
    for text in (ran.out, str(rows), run("audit show 1").out):
        for hidden in ("hidden", "the-note", "the-claim", "the-outcome", "the-reason", "4900"):
            assert hidden not in text


def test_an_export_of_a_time(filled: Request, run: Run) -> None:
    assert run("audit export --since nonsense").code == 2
    everything = run("audit export").out.count("\n")
    assert run("audit export --since 2020-01-01").out.count("\n") == everything + 1


# --- evidence ---------------------------------------------------------------------------------------------


def test_evidence_is_one_file_for_machines_and_one_page_for_people(filled: Request, run: Run, tmp_path: Path) -> None:
    ran = run(f"evidence 1 --to {tmp_path}")
    paths = [Path(line) for line in ran.out.splitlines()]
    assert [path.name for path in paths] == ["signoff-1.json", "signoff-1.html"]
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}
    found = json.loads(paths[0].read_text())
    assert found["format"] == "signoff-evidence/1"
    assert (found["request"]["status"], found["request"]["decided_by"]) == ("approved", "U0ALICE")
    assert [vote["user_id"] for vote in found["votes"]] == ["U0ALICE"]
    assert [one["reason"] for one in found["overrides"]] == ["the-reason"]
    assert found["events"][-1]["type"] == EventType.RECORD_EXPORTED
    for event in found["events"]:
        again = sha256(bytes.fromhex(event["previous_hash"]) + event["body"].encode()).hexdigest()
        assert again == event["hash"]
    assert found["commitments"]["salt"] is None  # the rule hides something

    page = paths[1].read_text()
    for told in (
        "Request #1",
        "U0ALICE",
        "The card as it was asked",
        "Approve</span>",
        "the-reason",
        "Reported as wrong",
    ):
        assert told in page
    # Nothing on it runs, loads or hides.
    assert "<script" not in page
    assert "\u202e" not in page
    assert "http-equiv" in page
    assert "src=" not in page
    assert "href=" not in page
    for text in (paths[0].read_text(), page):
        assert "4111-hidden" not in text
        assert "redacted" in text
        assert "dfff" not in text  # a mark begins with a bracket
    # Taking it again takes the older one's place.
    assert run(f"evidence {filled.id} --to {tmp_path}").code == 0
    assert "There is no folder" in run(f"evidence 1 --to {tmp_path / 'none'}").err


def test_evidence_of_a_call_of_which_nothing_is_hidden_lets_its_commitments_be_checked(
    tmp_path: Path, database: Path, filled: Request, capfd: pytest.CaptureFixture[str]
) -> None:
    run = runner(tmp_path, database, SAMPLE, capfd)
    change(database, "UPDATE rule_versions SET body = replace(body, 'arguments.card', 'arguments.none')")
    run(f"evidence 2 --to {tmp_path}")
    found = json.loads((tmp_path / "signoff-2.json").read_text())
    assert found["commitments"]["salt"] is None
    change(database, """UPDATE rule_versions SET body = replace(body, '"arguments.none"', '')""")
    run(f"evidence 2 --to {tmp_path}")
    found = json.loads((tmp_path / "signoff-2.json").read_text())
    decided = next(json.loads(event["body"]) for event in found["events"] if event["type"] == "request.decided")
    salt = bytes.fromhex(found["commitments"]["salt"])
    assert sha256(salt + found["request"]["note"].encode()).hexdigest() == decided["note"]


# --- Slack's cards ----------------------------------------------------------------------------------------


@pytest.fixture
async def bot(database: Path) -> AsyncIterator[Bot]:
    async with running_bot(database) as bot:
        yield bot


@dataclass(frozen=True)
class Desk:
    bot: Bot
    run: Callable[[str], Any]


@pytest.fixture
def desk(bot: Bot, tmp_path: Path, database: Path, capfd: pytest.CaptureFixture[str]) -> Desk:
    """The command line beside the running bot, with its Slack."""
    text = f'{SAMPLE}\n[slack]\napi_url = "{bot.client.api_url}"\n'
    run = runner(tmp_path, database, text, capfd, SLACK_BOT_TOKEN=bot.slack.bot_token)

    async def in_a_thread(line: str) -> Ran:
        return await asyncio.to_thread(run, line)

    return Desk(bot, in_a_thread)


async def finished_card(bot: Bot) -> tuple[Request, Any]:
    made = await bot.submit()
    card = await bot.card(made)
    await bot.slack.click("U0ALICE", card.channel, card.ts, "approve")
    await bot.slack.until(lambda: "On record" in str(bot.cards(made)[0].blocks))
    await bot.until_delivered()
    return made, bot.cards(made)[0]


async def test_cards_in_slack_are_witnesses(desk: Desk, database: Path) -> None:
    made, _ = await finished_card(desk.bot)
    waiting = await desk.bot.submit('{"amount": 1}')
    await desk.bot.card(waiting)
    ran = await desk.run("audit verify --slack --json")
    assert ran.code == 0, ran
    found = ran.json
    assert found["cards"] == {
        "read": 1, "witnesses": 1, "without_witness": 0, "not_there": 0, "unknown": 0, "channels_not_read": {},
    }  # fmt: skip
    assert found["witnessed_by"] == f"the card of #{made.number} in C0REFUNDS"
    assert found["unwitnessed"] == found["events"] - found["witnessed_up_to"] > 0
    assert "SLACK_BOT_TOKEN" not in (await desk.run("audit verify --slack")).err

    # A chain made anew agrees with itself, and not with what Slack has.
    await desk.bot.store.close()
    change(database, "UPDATE events SET body = replace(body, 'U0ALICE', 'U0BOB') WHERE type = 'vote.cast'")
    change(database, "UPDATE votes SET user_id = 'U0BOB'")
    rebuild(database)
    assert (await desk.run("audit verify --stored --json")).code == 0
    assert (await desk.run("audit verify --slack --json")).faults == ["witness_differs"]


@pytest.mark.parametrize("all_of_it", [False, True])
async def test_a_tail_that_was_cut_off_with_its_cards_is_found(desk: Desk, database: Path, all_of_it: bool) -> None:
    """Whoever owns the database takes the cards from it, too: what counts is what stands in Slack."""
    bot = desk.bot
    first, _ = await finished_card(bot)
    await finished_card(bot)
    await bot.store.close()
    keep = 0 if all_of_it else first.number
    with closing(sqlite3.connect(database)) as connection:
        (since,) = connection.execute("SELECT min(number) FROM events WHERE request_number > ?", (keep,)).fetchone()
        connection.execute("DELETE FROM events WHERE number >= ?", (since,))
        for table, column in (
            ("outbox", "request_number"), ("votes", "request_number"), ("cards", "request_number"),
            ("requests", "number"),
        ):  # fmt: skip
            connection.execute(f"DELETE FROM {table} WHERE {column} > ?", (keep,))
        connection.commit()
    assert (await desk.run("audit verify --stored")).code == 0
    ran = await desk.run("audit verify --slack --json")
    assert ran.code == 1
    assert set(ran.faults) == {"witness_without_event"}
    assert ran.json["cards"]["unknown"] == (2 if all_of_it else 1)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Approved", "Denied", "card_differs"),
        ("<@U0ALICE>", "<@U0BOB>", "card_differs"),
        ("refund-bot", "other-bot", "card_differs"),
        ("On record: event ", "On record: event 1", "witness_without_event"),
    ],
)
async def test_a_card_whose_message_was_changed_is_found(desk: Desk, old: str, new: str, code: str) -> None:
    """By somebody with the bot's token, or in a backup of Slack's that was brought back."""
    _, card = await finished_card(desk.bot)
    blocks = json.loads(json.dumps(card.blocks, ensure_ascii=False).replace(old, new))
    assert blocks != card.blocks
    await desk.bot.client.update(card.channel, card.ts, card.text, blocks)
    ran = await desk.run("audit verify --slack --json")
    assert (ran.code, ran.faults) == (1, [code])


async def test_cards_that_are_gone_and_channels_that_are_closed_say_nothing(desk: Desk) -> None:
    bot = desk.bot
    _, card = await finished_card(bot)
    _, other = await finished_card(bot)
    await bot.slack.delete_message(other.channel, other.ts)
    found = (await desk.run("audit verify --slack --json")).json
    assert found["ok"]
    assert (found["cards"]["not_there"], found["cards"]["witnesses"]) in [(1, 1), (0, 1)]
    bot.slack.faults.add(Fault("error", methods="conversations.history", error_code="channel_not_found"))
    found = (await desk.run("audit verify --slack --json")).json
    assert found["cards"]["channels_not_read"] == dict.fromkeys((card.channel, "C0OPS"), "channel_not_found")
    assert found["witnessed_up_to"] == 0


async def test_slack_that_does_not_answer_is_said(desk: Desk) -> None:
    await finished_card(desk.bot)
    desk.bot.slack.faults.add(Fault("500", methods="conversations.history"))
    ran = await desk.run("audit verify --slack")
    assert ran.code == 1
    assert "Slack does not answer" in ran.err

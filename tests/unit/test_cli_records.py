"""`signoff requests | overrides | stats | show`, and cells of CSV that no spreadsheet runs."""

import asyncio
import contextlib
import csv
import io
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.clock import monotonic_clock
from bot.decisions import Act
from bot.events import EventType
from bot.lifecycle import State
from bot.lookups import Lookups
from bot.overrides import record_override
from handlers.cli import main, parser_records
from handlers.cli.beside import operator
from handlers.cli.records import _request_line
from handlers.cli.table import cell
from store.engine import SqliteStore
from store.schema import prepare
from store.tables import DeciderKind, OverrideKind, Status, VoteKind
from store.unit import StoreUnavailable, Unit
from tests.conftest import SAMPLE, StandingClock, Town, furnish, sample_settings, submission

EVIL = '=HYPERLINK("http://x","y")'
COMMANDS = ("requests", "overrides", "stats", "show 1")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command beside the configuration, with no database yet."""
    config = SAMPLE.replace("sqlite:///signoff.db", f"sqlite:///{tmp_path}/signoff.db")
    config = config.replace('channel = "C0REFUNDS"', 'channel = "C0REFUNDS"\nredact = ["secret"]')
    (tmp_path / "config.toml").write_text(config)

    def run(line: str, *more: str, **env: str) -> Ran:
        given = {"SIGNOFF_CONFIG": str(tmp_path / "config.toml"), "SIGNOFF_SECRET_KEY": "k" * 32} | env
        return Ran(main([*line.split(), *more], given), *capfd.readouterr())

    return run


@pytest.fixture
def filled(run: Run, tmp_path: Path) -> Run:
    """The same beside a database with a denied request, which somebody overrode, and one that a rule approved."""
    asyncio.run(_fill(tmp_path / "signoff.db", (tmp_path / "config.toml").read_text()))
    return run


async def _fill(path: Path, config: str) -> None:
    now = monotonic_clock()() - timedelta(hours=1)
    prepare(path, now, upgrade=False)
    store = await SqliteStore.open(path)
    clock = StandingClock(now)
    town = Town(clock)
    for user in ("U0ALICE", "U0BOB"):
        town.add(user)
    house = await furnish(store, clock, town, sample_settings(config))
    instance, _ = await house.instances.create("till", "refund-bot")
    made, _ = await house.creation.submit(instance, submission(arguments='{"secret": "hunter2", "a": 1}'), "k1")
    clock.advance(seconds=90)
    act = Act("t1", "U0ALICE", "T0HOME", "card", None)
    denied = await house.decisions.vote(made.number, act, VoteKind.DENY, f"{EVIL} hunter2")

    async def override(unit: Unit) -> None:
        await record_override(
            unit, denied, OverrideKind.REVERSED, Act("t2", "U0BOB", "T0HOME", "card", None), "+1 hunter2", clock(),
            displaced=State.DENIED, displaced_by_kind=DeciderKind.PERSON, displaced_by="U0ALICE",
        )  # fmt: skip

    await store.write(override)
    await house.creation.submit(instance, submission(tool="look_up"), "k2")
    await store.close()


def rows_of(ran: Ran) -> list[dict[str, str]]:
    assert ran.code == 0, ran.err
    return list(csv.DictReader(io.StringIO(ran.out)))


@pytest.mark.parametrize(
    ("stands", "told"),
    [({"state": "succeeded", "reported": True}, "approved by U0ALICE, succeeded, reported as wrong, rule refunds"),
     ({"state": "revoked"}, "approved by U0ALICE, revoked, rule refunds"),
     ({"state": "denied", "decided_by_kind": "rule", "decided_by": "refunds", "decision_code": "agent_paused"},
      "denied by a pause, rule refunds")],
)  # fmt: skip
def test_a_line_says_nothing_of_anybody_that_another_did(stands: dict[str, object], told: str) -> None:
    row = {
        "number": 1, "created_at": "2026-11-22T20:28:41Z", "agent": "refund-bot", "tool": "issue_refund",
        "server": None, "rule": "refunds", "reported": False, "decided_by_kind": "person", "decided_by": "U0ALICE",
        "decision_code": "decided_by_votes",
    }  # fmt: skip
    assert _request_line(row | stands).endswith(told)


def test_requests_in_every_form(filled: Run) -> None:
    told = json.loads(filled("requests --json").out)["requests"]
    assert [(one["number"], one["tool"], one["status"], one["rule"]) for one in told] == [
        (2, "look_up", "approved", "look-ups"), (1, "issue_refund", "denied", "refunds"),
    ]  # fmt: skip
    rows = rows_of(filled("requests --csv"))
    assert [row["number"] for row in rows] == ["2", "1"]
    assert rows[1]["note"].startswith("'=HYPERLINK")
    assert "denied by U0ALICE" in filled("requests").out
    assert "approved by its rule, rule look-ups" in filled("requests").out
    for narrowed, numbers in (
        ("--status denied", [1]), ("--agent refund-bot", [2, 1]), ("--agent x", []), ("--tool look_up", [2]),
        ("--by U0ALICE", [1]), ("--rule refunds", [1]), ("--limit 1", [2]), ("--since 30m", []), ("--since 2h", [2, 1]),
    ):  # fmt: skip
        told = json.loads(filled(f"requests --json {narrowed}").out)["requests"]
        assert [one["number"] for one in told] == numbers, narrowed


def test_overrides_with_the_rate(filled: Run) -> None:
    ran = filled("overrides --json")
    (told,) = json.loads(ran.out)["overrides"]
    assert (told["kind"], told["user"], told["request"], told["displaced"]) == ("reversed", "U0BOB", 1, "denied")
    assert told["displaced_by"] == "U0ALICE"
    assert "1 override of 1 request " in ran.err
    assert "override rate 50.0%" in ran.err
    (row,) = rows_of(filled("overrides --csv --kind reversed --by U0BOB"))
    assert row["reason"].startswith("'+1")
    assert "reversed by U0BOB" in filled("overrides").out
    for none in ("--kind forced", "--by U0ALICE", "--tool x"):
        assert rows_of(filled(f"overrides --csv {none}")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("requests --agent refnd-bot", "Nothing is known of an agent refnd-bot. Did you mean refund-bot?"),
        ("requests --rule look-ups --json --since 1m", "No such request was made from"),
        ("overrides --tool issue-refund", "Nothing is known of a tool issue-refund. Did you mean issue_refund?"),
        ("stats 30d --agent nobody", "Nothing is known of an agent nobody."),
        ("requests 7", "“7” of what? Write 7h or 7d"),
        ("requests --since last monday", 'in quotes: --since "last monday"'),
        ("request", "Did you mean requests?"),
        ("requests --status apprved", "Did you mean approved?"),
    ],
)
def test_what_is_half_right_is_helped(filled: Run, line: str, words: str) -> None:
    assert words in filled(line).err


def test_stats(filled: Run) -> None:
    told = json.loads(filled("stats --json").out)
    assert (told["all"]["decided"], told["all"]["denied_by_people"], told["all"]["override_rate"]) == (2, 1, 0.5)
    assert told["all"]["median_wait_seconds"] == told["all"]["p90_wait_seconds"] == 90
    assert told["agents"]["refund-bot"] == told["all"]
    assert told["people"]["U0ALICE"] == {
        "approvals": 0, "denials": 1, "decided": 1, "overrides": 0, "median_wait_seconds": 90,
    }  # fmt: skip
    assert [row["agent"] for row in rows_of(filled("stats --csv"))] == ["", "refund-bot"]
    assert "1 min 30 s (median)" in filled("stats").out


def test_show_in_every_form(filled: Run) -> None:
    text = filled("show 1").out
    assert text.startswith("⛔ Denied · refund-bot · `issue_refund`\n")
    assert "⛔ Denied by @U0ALICE, " in text  # in letters, and once
    assert text.count("issue_refund") == 1
    assert "\n> =HYPERLINK" in text  # what a person wrote stands apart
    assert not set("*<&") & set(text)
    told = json.loads(filled("show #1 --json").out)
    assert told["votes"][0]["user"] == "U0ALICE"
    assert told["overrides"][0]["kind"] == "reversed"
    assert json.loads(filled("show", told["id"], "--json").out)["number"] == 1
    assert rows_of(filled("show 1 --csv"))[0]["status"] == "denied"
    ran = filled("show 99")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no request 99." in ran.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_what_a_rule_hides_is_hidden(filled: Run, command: str, form: str) -> None:
    ran = filled(f"{command} {form}")
    assert ran.code == 0
    assert "hunter2" not in ran.out + ran.err
    assert "dfff" not in ran.out  # a mark begins with a bracket, which every program reads


@pytest.mark.parametrize(
    ("command", "on_record"),
    [
        ("requests --status denied", {"what": "requests", "status": "denied", "found": 1}),
        ("requests --limit 1", {"what": "requests", "found": 2}),
        ("overrides --agent refund-bot --by U0BOB", {
            "what": "overrides", "agent": "refund-bot", "person": "U0BOB", "found": 1,
        }),
        ("stats", {"what": "stats", "found": 2}),
        ("show 1", {"what": "show", "number": 1}),
    ],
)  # fmt: skip
def test_who_asked_is_on_record_and_nothing_else_changes(
    filled: Run, tmp_path: Path, command: str, on_record: dict[str, Any]
) -> None:
    def events() -> list[dict[str, Any]]:
        with contextlib.closing(sqlite3.connect(tmp_path / "signoff.db")) as database:
            return [json.loads(body) for (body,) in database.execute("SELECT body FROM events ORDER BY number")]

    before = events()
    assert filled(command).code == 0
    *others, added = events()
    assert others == before
    assert added["type"] == (EventType.REQUEST_LOOKED_AT if command == "show 1" else EventType.RECORD_QUERIED)
    assert added["by"] == operator()
    assert ("since" in added) is (command != "show 1")
    common = ("v", "type", "at", "by", "since", "until", "request")
    assert {name: value for name, value in added.items() if name not in common} == on_record


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_put_on_record_is_not_shown(filled: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(Lookups, "note_query", refuse)
    monkeypatch.setattr(Lookups, "note_look", refuse)
    ran = filled(command)
    assert (ran.code != 0, ran.out) == (True, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_database_it_says_so_and_makes_none(run: Run, tmp_path: Path, command: str) -> None:
    ran = run(command)
    assert (ran.code, ran.out) == (1, "")
    assert "There is no database" in ran.err
    assert not (tmp_path / "signoff.db").exists()


def test_times_are_those_of_tz_and_nonsense_is_explained(filled: Run) -> None:
    ran = filled("requests --since nonsense")
    assert ran.code == 2
    assert "--since: " in ran.err
    assert "“nonsense”" in ran.err  # as it was typed
    assert filled("requests --since 2099-01-01").code == 2
    wrong = filled("requests --by alice")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--by: " in wrong.err
    utc = filled("overrides --since 2026-01-01..2026-01-02").err
    tokyo = filled("overrides --since 2026-01-01..2026-01-02", TZ="Asia/Tokyo").err
    assert "from 2026-01-01T00:00:00Z to 2026-01-03T00:00:00Z" in utc
    assert "from 2025-12-31T15:00:00Z to 2026-01-02T15:00:00Z" in tokyo
    for wrong in ("--limit 0", "--limit x", "--json --csv"):
        assert filled(f"requests {wrong}").code == 2


def test_the_choices_are_the_vocabulary() -> None:
    assert set(parser_records.STATUSES) == {status.value for status in Status}
    assert set(parser_records.KINDS) == {kind.value for kind in OverrideKind}


STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001
BODIES = ("1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x","y")', "SUM(A1)", "1", "")


def _cells() -> list[str]:
    """Texts that a spreadsheet might take for formulas, as a whole or as a piece that it cuts out itself."""
    starts = [start + body for start in STARTS for body in BODIES]
    before = [f"{blank}{text}" for blank in (" ", "  ", "\t", "\r", "\n", "\u00a0", "'", '"', ' "') for text in starts]
    within = [f"plain{cut}{text}" for cut in (";", '"', '";"', "\t", "\n", "; ", "|") for text in starts]
    return [*starts, *before, *within]


def test_no_cell_is_a_formula() -> None:
    assert len(_cells()) > 900
    for text in _cells():
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL).writerow([cell(text), "next"])
        written = out.getvalue()
        for delimiter in (",", ";", "\t", "|"):
            for found in next(csv.reader(io.StringIO(written), delimiter=delimiter)):
                bare = found.lstrip(' \u00a0"')
                assert bare.startswith("'") or bare.strip("'")[:1] not in STARTS, (delimiter, found)
        assert not set("\n\t") & set(written.rstrip("\r\n"))
        assert [cell(text), "next"] == next(csv.reader(io.StringIO(written)))


def test_cells_that_are_no_formula_stay_as_they_are() -> None:
    for text in ("refund-bot", "a = b", "1-2", "x@example.com", "", "1, -2"):
        assert cell(text) == text
    assert (cell(None), cell(True), cell(-5), cell(0.5)) == ("", "true", "-5", "0.5")
    assert cell("a\u202eb\x00") == "a\\u{202e}b\\u{0}"

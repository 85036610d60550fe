"""A backup is made while Signoff runs, put back after it was used, and nothing that was used comes to life again."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.audit import Audit
from bot.chain import Verdict
from bot.checkpoints import Checkpoint
from bot.clock import monotonic_clock
from handlers.cli import main
from playground import Playground
from store.engine import SqliteStore
from store.unit import RestoredCopy
from tests.scenario.service_support import SECRET_KEY, Workplace, assert_sound, config_for, rows, serving
from tests.waiting import until, within

REFUND = {"tool": "issue_refund", "arguments": {"amount": 4900}, "timeout": "10m"}
OTHER = {"tool": "issue_refund", "arguments": {"amount": 1}, "timeout": "10m"}


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


async def signoff(slack: Playground, database: Path, capfd: pytest.CaptureFixture[str], *words: str) -> Ran:
    """Run a command on the database as an operator would."""
    config = database.with_name("config.toml")
    config.write_text(config_for(slack, database))
    env = {"SIGNOFF_SECRET_KEY": SECRET_KEY.decode()}
    code = await within(asyncio.to_thread(main, [*words, "--config", str(config)], env))
    return Ran(code, *capfd.readouterr())


async def verdict_on(database: Path, checkpoint: Checkpoint) -> Verdict:
    store = await SqliteStore.open(database)
    try:
        return await Audit(store, monotonic_clock()).verify([checkpoint.as_witness])
    finally:
        await store.close()


async def approved(work: Workplace, key: str, body: object) -> str:
    """Have a request approved by a click; returns its id."""
    _, request = await work.send("POST", "/v1/requests", body, key=key)
    card = await work.card()
    assert (await work.slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
    await work.until_delivered()
    return str(request["id"])


async def test_an_approval_used_after_the_backup_is_not_used_again(
    slack: Playground, database: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "backup.db"
    async with serving(slack, database) as work:
        used = await approved(work, "used", REFUND)
        _, request = await work.send("POST", "/v1/requests", OTHER, key="waits")
        await work.until_delivered()
        waits, card = request["id"], await work.card()

        made = await signoff(slack, database, capfd, "backup", str(backup))
        assert (made.code, backup.stat().st_mode & 0o777) == (0, 0o600)
        refused = await signoff(slack, database, capfd, "restored")  # not under a server
        assert (refused.code, refused.out) == (1, "")
        assert "is being served by another process" in refused.err

        assert (await work.send("POST", f"/v1/requests/{used}/consume", key="c"))[0] == 200
        assert (await slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        await work.until_delivered()
        token = work.token
        checkpoint = await Audit(work.service.store, work.clock).take_checkpoint("here", "key", "a test")
    assert_sound(database)
    assert (await verdict_on(database, checkpoint)).fault_count == 0

    for companion in ("-wal", "-shm"):
        database.with_name(database.name + companion).unlink(missing_ok=True)
    shutil.copy(backup, database)

    with pytest.raises(RestoredCopy, match="signoff restored"):
        async with serving(slack, database, token=token):
            pass
    told = await signoff(slack, database, capfd, "restored")
    assert told.code == 0, told.err
    assert "revoked now: 1\n  #1 refund-bot issue_refund (could be used until" in told.out
    assert "Pending requests, left as they are: 1" in told.out
    assert "work again" in told.err

    async with serving(slack, database, token=token) as work:
        for key in ("c", "another"):
            status, answer = await work.send("POST", f"/v1/requests/{used}/consume", key=key)
            assert (status, answer["error"]["code"]) == (409, "approval_revoked")
            assert "restored from a backup" in answer["error"]["message"]
        # What was decided since waits again, and its card says so: nothing of it is approved by itself.
        _, again = await work.send("GET", f"/v1/requests/{waits}")
        assert again["status"] == "pending"
        await slack.until(lambda: "approve" in slack.message(card.channel, card.ts).action_ids())
        first = slack.messages("C0REFUNDS")[0]
        await slack.until(lambda: "restored from a backup" in slack.message(first.channel, first.ts).all_text())
        await until(lambda: any("restored from a backup" in told.all_text() for told in slack.messages("U0ADMIN")))
        assert (await slack.click("U0ALICE", card.channel, card.ts, "approve")).ok
        assert (await work.send("POST", f"/v1/requests/{waits}/consume", key="c"))[0] == 200
    assert_sound(database)

    # The witness of after the backup finds that the record of after the backup is gone.
    verdict = await verdict_on(database, checkpoint)
    assert verdict.fault_count > 0
    assert {fault.code for fault in verdict.faults} <= {"witness_differs", "witness_without_event"}

    repeated = await signoff(slack, database, capfd, "restored")
    assert repeated.code == 0
    assert "revoked now: 0" in repeated.out
    repeated = await signoff(slack, database, capfd, "restored")
    assert "was dealt with before" in repeated.out
    assert rows(database, "SELECT count(*) FROM events WHERE type = 'database.restored'") == [(2,)]


async def test_a_crash_before_the_mark_is_ended_leaves_it_refused(
    slack: Playground,
    database: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backup = tmp_path / "backup.db"
    assert (await signoff(slack, database, capfd, "backup", str(backup))).code == 0
    with monkeypatch.context() as dying:
        dying.setattr("handlers.cli.restored.end_mark", None)
        with pytest.raises(TypeError):
            await signoff(slack, backup, capfd, "restored")
    with pytest.raises(RestoredCopy):
        async with serving(slack, backup):
            pass
    told = await signoff(slack, backup, capfd, "restored")
    assert "was dealt with before" in told.out
    async with serving(slack, backup):
        pass


async def test_what_cannot_be_copied_or_restored_is_said(
    slack: Playground, database: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").write_text("precious")
    for name, words in (
        ("there", "never takes another file's place"),
        ("no/such/folder.db", "There is no folder"),
    ):
        refused = await signoff(slack, database, capfd, "backup", str(tmp_path / name))
        assert (refused.code, refused.out) == (1, "")
        assert words in refused.err
    missing = tmp_path / "missing.db"
    for command in (["backup", str(tmp_path / "new.db")], ["restored"]):
        refused = await signoff(slack, missing, capfd, *command)
        assert (refused.code, refused.out) == (1, "")
        assert f"There is no database {missing}" in refused.err
    assert not missing.exists()

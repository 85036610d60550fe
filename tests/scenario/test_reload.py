"""A changed file while the service runs, on a real database: whole or not at all, at one moment, on record."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.config import BadConfig, Settings, load_settings
from bot.decisions import Act
from bot.errors import ApprovalRevoked, NotYourDecision, RateLimited
from bot.outbox import Notice
from bot.policy import FORBIDDEN, Policy
from bot.reload import BATCH, Ended, Reload, Reloads, Result
from bot.rulebook import Rulebook
from store.engine import SqliteStore, Work
from store.tables import DeciderKind, Instance, Request, Status, VoteKind
from store.unit import StoreUnavailable, Unit
from tests.conftest import SAMPLE, House, StandingClock, Town, furnish, sample_settings, submission
from tests.stores import database_of, rows_at

Acts = Callable[..., Act]
WITHOUT_REFUNDS = SAMPLE.replace('"issue_refund", "send_*"', '"send_*"')
GONE = SAMPLE.replace("refund-bot", "other-bot")
LATER = SAMPLE.replace('validity = "5m"', 'validity = "9m"')


@pytest.fixture
def reloads(house: House) -> Reloads:
    return Reloads(house.store, house.clock, house.rulebook)


def rows(house: House, sql: str) -> list[tuple[Any, ...]]:
    return rows_at(database_of(house.store), sql)


def events(house: House, like: str = "config.%") -> list[dict[str, Any]]:
    return [json.loads(body) for (body,) in rows(house, f"SELECT body FROM events WHERE type LIKE '{like}'")]


def told(house: House) -> list[tuple[str, dict[str, Any]]]:
    """What the admins are to be told."""
    found = rows(house, "SELECT reason, about FROM outbox WHERE kind = 'tell_admins' ORDER BY id")
    return [(reason, json.loads(about)) for reason, about in found]


async def take(reloads: Reloads, text: str) -> Reload:
    return await reloads.take(lambda: sample_settings(text))


async def ask(house: House, instance: Instance, key: str, tool: str = "issue_refund") -> Request:
    return (await house.creation.submit(instance, submission(tool), key))[0]


# --- taken ---


async def test_a_changed_file_is_in_force_on_record_and_told(
    house: House, reloads: Reloads, instance: Instance, acts: Acts
) -> None:
    await reloads.begin()
    before = await ask(house, instance, "k1")
    reload = await take(reloads, LATER)
    new, old = sample_settings(LATER), sample_settings()
    assert (reload.result, reload.ended) == (Result.TAKEN, Ended())
    assert reload.facts == {"digest": new.digest, "rules_changed": "refunds"}
    loaded, reloaded = events(house)
    assert (loaded["type"], loaded["digest"]) == ("config.loaded", old.digest)
    assert reloaded == reloaded | {"type": "config.reloaded", "before": old.digest, **reload.facts}
    assert told(house) == [("config_reloaded", dict(reload.facts))]
    assert house.rulebook.policy.settings.digest == new.digest

    after = await ask(house, instance, "k2")
    for request, minutes in ((before, 5), (after, 9)):  # each by the rule it was made under
        decided = await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
        assert decided.expires_at is not None
        assert (decided.expires_at - house.clock.now).total_seconds() == minutes * 60


async def test_who_is_no_admin_any_more_is_told_so_too(house: House, reloads: Reloads) -> None:
    await take(reloads, SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0CAROL"]'))
    await take(reloads, SAMPLE.replace('users = ["U0ADMIN"]', 'users = ["U0CAROL"]').replace('"5m"', '"6m"'))
    asked: list[frozenset[str]] = []
    for _ in range(2):
        (intent,) = await house.outbox.claim(10)
        notice = await house.outbox.load(intent)
        assert isinstance(notice, Notice)
        asked.append(notice.admins)
        await house.outbox.done(notice)
    assert asked == [{"U0ADMIN", "U0CAROL"}, {"U0CAROL"}]


async def test_a_file_that_differs_in_nothing_writes_nothing(house: House, reloads: Reloads) -> None:
    await reloads.begin()
    before = rows(house, "SELECT count(*), max(number) FROM events"), told(house)
    versions = rows(house, "SELECT * FROM rule_versions")
    assert (await take(reloads, SAMPLE)).result is Result.UNCHANGED
    assert (rows(house, "SELECT count(*), max(number) FROM events"), told(house)) == before
    assert rows(house, "SELECT * FROM rule_versions") == versions


async def test_a_file_of_other_bytes_that_says_the_same_is_on_record(house: House, reloads: Reloads) -> None:
    reload = await take(reloads, "# a word\n" + SAMPLE)
    assert reload.result is Result.TAKEN
    assert set(reload.facts) == {"digest"}
    assert (await take(reloads, "# a word\n" + SAMPLE)).result is Result.UNCHANGED


async def test_the_start_is_on_record_if_the_file_is_another_than_the_last(
    house: House, store: SqliteStore, clock: StandingClock, town: Town, reloads: Reloads
) -> None:
    await reloads.begin()
    await reloads.begin()
    await take(reloads, LATER)
    for text in (LATER, SAMPLE, SAMPLE):
        again = await furnish(store, clock, town, sample_settings(text))
        await Reloads(store, clock, again.rulebook).begin()
    assert [(event["type"], event["digest"] == sample_settings(LATER).digest) for event in events(house)] == [
        ("config.loaded", False), ("config.reloaded", True), ("config.loaded", False)
    ]  # fmt: skip


async def test_owners_admins_and_limits_are_the_new_files_at_once(
    house: House, reloads: Reloads, instance: Instance, acts: Acts
) -> None:
    request = await ask(house, instance, "k1")
    text = SAMPLE.replace('owners = ["U0OWNER"]', 'owners = ["U0ALICE"]\nrate = "1/1m"')
    await take(reloads, text.replace('users = ["U0ADMIN"]', 'users = ["U0CAROL"]'))
    with pytest.raises(NotYourDecision) as refused:
        await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
    assert refused.value.code == "owner"
    assert [len(await house.queries.pending(user)) for user in ("U0ADMIN", "U0CAROL")] == [0, 1]
    await ask(house, instance, "k2", "look_up")
    with pytest.raises(RateLimited):
        await ask(house, instance, "k3", "look_up")


# --- refused ---


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SAMPLE.replace("owners", "owner", 1), "owner"),
        ("no toml", "TOML"),
        (SAMPLE.replace("8080", "8081") + "# and more", "[server] differs"),
        ('[slack]\nmode = "http"\n' + LATER, "[slack] differs"),
        (LATER.replace("signoff.db", "other.db"), "[store] differs"),
    ],
)
async def test_any_fault_keeps_the_old_rules_and_is_told(
    house: House, reloads: Reloads, instance: Instance, text: str, fault: str
) -> None:
    policy, versions = house.rulebook.policy, rows(house, "SELECT * FROM rule_versions")
    reload = await take(reloads, text)
    assert reload.result is Result.REFUSED
    assert any(fault in one for one in reload.faults)
    assert house.rulebook.policy is policy
    assert rows(house, "SELECT * FROM rule_versions") == versions
    (refused,) = events(house)
    assert refused == refused | {"type": "config.refused", "digest": policy.settings.digest, **reload.facts}
    assert told(house) == [("config_refused", dict(reload.facts))]
    assert (await ask(house, instance, "k")).status is Status.PENDING


async def test_a_file_that_cannot_be_read_is_a_fault(house: House, reloads: Reloads) -> None:
    def fail() -> Settings:
        raise MemoryError

    def is_gone() -> Settings:
        raise BadConfig("gone.toml", [])

    reload = await reloads.take(fail)
    assert reload.result is Result.REFUSED
    assert isinstance(reload.cause, MemoryError)
    assert [reason for reason, _ in told(house)] == ["config_refused"]
    assert house.rulebook.policy.settings.digest == sample_settings().digest


class Broken:
    """A store that fails at the n-th write from now on, after the unit ran, as a full disk does."""

    def __init__(self, store: SqliteStore, at: int) -> None:
        self._store, self._left = store, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, work: Work[Any]) -> Any:
        self._left -= 1
        if self._left:
            return await self._store.write(work)

        async def lost(unit: Unit) -> None:
            await work(unit)
            raise StoreUnavailable("the disk is full")

        return await self._store.write(lost)


@pytest.mark.parametrize("at", [1, 2])
async def test_a_database_that_does_not_take_it_leaves_everything_as_it_was(
    house: House, instance: Instance, at: int
) -> None:
    """Before the swap only wordings of rules are stored, which nobody refers to: to end there does no harm."""
    policy = house.rulebook.policy
    with pytest.raises(StoreUnavailable):
        await take(Reloads(Broken(house.store, at), house.clock, house.rulebook), LATER)  # type: ignore[arg-type]
    assert house.rulebook.policy is policy
    assert (events(house), told(house)) == ([], [])
    assert (await ask(house, instance, "k1")).rule_id == 2
    assert (await take(Reloads(house.store, house.clock, house.rulebook), LATER)).result is Result.TAKEN
    assert (await ask(house, instance, "k2")).rule_id == 3


# --- what the new file forbids outright ---


@pytest.mark.parametrize("text", [WITHOUT_REFUNDS, GONE])
async def test_what_is_forbidden_is_cancelled_or_revoked(
    house: House, reloads: Reloads, instance: Instance, acts: Acts, text: str
) -> None:
    waiting, approved, used, denied = [await ask(house, instance, f"k{number}") for number in range(4)]
    kept = await ask(house, instance, "kept", "look_up")
    for request in (approved, used):
        await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
    await house.decisions.vote(denied.number, acts("U0ALICE"), VoteKind.DENY)
    await house.approvals.consume(instance, used.id, "c")
    waiter = asyncio.create_task(house.approvals.wait(instance, waiting.id, timedelta(seconds=20)))
    house.clock.advance(seconds=5)

    reload = await take(reloads, text)
    also = int(text is GONE)  # then the look-up's approval goes too
    assert reload.ended == Ended(cancelled=1, revoked=1 + also)
    assert (reload.facts["cancelled"], reload.facts["revoked"]) == (1, 1 + also)
    ended = await house.approvals.read(instance, waiting.id)
    assert (ended.status, ended.decided_by_kind, ended.decision_code) == (
        Status.CANCELLED, DeciderKind.OPERATOR, FORBIDDEN
    )  # fmt: skip
    assert (await waiter).status is Status.CANCELLED
    revoked = await house.approvals.read(instance, approved.id)
    assert (revoked.status, revoked.revoked_at, revoked.revoked_code, revoked.due_at) == (
        Status.APPROVED, house.clock.now, FORBIDDEN, None
    )  # fmt: skip
    assert [event["request"] for event in events(house, "request.revoked")][:1] == [approved.id]
    assert rows(house, f"SELECT reason FROM outbox WHERE request_number = {approved.number} ORDER BY id DESC LIMIT 1")
    with pytest.raises(ApprovalRevoked, match="What was approved is withdrawn"):
        await house.approvals.consume(instance, approved.id, "c")
    # What is over stays as it was; what was used may be reported.
    assert (await house.approvals.read(instance, denied.id)).status is Status.DENIED
    assert (await house.approvals.read(instance, used.id)).revoked_at is None
    assert ((await house.approvals.read(instance, kept.id)).revoked_at is None) is (not also)
    house.clock.advance(hours=2)
    await house.deadlines.sweep()  # nothing that was ended becomes due

    await take(reloads, SAMPLE)  # allowed again: what was ended stays so
    with pytest.raises(ApprovalRevoked, match="What was approved is withdrawn"):
        await house.approvals.consume(instance, approved.id, "c")


async def test_nobody_decides_or_uses_what_is_forbidden_even_before_it_is_ended(
    house: House, instance: Instance, acts: Acts
) -> None:
    waiting, approved = [await ask(house, instance, f"k{number}") for number in range(2)]
    await house.decisions.vote(approved.number, acts("U0ALICE"), VoteKind.APPROVE)

    async def nothing(unit: Unit, policy: Policy) -> None: ...

    await house.rulebook.replace(house.store, sample_settings(WITHOUT_REFUNDS), house.clock, nothing)
    for kind in VoteKind:
        with pytest.raises(NotYourDecision) as refused:
            await house.decisions.vote(waiting.number, acts("U0ALICE"), kind)
        assert refused.value.code == FORBIDDEN
    with pytest.raises(ApprovalRevoked, match="may not use the tool issue_refund"):
        await house.approvals.consume(instance, approved.id, "c")


async def test_a_start_with_a_changed_file_ends_what_it_forbids(
    house: House, store: SqliteStore, clock: StandingClock, town: Town, instance: Instance
) -> None:
    request = await ask(house, instance, "k")
    again = await furnish(store, clock, town, sample_settings(WITHOUT_REFUNDS))
    assert await Reloads(store, clock, again.rulebook).begin() == Ended(cancelled=1)
    assert (await again.approvals.read(instance, request.id)).status is Status.CANCELLED


async def test_thousands_are_ended_in_batches(
    house: House, reloads: Reloads, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * BATCH + 7
    await asyncio.gather(*(ask(house, instance, f"k{number}") for number in range(count)))
    largest: list[int] = []
    end = Reloads._end

    async def watched(self: Reloads, unit: Unit, numbers: list[int]) -> list[Request]:
        largest.append(len(numbers))
        return await end(self, unit, numbers)

    monkeypatch.setattr(Reloads, "_end", watched)
    assert (await take(reloads, WITHOUT_REFUNDS)).ended == Ended(cancelled=count)
    assert largest == [BATCH, BATCH, 7]
    assert rows(house, "SELECT count(*) FROM requests WHERE status = 'pending'") == [(0,)]


async def test_one_that_cannot_be_ended_does_not_keep_the_others(
    house: House, reloads: Reloads, instance: Instance
) -> None:
    made = [await ask(house, instance, f"k{number}") for number in range(3)]
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER stuck BEFORE UPDATE ON requests WHEN NEW.number = 2 BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    ended = (await take(reloads, WITHOUT_REFUNDS)).ended
    assert (ended.cancelled, list(ended.stuck)) == (2, [2])
    assert [(await house.approvals.read(instance, one.id)).status for one in made] == [
        Status.CANCELLED, Status.PENDING, Status.CANCELLED
    ]  # fmt: skip


async def test_what_cannot_be_ended_now_is_ended_by_the_next_reload(
    house: House, instance: Instance, acts: Acts
) -> None:
    request = await ask(house, instance, "k")
    broken = Reloads(Broken(house.store, 3), house.clock, house.rulebook)  # type: ignore[arg-type]
    reload = await take(broken, WITHOUT_REFUNDS)
    assert reload.result is Result.TAKEN
    assert isinstance(reload.cause, StoreUnavailable)
    with pytest.raises(NotYourDecision):
        await house.decisions.vote(request.number, acts("U0ALICE"), VoteKind.APPROVE)
    again = await take(broken, WITHOUT_REFUNDS)
    assert (again.result, again.ended) == (Result.UNCHANGED, Ended(cancelled=1))


async def test_a_schema_that_changed_beside_an_unchanged_file_is_taken(
    house: House, reloads: Reloads, tmp_path: Path
) -> None:
    file, schema = tmp_path / "config.toml", tmp_path / "refund.json"
    file.write_text(SAMPLE.replace('name = "refunds"\n', 'name = "refunds"\narguments_schema = "refund.json"\n'))
    results = []
    for text in ('{"type": "object"}', '{"type": "object", "required": ["amount"]}', "{"):
        schema.write_text(text)
        reload = await reloads.take(partial(load_settings, file, {}))
        results.append((reload.result, reload.facts.get("rules_changed")))
    assert results == [(Result.TAKEN, "refunds"), (Result.TAKEN, "refunds"), (Result.REFUSED, None)]
    assert len({event["digest"] for event in events(house)}) == 1
    assert len({event["effective"] for event in events(house, "config.reloaded")}) == 2


# --- one moment ---

OTHER = SAMPLE.replace('name = "refunds"', 'name = "other refunds"').replace('"C0REFUNDS"', '"C0OTHER"')


async def test_a_call_is_judged_by_one_file_and_never_by_the_old_one_afterwards(
    house: House, reloads: Reloads, instance: Instance
) -> None:
    """Files come and go while calls do: each request is all of the file in force at its place in the chain."""
    files = [SAMPLE, OTHER]
    over = asyncio.Event()

    async def submit(lane: int) -> None:
        number = 0
        while not over.is_set():
            await ask(house, instance, f"{lane}-{number}")
            number += 1

    lanes = [asyncio.create_task(submit(lane)) for lane in range(6)]
    for turn in range(1, 25):
        assert (await take(reloads, files[turn % 2])).result is Result.TAKEN
        made = await ask(house, instance, f"after-{turn}")
        assert _made_under(house, made.number)[0] == ["refunds", "other refunds"][turn % 2]
    over.set()
    await asyncio.gather(*lanes)

    in_force = "refunds"
    seen = {"refunds": 0, "other refunds": 0}
    for (body,) in rows(house, "SELECT body FROM events ORDER BY number"):
        event = json.loads(body)
        if event["type"] == "config.reloaded":
            in_force = event["rules_added"]
        elif event["type"] == "request.made":
            rule, stored, channel = event["rule"], *_made_under(house, event["number"])
            assert (rule, stored, channel) == (in_force, in_force, "C0OTHER" if in_force != "refunds" else "C0REFUNDS")
            seen[rule] += 1
    assert min(seen.values()) > 5


def _made_under(house: House, number: int) -> tuple[str, str]:
    """The name of the rule version that a request refers to, and where its card goes."""
    [(name, target)] = rows(
        house,
        "SELECT rule_versions.name, cards.target FROM requests JOIN rule_versions ON rule_versions.id = rule_id "
        f"JOIN cards ON cards.request_number = requests.number WHERE requests.number = {number}",
    )
    return name, target


async def test_a_call_that_was_judged_before_is_judged_anew(
    house: House, reloads: Reloads, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes between its judging and its writing, such as a look-up in Slack."""
    refuse = Rulebook.refuse_outdated
    asked: list[str] = []

    def watched(self: Rulebook, edition: Any) -> None:
        asked.append(edition.policy.settings.digest)
        refuse(self, edition)

    monkeypatch.setattr(Rulebook, "refuse_outdated", watched)
    old = await house.rulebook.edition()
    await take(reloads, WITHOUT_REFUNDS)
    editions = iter([old])
    now = house.rulebook.edition

    async def edition(self: Rulebook) -> Any:
        return next(editions, None) or await now()

    monkeypatch.setattr(Rulebook, "edition", edition)
    made = await ask(house, instance, "k")
    assert (made.status, made.decision_code) == (Status.DENIED, "tool_not_allowed")
    assert asked == [old.policy.settings.digest, sample_settings(WITHOUT_REFUNDS).digest]
    assert rows(house, "SELECT count(*) FROM requests") == [(1,)]


async def test_nothing_that_became_forbidden_is_used_or_decided_after_the_reload_is_on_record(
    house: House, reloads: Reloads, instance: Instance, acts: Acts
) -> None:
    """Uses and votes race the reload; whatever wins, none of them stands behind it in the chain."""
    used = rows_before = 0
    texts = {True: SAMPLE.replace('tools = ["issue_refund", "send_*", "look_up"]', 'tools = ["send_*"]'), False: SAMPLE}
    for round_ in range(6):
        reads = [await ask(house, instance, f"r{round_}-{number}", "look_up") for number in range(30)]
        refunds = [await ask(house, instance, f"a{round_}-{number}") for number in range(10)]
        reload = asyncio.create_task(take(reloads, texts[True]))
        for wave in range(10):  # some before it, some beside it, some after it
            done = await asyncio.gather(
                *(house.approvals.consume(instance, one.id, "c") for one in reads[wave::10]),
                house.decisions.vote(refunds[wave].number, acts("U0ALICE"), VoteKind.APPROVE),
                return_exceptions=True,
            )
            used += sum(isinstance(one, Request) for one in done)
        await reload
        await take(reloads, texts[False])
        is_forbidden = False
        for (body,) in rows(house, f"SELECT body FROM events WHERE number > {rows_before} ORDER BY number"):
            event = json.loads(body)
            if event["type"] == "config.reloaded":
                is_forbidden = event["digest"] == sample_settings(texts[True]).digest
            elif is_forbidden:
                assert event["type"] == "request.revoked" or event.get("code") == FORBIDDEN
        ((rows_before,),) = rows(house, "SELECT max(number) FROM events")
    assert 0 < used < 6 * 40

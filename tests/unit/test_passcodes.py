"""Passcodes: RFC 6238, each once, locked after five wrong ones; set up with an operator's code alone."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from bot.errors import (
    EnrolmentOver,
    FactsUnavailable,
    NotAMember,
    NotEnrolled,
    PasscodeLocked,
    Refusal,
    SeedUnreadable,
    WrongCode,
    WrongPasscode,
)
from bot.passcodes import CODE_LASTS, LOCKED_FOR, Passcodes
from bot.people import Facts
from bot.sealing import Seal
from tests.conftest import House, StandingClock
from tests.passcode_support import STEP, Device, enrol
from tests.stores import database_of, rows_at

ALICE, BOB = "U0ALICE", "U0BOB"
KEY = b"k" * 32


@pytest.fixture
async def device(house: House) -> Device:
    """Alice's, with a fresh passcode on it."""
    device = await enrol(house.passcodes, house.town, house.clock, ALICE)
    house.clock.now += 2 * STEP
    return device


async def _check(house: House, passcode: str, user: str = ALICE) -> Refusal | None:
    return await house.store.write(lambda unit: house.passcodes.check(unit, user, passcode, house.clock()))


async def _code_of(house: House, passcode: str, user: str = ALICE) -> str | None:
    refusal = await _check(house, passcode, user)
    return refusal.code if refusal else None


async def _facts(house: House, *users: str) -> Facts:
    return await house.town.load_facts(users or (ALICE,), ())


async def _offer(house: House, code: str, user: str = ALICE) -> Device:
    return Device((await house.passcodes.offer(user, code, await _facts(house, user))).seed)


async def _confirm(house: House, passcode: str, user: str = ALICE) -> None:
    await house.passcodes.confirm(user, passcode, await _facts(house, user))


def _rows(house: House, sql: str) -> list[tuple[object, ...]]:
    return rows_at(database_of(house.store), sql)


def _write(house: House, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        connection.execute(sql, values)


def _events(house: House) -> list[str]:
    return [str(kind) for (kind,) in _rows(house, "SELECT type FROM events ORDER BY number")]


def _notices(house: House) -> list[tuple[str, dict[str, object]]]:
    rows = _rows(house, "SELECT reason, about FROM outbox WHERE kind = 'tell_admins' ORDER BY id")
    return [(str(reason), json.loads(str(about))) for reason, about in rows]


# --- checking ---


@pytest.mark.parametrize(
    ("seconds", "passcode"),  # RFC 6238, appendix B; its eight digits end in these six
    [
        (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
        (2000000000, "279037"), (20000000000, "353130"),
    ],
)  # fmt: skip
async def test_the_vectors_of_rfc_6238(house: House, seconds: int, passcode: str) -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890"
    sealed = Seal(KEY, "passcode seeds").close(secret.encode(), ALICE)
    _write(
        house, "INSERT INTO authenticators (user_id, seed, failures, code_failures) VALUES (?, ?, 0, 0)", ALICE, sealed
    )
    house.clock.now = datetime.fromtimestamp(seconds, UTC)
    assert await _check(house, passcode) is None


@pytest.mark.parametrize(("steps", "code"), [(-2, "wrong_passcode"), (-1, None), (0, None), (1, None),
                                             (2, "wrong_passcode")])  # fmt: skip
async def test_a_step_early_or_late_counts_and_no_more(
    house: House, device: Device, steps: int, code: str | None
) -> None:
    assert await _code_of(house, device.at(house.clock(), steps)) == code


@pytest.mark.parametrize("later", [timedelta(0), timedelta(seconds=29), STEP])
async def test_a_passcode_works_once(house: House, device: Device, later: timedelta) -> None:
    passcode = device.at(house.clock())
    assert await _check(house, passcode) is None
    house.clock.now += later
    assert await _code_of(house, passcode) == "passcode_used"
    assert await _check(house, device.at(house.clock(), 1)) is None


async def test_a_step_before_the_last_one_used_never_counts(house: House, device: Device) -> None:
    assert await _check(house, device.at(house.clock(), 1)) is None
    for steps in (1, 0, -1):
        assert await _code_of(house, device.at(house.clock(), steps)) == "passcode_used"


async def test_a_clock_that_was_set_back_revives_no_passcode(house: House, device: Device) -> None:
    passcode = device.at(house.clock())
    assert await _check(house, passcode) is None
    house.clock.now -= 3 * STEP
    assert await _code_of(house, device.at(house.clock())) == "passcode_used"


async def test_it_is_taken_as_people_type_it(house: House, device: Device) -> None:
    digits = device.at(house.clock())
    assert await _check(house, f" {digits[:3]} {digits[3:]}\u00a0") is None


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "12345",
        "1234567",
        "abcdef",
        "١٢٣٤٥٦",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345six",
        "000000\n1",
        "-12345",
    ],
)
async def test_what_is_not_six_digits_is_refused_and_not_counted(house: House, device: Device, typed: str) -> None:
    for _ in range(6):
        assert await _code_of(house, typed) == "passcode_malformed"
    assert "passcode.failed" not in _events(house)
    assert await _check(house, device.at(house.clock())) is None


async def test_nobody_passes_without_a_device(house: House) -> None:
    assert isinstance(await _check(house, "000000"), NotEnrolled)
    code, _ = await house.passcodes.open_enrolment(ALICE)
    assert isinstance(await _check(house, "000000"), NotEnrolled)
    offered = await _offer(house, code)
    refusal = await _check(house, offered.at(house.clock()))
    assert isinstance(refusal, NotEnrolled)
    assert "/signoff enroll" in refusal.message
    assert "\n" not in refusal.message


async def test_one_persons_passcode_is_not_anothers(house: House, device: Device) -> None:
    bobs = await enrol(house.passcodes, house.town, house.clock, BOB)
    house.clock.now += 2 * STEP
    assert isinstance(await _check(house, device.at(house.clock()), BOB), WrongPasscode)
    assert await _check(house, bobs.at(house.clock()), BOB) is None
    assert await _check(house, device.at(house.clock())) is None


async def test_of_two_at_once_one_counts(house: House, device: Device) -> None:
    passcode = device.at(house.clock())
    codes = await asyncio.gather(*(_code_of(house, passcode) for _ in range(20)))
    assert sorted(codes, key=str) == [None, *["passcode_used"] * 19]


# --- locked ---


async def _fail(house: House, device: Device, times: int) -> list[str | None]:
    return [await _code_of(house, device.wrong_at(house.clock())) for _ in range(times)]


async def test_five_wrong_ones_lock_and_the_admins_are_told(house: House, device: Device) -> None:
    assert await _fail(house, device, 5) == ["wrong_passcode"] * 4 + ["passcode_locked"]
    assert _events(house)[-6:] == ["passcode.failed"] * 5 + ["passcode.locked"]
    assert _notices(house)[-1] == ("passcode_locked", {"user": ALICE, "minutes": 15})
    assert (await house.passcodes.status(ALICE)).locked_until == house.clock() + LOCKED_FOR


async def test_while_locked_right_and_wrong_are_answered_alike_and_none_is_used_up(
    house: House, device: Device
) -> None:
    await _fail(house, device, 5)
    events = len(_events(house))
    house.clock.advance(minutes=4)
    right = await _check(house, device.at(house.clock()))
    wrong = await _check(house, device.wrong_at(house.clock()))
    malformed = await _check(house, "")
    assert isinstance(right, PasscodeLocked)
    assert right.message == wrong.message == malformed.message
    assert "11 minutes, at 09:16 UTC" in right.message
    assert len(_events(house)) == events
    house.clock.now += LOCKED_FOR


async def test_the_lock_ends_by_itself_and_five_more_lock_again(house: House, device: Device) -> None:
    await _fail(house, device, 5)
    house.clock.now += LOCKED_FOR - timedelta(seconds=1)
    assert await _code_of(house, device.at(house.clock())) == "passcode_locked"
    house.clock.now += timedelta(seconds=1)
    assert (await house.passcodes.status(ALICE)).locked_until is None
    assert await _fail(house, device, 5) == ["wrong_passcode"] * 4 + ["passcode_locked"]
    house.clock.now += LOCKED_FOR
    assert await _check(house, device.at(house.clock())) is None


async def test_a_right_one_ends_the_row(house: House, device: Device) -> None:
    for _ in range(3):
        assert await _fail(house, device, 4) == ["wrong_passcode"] * 4
        assert await _check(house, device.at(house.clock())) is None
        house.clock.now += 2 * STEP


async def test_one_who_is_locked_locks_nobody_else(house: House, device: Device) -> None:
    bobs = await enrol(house.passcodes, house.town, house.clock, BOB)
    await _fail(house, device, 5)
    house.clock.now += 2 * STEP
    assert await _check(house, bobs.at(house.clock()), BOB) is None


# --- seeds ---


async def test_a_seed_that_was_changed_moved_or_sealed_with_another_key_passes_nobody(
    house: House, device: Device
) -> None:
    await enrol(house.passcodes, house.town, house.clock, BOB)
    [(seed,)] = _rows(house, f"SELECT seed FROM authenticators WHERE user_id = '{ALICE}'")
    assert isinstance(seed, bytes)
    house.clock.now += 2 * STEP
    _write(house, "UPDATE authenticators SET seed = ? WHERE user_id = ?", seed, BOB)
    assert isinstance(await _check(house, device.at(house.clock()), BOB), SeedUnreadable)
    _write(house, "UPDATE authenticators SET seed = ? WHERE user_id = ?", seed[:-1] + bytes([seed[-1] ^ 1]), ALICE)
    assert isinstance(await _check(house, device.at(house.clock())), SeedUnreadable)
    _write(house, "UPDATE authenticators SET seed = ? WHERE user_id = ?", seed, ALICE)
    other = Passcodes(house.store, house.clock, b"K" * 32)
    refusal = await house.store.write(lambda unit: other.check(unit, ALICE, device.at(house.clock()), house.clock()))
    assert isinstance(refusal, SeedUnreadable)
    assert "secret key changed" in refusal.message
    assert await _check(house, device.at(house.clock())) is None


async def test_no_secret_is_in_what_is_stored_or_said(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    offer = await house.passcodes.offer(ALICE, code, await _facts(house))
    device = Device(offer.seed)
    wrong = device.wrong_at(house.clock())
    with pytest.raises(WrongPasscode):
        await _confirm(house, wrong)
    first = device.at(house.clock())
    await _confirm(house, first)
    house.clock.now += 2 * STEP
    second = device.at(house.clock())
    await _check(house, second)
    await _fail(house, device, 5)
    canaries = [code, code.replace("-", ""), offer.seed, first, second]
    assert not any(canary in repr(offer) for canary in canaries)
    await house.store.close()  # all is in the file then
    stored = b"".join(path.read_bytes() for path in house.store.path.parent.iterdir() if path.is_file())
    assert b"passcode.enrolled" in stored
    for canary in canaries:
        assert canary.encode() not in stored


# --- setting a device up ---


async def test_a_device_is_set_up_with_the_operators_code(house: House) -> None:
    assert not (await house.passcodes.status(ALICE)).is_enrolled
    code, until = await house.passcodes.open_enrolment(ALICE)
    assert until == house.clock() + CODE_LASTS
    offer = await house.passcodes.offer(ALICE, code.lower().replace("-", " "), await _facts(house))
    address = urlsplit(offer.uri)
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert parse_qs(address.query)["secret"] == [offer.seed]
    assert parse_qs(address.query)["issuer"] == ["Signoff"]
    assert len(offer.seed) == 32
    assert not (await house.passcodes.status(ALICE)).is_enrolled
    device = Device(offer.seed)
    await _confirm(house, device.at(house.clock()))
    assert (await house.passcodes.status(ALICE)).is_enrolled
    assert _events(house) == ["passcode.enrolment_opened", "passcode.offered", "passcode.enrolled"]
    assert _notices(house) == [("passcode_enrolled", {"user": ALICE, "again": False})]
    assert await _code_of(house, device.at(house.clock())) == "passcode_used"  # the first one too works once


async def test_a_code_is_good_for_one_person_once(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    await house.passcodes.open_enrolment(BOB)
    with pytest.raises(WrongCode):
        await _offer(house, code, BOB)
    with pytest.raises(WrongCode):
        await _offer(house, code, "U0CAROL")
    await _offer(house, code)
    with pytest.raises(WrongCode):
        await _offer(house, code)


async def test_a_code_that_is_moved_to_another_person_opens_nothing(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    await house.passcodes.open_enrolment(BOB)
    [(hashed,)] = _rows(house, f"SELECT code_hash FROM authenticators WHERE user_id = '{ALICE}'")
    _write(house, "UPDATE authenticators SET code_hash = ? WHERE user_id = ?", hashed, BOB)
    with pytest.raises(WrongCode):
        await _offer(house, code, BOB)


async def test_of_two_who_bring_a_code_at_once_one_is_offered_a_seed(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    outcomes = await asyncio.gather(*(_offer(house, code) for _ in range(8)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Device", *["WrongCode"] * 7]


async def test_a_code_is_good_for_15_minutes(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    house.clock.now += CODE_LASTS
    with pytest.raises(WrongCode):
        await _offer(house, code)


async def test_an_offer_lives_as_long_as_its_code_would_have(house: House) -> None:
    code, until = await house.passcodes.open_enrolment(ALICE)
    house.clock.advance(minutes=14)
    offered = await _offer(house, code)
    house.clock.now = until
    with pytest.raises(EnrolmentOver):
        await _confirm(house, offered.at(house.clock()))
    assert not (await house.passcodes.status(ALICE)).is_enrolled


async def test_a_new_code_ends_the_older_one_and_what_was_offered_for_it(house: House) -> None:
    first, _ = await house.passcodes.open_enrolment(ALICE)
    second, _ = await house.passcodes.open_enrolment(ALICE)
    with pytest.raises(WrongCode):
        await _offer(house, first)
    offered = await _offer(house, second)
    await house.passcodes.open_enrolment(ALICE)
    with pytest.raises(EnrolmentOver):
        await _confirm(house, offered.at(house.clock()))


async def test_five_wrong_codes_end_it_and_the_admins_are_told(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    wrong = "2222-2222" if code != "2222-2222" else "3333-3333"
    for _ in range(3):
        with pytest.raises(WrongCode) as malformed:
            await _offer(house, "ABC")
        assert malformed.value.code == "code_malformed"  # no guess
    for _ in range(5):
        with pytest.raises(WrongCode):
            await _offer(house, wrong)
    with pytest.raises(WrongCode):
        await _offer(house, code)
    assert _notices(house) == [("enrolment_ended", {"user": ALICE, "tries": 5})]
    assert _events(house)[-1] == "passcode.enrolment_ended"


async def test_four_wrong_codes_do_not(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    for _ in range(4):
        with pytest.raises(WrongCode):
            await _offer(house, "2222-2222")
    assert await _offer(house, code)


async def test_five_wrong_first_passcodes_end_the_offer(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    offered = await _offer(house, code)
    for _ in range(4):
        with pytest.raises(WrongPasscode):
            await _confirm(house, offered.wrong_at(house.clock()))
    with pytest.raises(EnrolmentOver):
        await _confirm(house, offered.wrong_at(house.clock()))
    with pytest.raises(EnrolmentOver):
        await _confirm(house, offered.at(house.clock()))


async def test_the_old_seed_works_until_the_new_one_is_confirmed(house: House, device: Device) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    assert await _check(house, device.at(house.clock())) is None
    offered = await _offer(house, code)
    house.clock.now += STEP
    assert isinstance(await _check(house, offered.at(house.clock())), WrongPasscode)
    assert await _check(house, device.at(house.clock())) is None
    await _confirm(house, offered.at(house.clock()))
    house.clock.now += 2 * STEP
    assert isinstance(await _check(house, device.at(house.clock())), WrongPasscode)
    assert await _check(house, offered.at(house.clock())) is None
    assert _notices(house)[-1] == ("passcode_enrolled", {"user": ALICE, "again": True})


async def test_an_enrolment_that_ends_in_nothing_leaves_the_old_seed(house: House, device: Device) -> None:
    await house.passcodes.open_enrolment(ALICE)
    for _ in range(5):
        with pytest.raises(WrongCode):
            await _offer(house, "2222-2222")
    assert await _check(house, device.at(house.clock())) is None


async def test_setting_up_anew_ends_a_lock(house: House, device: Device) -> None:
    await _fail(house, device, 5)
    again = await enrol(house.passcodes, house.town, house.clock, ALICE)
    house.clock.now += 2 * STEP
    assert await _check(house, again.at(house.clock())) is None


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"is_guest": True}, "guest"),
        ({"is_bot": True}, "bot"),
        ({"is_deactivated": True}, "deactivated"),
        ({"is_stranger": True}, "foreign_team"),
        ({"team_id": "T0OTHER"}, "foreign_team"),
    ],
)
async def test_only_members_set_a_device_up(house: House, facts: dict[str, object], code: str) -> None:
    operators, _ = await house.passcodes.open_enrolment(ALICE)
    offered = await _offer(house, operators)
    again, _ = await house.passcodes.open_enrolment(BOB)
    house.town.add(ALICE, **facts)
    house.town.add(BOB, **facts)
    with pytest.raises(NotAMember) as refused:
        await _offer(house, again, BOB)
    assert refused.value.code == code
    with pytest.raises(NotAMember):
        await _confirm(house, offered.at(house.clock()))
    house.town.add(BOB)
    assert await _offer(house, again, BOB)  # and the code was not used up


async def test_stale_and_missing_facts_are_a_no(house: House) -> None:
    code, _ = await house.passcodes.open_enrolment(ALICE)
    house.town.age = timedelta(seconds=31)
    with pytest.raises(FactsUnavailable):
        await _offer(house, code)
    house.town.age = timedelta(0)
    with pytest.raises(NotAMember):
        await house.passcodes.offer(ALICE, code, await _facts(house, BOB))


async def test_a_code_is_random_and_readable(house: House) -> None:
    codes = {(await house.passcodes.open_enrolment(ALICE))[0] for _ in range(50)}
    assert len(codes) == 50
    for code in codes:
        assert len(code) == 9
        assert code[4] == "-"
        assert not set(code) & set("01IO")


async def test_a_name_makes_no_other_address(house: House, clock: StandingClock) -> None:
    house.town.add(ALICE, name="A&secret=EVIL?issuer=x/\u202e")
    code, _ = await house.passcodes.open_enrolment(ALICE)
    offer = await house.passcodes.offer(ALICE, code, await _facts(house))
    parsed = pyotp.parse_uri(offer.uri)
    assert parsed.secret == offer.seed
    assert parsed.issuer == "Signoff"
    assert offer.uri.isascii()

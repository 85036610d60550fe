"""Passcodes: six digits of a person's own device that an approval may take beyond a click, and how a device is set up.

TOTP of RFC 6238 (SHA-1, 30 seconds, six digits), a step early or late allowed. A passcode works once: no step at or
before the last one used counts again. Five wrong ones in a row lock for 15 minutes.

Setting one up takes a one-time code that an operator hands over outside Slack, so a stolen Slack session is not
enough: it opens an enrolment, the person is offered a new seed for it, and the first passcode of that seed confirms it.
Until then the seed they have goes on working. Seeds are stored sealed, codes as keyed hashes; neither they nor
passcodes are ever put into an event, a notice or a log.
"""

import base64
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import pyotp

from bot.clock import Clock
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
from bot.events import EventType, append_event
from bot.notices import NoticeKind, tell_admins
from bot.people import Facts
from bot.policy import barred
from bot.sealing import Seal, Unreadable, derive_key, keyed_hash
from store import statements_passcodes as statements
from store.engine import Store
from store.tables import Authenticator
from store.unit import Unit

T = TypeVar("T")

STEP_SECONDS = 30
DIGITS = 6
MOST_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
CODE_LASTS = timedelta(minutes=15)
"""How long an enrolment code is good, and with it the seed that is offered for it."""
ISSUER = "Signoff"

_WINDOW = (-1, 0, 1)  # steps: clocks differ, and typing takes time
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0, 1, I and O: 5 bits each
_CODE_LETTERS, _CODE_GROUP = 8, 4
_LONGEST_NAME = 64
_SEED_BYTES = 20  # as long as SHA-1's output (RFC 4226), and 32 letters of base32 without padding
_GAPS = re.compile(r"[\s\u2010-\u2015-]")
_PASSCODE = re.compile(r"[0-9]{6}", re.ASCII)

NOT_SIX_DIGITS = "A passcode is the six digits that your device shows now. Nothing was decided."


@dataclass(frozen=True, slots=True)
class PasscodeStatus:
    """How it stands with somebody's passcodes. ``locked_until`` is None unless they are locked now."""

    is_enrolled: bool
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A new seed, to be shown to its person once. ``seed`` is base32, ``uri`` what authenticator apps read."""

    seed: str = field(repr=False)
    uri: str = field(repr=False)
    expires_at: datetime


def refuse_unless_member(user_id: str, facts: Facts, now: datetime) -> None:
    """Raise ``NotAMember``, or ``FactsUnavailable`` for facts that are too old to tell."""
    if not facts.are_fresh(now):
        raise FactsUnavailable("Slack could not be asked who you are. Nothing changed; try again.")
    verdict = barred(user_id, facts, now)
    if verdict is not None:
        raise NotAMember(f"{verdict.reason} So there is no passcode to set up.", code=verdict.code)


class Passcodes:
    """Checks passcodes (``bot.decisions.StepUpCheck``) and sets devices up."""

    def __init__(self, store: Store, clock: Clock, secret_key: bytes) -> None:
        self._store = store
        self._clock = clock
        self._seal = Seal(secret_key, "passcode seeds")
        self._code_key = derive_key(secret_key, "enrolment codes")

    # --- checking ---

    async def check(self, unit: Unit, user_id: str, passcode: str, now: datetime) -> Refusal | None:
        """Use a passcode up, in the transaction of what it is for. Returns why it is none.

        A failure is counted in the same transaction, which must be committed for it to count. What is not six digits
        is refused without being counted, and so is a passcode that was used before: neither is a guess.
        """
        person = await unit.one(statements.AUTHENTICATOR, user_id=user_id)
        if person is None or person.seed is None:
            return NotEnrolled()
        if person.locked_until is not None and now < person.locked_until:
            return _locked(person.locked_until, now)
        digits = _digits_of(passcode)
        if digits is None:
            return WrongPasscode(NOT_SIX_DIGITS, code="passcode_malformed")
        try:
            step = _step_of(self._seal.open(person.seed, user_id), digits, now)
        except Unreadable:
            return SeedUnreadable()
        if step is None:
            return await self._count_failure(unit, user_id, now)
        if not await unit.run(statements.USE_PASSCODE, user_id=user_id, step=step):
            return WrongPasscode(
                "This passcode was used before, and each works once. Wait for the next one. Nothing was decided.",
                code="passcode_used",
            )
        return None

    async def status(self, user_id: str) -> PasscodeStatus:
        """Say how it stands with somebody's passcodes, for a form to say beforehand."""
        person = await self._store.peek(lambda unit: unit.one(statements.AUTHENTICATOR, user_id=user_id))
        if person is None or person.seed is None:
            return PasscodeStatus(is_enrolled=False)
        until = person.locked_until
        return PasscodeStatus(is_enrolled=True, locked_until=until if until and self._clock() < until else None)

    async def _count_failure(self, unit: Unit, user_id: str, now: datetime) -> Refusal:
        failures = await unit.one(statements.COUNT_FAILURE, user_id=user_id) or 0
        await append_event(unit, now, EventType.PASSCODE_FAILED, user=user_id, failures=failures)
        if failures < MOST_FAILURES:
            return WrongPasscode()
        until = now + LOCKED_FOR
        await unit.run(statements.LOCK, user_id=user_id, locked_until_=until)
        await append_event(unit, now, EventType.PASSCODE_LOCKED, user=user_id, until=until.isoformat())
        minutes = LOCKED_FOR // timedelta(minutes=1)
        await tell_admins(unit, now, NoticeKind.PASSCODE_LOCKED, {"user": user_id, "minutes": minutes})
        return _locked(until, now)

    # --- setting a device up ---

    async def open_enrolment(self, user_id: str) -> tuple[str, datetime]:
        """Make an enrolment code for somebody, in place of an earlier one; returns it, and until when it is good.

        An operator's act. The code is shown this once.
        """
        letters = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LETTERS))

        async def work(unit: Unit) -> datetime:
            now = self._clock()
            until = now + CODE_LASTS
            await unit.run(
                statements.OPEN_ENROLMENT,
                user_id=user_id,
                code_hash_=self._hash_of(user_id, letters),
                code_expires_at_=until,
            )
            await append_event(
                unit, now, EventType.PASSCODE_ENROLMENT_OPENED, user=user_id, expires_at=until.isoformat()
            )
            return until

        until = await self._store.write(work)
        return f"{letters[:_CODE_GROUP]}-{letters[_CODE_GROUP:]}", until

    async def offer(self, user_id: str, code: str, facts: Facts) -> Offer:
        """Take an enrolment code and return a new seed, to be shown once. The code is used up.

        Raises ``WrongCode``, or ``NotAMember`` and ``FactsUnavailable`` by what Slack says of the person. The seed they
        have goes on working until ``confirm``.
        """
        return _unless_refused(await self._store.write(partial(self._offer, user_id=user_id, code=code, facts=facts)))

    async def confirm(self, user_id: str, passcode: str, facts: Facts) -> None:
        """Make the offered seed the person's seed, by its first passcode, which is used up. Earlier failures end.

        Raises ``WrongPasscode``, ``EnrolmentOver`` after five wrong ones or when its time is over, ``SeedUnreadable``,
        ``NotAMember`` or ``FactsUnavailable``.
        """
        work = partial(self._confirm, user_id=user_id, passcode=passcode, facts=facts)
        _unless_refused(await self._store.write(work))

    async def _offer(self, unit: Unit, user_id: str, code: str, facts: Facts) -> Offer | Refusal:
        now = self._clock()
        refuse_unless_member(user_id, facts, now)
        letters = _letters_of(code)
        if letters is None:
            return WrongCode(
                "A code is eight letters and digits, such as ABCD-2345, never 0, 1, I or O.", code="code_malformed"
            )
        person = await unit.one(statements.AUTHENTICATOR, user_id=user_id)
        if person is None or person.code_hash is None or not _is_open(person, now):
            return WrongCode()
        if not hmac.compare_digest(person.code_hash, self._hash_of(user_id, letters)):
            await self._count_code_failure(unit, user_id, now)
            return WrongCode()
        seed = base64.b32encode(secrets.token_bytes(_SEED_BYTES)).decode()
        sealed = self._seal.close(seed.encode(), user_id)
        if person.code_expires_at is None or not await unit.run(
            statements.OFFER_SEED, user_id=user_id, is_code_hash=person.code_hash, now=now, offered_seed_=sealed
        ):
            return WrongCode()
        await append_event(unit, now, EventType.PASSCODE_OFFERED, user=user_id)
        name = facts.people[user_id].name[:_LONGEST_NAME] or user_id
        uri = pyotp.TOTP(seed).provisioning_uri(name=name, issuer_name=ISSUER)
        return Offer(seed, uri, person.code_expires_at)

    async def _confirm(self, unit: Unit, user_id: str, passcode: str, facts: Facts) -> Refusal | None:
        now = self._clock()
        refuse_unless_member(user_id, facts, now)
        person = await unit.one(statements.AUTHENTICATOR, user_id=user_id)
        if person is None or person.offered_seed is None or not _is_open(person, now):
            return EnrolmentOver()
        digits = _digits_of(passcode)
        if digits is None:
            return WrongPasscode("A passcode is the six digits that your device shows now.", code="passcode_malformed")
        try:
            step = _step_of(self._seal.open(person.offered_seed, user_id), digits, now)
        except Unreadable:
            return SeedUnreadable()
        if step is None:
            is_over = await self._count_code_failure(unit, user_id, now)
            return EnrolmentOver() if is_over else WrongPasscode("This passcode is wrong. Type the one shown now.")
        if not await unit.run(
            statements.CONFIRM_SEED,
            user_id=user_id,
            is_offered_seed=person.offered_seed,
            now=now,
            enrolled_at_=now,
            last_step_=step,
        ):
            return EnrolmentOver()
        again = person.seed is not None
        await append_event(unit, now, EventType.PASSCODE_ENROLLED, user=user_id, again=again)
        await tell_admins(unit, now, NoticeKind.PASSCODE_ENROLLED, {"user": user_id, "again": again})
        return None

    async def _count_code_failure(self, unit: Unit, user_id: str, now: datetime) -> bool:
        """Count a wrong code, or a wrong first passcode; True when it was one too many and the enrolment is over."""
        tries = await unit.one(statements.COUNT_CODE_FAILURE, user_id=user_id) or 0
        if tries < MOST_FAILURES:
            return False
        await unit.run(statements.END_ENROLMENT, user_id=user_id)
        await append_event(unit, now, EventType.PASSCODE_ENROLMENT_ENDED, user=user_id, tries=tries)
        await tell_admins(unit, now, NoticeKind.ENROLMENT_ENDED, {"user": user_id, "tries": tries})
        return True

    def _hash_of(self, user_id: str, letters: str) -> bytes:
        return keyed_hash(self._code_key, user_id, letters)


def _unless_refused(done: T | Refusal) -> T:
    """Raise a refusal whose transaction is committed: what was counted stays counted."""
    if isinstance(done, Refusal):
        raise done
    return done


def _is_open(person: Authenticator, now: datetime) -> bool:
    return person.code_expires_at is not None and now < person.code_expires_at


def _step_of(seed: bytes, digits: str, now: datetime) -> int | None:
    """Return the newest time step near ``now`` whose passcode ``digits`` is; None for a wrong one.

    Takes as long whichever it is, and if it is none.
    """
    device = pyotp.HOTP(seed.decode())
    current = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in (current + offset for offset in _WINDOW):
        if hmac.compare_digest(device.at(step), digits):
            found = step
    return found


def newest_step(now: datetime) -> int:
    """Return the newest time step whose passcode may have been used by ``now``."""
    return int(now.timestamp()) // STEP_SECONDS + max(_WINDOW)


def _digits_of(typed: str) -> str | None:
    """Read a passcode as people type it: "123 456" too. None for what is not six ASCII digits."""
    digits = _GAPS.sub("", typed)
    return digits if _PASSCODE.fullmatch(digits) else None


def _letters_of(typed: str) -> str | None:
    """Read an enrolment code as people type it: in small letters, with or without its hyphen."""
    letters = _GAPS.sub("", typed).upper()
    return letters if len(letters) == _CODE_LETTERS and set(letters) <= set(_ALPHABET) else None


def _locked(until: datetime, now: datetime) -> PasscodeLocked:
    minutes = max(-((now - until) // timedelta(minutes=1)), 1)
    unit = "minute" if minutes == 1 else "minutes"
    return PasscodeLocked(
        f"Your passcodes are locked after {MOST_FAILURES} wrong ones in a row. They work again in {minutes} {unit}, "
        f"at {until:%H:%M} UTC. Nothing was decided."
    )

"""A person with a passcode device, as tests need one."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp

from bot.clock import Clock
from bot.passcodes import STEP_SECONDS, Passcodes
from bot.people import Directory

STEP = timedelta(seconds=STEP_SECONDS)


@dataclass(frozen=True)
class Device:
    """What shows passcodes. ``at`` a time; a whole number of steps apart they differ."""

    seed: str

    def at(self, now: datetime, steps: int = 0) -> str:
        return pyotp.TOTP(self.seed).at(now + steps * STEP)

    def wrong_at(self, now: datetime) -> str:
        """Six digits that are no passcode near ``now``."""
        near = {self.at(now, steps) for steps in (-1, 0, 1)}
        return next(digits for digits in (f"{number:06}" for number in range(9)) if digits not in near)


async def enrol(passcodes: Passcodes, directory: Directory, clock: Clock, user: str) -> Device:
    """Set a device up for somebody, the whole way. The passcode of this moment is used up by it."""
    code, _ = await passcodes.open_enrolment(user)
    offer = await passcodes.offer(user, code, await directory.load_facts({user}, ()))
    device = Device(offer.seed)
    await passcodes.confirm(user, device.at(clock()), await directory.load_facts({user}, ()))
    return device

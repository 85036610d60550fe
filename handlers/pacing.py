"""How fast one may send: slots within Slack's limits. Pure but for the times it is told.

Whoever may not send now is given a slot of its own, in the order of asking, so that of a thousand cards for one
channel each is looked at twice, and not once a second. Slots are lost with the process; then they are given anew.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_MOST_LANES = 10_000
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Pace:
    """One send per ``interval`` in the long run, at most ``burst`` at once."""

    interval: timedelta
    burst: int = 1

    def most_within(self, patience: timedelta) -> int:
        """Return how many can be sent within ``patience`` by one who has sent nothing lately."""
        return self.burst + patience // self.interval


@dataclass(slots=True)
class _Lane:
    """What one key has given out. ``full_at``: when its whole burst is free again, a leaky bucket's one number."""

    full_at: datetime
    held_until: datetime
    slots: dict[int, datetime] = field(default_factory=dict)
    urgent: set[int] = field(default_factory=set)  # whose slots go before all others


class Pacer:
    """Gives out slots at one pace, for each key (a channel, a method) apart."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()

    def wait(self, key: str, sender: int, now: datetime, *, first: bool = False) -> timedelta:
        """Return how long ``sender`` must wait; zero takes its turn. Asking again keeps the slot it was given.

        ``first``: it goes before all others that have a slot; they are given later ones when they ask again.
        """
        lane = self._lane(key, now)
        if first and sender not in lane.urgent:
            kept = {one: slot for one, slot in lane.slots.items() if one in lane.urgent}
            lane.full_at -= self._pace.interval * (len(lane.slots) - len(kept))
            lane.slots = kept
            lane.urgent.add(sender)
        slot = lane.slots.get(sender)
        if slot is None:
            lane.full_at = max(lane.full_at, now) + self._pace.interval
            slot = lane.full_at - self._pace.interval * self._pace.burst
        slot = max(slot, lane.held_until)
        if slot <= now:
            lane.slots.pop(sender, None)
            lane.urgent.discard(sender)
            return _NOTHING
        lane.slots[sender] = slot
        return slot - now

    def hold(self, key: str, now: datetime, until: datetime) -> None:
        """Let nobody send before ``until``: Slack said so. Slots that were given out move by as much.

        Then one by one: who was told to wait has no burst left.
        """
        lane = self._lane(key, now)
        shift = until - max(now, lane.held_until)
        if shift > _NOTHING:
            lane.held_until = until
            burst_over = until + self._pace.interval * (self._pace.burst - 1)
            lane.full_at = max(max(lane.full_at, now) + shift, burst_over)
            lane.slots = {sender: slot + shift for sender, slot in lane.slots.items()}

    def give_back(self, key: str) -> None:
        """Take back a turn that was taken and not used."""
        if key in self._lanes:
            self._lanes[key].full_at -= self._pace.interval

    def forget(self, key: str, sender: int) -> None:
        """Forget the slot of a sender that will not send after all. Whoever has a later one moves up."""
        lane = self._lanes.get(key)
        if lane is None:
            return
        lane.urgent.discard(sender)
        left = lane.slots.pop(sender, None)
        if left is not None:
            lane.full_at -= self._pace.interval
            lane.slots = {one: slot - self._pace.interval if slot > left else slot for one, slot in lane.slots.items()}

    def _lane(self, key: str, now: datetime) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(full_at=now, held_until=now)
        self._lanes.move_to_end(key)
        while len(self._lanes) > _MOST_LANES:
            self._lanes.popitem(last=False)
        return lane

"""What all who post to Slack do alike: wait for a turn, hold back when Slack says so, look for what may stand there."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.people import Directory, zone_of
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.slack.blocks import Message
from handlers.slack.client import SlackClient
from handlers.slack.records import Sighting
from handlers.slack.text import plain_date
from handlers.slack.trouble import PlaceClosed, Temporary
from store.tables import Intent


def wait_for_turn(pacer: Pacer, key: str, intent: Intent, now: datetime, *, first: bool = False) -> None:
    """Raise ``NotNow`` where an intent may not be sent yet. ``first``: its turn is before all others'."""
    delay = pacer.wait(key, intent.id, now, first=first)
    if delay > timedelta(0):
        raise NotNow("paced", delay, counts=False)


def hold_back(pacer: Pacer, key: str, trouble: Temporary, now: datetime) -> None:
    """Send nothing more to ``key`` for as long as Slack said."""
    if trouble.retry_after is not None:
        pacer.hold(key, now, now + trouble.retry_after)


def text_for(directory: Directory, person: str, message: Message) -> str:
    """The notification's text for one reader: its time in their zone, where that is at hand; nobody is asked."""
    known = directory.at_hand(person, (), "") if message.at is not None else None
    if known is None or message.at is None:
        return message.text
    before, found, after = message.text.rpartition(plain_date(message.at))
    return f"{before}{plain_date(message.at, zone_of(known[0].people.get(person)))}{after}" if found else message.text


async def find_posted(
    client: SlackClient, channel: str, since: datetime, metadata: Mapping[str, object]
) -> Sighting | None:
    """Look for a message with just this metadata, whose posting may have worked without our hearing of it."""
    try:
        async for sighting in client.load_own_messages(channel, since):
            if {"event_type": sighting.event_type, "event_payload": sighting.event_payload} == metadata:
                return sighting
    except PlaceClosed:
        return None  # then it cannot be posted there again either
    return None

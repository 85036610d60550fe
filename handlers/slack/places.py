"""Whether a channel may be written to as it is now, and whom it shows a card; and finding a card again.

Asks Slack, posts nothing.
"""

from bot.people import Directory
from handlers.slack.cards import CARD_EVENT, card_metadata
from handlers.slack.client import SlackClient
from handlers.slack.directory import ChannelClosed
from handlers.slack.records import Sighting
from handlers.slack.telling import LOOK_BACK
from handlers.slack.trouble import PlaceClosed, UnknownPerson
from store.tables import Card, Place, Request


async def why_closed(directory: Directory, channel: str, *, external: bool) -> str | None:
    """Say why nothing may be posted to a channel, as a code; None if it may. ``external``: also if it is shared.

    Raises ``FactsUnavailable``.
    """
    try:
        found = await directory.load_channel(channel)
    except ChannelClosed as closed:
        return closed.slack_code
    if found.is_shared and not external:
        return "channel_shared"
    if found.is_archived:
        return "is_archived"
    return None if found.is_member else "not_in_channel"


async def is_less_private(directory: Directory, channel: str, other: str) -> bool:
    """Whether ``other``, which is open to us, shows more people what stands in ``channel``."""
    return not (await directory.load_channel(other)).is_private and await _was_private(directory, channel)


async def _was_private(directory: Directory, channel: str) -> bool:
    try:
        return (await directory.load_channel(channel)).is_private
    except ChannelClosed:
        return True  # public channels are shown to us, member or not


async def find_card(client: SlackClient, card: Card, request: Request) -> Sighting | None:
    """Look in Slack for a card whose posting may have worked without our hearing of it."""
    wanted = card_metadata(request, card.id)["event_payload"]
    try:
        channel = await client.open_dm(card.target) if card.place is Place.DM else card.target
        since = (card.attempted_at or card.created_at) - LOOK_BACK
        async for sighting in client.load_own_messages(channel, since):
            if sighting.event_type == CARD_EVENT and sighting.event_payload == wanted:
                return sighting
    except (PlaceClosed, UnknownPerson):
        return None  # then it cannot be posted there again either
    return None

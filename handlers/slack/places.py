"""Whether a channel may be written to as it is now. Asks Slack's own record of it, and decides nothing else."""

from bot.people import Directory
from handlers.slack.directory import ChannelClosed


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

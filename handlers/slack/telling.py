"""Writes to people one by one: an agent's owners, the admins. Each is told once, whatever became of the others.

After an earlier try, each person's messages are looked through first. Nothing here knows what is told.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from bot.clock import Clock
from bot.people import Directory
from handlers.delivery import NotNow
from handlers.pacing import Pacer
from handlers.slack.blocks import Message
from handlers.slack.client import SlackClient
from handlers.slack.sending import hold_back, text_for
from handlers.slack.trouble import ContentRefused, PlaceClosed, Refused, Temporary, UnknownPerson
from store.tables import Intent

NOTICE_EVENT = "signoff_notice"
LOOK_BACK = timedelta(days=1)  # before the first try: our clock and Slack's need not agree


class Teller:
    """Sends one message to several people. ``posts`` is the pace of all new messages."""

    def __init__(self, client: SlackClient, directory: Directory, posts: Pacer, clock: Clock) -> None:
        self._client = client
        self._directory = directory
        self._posts = posts
        self._clock = clock

    async def tell(
        self,
        intent: Intent,
        people: Iterable[str],
        message: Message,
        give_up: Callable[[str, str], None],
        *,
        last: int | None = None,
    ) -> None:
        """Write to everybody who has not got it yet; ``give_up`` is called with a code and whom Slack will never take.

        One who can only be reached later does not keep it from the others. ``last`` is kept on the message, for
        ``told``. Raises ``NotNow``, or that ``Temporary``.
        """
        mark = {"intent_id": intent.id} | ({} if last is None else {"last": last})
        metadata = {"event_type": NOTICE_EVENT, "event_payload": mark}
        everybody = sorted(set(people))
        now = self._clock()
        waits = [self._posts.wait(person, intent.id, now) for person in everybody]
        if waits and max(waits) > timedelta(0):  # before the first is written to: a pause in between would be a repeat
            raise NotNow("paced", max(waits), counts=False)
        later: Temporary | None = None
        for person in everybody:
            try:
                if intent.attempts > 1 and await self._was_told(person, intent):
                    continue
                text = text_for(self._directory, person, message)
                await self._client.post(person, text, message.blocks, metadata)
            except Temporary as trouble:
                hold_back(self._posts, person, trouble, self._clock())
                later = trouble
            except (PlaceClosed, UnknownPerson, ContentRefused, Refused) as trouble:
                give_up(trouble.code, person)
        if later is not None:
            raise later

    async def told(self, intent: Intent, people: Iterable[str]) -> dict[str, Mapping[str, object]]:
        """Return who has got it already, each with the marks of the message. Raises ``Temporary``."""
        found = {}
        for person in sorted(set(people)):
            try:
                mark = await self._find(person, intent)
            except (PlaceClosed, UnknownPerson, Refused):
                continue
            if mark is not None:
                found[person] = mark
        return found

    async def _was_told(self, person: str, intent: Intent) -> bool:
        return await self._find(person, intent) is not None

    async def _find(self, person: str, intent: Intent) -> Mapping[str, object] | None:
        channel = await self._client.open_dm(person)
        async for sighting in self._client.load_own_messages(channel, intent.created_at - LOOK_BACK):
            if sighting.event_type == NOTICE_EVENT and sighting.event_payload.get("intent_id") == intent.id:
                return sighting.event_payload
        return None

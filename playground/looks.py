"""What can be seen of the workspace: by a person in Slack, or by a test. Changes nothing."""

from __future__ import annotations

from playground.model import Message, View
from playground.parts import Parts
from playground.results import Call
from playground.shapes import replies_to


class Looks(Parts):
    """Looking at the workspace."""

    def messages(self, channel: str) -> list[Message]:
        """The messages of a channel, replies included, oldest first; none if it is gone.

        For a user's id: the bot's direct messages with that person.
        """
        try:
            return list(self.workspace.channel(channel).messages.values())
        except LookupError:
            return []

    def message(self, channel: str, ts: str) -> Message:
        """One message, ephemeral or not; NotThere if it is gone."""
        return self.workspace.message(channel, ts)

    def replies(self, channel: str, thread_ts: str) -> list[Message]:
        """The replies to a message, oldest first."""
        return replies_to(self.workspace.channel(channel), thread_ts)

    def ephemerals(self, user: str, channel: str | None = None) -> list[Message]:
        """The ephemeral messages that this person sees, oldest first."""
        channel_id = self.workspace.channel(channel).id if channel is not None else None
        return [
            m for m in self.workspace.ephemeral_messages if m.visible_to == user and channel_id in (None, m.channel)
        ]

    def modals(self, user: str) -> list[View]:
        """The modals that this person has open, bottom first."""
        return self.views.stack(user)

    def home(self, user: str) -> View | None:
        """This person's Home tab, if the app has published one."""
        return self.views.homes.get(user)

    def calls_of(self, method: str) -> list[Call]:
        """The calls of one Web API method so far, oldest first."""
        return [call for call in self.calls if call.method == method]

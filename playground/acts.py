"""What people do in the workspace: click, fill in, submit, type a command, delete.

Each act is checked as Slack's client does (there is such a button, the view is on top, the person is
in the channel), sent to the app, and its answer carried out as Slack does.
"""

from __future__ import annotations

import time
from typing import Any

from playground.answers import carry_out_command, carry_out_submission
from playground.errors import NotThere
from playground.inputs import Values, client_errors, initial_state, initial_values, merge, pick_options, state_from
from playground.looks import Looks
from playground.model import Channel, Json, Message, User, View, find_element
from playground.payloads import action_object
from playground.results import Ack
from playground.shapes import message_object, view_object
from playground.workspace import escape_characters, escape_entities


class Acts(Looks):
    """Acting as a person. Every act raises NotThere when that person could not do it in Slack."""

    async def click(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | None = None,
        selected: Any = None,
    ) -> Ack:
        """Clicks a button of a message, or chooses in its menu.

        `value` takes the place of the button's own (a forged value); `selected` is what is chosen in a
        menu: an option's value, a list of them, a user id, ...
        """
        self._member(user, channel)
        message = self.workspace.message(channel, ts)
        if message.visible_to not in (None, user):
            raise NotThere(f"{user} does not see the message {ts}")
        return await self.deliver(
            self.click_payload(user, channel, ts, action_id, block_id=block_id, value=value, selected=selected)
        )

    def click_payload(
        self,
        user: str,
        channel: str,
        ts: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | None = None,
        selected: Any = None,
    ) -> Json:
        """What `click` would send, without asking whether this person may; to be changed and `deliver`ed."""
        place = self.workspace.channel(channel)
        message = self.workspace.message(channel, ts)
        block, element, state = _choose(message.blocks, action_id, block_id, selected)
        values = initial_values(message.blocks)
        if state is not None and element["type"] != "overflow":
            values[block["block_id"]][action_id] = state
        url = self.tickets.issue_response_url(
            channel=place.id,
            user=user,
            message_ts=message.ts,
            thread_ts=message.thread_ts if message.is_reply else None,
        )
        return self.payloads.message_action(
            user=self.workspace.user(user),
            channel=place,
            message=message,
            actions=[_action(block, element, state, value)],
            values=values,
            trigger_id=self.tickets.issue_trigger(user),
            response_url=f"{self.base_url}/response/{url}",
        )

    async def view_click(
        self,
        user: str,
        view_id: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | None = None,
        selected: Any = None,
        values: dict[str, Any] | None = None,
    ) -> Ack:
        """Clicks in a modal. `values` is what the person has put into its fields before, as for `submit`."""
        view = self._top(user, view_id)
        return await self.deliver(self._view_click(user, view, action_id, block_id, value, selected, values))

    def view_click_payload(self, user: str, view_id: str, action_id: str) -> Json:
        """What `view_click` on a button would send, with nothing checked; to be changed and `deliver`ed."""
        return self._view_click(user, self.views.find(view_id), action_id, None, None, None, None)

    async def home_click(
        self,
        user: str,
        action_id: str,
        *,
        block_id: str | None = None,
        value: str | None = None,
        selected: Any = None,
    ) -> Ack:
        """Clicks in the app's Home tab."""
        self._person(user)
        view = self.home(user)
        if view is None:
            raise NotThere(f"{user} has no Home tab")
        return await self.deliver(self._view_click(user, view, action_id, block_id, value, selected, None))

    async def submit(self, user: str, view_id: str, values: dict[str, Any] | None = None) -> Ack:
        """Fills in and submits a modal, and carries out the app's answer.

        `values`: block id (or action id) to a text, an option's value, a list of such values, None, or
        Slack's own state. What is not named stays as it is. When Slack's client would refuse (a required
        field is empty), nothing is sent: `error` is `input_missing`.
        """
        view = self._top(user, view_id)
        if view.submit is None:
            raise NotThere(f"the view {view_id} has no submit button")
        self._fill_in(view, values)
        if refused := client_errors(view.blocks, view.values):
            return Ack(ok=False, error="input_missing", client_errors=refused)
        return await self.deliver(self.submit_payload(user, view_id))

    def submit_payload(self, user: str, view_id: str, values: dict[str, Any] | None = None) -> Json:
        """What `submit` would send, with nothing checked; to be changed and `deliver`ed."""
        view = self.views.find(view_id)
        self._fill_in(view, values)
        trigger = self.tickets.issue_trigger(user, view.id)
        return self.payloads.view_submission(user=self.workspace.user(user), view=view, trigger_id=trigger)

    async def close_view(self, user: str, view_id: str) -> Ack:
        """Closes a modal by its close button; `view_closed` is sent for those that ask for it."""
        view = self._top(user, view_id)
        closed = self.views.close(view, all_of_them=view.clear_on_close)
        ack = Ack(ok=True)
        for gone in closed:
            if gone.notify_on_close:
                person = self.workspace.user(user)
                ack = await self.deliver(
                    self.payloads.view_closed(user=person, view=gone, is_cleared=view.clear_on_close)
                )
        return ack

    async def slash(self, user: str, channel: str, text: str) -> Ack:
        """Types a slash command (`/signoff pending`) into a channel; its answer is shown as Slack does."""
        self._member(user, channel)
        return await self.deliver(self.slash_payload(user, channel, text))

    def slash_payload(self, user: str, channel: str, text: str) -> Json:
        """What `slash` would send, with nothing checked but the command's name."""
        command, _, rest = text.partition(" ")
        if command not in self.settings.commands:
            raise NotThere(f"{command} is not a command here")
        place = self.workspace.channel(channel)
        rest = rest.strip()
        if self.settings.should_escape:
            rest = escape_entities(escape_characters(rest), self.workspace)
        url = self.tickets.issue_response_url(channel=place.id, user=user)
        return self.payloads.slash_command(
            user=self.workspace.user(user),
            channel=place,
            command=command,
            text=rest,
            trigger_id=self.tickets.issue_trigger(user),
            response_url=f"{self.base_url}/response/{url}",
        )

    async def open_home(self, user: str) -> Ack:
        """Opens the app's Home tab: `app_home_opened`."""
        self._person(user)
        view = self.home(user)
        shape = view_object(view, self.settings) if view else None
        return await self.events.app_home_opened(user, self.workspace.dm(user), shape)

    async def say(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> Message:
        """Writes a plain message."""
        place = self._member(user, channel)
        if place.is_archived:
            raise NotThere(f"{channel} is archived")
        if thread_ts is not None:
            self.workspace.message(channel, thread_ts)
        text = escape_entities(text, self.workspace)
        message = self.workspace.post(place, user=user, text=text, thread_ts=thread_ts)
        if self.settings.message_events and self.events.concerns_bot(place):
            self.spawn(self.events.message_posted(message, place))
        return message

    async def delete_message(self, channel: str, ts: str) -> Ack:
        """A person deletes a message; `message_deleted` goes to the bot if it is in the channel."""
        place = self.workspace.channel(channel)
        message = self.workspace.message(channel, ts)
        before = message_object(message, place, self.settings, with_metadata=True)
        self.workspace.delete(message)
        if message.ephemeral or not self.events.concerns_bot(place):
            return Ack(ok=True)
        return await self.events.message_deleted(before, place)

    async def deliver(self, payload: Json) -> Ack:
        """Sends any payload to the app, forged or not, and carries out the answer as Slack does."""
        ack = await self.delivery.send(payload)
        if not ack.ok:
            return ack
        if payload.get("type") == "view_submission":
            return carry_out_submission(self.views, payload, ack)
        if "command" in payload:
            return carry_out_command(self.workspace, payload, ack)
        return ack

    # Inside

    def _view_click(
        self,
        user: str,
        view: View,
        action_id: str,
        block_id: str | None,
        value: str | None,
        selected: Any,
        values: dict[str, Any] | None,
    ) -> Json:
        self._fill_in(view, values)
        block, element, state = _choose(view.blocks, action_id, block_id, selected)
        if block["type"] == "input" and not block.get("dispatch_action"):
            raise NotThere(f"the input {action_id!r} tells the app nothing before the view is submitted")
        if state is not None and element["type"] != "overflow":
            filled: Values = {b: dict(fields) for b, fields in view.values.items()}
            filled[block["block_id"]][action_id] = state
            self.views.put_in(view, filled)
        trigger = self.tickets.issue_trigger(user, view.id if view.type == "modal" else None)
        return self.payloads.view_action(
            user=self.workspace.user(user),
            view=view,
            actions=[_action(block, element, state, value)],
            trigger_id=trigger,
        )

    def _fill_in(self, view: View, values: dict[str, Any] | None) -> None:
        if values:
            try:
                self.views.put_in(view, merge(view.blocks, view.values, values))
            except LookupError as error:
                raise NotThere(str(error)) from error

    def _person(self, user_id: str) -> User:
        user = self.workspace.user(user_id)
        if user.deleted or user.is_bot:
            raise NotThere(f"{user_id} cannot act: {'deactivated' if user.deleted else 'a bot'}")
        return user

    def _member(self, user_id: str, channel_id: str) -> Channel:
        self._person(user_id)
        channel = self.workspace.channel(channel_id)
        if user_id not in channel.members:
            raise NotThere(f"{user_id} is not in {channel_id}")
        return channel

    def _top(self, user: str, view_id: str) -> View:
        self._person(user)
        stack = self.modals(user)
        if not stack or stack[-1].id != view_id:
            raise NotThere(f"{user} does not have the view {view_id} on top")
        return stack[-1]


def _choose(blocks: list[Json], action_id: str, block_id: str | None, selected: Any) -> tuple[Json, Json, Json | None]:
    try:
        block, element = find_element(blocks, action_id, block_id)
        if element["type"] == "overflow":
            return block, element, {"selected_option": pick_options(element, [selected])[0]}
        holds = initial_state(element)
        if holds is None:
            return block, element, None
        return block, element, holds if selected is None else state_from(element, selected)
    except LookupError as error:
        raise NotThere(str(error)) from error


def _action(block: Json, element: Json, state: Json | None, value: str | None) -> Json:
    action = action_object(block, element, state, at=f"{time.time():.6f}")
    if value is not None:
        action["value"] = value
    return action

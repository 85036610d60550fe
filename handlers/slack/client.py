"""Calls out to Slack: each method of the Web API that the bot uses, once, with its errors translated.

The SDK's own retries are off: they would post a message twice whose answer was lost. Whoever calls decides what a
trouble means (see ``handlers.slack.trouble``). Nothing here knows requests, cards or rules.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.config import SlackSettings, is_loopback_host
from bot.people import Channel, Person
from handlers.slack import records
from handlers.slack.records import DoNotDisturb, Identity, Sighting
from handlers.slack.trouble import Refused, SlackTrouble, Temporary, trouble_of

T = TypeVar("T")
Json = Mapping[str, Any]
Blocks = Sequence[Json]

CALL_TIMEOUT = timedelta(seconds=5)
RESPONSE_URLS = "https://hooks.slack.com/"  # where Slack's own response URLs point
_PAGE = 200
_MOST_PAGES = 20  # of a channel's history; what lies deeper is not looked for
_MOST_CHANNEL_PAGES = 50
_TYPES = "public_channel,private_channel"


def is_on_loopback(url: str) -> bool:
    """Whether an address is on this machine: then no proxy may come between."""
    return is_loopback_host(urlsplit(url).hostname or "")


class SlackClient:
    """Slack's Web API as the bot uses it. Make it inside a running event loop, and ``close`` it.

    Every method raises ``SlackTrouble``, and no other error of the network's or the SDK's. ``heard`` is called with
    what became of each call; None: it worked.
    """

    def __init__(
        self,
        settings: SlackSettings,
        bot_token: SecretStr,
        *,
        timeout: timedelta = CALL_TIMEOUT,
        heard: Callable[[SlackTrouble | None], None] = lambda _: None,
    ) -> None:
        self._heard = heard
        self.api_url = settings.api_url
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._web = AsyncWebClient(
            token=bot_token.get_secret_value(),
            base_url=settings.api_url,
            session=self._session,
            retry_handlers=[],
        )
        if is_on_loopback(settings.api_url):
            self._web.proxy = None  # the SDK takes one from the environment unasked
        self._identity: Identity | None = None
        self._identifying = asyncio.Lock()

    async def close(self) -> None:
        await self._session.close()

    # --- who we are ---

    @property
    def known_identity(self) -> Identity | None:
        """Who we are, if auth.test has succeeded yet. It does not change while the process runs."""
        return self._identity

    async def load_identity(self) -> Identity:
        """Ask Slack who we are; once that succeeded, it is remembered."""
        if self._identity is not None:
            return self._identity
        async with self._identifying:
            if self._identity is None:
                response = await self._send("auth.test", self._web.auth_test)
                scopes = response.headers.get("x-oauth-scopes")
                self._identity = _read("auth.test", response, lambda data: records.identity_of(data, scopes))
            return self._identity

    async def check_token(self) -> None:
        """Ask Slack whether our token still counts, whatever we remember."""
        await self._send("auth.test", self._web.auth_test)

    # --- messages ---

    async def post(
        self, channel: str, text: str, blocks: Blocks, metadata: Json, *, thread_ts: str | None = None
    ) -> tuple[str, str]:
        """Post a message; returns the channel it is in (for a person: the DM) and its ``ts``.

        ``thread_ts``: that of the message it is a reply to.
        """
        return await self._call(
            "chat.postMessage",
            lambda: self._web.chat_postMessage(
                channel=channel,
                text=text,
                blocks=_plain(blocks),
                metadata=dict(metadata),
                thread_ts=thread_ts,
                unfurl_links=False,
                unfurl_media=False,
            ),
            lambda data: (records.text(data, "channel"), records.text(data, "ts")),
        )

    async def update(self, channel: str, ts: str, text: str, blocks: Blocks) -> None:
        """Draw a message anew."""
        await self._send(
            "chat.update",
            lambda: self._web.chat_update(
                channel=channel,
                ts=ts,
                text=text,
                blocks=_plain(blocks),
                parse="none",  # the default of this method alone would make links of names
                unfurl_links=False,
                unfurl_media=False,
            ),
        )

    async def post_ephemeral(self, channel: str, user: str, text: str, blocks: Blocks) -> None:
        """Show a message to one person in a channel, until they reload."""
        await self._send(
            "chat.postEphemeral",
            lambda: self._web.chat_postEphemeral(
                channel=channel, user=user, text=text, blocks=_plain(blocks), parse="none"
            ),
        )

    async def load_permalink(self, channel: str, ts: str) -> str:
        """Return the address under which Slack shows a message."""
        return await self._call(
            "chat.getPermalink",
            lambda: self._web.chat_getPermalink(channel=channel, message_ts=ts),
            lambda data: records.text(data, "permalink"),
        )

    async def load_own_message(self, channel: str, ts: str) -> Sighting | None:
        """Look one message up; None if it is not there or our bot did not write it."""
        home = await self.load_identity()
        found = await self._call(
            "conversations.history",
            lambda: self._web.conversations_history(
                channel=channel, oldest=ts, latest=ts, inclusive=True, limit=1, include_all_metadata=True
            ),
            lambda data: [records.own_sighting(channel, message, home) for message in records.rows(data, "messages")],
        )
        return next((sighting for sighting in found if sighting is not None and sighting.ts == ts), None)

    async def load_own_messages(self, channel: str, since: datetime) -> AsyncIterator[Sighting]:
        """Look through a channel for messages of our bot, newest first, back to about ``since``."""
        async for rows, sightings in self._look_through(
            "conversations.history", self._web.conversations_history, channel=channel
        ):
            for sighting in sightings:
                yield sighting
            if records.is_older(rows, since):
                return

    async def load_own_page(
        self, channel: str, since: datetime, cursor: str | None
    ) -> tuple[list[Sighting], str | None]:
        """Return messages of our bot since then, a page of them, newest first, and what leads to the next page."""
        home = await self.load_identity()
        method = "conversations.history"
        page = await self._page(
            method, self._web.conversations_history, "messages", cursor,
            channel=channel, oldest=f"{since.timestamp():.6f}", include_all_metadata=True,
        )  # fmt: skip
        found = [_check(method, records.own_sighting, channel, message, home) for message in page.rows]
        return [sighting for sighting in found if sighting is not None], page.cursor

    async def load_own_replies(self, channel: str, thread_ts: str) -> AsyncIterator[Sighting]:
        """Look through a thread for messages of our bot, oldest first."""
        async for _, sightings in self._look_through(
            "conversations.replies", self._web.conversations_replies, channel=channel, ts=thread_ts
        ):
            for sighting in sightings:
                yield sighting

    async def _look_through(
        self, method: str, call: Callable[..., Awaitable[AsyncSlackResponse]], *, channel: str, **parameters: str
    ) -> AsyncIterator[tuple[list[Mapping[str, Any]], list[Sighting]]]:
        """Go through some pages of messages: all of a page, and those of our bot among them."""
        home = await self.load_identity()
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._page(
                method, call, "messages", cursor, channel=channel, include_all_metadata=True, **parameters
            )
            found = [_check(method, records.own_sighting, channel, message, home) for message in page.rows]
            yield page.rows, [sighting for sighting in found if sighting is not None]
            cursor = page.cursor
            if cursor is None:
                return

    async def open_dm(self, user: str) -> str:
        """Return the channel of our direct messages with a person."""
        return await self._call(
            "conversations.open",
            lambda: self._web.conversations_open(users=user),
            lambda data: records.text(records.table(data, "channel"), "id"),
        )

    async def respond(self, response_url: str, text: str, blocks: Blocks, *, replace: bool = False) -> None:
        """Answer a slash command later, to the one who typed it; ``replace``: the answer whose button was pressed."""
        method = "response_url"
        allowed = _origin(self.api_url) if is_on_loopback(self.api_url) else RESPONSE_URLS
        if not response_url.startswith(allowed):
            raise Refused(method, "foreign_response_url")
        body = {"response_type": "ephemeral", "replace_original": replace, "text": text, "blocks": _plain(blocks)}
        try:
            async with self._session.post(response_url, json=body, allow_redirects=False) as response:
                if response.status != 200:
                    raise trouble_of(method, response.status, "not_taken", response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _network_trouble(method, error) from error

    # --- views ---

    async def open_view(self, trigger_id: str, view: Json) -> str:
        """Open a modal within three seconds of the act; returns the view's id."""
        return await self._call(
            "views.open", lambda: self._web.views_open(trigger_id=trigger_id, view=dict(view)), records.view_id_of
        )

    async def push_view(self, trigger_id: str, view: Json) -> str:
        """Lay a modal over the one in which the act happened; returns the view's id."""
        return await self._call(
            "views.push", lambda: self._web.views_push(trigger_id=trigger_id, view=dict(view)), records.view_id_of
        )

    async def update_view(self, view_id: str, view: Json) -> None:
        """Show something else in an open modal."""
        await self._send("views.update", lambda: self._web.views_update(view_id=view_id, view=dict(view)))

    async def publish_home(self, user: str, view: Json) -> None:
        """Draw a person's Home tab."""
        await self._send("views.publish", lambda: self._web.views_publish(user_id=user, view=dict(view)))

    # --- people and places ---

    async def load_person(self, user: str) -> Person:
        """Look a user up. Raises ``UnknownPerson`` among others."""
        home = await self.load_identity()
        return await self._call(
            "users.info",
            lambda: self._web.users_info(user=user),
            lambda data: records.person_of(records.table(data, "user"), home),
        )

    async def load_person_by_address(self, address: str) -> Person:
        """Look up whose e-mail address it is. Raises ``UnknownPerson`` among others; deactivated people are unknown."""
        home = await self.load_identity()
        return await self._call(
            "users.lookupByEmail",
            lambda: self._web.users_lookupByEmail(email=address),
            lambda data: records.person_of(records.table(data, "user"), home),
        )

    async def load_do_not_disturb(self, user: str) -> DoNotDisturb:
        """Look up when a person wants no notifications."""
        return await self._call("dnd.info", lambda: self._web.dnd_info(user=user), records.do_not_disturb_of)

    async def load_usergroup(self, usergroup: str) -> frozenset[str]:
        """Look up who is in a user group."""
        return await self._call(
            "usergroups.users.list",
            lambda: self._web.usergroups_users_list(usergroup=usergroup),
            lambda data: frozenset(records.texts(data, "users")),
        )

    async def load_channel(self, channel: str) -> Channel:
        """Look a channel up."""
        home = await self.load_identity()
        return await self._call(
            "conversations.info",
            lambda: self._web.conversations_info(channel=channel),
            lambda data: records.channel_of(records.table(data, "channel"), home),
        )

    async def load_channels_of(self, user: str) -> frozenset[str]:
        """Look up the channels a person is in, as far as we may see them."""
        found: set[str] = set()
        cursor: str | None = None
        for _ in range(_MOST_CHANNEL_PAGES):
            page = await self._page(
                "users.conversations", self._web.users_conversations, "channels", cursor, user=user, types=_TYPES
            )
            found.update(_check("users.conversations", records.text, channel, "id") for channel in page.rows)
            cursor = page.cursor
            if cursor is None:
                break
        return frozenset(found)

    # --- inside ---

    async def _page(
        self,
        method: str,
        call: Callable[..., Awaitable[AsyncSlackResponse]],
        key: str,
        cursor: str | None,
        **parameters: Any,
    ) -> records.Page:
        return await self._call(
            method,
            lambda: call(cursor=cursor, limit=_PAGE, **parameters),
            lambda data: records.Page(records.rows(data, key), records.next_cursor(data)),
        )

    async def _call(
        self, method: str, call: Callable[[], Awaitable[AsyncSlackResponse]], read: Callable[[Json], T]
    ) -> T:
        return _read(method, await self._send(method, call), read)

    async def _send(self, method: str, call: Callable[[], Awaitable[AsyncSlackResponse]]) -> AsyncSlackResponse:
        try:
            response = await self._try(method, call)
        except SlackTrouble as trouble:
            self._heard(trouble)
            raise
        self._heard(None)
        return response

    @staticmethod
    async def _try(method: str, call: Callable[[], Awaitable[AsyncSlackResponse]]) -> AsyncSlackResponse:
        try:
            return await call()
        except SlackApiError as error:
            raise _answered_trouble(method, error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _network_trouble(method, error) from error
        except (AttributeError, TypeError, ValueError) as error:
            # So the SDK stumbles over an answer that is no JSON object, such as a proxy's page.
            raise Temporary(method, "unreadable_answer") from error


def _read(method: str, response: AsyncSlackResponse, read: Callable[[Json], T]) -> T:
    return _check(method, read, response.data if isinstance(response.data, dict) else {})


def _check(method: str, read: Callable[..., T], *given: Any) -> T:
    try:
        return read(*given)
    except records.BadAnswer as error:
        raise Temporary(method, "unreadable_answer") from error


def _answered_trouble(method: str, error: SlackApiError) -> SlackTrouble:
    response = error.response
    if not isinstance(response, AsyncSlackResponse) or not isinstance(response.data, dict):
        return Temporary(method, "unreadable_answer")
    code = response.data.get("error")
    return trouble_of(
        method, response.status_code, code if isinstance(code, str) else None, response.headers.get("Retry-After")
    )


def _network_trouble(method: str, error: BaseException) -> Temporary:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
        return Temporary(method, "timeout")
    # Only a connection that never came about is certain to have done nothing.
    return Temporary(method, "no_connection", had_no_effect=isinstance(error, aiohttp.ClientConnectorError))


def _plain(blocks: Blocks) -> Any:
    """The blocks as a list: the SDK's annotations want its own models, Slack wants plain objects."""
    return list(blocks)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"

"""The part of ``signoff check`` that asks Slack: tokens, scopes, channels, and who is left to decide.

It only reads. Whether a person may decide is judged by the rule that judges clicks (bot/policy.py), so that the two
cannot disagree.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TypeVar

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.config import Rule, Settings, SlackSettings
from bot.people import Channel, Facts, Person
from bot.policy import Parties, judge, reviewer_usergroups, reviewer_users
from bot.secrets import Secrets
from handlers.check_calendars import check_calendars
from handlers.check_targets import check_targets
from handlers.codes import error_code
from handlers.findings import Report
from handlers.manifest import APP_SCOPE, BOT_SCOPES
from handlers.slack.client import SlackClient, is_on_loopback
from handlers.slack.records import Identity
from handlers.slack.trouble import SlackTrouble, Temporary, UnknownPerson

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_PATIENCE = timedelta(seconds=10)
_MOST_TRIES = 4
_MOST_SHOWN = 5
_INVITE = "invite the bot: type /invite and its name in that channel"
_REINSTALL = "paste what `signoff manifest` prints into the app's page, install it anew, and check again"
_UNKNOWN = "Slack knows nobody of this id"
_WHY_NOT = {
    "deactivated": "is deactivated",
    "bot": "is a bot",
    "guest": "is a guest",
    "foreign_team": "belongs to another workspace",
}


class Unreachable(Exception):
    """Slack did not answer, or not as Slack does. Its text is a code."""


async def check_slack(report: Report, settings: Settings, secrets: Secrets, now: datetime, sleep: Sleep) -> None:
    """Ask Slack about everything that the rules rest on. If it does not answer, that is one fault, and the end."""
    client = SlackClient(settings.slack, secrets.slack_bot_token, timeout=_PATIENCE)
    try:
        if settings.slack.mode == "socket" and secrets.slack_app_token is not None:
            await _check_app_token(report, settings.slack, secrets.slack_app_token)
        home = await _check_bot_token(report, client, sleep)
        if home is not None:
            workspace = Workspace(report, settings, client, home, now, sleep)
            await workspace.check()
            await check_calendars(workspace, secrets.named)
    except Unreachable as error:
        report.fault(
            "slack",
            f"{settings.slack.api_url} does not answer: {error}",
            "see that this machine can reach it, and try again",
        )
    finally:
        await client.close()


async def ask_patiently(call: Callable[[], Awaitable[T]], sleep: Sleep) -> T:
    """Call Slack, waiting where it says so. Raises ``SlackTrouble`` for a refusal, ``Unreachable`` for no answer."""
    for tries_left in reversed(range(_MOST_TRIES)):
        try:
            return await call()
        except Temporary as trouble:
            if trouble.retry_after is None or not tries_left:
                raise Unreachable(trouble.code) from trouble
            await sleep(trouble.retry_after.total_seconds())
    raise AssertionError("the last try returns or raises")


async def _check_bot_token(report: Report, client: SlackClient, sleep: Sleep) -> Identity | None:
    try:
        home = await ask_patiently(client.load_identity, sleep)
    except SlackTrouble as trouble:
        report.fault("slack", f"the bot token is refused: {trouble.code}", "copy it again from OAuth & Permissions")
        return None
    report.ok("slack", f"the bot token opens workspace {home.team_id} as user {home.user_id}")
    missing = [scope for scope in BOT_SCOPES if scope not in home.scopes]
    if not home.scopes:
        report.warning("scopes", "Slack did not say which ones the bot token has", "compare with `signoff manifest`")
    elif missing:
        wanted = "; ".join(f"{scope} ({BOT_SCOPES[scope]})" for scope in missing)
        report.fault("scopes", f"the bot token lacks {wanted}", _REINSTALL)
    else:
        report.ok("scopes", f"the bot token has all {len(BOT_SCOPES)}")
    return home


async def _check_app_token(report: Report, settings: SlackSettings, token: SecretStr) -> None:
    """Ask for a socket's address, and leave it unused."""
    client = AsyncWebClient(base_url=settings.api_url, timeout=int(_PATIENCE.total_seconds()), retry_handlers=[])
    if is_on_loopback(settings.api_url):
        client.proxy = None  # the SDK takes one from the environment unasked
    try:
        await client.apps_connections_open(app_token=token.get_secret_value())
    except SlackClientError as error:
        code = error_code(error)
        if code is None:
            raise Unreachable("unreadable_answer") from error
        remedy = (
            f"give it the scope {APP_SCOPE} on the app's page, under Basic Information"
            if code == "missing_scope"
            else "copy it again from Basic Information, and see that Socket Mode is on"
        )
        report.fault("slack", f"the app-level token opens no socket: {code}", remedy)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(type(error).__name__) from error
    else:
        report.ok("slack", "the app-level token opens a socket")


@dataclass
class Workspace:
    """Looks up what the rules name, each thing once, and judges the rules by it."""

    report: Report
    settings: Settings
    client: SlackClient
    home: Identity
    now: datetime
    sleep: Sleep
    people: dict[str, Person | None] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    channels: dict[str, Channel | None] = field(default_factory=dict)
    unasked: set[str] = field(default_factory=set)
    """Whom and what Slack would not tell of. That is one fault already, and says nothing of them."""

    async def check(self) -> None:
        """Look up and judge all that the rules rest on."""
        for user in self.settings.admins.users:
            await self.check_named(user, "admins")
        for agent in self.settings.agents.values():
            for owner in agent.owners:
                await self.check_named(owner, f"agent {agent.name}, owners")
        for group in self.settings.reviewers.values():
            for user in group.users:
                await self.check_named(user, f"reviewers {group.name}")
            for usergroup in group.usergroups:
                await self.check_usergroup(usergroup, f"reviewers {group.name}")
        for rule in self.settings.rules:
            if rule.stage == "approve":
                await self._check_channels(rule)
                await self._check_deciders(rule)
        await check_targets(self)

    # --- people ---

    async def check_named(self, user: str, part: str) -> None:
        """See that a user id is somebody's who may decide at all; ``part`` is what names it."""
        person = await self.person(user)
        if user in self.unasked:
            return
        if person is None:
            self.report.fault(part, f"{user}: {_UNKNOWN}", "copy the member id from the profile")
            return
        code = self.why_not(person)
        if code is not None:
            self.report.warning(part, f"{user} (@{person.name}) {_WHY_NOT[code]}", "name another person")

    def why_not(self, person: Person) -> str | None:
        """Say why somebody can decide nothing at all, in a word; None for a member in good standing."""
        if person.is_deactivated:
            return "deactivated"
        if person.is_bot:
            return "bot"
        if person.is_guest:
            return "guest"
        return "foreign_team" if person.is_stranger or person.team_id != self.home.home else None

    async def check_usergroup(self, usergroup: str, part: str) -> None:
        """See that a user group can be read and has somebody in it; ``part`` is what names it."""
        try:
            members = await self.members(usergroup)
        except SlackTrouble as trouble:
            if trouble.code == "plan_upgrade_required":
                self.report.fault(
                    part,
                    f"{usergroup} cannot be read: this workspace's plan has no user groups",
                    "list the people in users instead",
                )
            else:
                self.report.fault(part, f"{usergroup} cannot be read: {trouble.code}", "copy the user group's id again")
            return
        if members:
            self.report.ok(part, f"{usergroup} can be read, {len(members)} in it")
        else:
            self.report.warning(
                part, f"{usergroup} has nobody in it", "add people to it in Slack, or list them in users"
            )

    async def _check_deciders(self, rule: Rule) -> None:
        """See that for every agent under the rule somebody is left who may decide."""
        part = f'rule "{rule.name}"'
        agents = [agent for agent in self.settings.agents.values() if fnmatchcase(agent.name, rule.agent)]
        stuck = False
        for agent in agents:
            refused = await self._refused_reviewers(rule, Parties(frozenset(agent.owners)))
            if refused is None:
                continue
            stuck = True
            why = ", ".join(f"{user}: {code}" for user, code in refused[:_MOST_SHOWN])
            self.report.fault(
                part,
                f"nobody is left to decide for agent {agent.name}" + (f" ({why})" if why else ""),
                "give its reviewers a member of this workspace who is not an owner of the agent",
            )
        if not stuck:
            self.report.ok(part, "has reviewers who can decide")

    async def _refused_reviewers(self, rule: Rule, parties: Parties) -> list[tuple[str, str]] | None:
        """Return the reviewers with why each may not decide; None as soon as one may."""
        frozen = rule.as_frozen
        named = reviewer_users(frozen)
        grouped = {member for usergroup in reviewer_usergroups(frozen) for member in self.groups.get(usergroup, ())}
        refused = []
        # Members are looked up one by one until somebody is found: a group may be large.
        for user in [*named, *sorted(grouped.difference(named))]:
            person = await self.person(user)
            known = {} if person is None else {user: person}
            verdict = judge(user, frozen, parties, Facts(self.now, self.home.home, known, self.groups), self.now)
            if verdict.allowed:
                return None
            refused.append((user, verdict.code))
        return refused

    # --- channels ---

    async def _check_channels(self, rule: Rule) -> None:
        part = f'rule "{rule.name}"'
        first = await self.check_channel(rule, rule.channel, f"{part}, channel")
        remedy = "name a private channel, or leave it out: reviewers then get a direct message"
        await self.check_further_channel(rule, first, rule.fallback_channel, f"{part}, fallback_channel", remedy)

    async def check_further_channel(
        self, rule: Rule, first: Channel | None, channel_id: str | None, part: str, remedy: str
    ) -> None:
        """See that the rule's cards can go to a channel beside its ``first``, and are no less private there."""
        further = await self.check_channel(rule, channel_id, part)
        if first is not None and further is not None and first.is_private and not further.is_private:
            self.report.fault(part, f"{further.id} is public, and {first.id} is private", remedy)

    async def check_channel(self, rule: Rule, channel_id: str | None, part: str) -> Channel | None:
        """See that the rule's cards can go to a channel; None where there is none, or Slack does not show it."""
        if channel_id is None:
            return None
        channel = await self.channel(channel_id)
        if channel_id in self.unasked:
            return None
        if channel is None:
            self.report.fault(
                part,
                f"{channel_id} is not there, or is private and the bot is not in it",
                f"copy the channel's id again, or {_INVITE}",
            )
            return None
        sound = True
        if channel.is_archived:
            sound = False
            self.report.fault(part, f"{channel_id} is archived", "bring it back, or name another channel")
        elif not channel.is_member:
            sound = False
            self.report.fault(part, f"the bot is not in {channel_id}", _INVITE)
        if channel.is_shared and not rule.external:
            sound = False
            self.report.fault(
                part,
                f"{channel_id} is shared with another company, or about to be",
                "name another channel; or, if outsiders may read what is asked, write external = true",
            )
        if sound:
            shared = ", shared with another company as the rule allows" if channel.is_shared else ""
            self.report.ok(part, f"{channel_id} can be posted to{shared}")
        return channel

    # --- asking ---

    async def person(self, user: str) -> Person | None:
        """Look a person up; None if Slack knows nobody of this id, or does not say."""
        if user not in self.people:
            self.people[user] = None
            try:
                self.people[user] = await ask_patiently(lambda: self.client.load_person(user), self.sleep)
            except UnknownPerson:
                pass
            except SlackTrouble as trouble:
                self.unasked.add(user)
                self.report.fault("slack", f"users.info is refused: {trouble.code}", _REINSTALL)
        return self.people[user]

    async def person_of(self, address: str) -> Person:
        """Look up whose e-mail address it is. Raises ``SlackTrouble``, such as ``UnknownPerson``."""
        return await ask_patiently(lambda: self.client.load_person_by_address(address), self.sleep)

    async def members(self, usergroup: str) -> frozenset[str]:
        """Look up who is in a user group. Raises ``SlackTrouble``."""
        if usergroup not in self.groups:
            self.groups[usergroup] = await ask_patiently(lambda: self.client.load_usergroup(usergroup), self.sleep)
        return self.groups[usergroup]

    async def channel(self, channel: str) -> Channel | None:
        """Look a channel up; None if Slack does not show it."""
        if channel not in self.channels:
            self.channels[channel] = None
            try:
                self.channels[channel] = await ask_patiently(lambda: self.client.load_channel(channel), self.sleep)
            except SlackTrouble as trouble:
                if trouble.code != "channel_not_found":
                    self.unasked.add(channel)
                    self.report.fault("slack", f"conversations.info is refused: {trouble.code}", _REINSTALL)
        return self.channels[channel]

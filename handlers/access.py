"""Who can approve what today, and by which rule. For `signoff access`.

People are judged by the policy that judges clicks (bot/policy.py). Where Slack is asked, the answer is today's; where
it is not, only the file is known, and what that leaves open is said. Reads only.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from bot.config import Agent, Rule, Settings
from bot.escalation import may_widen
from bot.people import Facts, Person
from bot.policy import Parties, Verdict, judge, reviewer_usergroups, reviewer_users
from bot.seats import are_filled
from handlers.check_slack import Sleep, Unreachable, ask_patiently
from handlers.slack.client import SlackClient
from handlers.slack.trouble import SlackTrouble, UnknownPerson

_WHY_NOT = {
    "unknown_person": "Slack does not know them",
    "deactivated": "deactivated",
    "bot": "a bot",
    "guest": "a guest",
    "foreign_team": "of another workspace",
    "owner": "owns the agent",
    "not_a_reviewer": "no reviewer of this rule",
    "slack_unavailable": "not named, and who is in the user groups was not looked up",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One person under one rule for one agent. ``code`` and ``reason`` are the verdict's, the reason told of others."""

    user: str
    name: str | None
    may: bool
    code: str
    reason: str
    seats: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Access:
    """One rule for one agent: who may approve under it."""

    agent: str
    rule: Rule
    people: tuple[Judged, ...]
    unknown_groups: tuple[str, ...]
    """User groups that were not looked up: their members may be reviewers too."""
    is_whole: bool
    """Whether everybody whom the rule names was judged, and not one person alone."""

    @property
    def is_hopeless(self) -> bool:
        """Whether all who may approve together could not fill every seat, and no plan lets others decide later."""
        people = {one.user: one.seats for one in self.people if one.may}
        known = self.is_whole and not self.unknown_groups and not may_widen(self.rule.plan)
        return known and not are_filled([seat.quorum for seat in self.rule.seats], people)


@dataclass(slots=True)
class Known:
    """What Slack said, each thing asked once. ``trouble``: why it was not asked, or what it would not tell."""

    home: str | None = None
    people: dict[str, Person] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)


async def load_known(
    settings: Settings, client: SlackClient | None, sleep: Sleep, *, user: str | None, agent: str | None
) -> Known:
    """Ask Slack about all whom the rules concerned name; with ``user``, about that person and the groups alone."""
    known = Known()
    if client is None:
        known.trouble.append("Slack was not asked: SLACK_BOT_TOKEN is not set. User groups were not looked up.")
        return known
    rules = [rule.as_frozen for _, rule in _pairs(settings, agent) if rule.stage == "approve"]
    try:
        known.home = (await ask_patiently(client.load_identity, sleep)).home
        for group in dict.fromkeys(name for rule in rules for name in reviewer_usergroups(rule)):
            try:
                known.groups[group] = await ask_patiently(partial(client.load_usergroup, group), sleep)
            except SlackTrouble as trouble:
                known.trouble.append(f"User group {group} cannot be read: {trouble.code}.")
        named = [name for rule in rules for name in reviewer_users(rule)]
        members = sorted({member for group in known.groups.values() for member in group})
        for one in dict.fromkeys([user] if user is not None else [*named, *members]):
            try:
                known.people[one] = await ask_patiently(partial(client.load_person, one), sleep)
            except UnknownPerson:
                known.trouble.append(f"Slack knows nobody of the id {one}.")
            except SlackTrouble as trouble:
                known.trouble.append(f"{one} cannot be looked up: {trouble.code}.")
    except (Unreachable, SlackTrouble) as error:
        code = error.code if isinstance(error, SlackTrouble) else str(error)
        known = Known(trouble=[f"Slack could not be asked: {code}. User groups were not looked up."])
    return known


def access_of(
    settings: Settings, known: Known, now: datetime, *, user: str | None, agent: str | None
) -> Iterator[Access]:
    """Judge everybody concerned, or ``user`` alone, agent by agent and rule by rule in the file's order."""
    for named, rule in _pairs(settings, agent):
        frozen = rule.as_frozen
        parties = Parties(frozenset(named.owners))
        groups = reviewer_usergroups(frozen)
        unknown = tuple(group for group in groups if group not in known.groups)
        members = {member for group in groups for member in known.groups.get(group, ())}
        concerned = dict.fromkeys([*reviewer_users(frozen), *sorted(members)]) if user is None else [user]
        people = []
        for one in concerned:
            verdict = _verdict(one, rule, parties, known, now)
            person = known.people.get(one)
            name = person.name if person is not None else None
            reason = verdict.reason if verdict.allowed else _WHY_NOT.get(verdict.code, verdict.reason)
            people.append(Judged(one, name, verdict.allowed, verdict.code, reason, verdict.seats))
        yield Access(named.name, rule, tuple(people) if rule.stage == "approve" else (), unknown, user is None)


def _pairs(settings: Settings, agent: str | None) -> Iterator[tuple[Agent, Rule]]:
    for one in settings.agents.values():
        if agent is None or one.name == agent:
            yield from ((one, rule) for rule in settings.rules if fnmatchcase(one.name, rule.agent))


def _verdict(user: str, rule: Rule, parties: Parties, known: Known, now: datetime) -> Verdict:
    """Judge a person; without Slack as if they were a member of the workspace, which the words then say."""
    frozen = rule.as_frozen
    home = known.home or ""
    people: Mapping[str, Person] = known.people
    if known.home is None:
        people = {user: Person(user, home, user)}
    unknown = frozenset(group for group in reviewer_usergroups(frozen) if group not in known.groups)
    return judge(user, frozen, parties, Facts(now, home, people, known.groups, unknown), now)


# --- words ------------------------------------------------------------------------------------------------


def render_text(access: list[Access], known: Known) -> str:
    """For a person."""
    return "\n".join(_lines(access, known))


def _lines(access: list[Access], known: Known) -> Iterator[str]:
    agent = None
    for one in access:
        if one.agent != agent:
            if agent is not None:
                yield ""
            yield one.agent
            agent = one.agent
        yield f"  {_rule_words(one.rule)}"
        yield from (f"    {_person_words(person, one)}" for person in one.people)
        yield from (f"    perhaps: members of {group}, which was not looked up" for group in one.unknown_groups)
        if one.is_hopeless:
            yield "    That is not enough: such a request is denied at once (nobody_can_decide)."
    if not access:
        yield "No rule is for such an agent."
    yield ""
    yield from known.trouble
    if known.home is None:
        yield "People are taken for members of the workspace, which was not asked."
    yield "A person for whom an instance was made never decides on its requests; instances are not looked at here."


def _rule_words(rule: Rule) -> str:
    only = [f"tool {rule.tool}"]
    only += [f"server {rule.server}"] if rule.server is not None else []
    only += [f"when {' '.join(rule.when.split())}"] if rule.when is not None else []
    if rule.stage != "approve":
        return f"{rule.name} ({', '.join(only)}): approves by itself"
    seats = [f"{seat.quorum} of {' or '.join(group.name for group in seat.reviewers)}" for seat in rule.seats]
    takes = [*(["a reason"] if rule.reason == "required" else []), *(["a passcode"] if rule.step_up else [])]
    also = f", each with {' and '.join(takes)}" if takes else ""
    return f"{rule.name} ({', '.join(only)}): {' and '.join(seats)}{also}"


def _person_words(person: Judged, access: Access) -> str:
    name = f" (@{person.name})" if person.name else ""
    if not person.may:
        return f"no:  {person.user}{name}: {person.reason}"
    where = ""
    if len(access.rule.seats) > 1:
        seats = (access.rule.seats[at] for at in sorted(person.seats))
        where = " for " + " or ".join("/".join(group.name for group in seat.reviewers) for seat in seats)
    return f"may: {person.user}{name}{where}, {person.reason}"


def render_json(access: list[Access], known: Known) -> str:
    """For a program."""
    made: dict[str, Any] = {
        "asked_slack": known.home is not None,
        "trouble": known.trouble,
        "access": [
            {
                "agent": one.agent,
                "rule": one.rule.name,
                "stage": one.rule.stage,
                "seats": [
                    {"quorum": seat.quorum, "groups": [group.name for group in seat.reviewers]}
                    for seat in one.rule.seats
                ],
                "people": [
                    {
                        "user": person.user,
                        "may_approve": person.may,
                        "code": person.code,
                        "reason": person.reason,
                        "seats": sorted(person.seats),
                    }
                    for person in one.people
                ],
                "groups_not_looked_up": one.unknown_groups,
            }
            for one in access
        ],
    }
    return json.dumps(made, indent=2)

"""The rules of approval: which rule a call meets, who may decide, and what the votes amount to. Pure.

Every answer names its rule and its reason. Nothing here loads anything: people, votes and the time are passed in.
Whatever is unknown, unreadable or stale is a no.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from bot.config import Agent, FrozenRule, Rule, Settings
from bot.durations import parse_capped, render_duration
from bot.people import Facts
from bot.seats import are_filled
from store.tables import Instance, Vote, VoteKind

DEFAULT_TIMEOUT = timedelta(hours=1)  # of a request that no rule is there to shorten


class Course(StrEnum):
    """What happens to a call at once."""

    ASK = "ask"
    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Ruling:
    """How a call is to be treated, under which rule (None: none fits), and why."""

    course: Course
    code: str
    reason: str
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a person may decide a request. ``code`` and ``reason`` say why not, or on what ground they may.

    ``seats`` are the indexes of the rule's seats that the person could fill.
    """

    allowed: bool
    code: str
    reason: str
    seats: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Parties:
    """Whose own business a request is: its agent's owners, and the person that its instance was made for."""

    owners: frozenset[str] = frozenset()
    person: str | None = None

    def barred_by(self, rule: FrozenRule) -> frozenset[str]:
        """Return those of them who never decide under ``rule``."""
        owners = frozenset[str]() if rule.owner_may_decide else self.owners
        return owners | {self.person} if self.person else owners


NOBODY = Parties()


class Policy:
    """The configured rules and agents, ready to be asked. Made anew when the configuration changes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.admins = frozenset(settings.admins.users)
        self._tools = {name: [_matcher(glob) for glob in agent.tools] for name, agent in settings.agents.items()}
        self._rules = [
            (rule, _matcher(rule.agent), _matcher(rule.tool), _matcher(rule.server) if rule.server else None)
            for rule in settings.rules
        ]
        # An agent may send any number of tool names, so what is remembered of them is bounded.
        self.match = lru_cache(maxsize=4096)(self._match)

    def agent(self, name: str) -> Agent | None:
        return self.settings.agents.get(name)

    def owners(self, agent: str) -> frozenset[str]:
        """Return the agent's owners; none for an agent that is no longer configured (which then has no approvals)."""
        configured = self.settings.agents.get(agent)
        return frozenset(configured.owners) if configured else frozenset()

    def parties(self, agent: str, instance: Instance) -> Parties:
        """Return whose own business the requests of ``instance`` are."""
        return Parties(self.owners(agent), instance.person)

    def rule_on(self, call_agent: str, tool: str, server: str | None, timeout: str) -> Ruling:
        """Judge a submitted call: the first rule that matches it, and whether its time suffices."""
        ruling = self.match(call_agent, tool, server)
        rule = ruling.rule
        if rule is None or rule.min_timeout is None:
            return ruling
        if parse_capped(timeout, rule.max_timeout) < rule.min_timeout:
            return Ruling(
                Course.DENY,
                "timeout_too_short",
                f"Rule {rule.name} wants a timeout of at least {render_duration(rule.min_timeout)}.",
                rule,
            )
        return ruling

    def _match(self, agent: str, tool: str, server: str | None) -> Ruling:
        if agent not in self._tools:
            return Ruling(Course.DENY, "unknown_agent", f"Agent {agent} is not in the configuration.")
        if not any(matches(tool) for matches in self._tools[agent]):
            return Ruling(Course.DENY, "tool_not_allowed", f"Agent {agent} may not use the tool {tool}.")
        for rule, for_agent, for_tool, for_server in self._rules:
            if (
                for_agent(agent)
                and for_tool(tool)
                and (for_server is None or (server is not None and for_server(server)))
            ):
                if rule.stage == "autonomous":
                    return Ruling(
                        Course.APPROVE, "approved_by_rule", f"Rule {rule.name} approves this by itself.", rule
                    )
                return Ruling(Course.ASK, "asked", f"Rule {rule.name} asks people.", rule)
        return Ruling(Course.DENY, "no_rule", "No rule matches this call, and what no rule matches is denied.")


@lru_cache(maxsize=1024)
def _matcher(glob: str) -> Callable[[str], object]:
    """Compile a case-sensitive glob; a name without wildcards matches itself alone."""
    return re.compile(fnmatch.translate(glob)).match


def barred(user_id: str, facts: Facts, now: datetime) -> Verdict | None:
    """Say why somebody can decide nothing at all, by what Slack says of them; None for a member in good standing."""
    if not facts.are_fresh(now):
        return Verdict(False, "facts_too_old", "What Slack said about you is too old to decide on. Try again.")
    person = facts.people.get(user_id)
    if person is None:
        return Verdict(False, "unknown_person", "Slack does not know you well enough to let you decide.")
    if person.is_deactivated:
        return Verdict(False, "deactivated", "A deactivated account cannot decide.")
    if person.is_bot:
        return Verdict(False, "bot", "A bot cannot decide.")
    if person.is_guest:
        return Verdict(False, "guest", "Guests cannot decide.")
    if person.is_stranger or person.team_id != facts.home_team:
        return Verdict(False, "foreign_team", "Only members of this workspace can decide.")
    return None


def judge(user_id: str, rule: FrozenRule, parties: Parties, facts: Facts, now: datetime) -> Verdict:
    """Judge whether a person may decide a request made under ``rule``, which is the business of ``parties``.

    The order matters: what Slack says of the person comes before any right the rule gives.
    """
    no = barred(user_id, facts, now)
    if no is not None:
        return no
    if user_id == parties.person:
        return Verdict(False, "own_instance", "The agent asks on your behalf, and nobody decides for themselves.")
    if user_id in parties.barred_by(rule):
        return Verdict(False, "owner", "You own this agent, and owners never decide for their own agent.")
    seats, ground = _seats_of(user_id, rule, facts)
    if seats:
        return Verdict(True, "reviewer", ground, seats)
    if not facts.unknown_groups.isdisjoint(reviewer_usergroups(rule)):
        return Verdict(
            False, "slack_unavailable", "Slack could not be asked who is in the reviewers' user groups. Try again."
        )
    names = ", ".join(group.name for group in rule.groups)
    return Verdict(False, "not_a_reviewer", f"Rule {rule.name} lets only its reviewers decide: {names}.")


def _seats_of(user_id: str, rule: FrozenRule, facts: Facts) -> tuple[frozenset[int], str]:
    """Return the seats that a person could fill, and on what ground, in words."""
    seats: dict[int, str] = {}
    for at, seat in enumerate(rule.seats):
        for group in seat.reviewers:
            if user_id in group.users:
                seats.setdefault(at, f"named in {group.name}")
            for usergroup in group.usergroups:
                if user_id in facts.groups.get(usergroup, frozenset()):
                    seats.setdefault(at, f"member of {usergroup} in {group.name}")
    return frozenset(seats), "; ".join(dict.fromkeys(seats.values()))


def lacks(vote: Vote, rule: FrozenRule) -> str | None:
    """Say in a code what an approval lacks that ``rule`` asks for; None for one that may count, and for a denial."""
    if vote.kind is VoteKind.DENY:
        return None
    if vote.full_view is None:
        return "review_first"
    if rule.reason == "required" and not vote.note:
        return "reason_missing"
    if rule.step_up is not None and vote.step_up is not rule.step_up:
        return "step_up_missing"
    return None


def tally(votes: Iterable[Vote], rule: FrozenRule, verdict_on: Callable[[str], Verdict]) -> VoteKind | None:
    """Compute what the votes decide: None while they decide nothing.

    One denial decides. A vote counts only while its voter may still decide (``verdict_on`` their user id), and an
    approval only if it lacks nothing. People are counted, not votes, each in one seat.
    """
    approving: dict[str, frozenset[int]] = {}
    for vote in votes:
        verdict = verdict_on(vote.user_id)
        if vote.withdrawn_at is not None or not verdict.allowed:
            continue
        if vote.kind is VoteKind.DENY:
            return VoteKind.DENY
        if lacks(vote, rule) is None:
            approving[vote.user_id] = verdict.seats
    places = [seat.quorum for seat in rule.seats]
    return VoteKind.APPROVE if places and are_filled(places, approving) else None


def reviewer_users(rule: FrozenRule) -> tuple[str, ...]:
    """Return the users a rule names itself, each once, in the order of the rule."""
    return tuple(dict.fromkeys(user for group in rule.groups for user in group.users))


def reviewer_usergroups(rule: FrozenRule) -> tuple[str, ...]:
    """Return the user groups a rule names, each once, in the order of the rule."""
    return tuple(dict.fromkeys(usergroup for group in rule.groups for usergroup in group.usergroups))

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

from bot.conditions import Call, Failure
from bot.config import Agent, FrozenRule, Rule, Settings
from bot.durations import parse_capped, render_duration
from bot.people import Facts
from bot.seats import are_filled
from store.tables import Vote, VoteKind

FORBIDDEN = "forbidden_by_configuration"
"""The code of what ended because the configuration came to forbid it, see ``Policy.forbids``."""

DEFAULT_TIMEOUT = timedelta(hours=1)  # of a request that no rule is there to shorten
QUICK_CHARACTERS = 4 * 1024
"""Arguments up to this, as JSON text, are judged by conditions in some ten milliseconds, whatever those are."""
QUICK_CHARACTERS_OF_SCHEMA = 512
"""The same of schemas, which take some hundred times as long."""


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
    passed: tuple["Passed", ...] = ()
    """The rules above that one, and why each is not the one; all rules where none fits."""


class Why(StrEnum):
    """Why a rule is passed over."""

    NAMES = "names"
    CONDITION_FALSE = "condition_false"
    CONDITION_FAILED = "condition_failed"
    AFTER_A_FAILURE = "after_a_failure"


@dataclass(frozen=True, slots=True)
class Passed:
    """A rule that was passed over, and why. ``reason`` quotes nothing of the call."""

    rule: str
    why: Why
    reason: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A rule whose patterns fit, and those passed over since the one before it."""

    rule: Rule
    passed: tuple[Passed, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """What a call's names amount to: a ruling at once, or rules that want a look at its arguments."""

    ruling: Ruling | None
    candidates: tuple[_Candidate, ...] = ()
    rest: tuple[Passed, ...] = ()

    @property
    def has_schema(self) -> bool:
        """Whether arguments may be held against a schema."""
        return any(candidate.rule.arguments_schema is not None for candidate in self.candidates)

    @property
    def has_circles(self) -> bool:
        """Whether one of those schemas may go in circles, so that no call is short enough for it."""
        schemas = (candidate.rule.schema_of_arguments for candidate in self.candidates)
        return any(schema is not None and schema.refers for schema in schemas)


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


class Policy:
    """The configured rules and agents, ready to be asked. Made anew when the configuration changes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.admins = frozenset(settings.admins.users)
        self.usergroups = frozenset(one for rule in settings.rules for one in reviewer_usergroups(rule.as_frozen))
        self._tools = {name: [_matcher(glob) for glob in agent.tools] for name, agent in settings.agents.items()}
        self._rules = [_RuleNames(rule) for rule in settings.rules]
        # An agent may send any number of tool names, so what is remembered of them is bounded.
        self.match = lru_cache(maxsize=4096)(self._match)

    def agent(self, name: str) -> Agent | None:
        return self.settings.agents.get(name)

    def owners(self, agent: str) -> frozenset[str]:
        """Return the agent's owners; none for an agent that is no longer configured (which then has no approvals)."""
        configured = self.settings.agents.get(agent)
        return frozenset(configured.owners) if configured else frozenset()

    def parties(self, agent: str, person: str | None) -> Parties:
        """Return whose own business the requests of an instance are that was made for ``person``."""
        return Parties(self.owners(agent), person)

    def rule_on(self, call: Call, timeout: str) -> Ruling:
        """Judge a submitted call: the first rule that matches it, whether its arguments fit, whether its time suffices.

        May take a while for large arguments, see ``is_quick``.
        """
        match = self.match(call.agent, call.tool, call.server)
        ruling = match.ruling or _judge_arguments(match, call)
        rule = ruling.rule
        if rule is None or rule.min_timeout is None or ruling.course is Course.DENY:
            return ruling
        if parse_capped(timeout, rule.max_timeout) < rule.min_timeout:
            return Ruling(
                Course.DENY,
                "timeout_too_short",
                f"Rule {rule.name} wants a timeout of at least {render_duration(rule.min_timeout)}.",
                rule,
                ruling.passed,
            )
        return ruling

    def is_quick(self, call: Call) -> bool:
        """Whether judging a call takes no time to speak of: its names suffice, or its arguments are short."""
        size = len(call.arguments)
        match = self.match(call.agent, call.tool, call.server)
        if match.ruling is not None:
            return True
        if size <= QUICK_CHARACTERS_OF_SCHEMA:
            return not match.has_circles
        return size <= QUICK_CHARACTERS and not match.has_schema

    def forbids(self, agent: str, tool: str) -> Ruling | None:
        """Return the denial of a call that no rule could allow: its agent is gone, or may not use the tool."""
        if self.agent(agent) is None:
            return Ruling(Course.DENY, "unknown_agent", f"Agent {agent} is not in the configuration.")
        if not any(matches(tool) for matches in self._tools[agent]):
            return Ruling(Course.DENY, "tool_not_allowed", f"Agent {agent} may not use the tool {tool}.")
        return None

    def _match(self, agent: str, tool: str, server: str | None) -> Match:
        forbidden = self.forbids(agent, tool)
        if forbidden is not None:
            return Match(forbidden)
        candidates: list[_Candidate] = []
        passed: list[Passed] = []
        for names in self._rules:
            other = names.misfit(agent, tool, server)
            if other is not None:
                passed.append(other)
                continue
            rule = names.rule
            if not candidates and rule.when is None and rule.arguments_schema is None:
                return Match(_ruling_of(rule, passed))
            candidates.append(_Candidate(rule, tuple(passed)))
            passed = []
        if not candidates:
            return Match(_no_rule(passed))
        return Match(None, tuple(candidates), tuple(passed))


class _RuleNames:
    """A rule's patterns, ready to be tried, with what is said where one does not fit."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._agent, self._tool = _matcher(rule.agent), _matcher(rule.tool)
        self._server = _matcher(rule.server) if rule.server is not None else None
        said = {"agent": rule.agent, "tool": rule.tool, "server": rule.server}
        self._passed = {
            key: Passed(rule.name, Why.NAMES, f"It is for {key} {pattern}.") for key, pattern in said.items()
        }

    def misfit(self, agent: str, tool: str, server: str | None) -> Passed | None:
        if not self._agent(agent):
            return self._passed["agent"]
        if not self._tool(tool):
            return self._passed["tool"]
        if self._server is not None and (server is None or not self._server(server)):
            return self._passed["server"]
        return None


def _judge_arguments(match: Match, call: Call) -> Ruling:
    """Find the first of the rules whose condition is true, and hold the arguments against its schema.

    Nothing is approved behind a condition that failed: whatever it stood guard over, people must look.
    """
    passed: list[Passed] = []
    failed: str | None = None
    for candidate in match.candidates:
        passed += candidate.passed
        rule = candidate.rule
        held = rule.condition.holds(call) if rule.condition is not None else True
        if isinstance(held, Failure):
            failed = failed or rule.name
            passed.append(Passed(rule.name, Why.CONDITION_FAILED, f"Its condition failed: {held.value}."))
        elif not held:
            passed.append(Passed(rule.name, Why.CONDITION_FALSE, "Its condition is not true of this call."))
        elif failed is not None and rule.stage != "approve":
            reason = f"It would approve by itself, and the condition of rule {failed} failed."
            passed.append(Passed(rule.name, Why.AFTER_A_FAILURE, reason))
        else:
            misfit = rule.schema_of_arguments.misfit(call.values) if rule.schema_of_arguments is not None else None
            if misfit is None:
                return _ruling_of(rule, passed)
            reason = f"The arguments do not fit the schema of rule {rule.name}: {misfit}."
            return Ruling(Course.DENY, "arguments_misfit", reason, rule, tuple(passed))
    passed += match.rest
    if failed is None:
        return _no_rule(passed)
    reason = f"The condition of rule {failed} failed, and no rule after it asks people."
    return Ruling(Course.DENY, "condition_failed", reason, None, tuple(passed))


def _ruling_of(rule: Rule, passed: Iterable[Passed]) -> Ruling:
    if rule.stage == "autonomous":
        reason = f"Rule {rule.name} approves this by itself."
        return Ruling(Course.APPROVE, "approved_by_rule", reason, rule, tuple(passed))
    return Ruling(Course.ASK, "asked", f"Rule {rule.name} asks people.", rule, tuple(passed))


def _no_rule(passed: Iterable[Passed]) -> Ruling:
    reason = "No rule matches this call, and what no rule matches is denied."
    return Ruling(Course.DENY, "no_rule", reason, None, tuple(passed))


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
    approval only if it lacks nothing. People are counted, not votes, each in one seat. Forced votes are not counted
    here, see ``bot.forcing``.
    """
    approving: dict[str, frozenset[int]] = {}
    for vote in votes:
        verdict = verdict_on(vote.user_id)
        if vote.withdrawn_at is not None or vote.is_forced or not verdict.allowed:
            continue
        if vote.kind is VoteKind.DENY:
            return VoteKind.DENY
        if lacks(vote, rule) is None:
            approving[vote.user_id] = verdict.seats
    places = [seat.quorum for seat in rule.seats]
    return VoteKind.APPROVE if places and are_filled(places, approving) else None


def reviews(user_id: str, rule: FrozenRule, facts: Facts) -> bool:
    """Whether somebody is one of a rule's reviewers, by name or by a user group. That gives no right by itself."""
    return any(
        user_id in group.users or any(user_id in facts.groups.get(one, frozenset()) for one in group.usergroups)
        for group in rule.groups
    )


def reviewer_users(rule: FrozenRule) -> tuple[str, ...]:
    """Return the users a rule names itself, each once, in the order of the rule."""
    return tuple(dict.fromkeys(user for group in rule.groups for user in group.users))


def reviewer_usergroups(rule: FrozenRule) -> tuple[str, ...]:
    """Return the user groups a rule names, each once, in the order of the rule."""
    return tuple(dict.fromkeys(usergroup for group in rule.groups for usergroup in group.usergroups))

"""The part of ``signoff check`` that looks up whom plans' steps notify and let decide.

Whether a person may decide is judged as a click would be, under the rule as the plan has widened it by then. What only
the moment tells (who is on call by a calendar, whom a pager wakes, who reads a channel) has the benefit of the doubt.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bot.config import FrozenRule, Plan, Rule
from bot.config_plans import StepTable, Target, Widening
from bot.escalation import Joined, seat_index, widened
from bot.people import Facts
from bot.policy import Parties, judge
from handlers.check_plans import part_of
from handlers.findings import Level, Report
from handlers.slack.trouble import SlackTrouble

if TYPE_CHECKING:
    from handlers.check_slack import Workspace

_MOST_SHOWN = 5
_PRIVATE = "name a private channel, or notify people instead"
_SOMEBODY = 'add "thread" or people who may decide to notify, or widen to them'


async def check_targets(workspace: "Workspace") -> None:
    """Check all that plans name, and each rule's plan step by step."""
    settings = workspace.settings
    for oncall in settings.oncall.values():
        for user in oncall.users:
            await workspace.check_named(user, f"oncall {oncall.name}")
        if oncall.usergroup is not None:
            await workspace.check_usergroup(oncall.usergroup, f"oncall {oncall.name}")
    for plan in settings.plans.values():
        for number, step in enumerate(plan.steps, start=1):
            for target in step.targets:
                await _check_target(workspace, target, f"plan {plan.name}, step {number}")
    for rule in settings.rules:
        if rule.plan is not None:
            await _PlanOfRule(workspace, rule, rule.plan).check()


async def _check_target(workspace: "Workspace", target: Target, part: str) -> None:
    if target.kind == "user":
        await workspace.check_named(target.id, part)
    elif target.kind == "usergroup":
        await workspace.check_usergroup(target.id, part)


def _wrong(report: Report) -> int:
    return sum(finding.level is not Level.OK for finding in report.findings)


@dataclass
class _PlanOfRule:
    """Goes through a rule's plan, with the seats as they are widened on the way."""

    workspace: "Workspace"
    rule: Rule
    plan: Plan
    joined: list[Joined] = field(default_factory=list)

    async def check(self) -> None:
        report = self.workspace.report
        before = _wrong(report)
        for number, step in enumerate(self.plan.steps, start=1):
            part = f"{part_of(self.rule, self.plan)}, step {number}"
            await self._check_channels(step, part)
            for widening in step.widen:
                await self._check_widening(widening, part)
            await self._check_deciders(step, part)
        if self.plan.steps and _wrong(report) == before:
            report.ok(part_of(self.rule, self.plan), "each of its steps asks somebody who may decide")

    async def _check_channels(self, step: StepTable, part: str) -> None:
        first = await self.workspace.channel(self.rule.channel) if self.rule.channel is not None else None
        for target in step.targets:
            if target.kind == "channel":
                await self.workspace.check_further_channel(self.rule, first, target.id, part, _PRIVATE)

    # --- widening ---

    async def _check_widening(self, widening: Widening, part: str) -> None:
        """Let people join as the plan does, and see that somebody does."""
        seat = seat_index(self.rule.as_frozen, widening.seat)
        for group in widening.groups:
            await self._join(Joined(seat, group.name, group.users, group.usergroups), part)
        for name in widening.oncall:
            oncall = self.workspace.settings.oncall.get(name)
            if oncall is not None and (oncall.users or oncall.usergroup):
                usergroups = (oncall.usergroup,) if oncall.usergroup is not None else ()
                await self._join(Joined(seat, f"oncall:{name}", oncall.users, usergroups), part)

    async def _join(self, joining: Joined, part: str) -> None:
        seated = widened(self.rule.as_frozen, self.joined).seats[joining.seat].reviewers
        before, before_known = await self._people(
            [user for group in seated for user in group.users],
            [usergroup for group in seated for usergroup in group.usergroups],
        )
        coming, coming_known = await self._people(joining.users, joining.usergroups)
        self.joined.append(joining)
        if not before_known or not coming_known:
            return
        new = [user for user in coming if user not in before]
        if not new:
            self.workspace.report.warning(
                part, f"widens to {joining.source}, and all of them may decide already", "remove that, or name others"
            )
            return
        for agent, parties in self._agents():
            refused = await self._refused(new, parties)
            if refused is not None:
                self.workspace.report.warning(
                    part,
                    f"widens to {joining.source}, of whom nobody may decide for agent {agent} ({refused})",
                    "name members of this workspace who are not owners of the agent",
                )

    # --- notifying ---

    async def _check_deciders(self, step: StepTable, part: str) -> None:
        """A step that lets nobody else decide must reach somebody who may."""
        if step.widen or any(self._is_open(target) for target in step.targets):
            return
        for agent, parties in self._agents():
            people, known = await self._notified(step, parties)
            refused = await self._refused(people, parties) if known else None
            if refused is not None:
                who = f"({refused})" if refused else "(nobody is there)"
                self.workspace.report.fault(
                    part,
                    f"notifies only people who may not decide for agent {agent} {who}, and widens nobody",
                    _SOMEBODY,
                )

    def _is_open(self, target: Target) -> bool:
        """Whether it takes the moment to know whom a target reaches, or the rule's own reviewers are among them."""
        if target.kind == "oncall":
            oncall = self.workspace.settings.oncall.get(target.id)
            return oncall is None or not (oncall.users or oncall.usergroup)
        return target.kind in ("thread", "channel", "pager")

    async def _notified(self, step: StepTable, parties: Parties) -> tuple[list[str], bool]:
        users: list[str] = []
        usergroups: list[str] = []
        for target in step.targets:
            oncall = self.workspace.settings.oncall.get(target.id) if target.kind == "oncall" else None
            if target.kind == "user":
                users.append(target.id)
            elif target.kind == "owners":
                users += sorted(parties.owners)
            elif target.kind == "usergroup":
                usergroups.append(target.id)
            elif oncall is not None:
                users += oncall.users
                usergroups += [oncall.usergroup] if oncall.usergroup is not None else []
        return await self._people(users, usergroups)

    # --- asking ---

    def _agents(self) -> Iterable[tuple[str, Parties]]:
        for agent in self.workspace.settings.agents.values():
            if fnmatchcase(agent.name, self.rule.agent):
                yield agent.name, Parties(frozenset(agent.owners))

    async def _people(self, users: Iterable[str], usergroups: Iterable[str]) -> tuple[list[str], bool]:
        """All who are meant, each once; and whether that is all: a group that cannot be read is a fault of its own."""
        people, known = dict.fromkeys(users), True
        for usergroup in usergroups:
            try:
                people |= dict.fromkeys(sorted(await self.workspace.members(usergroup)))
            except SlackTrouble:
                known = False
        return list(people), known

    async def _refused(self, people: Iterable[str], parties: Parties) -> str | None:
        """Say why none of ``people`` may decide by now; None as soon as one may, or where Slack does not say."""
        rule = self._rule_by_now()
        refused = []
        for user in people:
            person = await self.workspace.person(user)
            if user in self.workspace.unasked:
                return None
            now = self.workspace.now
            known = {} if person is None else {user: person}
            facts = Facts(now, self.workspace.home.home, known, self.workspace.groups)
            verdict = judge(user, rule, parties, facts, now)
            if verdict.allowed:
                return None
            refused.append(f"{user}: {verdict.code}")
        more = len(refused) - _MOST_SHOWN
        return ", ".join(refused[:_MOST_SHOWN]) + (f", and {more} more" if more > 0 else "")

    def _rule_by_now(self) -> FrozenRule:
        return widened(self.rule.as_frozen, self.joined)

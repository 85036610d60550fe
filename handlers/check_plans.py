"""The part of ``signoff check`` that runs plans through: which of their steps come in time, and which never do. Pure.

Whom the steps notify takes asking Slack, and is handlers/check_targets.py's.
"""

from datetime import UTC, datetime, timedelta

from bot.config import Plan, Rule, Settings
from bot.durations import render_duration
from bot.escalation import Position, next_position
from handlers.findings import Report

_START = datetime(2026, 1, 1, tzinfo=UTC)  # any: a plan knows spans only, but for hours
_SOONER = 'let it come sooner, after a percentage of the time to decide such as "25%"'


def part_of(rule: Rule, plan: Plan) -> str:
    """What findings about a rule's plan are about."""
    return f'rule "{rule.name}", plan {plan.name}'


def check_plans(report: Report, settings: Settings) -> None:
    """Run each rule's plan through the shortest and the longest time that the rule gives people."""
    for rule in settings.rules:
        if rule.plan is not None:
            _check_first_step(report, rule, rule.plan)
            _check_the_rest(report, rule, rule.plan)


def _check_first_step(report: Report, rule: Rule, plan: Plan) -> None:
    """Nobody is asked a second time unless the first step comes."""
    part = part_of(rule, plan)
    least, first = rule.min_timeout, _words_for_first(plan)
    if least is not None:
        if _begins(plan, least):
            report.ok(part, f"begins in time for every request: {first}")
        else:
            report.fault(
                part,
                f"a request may give people as little as {render_duration(least)} (min_timeout), and {first}",
                f"raise min_timeout, or {_SOONER}",
            )
        return
    longest = render_duration(rule.max_timeout)
    if not _begins(plan, rule.max_timeout):
        report.warning(
            part,
            f"never begins: no request gives people more than {longest} (max_timeout), and {first}",
            f"raise max_timeout, or {_SOONER}",
        )
    elif plan.steps and plan.steps[0].after.duration is not None:
        report.warning(
            part,
            f"a request that gives people little time ends before the plan begins, as {first}",
            f"write a min_timeout above that, or {_SOONER}",
        )
    else:
        report.ok(part, f"begins in time for a request of {longest} (max_timeout): {first}")


def _words_for_first(plan: Plan) -> str:
    if not plan.steps:
        return f"its only reminder comes {render_duration(plan.before_deadline or timedelta(0))} before the deadline"
    return f"its first step comes after {plan.steps[0].after}"


def _begins(plan: Plan, window: timedelta) -> bool:
    """Whether the first step comes, or the reminder of a plan without steps, for a request with so much time."""
    first = next_position(plan, None, _START, _START + window)
    return first is not None and first.index == 0


def _check_the_rest(report: Report, rule: Rule, plan: Plan) -> None:
    """What not even the longest request meets stands in the file for nothing."""
    part, longest = part_of(rule, plan), render_duration(rule.max_timeout)
    met = _run(plan, rule.max_timeout)
    for index in range(1, len(plan.steps)):
        if not any(place.index == index and not place.round for place in met):
            report.warning(
                part,
                f"step {index + 1} never comes: by then even a request of {longest} (max_timeout) is over",
                "let the steps come sooner, raise max_timeout, or remove the step",
            )
    if plan.steps and plan.repeat and not any(place.round and place.index < len(plan.steps) for place in met):
        report.warning(
            part,
            f"its steps never come again: by then even a request of {longest} (max_timeout) is over",
            "let the steps come sooner, raise max_timeout, or remove repeat",
        )
    if plan.steps and plan.before_deadline is not None and not any(place.is_reminder_of(plan) for place in met):
        report.warning(
            part,
            f"the last reminder never comes: no request gives people more than {longest} (max_timeout)",
            "let before_deadline be shorter, or remove it",
        )


def _run(plan: Plan, window: timedelta) -> list[Position]:
    """Every place of a plan that a request with so much time comes to."""
    met: list[Position] = []
    place = next_position(plan, None, _START, _START + window)
    while place is not None:
        met.append(place)
        place = next_position(plan, place, _START, _START + window)
    return met

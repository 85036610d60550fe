"""What a configuration makes of one call: the rule it meets, why not those above, who could decide, and the card.

For `signoff rules test`. Nothing is asked and nothing is kept: no Slack, no database, no secrets. What only a running
service knows (limits, votes cast ahead, remembered denials, who is in which user group) is not looked at. The call is
judged by the policy, and drawn through the drawing, that a real one meets.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.call import CANONICAL_VERSION, Submission, parse_object, parse_submission
from bot.conditions import Call
from bot.config import FrozenRule, Settings
from bot.drawings import Drawing
from bot.durations import parse_capped
from bot.errors import BadInput
from bot.escalation import at_its_widest
from bot.policy import DEFAULT_TIMEOUT, Course, Parties, Policy, Ruling, Why
from bot.redaction import Redactor
from bot.seats import are_filled
from handlers.slack.cards import render_card
from handlers.slack.plain import render_plain
from store.tables import Instance, Request, Status

USUAL_TIMEOUT = "10m"
_FIELDS = ("tool", "server", "arguments", "timeout", "agent_reasoning", "context")
_NUMBER = 1
_INSTANCE = "rules test"


@dataclass(frozen=True, slots=True)
class Seating:
    """One seat, and who could sit there as far as the file tells."""

    quorum: int
    groups: tuple[str, ...]
    users: tuple[str, ...]
    usergroups: tuple[str, ...]
    barred: tuple[str, ...]
    """Users named for the seat who never decide for this agent."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of a trial. ``card`` is None where no card would be posted."""

    agent: str
    tool: str
    server: str | None
    ruling: Ruling
    seats: tuple[Seating, ...]
    owners: tuple[str, ...]
    """Owners who never decide under the rule."""
    is_hopeless: bool
    """Whether nobody whom the file names, plans included, could ever fill the seats."""
    card: str | None


def parse_call(body: bytes, agent: str | None) -> tuple[str, Submission]:
    """The agent and the call in a file: what an agent would send, and beside it ``agent``.

    ``agent`` given here goes before the file's; without a timeout the call has the usual one. Raises ``BadInput``.
    """
    try:
        fields = parse_object(body, (*_FIELDS, "agent"))
    except BadInput as error:
        if error.code != "unknown_field":
            raise
        known = ", ".join((*_FIELDS, "agent"))
        said = f"{json.dumps(error.param)} is not a field of a call; known are {known}."
        raise BadInput(said, param=error.param, code=error.code) from error
    named = fields.pop("agent")[0] if "agent" in fields else None
    agent = agent or named
    if not isinstance(agent, str):
        raise BadInput('Say which agent calls: with --agent NAME, or as "agent" in the file.', param="agent")
    texts = {name: text for name, (_, text) in fields.items()}
    texts.setdefault("timeout", json.dumps(USUAL_TIMEOUT))
    rebuilt = ",".join(f"{json.dumps(name)}:{text}" for name, text in texts.items())
    return agent, parse_submission(f"{{{rebuilt}}}".encode())


def try_call(settings: Settings, agent: str, submission: Submission, now: datetime) -> Trial:
    """Judge a call by the rules of ``settings``, and draw its card."""
    policy = Policy(settings)
    call = Call(agent, submission.tool, submission.server, submission.arguments)
    ruling = policy.rule_on(call, submission.timeout)
    frozen = ruling.rule.as_frozen if ruling.rule is not None and ruling.course is Course.ASK else None
    parties = Parties(policy.owners(agent))
    seats = tuple(_seats(frozen, parties)) if frozen is not None else ()
    return Trial(
        agent=agent,
        tool=submission.tool,
        server=submission.server,
        ruling=ruling,
        seats=seats,
        owners=tuple(sorted(parties.barred_by(frozen))) if frozen is not None else (),
        is_hopeless=frozen is not None and _is_hopeless(frozen, parties),
        card=_card(agent, submission, frozen, parties, now) if frozen is not None else None,
    )


def _seats(rule: FrozenRule, parties: Parties) -> Iterator[Seating]:
    barred = parties.barred_by(rule)
    for seat in rule.seats:
        users = tuple(dict.fromkeys(user for group in seat.reviewers for user in group.users))
        yield Seating(
            quorum=seat.quorum,
            groups=tuple(group.name for group in seat.reviewers),
            users=tuple(user for user in users if user not in barred),
            usergroups=tuple(dict.fromkeys(name for group in seat.reviewers for name in group.usergroups)),
            barred=tuple(user for user in users if user in barred),
        )


def _is_hopeless(rule: FrozenRule, parties: Parties) -> bool:
    widest, others_may_join = at_its_widest(rule)
    seats = tuple(_seats(widest, parties))
    if others_may_join or any(seat.usergroups for seat in seats):
        return False  # who is in them, only Slack knows
    users = {user for seat in seats for user in seat.users}
    people = {user: frozenset(at for at, seat in enumerate(seats) if user in seat.users) for user in users}
    return not are_filled([seat.quorum for seat in seats], people)


def _card(agent: str, submission: Submission, rule: FrozenRule, parties: Parties, now: datetime) -> str:
    request = Request(
        id="00000000-0000-0000-0000-000000000000",
        number=_NUMBER,
        instance_id="",
        agent=agent,
        create_key="",
        submission_digest=submission.fields_digest,
        tool=submission.tool,
        server=submission.server,
        arguments=submission.arguments,
        agent_reasoning=submission.agent_reasoning,
        context=submission.context,
        timeout=submission.timeout,
        canonical_version=CANONICAL_VERSION,
        digest=submission.digest,
        salt=os.urandom(16),
        status=Status.PENDING,
        created_at=now,
        deadline_at=now + parse_capped(submission.timeout, rule.max_timeout if rule else DEFAULT_TIMEOUT),
    )
    # Marks are keyed anew each time: those of a trial can be compared with no others.
    drawn = Redactor(os.urandom(32)).redact(request, rule.redact)
    instance = Instance(id="", name=_INSTANCE, agent=agent, created_at=now)
    drawing = Drawing(drawn.request, rule, instance, (), parties, copies=drawn.copies)
    return render_plain(render_card(drawing, now))


# --- words ------------------------------------------------------------------------------------------------


def render_text(trial: Trial) -> str:
    """For a person."""
    return "\n".join(_lines(trial))


def _lines(trial: Trial) -> Iterator[str]:
    ruling = trial.ruling
    server = f" on {trial.server}" if trial.server is not None else ""
    yield f"{trial.agent} calls {trial.tool}{server}."
    if ruling.passed:
        yield ""
        yield "Passed over:"
        yield from (f"  {passed.rule}: {passed.reason}" for passed in ruling.passed)
    yield ""
    yield f"{_OUTCOMES[ruling.course]} ({ruling.code}). {ruling.reason}"
    if ruling.rule is not None and ruling.course is Course.ASK:
        yield ""
        yield "Who could decide:"
        yield from (f"  {_seat_words(seat)}" for seat in trial.seats)
        if len(trial.seats) > 1:
            yield "  Nobody fills two seats."
        if trial.owners:
            yield f"  Never, because they own {trial.agent}: {', '.join(trial.owners)}."
        elif ruling.rule.owner_may_decide:
            yield f"  Owners of {trial.agent} may decide: the rule says so."
        if trial.is_hopeless:
            yield "  That cannot be enough: such a request is denied at once (nobody_can_decide)."
    if trial.card is not None:
        yield ""
        yield "The card:"
        yield from (f"  {line}".rstrip() for line in trial.card.split("\n"))


_OUTCOMES = {
    Course.ASK: "People are asked",
    Course.APPROVE: "Approved at once",
    Course.DENY: "Denied at once",
}


def _seat_words(seat: Seating) -> str:
    who = [*seat.users, *(f"everybody in {usergroup}" for usergroup in seat.usergroups)]
    barred = f" (not {', '.join(seat.barred)})" if seat.barred else ""
    return f"{seat.quorum} of {' or '.join(seat.groups)}: {', '.join(who) or 'nobody'}{barred}"


def render_json(trial: Trial) -> str:
    """For a program."""
    ruling = trial.ruling
    made: dict[str, Any] = {
        "agent": trial.agent,
        "tool": trial.tool,
        "server": trial.server,
        "course": ruling.course.value,
        "code": ruling.code,
        "reason": ruling.reason,
        "rule": ruling.rule.name if ruling.rule is not None else None,
        "passed": [
            {"rule": passed.rule, "why": Why(passed.why).value, "reason": passed.reason} for passed in ruling.passed
        ],
    }
    if ruling.course is Course.ASK:
        made["seats"] = [
            {
                "quorum": seat.quorum,
                "groups": seat.groups,
                "users": seat.users,
                "usergroups": seat.usergroups,
                "barred": seat.barred,
            }
            for seat in trial.seats
        ]
        made["owners_barred"] = trial.owners
        made["nobody_can_decide"] = trial.is_hopeless
        made["card"] = trial.card
    return json.dumps(made, indent=2)

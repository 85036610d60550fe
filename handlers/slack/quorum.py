"""Who has approved, who is still needed, and what an approval takes: words that cards, forms and lists share.

Pure. A drawing knows the votes, but not what Slack says of the voters today. So a line tells who approved; that it will
count is judged when the request is decided, and where the numbers do not add up to that the words say so.
"""

from collections.abc import Sequence

from bot.config import FrozenRule
from bot.config_rules import Seat
from bot.drawings import Drawing
from bot.durations import render_duration
from bot.policy import lacks
from bot.seats import fill_seats
from handlers.slack.blocks import Block, context, section
from handlers.slack.text import ago, how_many, mrkdwn, user_mention
from store.tables import Status, StepUp, Vote, VoteKind

MAX_LINES = 6
"""Up to so many people needed, each has a line of the card from the start, so that no vote moves the buttons."""


def approvals(drawing: Drawing) -> list[Vote]:
    """The approvals that stand and lack nothing the rule asks for, oldest first; not those of people barred since, nor
    those that admins forced."""
    rule = drawing.rule
    if rule is None:
        return []
    barred = drawing.parties.barred_by(rule)
    return [
        vote
        for vote in drawing.votes
        if vote.kind is VoteKind.APPROVE
        and not vote.is_forced
        and what_lacks(vote, drawing) is None
        and vote.user_id not in barred
    ]


def what_lacks(vote: Vote, drawing: Drawing) -> str | None:
    """Say in a code what a vote lacks (``bot.policy.lacks``), but for a reason that retention removed."""
    missing = lacks(vote, drawing.rule) if drawing.rule is not None else None
    return None if missing == "reason_missing" and drawing.request.forgotten_at is not None else missing


def has_approved(drawing: Drawing, user_id: str) -> bool:
    """Whether a person's approval stands."""
    return any(vote.user_id == user_id for vote in approvals(drawing))


def is_pending_vote(drawing: Drawing) -> bool:
    """Whether there is an approval that could still be withdrawn."""
    return drawing.request.status is Status.PENDING and any(vote.kind is VoteKind.APPROVE for vote in drawing.votes)


def score(drawing: Drawing) -> str | None:
    """How far it is: ``1 of 2``; None where one approval is enough."""
    rule = drawing.rule
    if rule is None or rule.people_needed < 2:
        return None
    return f"{len(_seated(rule, approvals(drawing)))} of {rule.people_needed}"


def needs(rule: FrozenRule) -> str:
    """Name the seats: ``1 of finance and 1 of security``, in mrkdwn and without pinging anybody."""
    return joined([f"{seat.quorum} of {seat_name(seat)}" for seat in rule.seats])


def seat_name(seat: Seat) -> str:
    return " or ".join(mrkdwn(group.name) for group in seat.reviewers)


def vote_lines(drawing: Drawing) -> list[str]:
    """One mrkdwn line for each person needed, taken or not; nothing where one approval is enough and none is there."""
    rule, given = drawing.rule, approvals(drawing)
    if rule is None or (rule.people_needed < 2 and not given):
        return []
    seated = _seated(rule, given)
    extra = [vote for vote in given if vote not in seated]
    if rule.people_needed > MAX_LINES:
        by = "; ".join(map(_by, seated)) or "nobody yet"
        lines = [f"*{len(seated)} of {rule.people_needed}:* {by}"]
    else:
        lines = [
            f"*{at} of {rule.people_needed}:* {_by(seated[at - 1]) if at <= len(seated) else 'nobody yet'}"
            for at in range(1, rule.people_needed + 1)
        ]
    lines += [f"Also {_by(vote)}: not for a seat that is open." for vote in extra]
    if len(seated) >= rule.people_needed:
        lines.append("That is not enough: some of them may no longer decide, or fill no open seat.")
    return lines


def votes_so_far(drawing: Drawing) -> list[Block]:
    """The same as a block, while it is pending."""
    lines = vote_lines(drawing) if drawing.request.status is Status.PENDING else []
    return [section("\n".join(lines), "votes")] if lines else []


def still_needed(drawing: Drawing) -> list[Block]:
    """The same with the seats that are asked, for where a card's own line about them is not seen."""
    votes, rule = votes_so_far(drawing), drawing.rule
    if not votes or rule is None:
        return []
    return [context([f"Needs {needs(rule)}."], "needs"), *votes]


def terms_in_short(rule: FrozenRule, *, is_open: bool) -> list[str]:
    """Say in small print what everybody should know before they press: the field, what approving takes, owners."""
    takes = [
        *([how_many(rule.people_needed, "person").replace("persons", "people")] if rule.people_needed > 1 else []),
        *(["a reason"] if rule.reason == "required" else []),
        *(["a confirmation"] if rule.confirm else []),
        *(["a passcode"] if rule.step_up is StepUp.TOTP else []),
    ]
    words = [
        *([rule.domain.capitalize()] if rule.domain else []),
        *([f"approving takes {joined(takes)}"] if takes and is_open else []),
    ]
    line = " · ".join(words)
    owners = ["Owners of this agent may decide here (the rule says so)."] if rule.owner_may_decide else []
    return [*([line[0].upper() + line[1:]] if line else []), *owners]


def terms_in_full(rule: FrozenRule) -> list[str]:
    """Every term of the rule that bears on deciding, one mrkdwn line each."""
    reason = {"required": "required", "optional": "asked for", None: "not asked for"}[rule.reason]
    return [
        *([f"*Field* {rule.domain}"] if rule.domain else []),
        f"*Needed* {needs(rule)}" if rule.seats else "*Needed* nobody: the rule decides",
        f"*Approving* reason {reason}, "
        f"{'asked once more in a dialog' if rule.confirm else 'no confirmation'}, "
        f"{'a six-digit passcode' if rule.step_up is StepUp.TOTP else 'no passcode'}",
        f"*Owners of the agent* {'may decide (the rule says so)' if rule.owner_may_decide else 'never decide'}",
        *([f"*Not shown to anybody* {', '.join(map(mrkdwn, rule.redact))}"] if rule.redact else []),
        *(["*Arguments* were checked against the rule's schema"] if rule.arguments_schema is not None else []),
        f"*A vote cast ahead* waits {render_duration(rule.standing)}",
    ]


def joined(pieces: Sequence[str]) -> str:
    """Join words as a sentence does: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(pieces[:-1]), *pieces[-1:]]))


def _by(vote: Vote) -> str:
    return f"{user_mention(vote.user_id)}, {ago(vote.cast_at)}"


def _seated(rule: FrozenRule, given: Sequence[Vote]) -> list[Vote]:
    """Those whose approvals can fill different seats, as far as the rule itself tells: who is in which user group, only
    Slack knows, so that whoever is not named may sit wherever a user group is asked."""
    people = {
        vote.user_id: [
            at
            for at, seat in enumerate(rule.seats)
            if any(vote.user_id in group.users or group.usergroups for group in seat.reviewers)
        ]
        for vote in given
    }
    seated = fill_seats([seat.quorum for seat in rule.seats], people)
    return [vote for vote in given if vote.user_id in seated]

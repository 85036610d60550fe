"""What admins' forced votes amount to: past reviewers and quorum, and never alone where the rule wants more. Pure.

A forced vote counts among admins alone, and an ordinary one never counts as forced. Who is an admin is asked at the
deciding write, and nobody forces anything for their own agent, whatever the rule says of owners.
"""

from collections.abc import Callable, Iterable, Set
from datetime import datetime

from bot.config import FrozenRule
from bot.people import Facts
from bot.policy import Parties, Verdict, barred
from store.tables import Vote, VoteKind

FORCED = "forced"
"""The code of what admins decided past reviewers and quorum, and why those are told."""


def judge_admin(user_id: str, admins: Set[str], parties: Parties, facts: Facts, now: datetime) -> Verdict:
    """Judge whether a person may force a decision on a request that is the business of ``parties``."""
    no = barred(user_id, facts, now)
    if no is not None:
        return no
    if user_id not in admins:
        return Verdict(False, "not_an_admin", "Only admins may force a decision.")
    if user_id == parties.person:
        return Verdict(False, "own_instance", "The agent asks on your behalf, and nobody decides for themselves.")
    if user_id in parties.owners:
        return Verdict(False, "owner", "You own this agent, and owners never force anything for their own agent.")
    return Verdict(True, "admin", "an admin")


def admins_needed(rule: FrozenRule) -> int:
    """How many different admins a forced approval takes: two where the rule wants several people or a passcode."""
    return 2 if rule.people_needed > 1 or rule.step_up is not None else 1


def counts(vote: Vote) -> bool:
    """Whether a forced vote has what it takes: a reason, and for an approval a view of the whole call."""
    return vote.is_forced and bool(vote.note) and (vote.kind is VoteKind.DENY or vote.full_view is not None)


def standing_of(votes: Iterable[Vote], verdict_on: Callable[[str], Verdict]) -> list[Vote]:
    """Return the forced votes that count, each of somebody who may force today (``verdict_on`` their user id)."""
    return [vote for vote in votes if vote.withdrawn_at is None and counts(vote) and verdict_on(vote.user_id).allowed]


def tally_forced(votes: Iterable[Vote], rule: FrozenRule, verdict_on: Callable[[str], Verdict]) -> VoteKind | None:
    """Compute what the forced votes decide: None while they decide nothing. One denial decides; people are counted."""
    standing = standing_of(votes, verdict_on)
    if any(vote.kind is VoteKind.DENY for vote in standing):
        return VoteKind.DENY
    return VoteKind.APPROVE if len({vote.user_id for vote in standing}) >= admins_needed(rule) else None

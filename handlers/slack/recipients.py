"""Who gets a card of a step, who a notice, and who nothing: judged now, under the rule as widened by now.

Asks Slack's record, sends nothing. Guests, bots, deactivated people and other companies' are told nothing at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.config import FrozenRule
from bot.drawings import Drawing
from bot.errors import FactsUnavailable
from bot.people import Directory
from bot.policy import barred, judge, reviewer_usergroups
from handlers.slack.quorum import has_approved


@dataclass(slots=True)
class Recipients:
    """``deciding`` get the card, ``told`` a notice: each with whom they stand in for, None for themselves."""

    deciding: list[str] = field(default_factory=list)
    told: dict[str, str | None] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)


async def find_recipients(
    directory: Directory,
    drawing: Drawing,
    rule: FrozenRule,
    people: Sequence[str],
    stand_ins: Mapping[str, str],
    now: datetime,
    *,
    is_patient: bool,
) -> Recipients:
    """Part people by what they may do. A stand-in goes by a right of their own alone.

    Raises ``FactsUnavailable`` while that is not clear; unless ``is_patient``, what stays unclear is no right.
    """
    meant: dict[str, str | None] = dict.fromkeys(people)
    for away in people:
        if away in stand_ins:
            meant.setdefault(stand_ins[away], away)
    facts = await directory.load_facts(meant, reviewer_usergroups(rule))
    if not facts.are_fresh(now) or (is_patient and facts.unknown_groups):
        raise FactsUnavailable
    found = Recipients()
    for user, instead_of in meant.items():
        if (no := barred(user, facts, now)) is not None:
            found.codes.append(no.code)
        elif has_approved(drawing, user):
            found.codes.append("approved_already")
        elif judge(user, rule, drawing.parties, facts, now).allowed:
            found.deciding.append(user)
        else:
            found.told[user] = instead_of
    return found

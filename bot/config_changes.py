"""What differs between two configuration files. Pure; names only, in the words of the file."""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from bot.config import Settings

NEED_RESTART = ("server", "slack", "store", "delivery")
"""Tables that are read when Signoff starts, and never again."""
_COMPARED_WHOLE = ("escalation", "audit", "retention")


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of what differs. A rule counts as changed with the groups it names, since others may decide then."""

    rules_added: tuple[str, ...] = ()
    rules_changed: tuple[str, ...] = ()
    rules_removed: tuple[str, ...] = ()
    rules_reordered: tuple[str, ...] = ()
    agents_added: tuple[str, ...] = ()
    agents_changed: tuple[str, ...] = ()
    agents_removed: tuple[str, ...] = ()
    groups_added: tuple[str, ...] = ()
    groups_changed: tuple[str, ...] = ()
    groups_removed: tuple[str, ...] = ()
    plans_added: tuple[str, ...] = ()
    plans_changed: tuple[str, ...] = ()
    plans_removed: tuple[str, ...] = ()
    oncall_added: tuple[str, ...] = ()
    oncall_changed: tuple[str, ...] = ()
    oncall_removed: tuple[str, ...] = ()
    pagers_added: tuple[str, ...] = ()
    pagers_changed: tuple[str, ...] = ()
    pagers_removed: tuple[str, ...] = ()
    tables_changed: tuple[str, ...] = ()
    admins_added: tuple[str, ...] = ()
    admins_removed: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """Return what there is, each list as names parted by ", ", none of which has a comma in it."""
        named = {field.name: ", ".join(getattr(self, field.name)) for field in fields(self)}
        return {name: names for name, names in named.items() if names}


def changes_between(old: Settings, new: Settings) -> Changes:
    """Return what ``new`` does differently, but for the tables of ``NEED_RESTART``."""
    rules = [{rule.name: rule.frozen() for rule in settings.rules} for settings in (old, new)]
    named: dict[str, tuple[Mapping[str, object], Mapping[str, object]]] = {
        "agents": (old.agents, new.agents),
        "groups": (old.reviewers, new.reviewers),
        "plans": (old.plans, new.plans),
        "oncall": (old.oncall, new.oncall),
        "pagers": (old.pagers, new.pagers),
    }
    admins = set(old.admins.users), set(new.admins.users)
    return Changes(
        **{f"rules_{what}": names for what, names in _compare(*rules).items()},
        rules_reordered=_moved([name for name in rules[0] if name in rules[1]], [*rules[1]]),
        **{f"{kind}_{what}": names for kind, pair in named.items() for what, names in _compare(*pair).items()},
        tables_changed=tuple(name for name in _COMPARED_WHOLE if getattr(old, name) != getattr(new, name)),
        admins_added=tuple(sorted(admins[1] - admins[0])),
        admins_removed=tuple(sorted(admins[0] - admins[1])),
    )


def restart_needed(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return those tables of ``NEED_RESTART`` that differ."""
    return tuple(name for name in NEED_RESTART if getattr(old, name) != getattr(new, name))


def effective_digest(settings: Settings) -> str:
    """Return a SHA-256 over all that can be changed while Signoff runs, 64 hexadecimal digits.

    The file's own digest says nothing of the files that it names.
    """
    content = {
        "rules": [rule.frozen() for rule in settings.rules],
        "agents": {name: agent.model_dump(mode="json") for name, agent in settings.agents.items()},
        "reviewers": {name: group.model_dump(mode="json") for name, group in settings.reviewers.items()},
        "admins": settings.admins.model_dump(mode="json"),
        **{name: getattr(settings, name).model_dump(mode="json") for name in _COMPARED_WHOLE},
        "plans": {name: plan.model_dump(mode="json") for name, plan in settings.plans.items()},
        "oncall": {name: oncall.model_dump(mode="json") for name, oncall in settings.oncall.items()},
        "pagers": {name: pager.model_dump(mode="json") for name, pager in settings.pagers.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _compare(old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return {
        "added": tuple(name for name in new if name not in old),
        "changed": tuple(name for name in new if name in old and new[name] != old[name]),
        "removed": tuple(name for name in old if name not in new),
    }


def _moved(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """Return the names whose place among those in both changed: as few as explain the new order."""
    place = {name: at for at, name in enumerate(old)}
    kept = [name for name in new if name in place]
    # The longest run of names that kept their order stayed; the others moved past it.
    ends: list[int] = []  # ends[k]: the smallest place at which a run of k + 1 ends
    at_end: list[str] = []
    before: dict[str, str | None] = {}
    for name in kept:
        length = bisect_left(ends, place[name])
        before[name] = at_end[length - 1] if length else None
        ends[length : length + 1] = [place[name]]
        at_end[length : length + 1] = [name]
    stayed: set[str] = set()
    last = at_end[-1] if at_end else None
    while last is not None:
        stayed.add(last)
        last = before[last]
    return tuple(name for name in kept if name not in stayed)

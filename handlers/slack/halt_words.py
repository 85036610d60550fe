"""What people type after ``/signoff pause`` and ``resume``: what is meant, until when, and why. Pure.

Forgiving, but never at the cost of stopping something else: a name that is not one is answered with the nearest, and
not taken for it. Names may have spaces; a time is one only where it can be read as one, else it belongs to the reason.
"""

import difflib
import re
from collections.abc import Collection, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.errors import NotATime, UnknownTarget
from bot.halt_rights import EVERYTHING, Target
from bot.when import FILLERS, parse_when, read_length
from handlers.manifest import COMMAND
from handlers.slack.quorum import joined
from store.tables import HaltScope

USAGE = "AGENT|rule:NAME|all"
_EVERYTHING = {"all", "everything", "everybody", "everyone", "*"}
_KIND = re.compile(r"(rule|agent)s?(?:\s*[:=]\s*|\s+)(?=\S)", re.IGNORECASE)
_QUOTED = re.compile(r'(?:"([^"]+)"|“([^”]+)”|`([^`]+)`|\'([^\']+)\')')
TIME_WORDS = ("for", "until", "till", "til")
"""What a time begins with."""
_MOST_WORDS = 8  # of a time
_MOST_NAMED = 8


def parse_target(text: str, agents: Collection[str], rules: Collection[str]) -> tuple[Target, str]:
    """Return what is meant, and what follows it. Raises ``UnknownTarget``, naming what is near."""
    typed = text.strip()
    kind = _KIND.match(typed)
    scope = HaltScope.RULE if kind and kind[1].lower() == "rule" else HaltScope.AGENT
    rest = typed[kind.end() :] if kind else typed
    known = rules if scope is HaltScope.RULE else agents
    if (taken := _take_name(rest, known)) is not None:
        return Target(scope, taken[0]), taken[1]
    if (
        kind and kind[0][-1].isspace() and (taken := _take_name(typed, agents)) is not None
    ):  # an agent may be called "rule"
        return Target(HaltScope.AGENT, taken[0]), taken[1]
    word, _, after = rest.partition(" ")
    if kind is None and word.lower().rstrip(":,") in _EVERYTHING:
        return EVERYTHING, after.strip()
    raise UnknownTarget(_unknown(rest, scope, agents, rules))


def parse_until(text: str, now: datetime, zone: ZoneInfo) -> tuple[datetime | None, str]:
    """Return until when, if ``text`` begins with that, and the reason that follows.

    Raises ``NotATime`` for a time that is over, and for several.
    """
    first, _, after = text.strip().partition(" ")
    word = first.lower()
    if word not in TIME_WORDS:
        return None, text.strip()
    words = after.split()
    for count in range(min(len(words), _MOST_WORDS), 0, -1):
        phrase = " ".join(words[:count])
        if words[count - 1].lower() in FILLERS | {"and", "a", "an"}:
            continue  # such a word is the reason's
        if word == "for" and read_length(phrase.lower().replace(",", " ").split()) is None:
            continue
        try:
            until = parse_when(phrase, now, zone)
        except NotATime as error:
            if error.code in ("time_is_over", "times_given"):
                raise
            continue
        return until, " ".join(words[count:])
    return None, text.strip()


def written(target: Target) -> str:
    """Write a target as people type it."""
    if target.scope is HaltScope.ALL:
        return "all"
    return f"rule:{target.name}" if target.scope is HaltScope.RULE else target.name


def _take_name(text: str, known: Iterable[str]) -> tuple[str, str] | None:
    """Take the longest known name that ``text`` begins with; as it is written, or else in any case if it is one."""
    if quoted := _QUOTED.match(text):
        name = next(group for group in quoted.groups() if group is not None)
        found = _one_of(name, [one for one in known if one.lower() == name.strip().lower()])
        return (found, text[quoted.end() :].strip(" ,:")) if found is not None else None
    fits = [one for one in known if _begins(text, one)]
    longest = max(map(len, fits), default=0)
    found = _one_of(text[:longest], [one for one in fits if len(one) == longest])
    return (found, text[longest:].strip(" ,:")) if found is not None else None


def _begins(text: str, name: str) -> bool:
    return text.lower().startswith(name.lower()) and (len(text) == len(name) or text[len(name)] in " ,:")


def _one_of(typed: str, fits: list[str]) -> str | None:
    if typed in fits:
        return typed
    return fits[0] if len(fits) == 1 else None


def _unknown(rest: str, scope: HaltScope, agents: Collection[str], rules: Collection[str]) -> str:
    word = rest.split()[0].strip("\"'`“”,:") if rest.split() else ""
    if not word:
        return f"Say what: an agent's name, rule: and a rule's name, or all. As in {COMMAND} pause {USAGE} REASON."
    names = {name.lower(): name for name in (rules if scope is HaltScope.RULE else agents)}
    near = [
        names[one]
        for asked in (rest.lower(), word.lower())
        for one in difflib.get_close_matches(asked[:80], names, n=2, cutoff=0.6)
    ][:2]
    if scope is HaltScope.RULE:
        near = [f"rule:{name}" for name in near]
    else:
        near = [f"rule:{name}" for name in rules if name.lower() == word.lower()] or near
    said = f"There is no {scope} “{word[:60]}”. Nothing changed."
    if near:
        return f"{said} Did you mean {' or '.join(dict.fromkeys(near))}?"
    there = sorted(rules if scope is HaltScope.RULE else agents)
    more = [f"{len(there) - _MOST_NAMED} more"] if len(there) > _MOST_NAMED else []
    are = f"{scope}s are" if len(there) > 1 else f"only {scope} is"
    return f"{said} The {are} {joined([*there[:_MOST_NAMED], *more])}." if there else said

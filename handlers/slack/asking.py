"""What somebody asks for after ``/signoff recent | overrides | stats | pending``: words become a question. Pure.

Forgiving: filters may stand anywhere, with ``:`` or ``=`` or a space after it, in any case, in whatever quotes a
keyboard makes; a word that is nearly a filter or a kind is taken for it, and the answer says so. What is left over is a
span of time. A question also stands on the button that shows the next page, to the microsecond, so that pages belong
together.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.errors import NotAQuestion, NotATime
from bot.periods import parse_period
from bot.reports import Wanted
from handlers.slack.plain import said_in
from handlers.slack.quorum import joined
from store.tables import OverrideKind, Status

MOST_PAGES = 100_000
_LONGEST = 2000  # characters of a button's value
_QUOTES = {'"': '"', "“": "”", "”": "”", "„": "“", "«": "»", "'": "'", "‘": "’", "’": "’"}  # noqa: RUF001
_FILTER = re.compile(r"(?<![\w:/.+-])([A-Za-z_-]{2,20}) ?[:=] ?(?=\S)")
_EMPTY = re.compile(r"(?<!\S)([A-Za-z]{2,20}) ?[:=](?!\S)")
_PAGE = re.compile(r"(?<!\S)(?:page|p) ?([0-9]{1,6})(?!\S)", re.IGNORECASE)
_USER = re.compile(r"<@([UW][A-Z0-9]{1,31})(?:\|[^<>]*)?>")
_CHANNEL = re.compile(r"<#([CDG][A-Z0-9]{1,31})(?:\|[^<>]*)?>")
_CLOSE = 0.6
_Name = Annotated[str | None, Field(max_length=300)]


class About(StrEnum):
    """What can be asked across requests."""

    PENDING = "pending"
    RECENT = "recent"
    OVERRIDES = "overrides"
    STATS = "stats"


DEFAULT_SPAN = {About.RECENT: "7d", About.OVERRIDES: "7d", About.STATS: "30d"}
USAGE = {
    About.PENDING: "pending [mine|@user|#channel] [agent:NAME]",
    About.RECENT: "recent [7d] [agent:NAME] [tool:NAME] [rule:NAME] [by:@user] [status:STATUS] [all]",
    About.OVERRIDES: "overrides [7d] [agent:NAME] [tool:NAME] [rule:NAME] [by:@user] [kind:KIND]",
    About.STATS: "stats [30d] [agent:NAME]",
}
_FILTERS = {
    About.PENDING: ("agent",),
    About.RECENT: ("agent", "tool", "rule", "by", "status"),
    About.OVERRIDES: ("agent", "tool", "rule", "by", "kind"),
    About.STATS: ("agent",),
}
_STATUSES = tuple(status.value for status in Status if status not in (Status.PENDING, Status.CANCELLED))
_KINDS = tuple(kind.value for kind in OverrideKind)
_WORDS = {"kind": _KINDS, "status": _STATUSES}


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks. ``wanted`` is None for what waits, which has no span of time.

    ``user`` and ``channel`` narrow what waits: for whom, and where it has a card. ``is_mine``: for whoever asks.
    ``readings`` say what was taken for what, where a word was mistyped; ``is_helped``: also whether a name was.
    """

    about: About
    wanted: Wanted | None = None
    agent: str | None = None
    user: str | None = None
    channel: str | None = None
    is_mine: bool = False
    page: int = 1
    readings: tuple[str, ...] = ()
    is_helped: bool = False

    def on_page(self, page: int) -> "Question":
        return replace(self, page=page, readings=())


def parse_question(about: About, text: str, now: datetime, zone: ZoneInfo, asker: str) -> Question:
    """Read what somebody in ``zone`` typed. Raises ``NotAQuestion`` and ``NotATime``, whose words help."""
    readings: list[str] = []
    rest, given = _take_filters(about, text, readings)
    rest, page = _take_page(rest)
    if about is About.PENDING:
        return _parse_waiting(rest, given, page, readings)
    users = _USER.findall(rest)
    if users and "by" in _FILTERS[about] and "by" not in given:
        rest, given["by"] = _USER.sub(" ", rest), f"<@{users[0]}>"
    words = rest.split()
    with_all = about is About.RECENT and "all" in (word.lower() for word in words)
    words = [word for word in words if not (with_all and word.lower() == "all")]
    if about is About.RECENT or about is About.OVERRIDES:
        key = "kind" if about is About.OVERRIDES else "status"
        named = [word for word in words if word.lower() in _WORDS[key]]
        if named and key not in given:
            words.remove(named[0])
            given[key] = named[0].lower()
    given["by"] = _person(given["by"], asker) if "by" in given else ""
    span = " ".join(words) or DEFAULT_SPAN[about]
    try:
        period = parse_period(span, now, zone)
    except NotATime as error:
        if error.code != NotATime.code:
            raise
        raise NotATime(f"{error.message} {_usage(about)}") from error
    wanted = Wanted(
        period,
        agent=given.get("agent"),
        tool=given.get("tool"),
        rule=given.get("rule"),
        by=given["by"] or None,
        kind=OverrideKind(given["kind"]) if "kind" in given else None,
        status=Status(given["status"]) if "status" in given else None,
        with_automatic=with_all or about is not About.RECENT,
    )
    return Question(about, wanted, page=page, readings=tuple(readings))


def _parse_waiting(rest: str, given: dict[str, str], page: int, readings: list[str]) -> Question:
    users, channels = _USER.findall(rest), _CHANNEL.findall(rest)
    words = _CHANNEL.sub(" ", _USER.sub(" ", rest)).split()
    is_mine = bool(words) and words[0].lower() in ("mine", "me", "my", "own")
    if is_mine:
        words = words[1:]
    if words or len(users) + len(channels) + is_mine > 1:
        typed = " ".join(words)
        near = difflib.get_close_matches(typed.lower(), ["mine"], cutoff=_CLOSE)
        meant = f" Did you mean {near[0]}?" if near else ""
        pick = "" if near or not typed else " Pick people and channels from Slack's list while you type @ or #."
        raise NotAQuestion(
            f"I do not understand “{(typed or rest.strip())[:60]}”.{meant}{pick} {_usage(About.PENDING)}"
        )
    return Question(
        About.PENDING,
        agent=given.get("agent"),
        user=users[0] if users else None,
        channel=channels[0] if channels else None,
        is_mine=is_mine,
        page=page,
        readings=tuple(readings),
    )


def _take_filters(about: About, text: str, readings: list[str]) -> tuple[str, dict[str, str]]:
    """Take ``name:value`` pairs out of what was typed."""
    given: dict[str, str] = {}
    at = 0
    left: list[str] = []
    while found := _FILTER.search(text, at):
        name = _nearest(found[1].lower(), _FILTERS[about], readings)
        if name is None:
            known = _the("filter", [f"{one}:" for one in _FILTERS[about]])
            raise NotAQuestion(f"There is no filter “{found[1]}:” here. {known} {_usage(about)}")
        if name in given:
            raise NotAQuestion(f"{name}: is there twice. {_usage(about)}")
        left.append(text[at : found.start()])
        given[name], at = _value(text, found.end())
        if name != "by" and given[name].startswith("<"):  # a name that Slack took for somebody's
            given[name] = said_in(given[name])
        if name in _WORDS:
            word = _nearest(given[name].lower(), _WORDS[name], readings)
            if word is None:
                raise NotAQuestion(f"There is no {name} “{given[name][:60]}”. {_the(name, _WORDS[name])}")
            given[name] = word
    left.append(text[at:])
    rest = " ".join(left)
    if (empty := _EMPTY.search(rest)) and empty[1].lower() in _FILTERS[about]:
        raise NotAQuestion(f"There is nothing behind {empty[1].lower()}:. {_usage(about)}")
    return rest, given


def _value(text: str, at: int) -> tuple[str, int]:
    """Read a value: up to a space, or what stands in quotes. Returns where it ends, too."""
    closing = _QUOTES.get(text[at])
    if closing is not None:
        end = next((here for here in range(at + 1, len(text)) if text[here] in (closing, text[at])), -1)
        if end > at + 1:
            return _typed(text[at + 1 : end]), end + 1
    value = text[at:].split(maxsplit=1)[0]
    return _typed(value.rstrip(",")), at + len(value)


def _typed(value: str) -> str:
    """What was typed: Slack sends these three characters escaped."""
    return value if value.startswith("<@") else value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _take_page(text: str) -> tuple[str, int]:
    found = _PAGE.search(text)
    if found is None:
        return text, 1
    return f"{text[: found.start()]} {text[found.end() :]}", min(max(int(found[1]), 1), MOST_PAGES)


def _person(typed: str, asker: str) -> str:
    if mention := _USER.fullmatch(typed):
        return mention[1]
    if typed.lower() in ("me", "mine"):
        return asker
    if re.fullmatch(r"[UW][A-Z0-9]{5,31}", typed):
        return typed
    raise NotAQuestion(f"“{typed[:60]}” is nobody I know. Pick the person from Slack's list while you type by:@.")


def _nearest(word: str, words: Iterable[str], readings: list[str]) -> str | None:
    """The word that was meant, if it is plain which; that it was read so is kept in ``readings``."""
    known = list(words)
    if word in known:
        return word
    starting = [one for one in known if len(word) >= 2 and one.startswith(word)]
    close = starting or difflib.get_close_matches(word, known, n=1, cutoff=_CLOSE)
    if len(close) != 1:
        return None
    readings.append(f"“{word}” is read as {close[0]}")
    return close[0]


def _the(thing: str, known: Sequence[str]) -> str:
    """Name all that there are of something, in a sentence."""
    if len(known) == 1:
        return f"The only {thing} is {known[0]}."
    return f"The {thing}{'es' if thing.endswith('s') else 's'} are {joined(known)}."


def _usage(about: About) -> str:
    return f"Write it as in /signoff {USAGE[about]}."


# --- on a button ------------------------------------------------------------------------------------------


class _Carried(BaseModel):
    """A question as it stands on a button."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: About
    page: int = Field(ge=1, le=MOST_PAGES)
    span: str | None = None
    agent: _Name = None
    tool: _Name = None
    rule: _Name = None
    by: _Name = None
    kind: OverrideKind | None = None
    status: Status | None = None
    everything: bool = True
    user: _Name = None
    channel: _Name = None
    mine: bool = False


def as_value(question: Question) -> str | None:
    """A question as a button carries it; None if it is too long for one."""
    wanted = question.wanted
    said: dict[str, Any] = {"about": question.about, "page": question.page, "mine": question.is_mine}
    said |= {"agent": question.agent, "user": question.user, "channel": question.channel}
    if wanted is not None:
        said |= {
            "span": str(wanted.period), "agent": wanted.agent, "tool": wanted.tool, "rule": wanted.rule,
            "by": wanted.by, "kind": wanted.kind, "status": wanted.status, "everything": wanted.with_automatic,
        }  # fmt: skip
    value = _Carried(**said).model_dump_json(exclude_defaults=True)
    return value if len(value) <= _LONGEST else None


def parse_value(value: str | None, now: datetime) -> Question:
    """Read a question off a button. It is a question only: who presses is shown what they may see.

    Raises ``NotAQuestion`` for anything that we did not write, and ``NotATime``.
    """
    try:
        said = _Carried.model_validate_json(value or "")
    except ValidationError as error:
        raise NotAQuestion("This button is not one of Signoff's. Ask again.") from error
    if said.about is About.PENDING:
        return Question(said.about, None, said.agent, said.user, said.channel, said.mine, said.page)
    wanted = Wanted(
        parse_period(said.span or "", now, ZoneInfo("UTC")),
        agent=said.agent,
        tool=said.tool,
        rule=said.rule,
        by=said.by,
        kind=said.kind,
        status=said.status,
        with_automatic=said.everything,
    )
    return Question(said.about, wanted, page=said.page)

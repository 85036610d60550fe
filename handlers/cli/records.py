"""``signoff requests | overrides | stats | show``: the records, for whoever has the database anyway.

Nothing is changed; that somebody asked is put on record before anything is shown. What a rule hides is hidden here,
too: a list is copied around.
"""

import asyncio
import difflib
import json
import secrets
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.config import BadConfig, Settings, load_settings
from bot.drawings import Drawing, load_drawing
from bot.errors import NotATime
from bot.halted import PAUSED
from bot.lifecycle import state_of
from bot.lookups import Lookups
from bot.people import zone_named
from bot.periods import Period, parse_period
from bot.policy import Policy
from bot.queries import Seen
from bot.redaction import Redactor, bracketed
from bot.references import find_request
from bot.reports import Figures, OverrideRow, PersonFigures, Reports, Row, Stats, Wanted
from bot.rulebook import Edition, Rulebook
from bot.secrets import load_secret_key
from bot.sight import EVERYTHING
from handlers.cli.beside import checked_user, expect_database, open_beside, operator, stamp
from handlers.cli.say import CommandFailed, say, shown
from handlers.cli.table import Format, printing
from handlers.slack.answers import render_show
from handlers.slack.corrections import was
from handlers.slack.plain import render_plain_blocks
from handlers.slack.report_words import duration, percent
from handlers.slack.text import how_many
from store import statements
from store.engine import Store
from store.tables import Card, OverrideKind, Status
from store.unit import Unit

_AT_ONCE = 500
MAX_NUMBER = 2**63 - 1
REQUEST_COLUMNS = (
    "number", "id", "instance_id", "agent", "tool", "server", "rule", "status", "state", "created_at", "deadline_at",
    "decided_at", "decided_by_kind", "decided_by", "decision_code", "note", "expires_at", "consumed_at", "revoked_at",
    "lapsed_at", "overdue_at", "outcome", "outcome_at", "outcome_note", "reported",
)  # fmt: skip
OVERRIDE_COLUMNS = (
    "id", "at", "kind", "user", "team", "request", "agent", "tool", "rule", "reason", "displaced", "displaced_by_kind",
    "displaced_by", "state", "vote_ahead", "taken_by",
)  # fmt: skip
_TIMES = (
    "created_at", "deadline_at", "decided_at", "expires_at", "consumed_at", "revoked_at", "lapsed_at", "overdue_at",
    "outcome_at",
)  # fmt: skip


def run(args: Namespace, env: Mapping[str, str], config: Path) -> None:
    """Carry one of the commands out. Raises ``BadConfig``, ``CommandFailed`` and what the store does."""
    settings = load_settings(config, env)
    work = {"requests": _requests, "overrides": _overrides, "stats": _stats, "show": _show}[args.command]

    async def act() -> None:
        await expect_database(settings, "request")
        await work(args, env, settings)

    asyncio.run(act())


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the commands work with."""

    store: Store
    clock: Clock
    rulebook: Rulebook
    redactor: Redactor
    reports: Reports
    lookups: Lookups


@asynccontextmanager
async def _open(env: Mapping[str, str], settings: Settings) -> AsyncIterator[_Desk]:
    redactor = Redactor(_key(env, settings))
    # Only to read rules as they were: today's are not written down for it.
    rulebook = Rulebook(Edition(Policy(settings), {}))
    async with open_beside(settings) as (store, clock):
        yield _Desk(store, clock, rulebook, redactor, Reports(store, rulebook, redactor), Lookups(store, clock))


def _key(env: Mapping[str, str], settings: Settings) -> bytes:
    try:
        return load_secret_key(env, settings.store, create_key=False).as_bytes()
    except BadConfig:
        say("Without SIGNOFF_SECRET_KEY, the marks of hidden values are not those on the cards.")
        return secrets.token_bytes(32)


# --- lists ------------------------------------------------------------------------------------------------


async def _requests(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    how = _format(args)
    async with _open(env, settings) as desk:
        wanted = _wanted(args, env, desk.clock())
        found = await desk.reports.made_count(EVERYTHING, wanted)
        await desk.lookups.note_query("requests", found, by=operator(), wanted=wanted)
        with printing(REQUEST_COLUMNS, "requests", how, _request_line) as print_row:
            before, left = MAX_NUMBER, args.limit or MAX_NUMBER
            while left > 0:
                page = await desk.reports.made(EVERYTHING, wanted, before=before, limit=min(_AT_ONCE, left))
                if not page:
                    break
                for row in page:
                    print_row(request_row(row))
                before, left = page[-1].request.number, left - len(page)
            if before == MAX_NUMBER:
                narrowed = "such " if wanted.values("agent", "tool", "rule", "by", "status") else ""
                say(f"No {narrowed}request was made {_span(wanted.period)}.{await _nobody(desk, settings, wanted)}")


async def _overrides(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    async with _open(env, settings) as desk:
        wanted = _wanted(args, env, desk.clock())
        left, at = args.limit or MAX_NUMBER, 0
        with printing(OVERRIDE_COLUMNS, "overrides", _format(args), _override_line) as print_row:
            while True:
                found = await desk.reports.overridden(EVERYTHING, wanted, offset=at, limit=min(left, _AT_ONCE))
                if at == 0:
                    await desk.lookups.note_query("overrides", found.page.total, by=operator(), wanted=wanted)
                for row in found.page.rows:
                    print_row(override_row(row, desk.clock()))
                at, left = at + len(found.page.rows), left - len(found.page.rows)
                if not found.page.rows or left <= 0:
                    break
        hint = "" if found.page.total or found.decided else await _nobody(desk, settings, wanted)
    say(
        f"{how_many(found.page.total, 'override')} of {how_many(found.requests, 'request')} {_span(wanted.period)}, "
        f"{found.decided:,} decided in that time: override rate {percent(found.rate)}.{hint}"
    )


def request_row(row: Row) -> dict[str, Any]:
    """One request as lists have it."""
    request = row.request
    given: dict[str, Any] = {
        "rule": row.rule.name if row.rule is not None else None,
        "state": state_of(request).value,
        "reported": row.is_reported,
    }
    given |= {name: stamp(getattr(request, name)) for name in _TIMES}
    return {name: given[name] if name in given else _plain(getattr(request, name)) for name in REQUEST_COLUMNS}


def override_row(row: OverrideRow, now: datetime) -> dict[str, Any]:
    """One override as lists have it, and what became of it: ``state`` is that of its request now."""
    one, standing = row.override, row.standing
    ahead = None
    if standing is not None:
        ended = "expired" if standing.expires_at <= now else "held"
        ahead = "taken" if standing.taken_at is not None else "lifted" if standing.lifted_at is not None else ended
    return {
        "id": one.id, "at": stamp(one.at), "kind": one.kind.value, "user": one.user_id, "team": one.team_id,
        "request": one.request_number, "agent": one.agent, "tool": one.tool, "rule": one.rule,
        "reason": _plain(one.reason), "displaced": one.displaced, "displaced_by_kind": _plain(one.displaced_by_kind),
        "displaced_by": one.displaced_by, "state": state_of(row.row.request).value, "vote_ahead": ahead,
        "taken_by": row.taker.number if row.taker is not None else None,
    }  # fmt: skip


def _request_line(row: Mapping[str, Any]) -> str:
    on = f" on {shown(row['server'])}" if row["server"] else ""
    by = f" by {_decider(row)}" if row["decided_by_kind"] else ""
    rule = f", rule {shown(row['rule'])}" if row["rule"] else ""
    what = f"{shown(row['agent'])}: {shown(row['tool'])}{on}"
    wrong = ", reported as wrong" if row["reported"] else ""
    return f"#{row['number']}  {_second(row['created_at'])}  {what}  {was(row['state'], by)}{wrong}{rule}"


def _decider(row: Mapping[str, Any]) -> str:
    """Who decided; of an agent and the clock that is all there is to say. Where no rule did, its code says what."""
    kind = row["decided_by_kind"]
    if kind == "person" and row["decided_by"]:
        return shown(row["decided_by"])
    if row["decision_code"] == PAUSED:
        return "a pause"
    if kind == "rule":
        return "its rule" if row["decided_by"] else f"no rule ({row['decision_code']})"
    if kind == "admin" and row["decided_by"]:
        return f"admin {shown(row['decided_by'])}"
    return f"the {kind}"


def _second(at: str) -> str:
    """A time for people to read: without its fraction of a second."""
    return f"{at[:19]}Z"


def _override_line(row: Mapping[str, Any]) -> str:
    displaced = was(row["displaced"], f" by {shown(row['displaced_by'])}" if row["displaced_by"] else "")
    ahead = f", vote ahead {row['vote_ahead']}" if row["vote_ahead"] else ""
    taken = f" by #{row['taken_by']}" if row["taken_by"] else ""
    head = f"#{row['request']}  {_second(row['at'])}  {row['kind']} by {row['user']}"
    what = f"{shown(row['agent'])}: {shown(row['tool'])}, was {displaced}, now {row['state']}{ahead}{taken}"
    reason = shown(row["reason"]) if row["reason"] is not None else "(the reason is no longer kept)"
    return f"{head}  {what}\n    {reason}"


# --- figures ----------------------------------------------------------------------------------------------

FIGURES = (
    "decided", "approved", "approved_by_rule", "denied", "denied_by_people", "expired", "approval_rate", "overrides",
    "overridden", "override_rate", "median_wait_seconds", "p90_wait_seconds", "consumed", "overdue", "succeeded",
    "failed", "failure_rate", "revoked", "lapsed",
)  # fmt: skip


async def _stats(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    async with _open(env, settings) as desk:
        stats = await desk.reports.stats(EVERYTHING, _wanted(args, env, desk.clock()))
        await desk.lookups.note_query("stats", stats.total.decided, by=operator(), wanted=stats.wanted)
        if not stats.agents and (hint := await _nobody(desk, settings, stats.wanted)):
            say(hint.strip())
    how = _format(args)
    if how == "json":
        period = stats.wanted.period
        print(json.dumps({
            "since": stamp(period.since), "until": stamp(period.until), "all": figures_row(stats.total),
            "agents": {name: figures_row(one) for name, one in sorted(stats.agents.items())},
            "people": {user: person_row(one) for user, one in sorted(stats.people.items())},
        }, indent=2))  # fmt: skip
    elif how == "csv":
        named = [("", stats.total), *sorted(stats.agents.items())]
        with printing(("agent", *FIGURES), "stats", how, str) as print_row:
            for name, one in named:
                print_row({"agent": name, **figures_row(one)})
    else:
        print("\n".join(_stats_lines(stats)))


def figures_row(figures: Figures) -> dict[str, Any]:
    """Counts, rates (of one) and times (in seconds)."""
    times = {"median_wait_seconds": figures.median_wait, "p90_wait_seconds": figures.p90_wait}
    seconds = {name: None if took is None else took.total_seconds() for name, took in times.items()}
    return {name: seconds[name] if name in seconds else getattr(figures, name) for name in FIGURES}


def person_row(figures: PersonFigures) -> dict[str, Any]:
    """What one person did."""
    took = figures.median_wait
    counts = {name: value for name, value in asdict(figures).items() if name != "waits"}
    return {**counts, "median_wait_seconds": None if took is None else took.total_seconds()}


def _stats_lines(stats: Stats) -> Iterator[str]:
    yield f"Decided {_span(stats.wanted.period)}"
    for name, one in [("all", stats.total), *sorted(stats.agents.items())]:
        yield (
            f"{shown(name)}: {one.decided:,} decided, {one.approved:,} approved ({one.approved_by_rule:,} by rules), "
            f"{one.denied:,} denied, {one.expired:,} expired; people took {duration(one.median_wait)} (median), "
            f"{duration(one.p90_wait)} (nine of ten); {one.overdue:,} overdue, {one.failed:,} failed; "
            f"{how_many(one.overrides, 'override')}, rate {percent(one.override_rate)}"
        )
    for user, person in sorted(stats.people.items()):
        yield (
            f"{shown(user)}: {how_many(person.approvals, 'approval')}, {how_many(person.denials, 'denial')}, "
            f"decided {person.decided:,}, {duration(person.median_wait)} (median), "
            f"{how_many(person.overrides, 'override')}"
        )


# --- one request ------------------------------------------------------------------------------------------


async def _show(args: Namespace, env: Mapping[str, str], settings: Settings) -> None:
    async with _open(env, settings) as desk:

        async def work(unit: Unit) -> tuple[Drawing, list[Card]] | None:
            request = await find_request(unit, args.id)
            if request is None:
                return None
            drawing = await load_drawing(unit, desk.rulebook, desk.redactor, request, desk.clock())
            return drawing, await unit.all(statements.CARDS_OF, request_number=request.number)

        found = await desk.store.read(work)
        if found is None:
            raise CommandFailed(f"There is no request {shown(args.id)}.")
        drawing, cards = found
        await desk.lookups.note_look(drawing.request.number, operator(), "show")
        row = request_row(Row(drawing.request, drawing.rule, None, drawing.is_reported))
        how = _format(args)
        if how == "json":
            print(json.dumps(_whole(drawing, cards, row), indent=2))
        elif how == "csv":
            with printing(REQUEST_COLUMNS, "requests", how, str) as print_row:
                print_row(row)
        else:
            text = render_plain_blocks(render_show(Seen(drawing, tuple(cards), may_decide=False)).blocks)
            print("\n".join(shown(line) for line in text.split("\n")))


def _whole(drawing: Drawing, cards: list[Card], row: Mapping[str, Any]) -> dict[str, Any]:
    request = drawing.request
    return {
        **row,
        "arguments": _plain(request.arguments),
        "agent_reasoning": _plain(request.agent_reasoning),
        "context": _plain(request.context),
        "timeout": request.timeout,
        "instance": drawing.instance.name,
        "person": drawing.instance.person,
        "votes": [
            {
                "user": vote.user_id, "kind": vote.kind.value, "note": _plain(vote.note), "surface": vote.surface,
                "cast_at": stamp(vote.cast_at), "withdrawn_at": stamp(vote.withdrawn_at), "forced": vote.is_forced,
            }
            for vote in sorted((*drawing.votes, *drawing.withdrawn), key=lambda one: one.id)
        ],
        "overrides": [
            {
                "at": stamp(one.at), "kind": one.kind.value, "user": one.user_id, "reason": _plain(one.reason),
                "displaced": one.displaced, "displaced_by": one.displaced_by,
            }
            for one in drawing.overrides
        ],
        "cards": [
            {"place": card.place.value, "state": card.state.value, "channel": card.channel, "ts": card.ts}
            for card in cards
        ],
    }  # fmt: skip


# --- what is asked for ------------------------------------------------------------------------------------


def _wanted(args: Namespace, env: Mapping[str, str], now: datetime) -> Wanted:
    """Read the filters; times are in the zone that TZ names, else in UTC. Raises ``CommandFailed``."""
    if args.since is not None and args.when is not None:
        raise CommandFailed('Give one time. One of several words stands in quotes: --since "last monday".', exit_code=2)
    since: str = args.since or args.when or args.longest
    is_whole = ".." in since or "…" in since or since.strip().isdigit()  # a number alone is refused
    words = since if is_whole else f"since {since}"
    try:
        period = parse_period(words, now, zone_named(env.get("TZ") or "UTC"))
    except NotATime as error:
        said = error.message.replace(f"“{words[:60]}”", f"“{since[:60]}”")  # as it was typed
        raise CommandFailed(f"--since: {said}", exit_code=2) from error
    by = getattr(args, "by", None)
    kind, status = getattr(args, "kind", None), getattr(args, "status", None)
    return Wanted(
        period,
        agent=args.agent,
        tool=getattr(args, "tool", None),
        rule=getattr(args, "rule", None),
        by=None if by is None else checked_user(by, "--by"),
        kind=None if kind is None else OverrideKind(kind),
        status=None if status is None else Status(status),
    )


async def _nobody(desk: _Desk, settings: Settings, wanted: Wanted) -> str:
    """Say of which names that were asked for there is nothing, configured or on record, and what is near."""
    said = ""
    configured = {"agent": set(settings.agents), "rule": {rule.name for rule in settings.rules}}
    for name, typed in wanted.values("agent", "tool", "rule").items():
        known = configured.get(name, set()).union(
            await desk.reports.names(EVERYTHING, wanted, name, of_overrides=False),
            await desk.reports.names(EVERYTHING, wanted, name, of_overrides=True),
        )
        if typed not in known:
            near = difflib.get_close_matches(typed, known, n=1)
            meant = f" Did you mean {shown(near[0])}?" if near else ""
            said += f" Nothing is known of {'an' if name == 'agent' else 'a'} {name} {shown(typed)}.{meant}"
    return said


def _format(args: Namespace) -> Format:
    return "json" if args.json else "csv" if args.csv else "text"


def _span(period: Period) -> str:
    since, until = stamp(period.since), stamp(period.until)
    return f"from {_second(since or '')} to {_second(until or '')}"


def _plain(value: Any) -> Any:
    """A column's value as JSON has it: a word of a vocabulary as its text, marks as people see them."""
    if isinstance(value, StrEnum):
        return value.value
    return bracketed(value) if isinstance(value, str) else value

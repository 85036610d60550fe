"""Answers to what is asked across requests: lists with a line or two for each, counts, rates, times. Pure.

Each entry is complete without its card and leads to it. Names that an agent chose stand in a frame, people's reasons
behind a bar, both cut where they are long, which is said.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from bot.changed_calls import changed_call_in
from bot.lifecycle import State, state_of
from bot.queries import Seen
from bot.reports import Decided, Figures, Overridden, OverrideRow, PersonFigures, Row, Stats, Wanted
from handlers.manifest import COMMAND
from handlers.slack.asking import Question, as_value
from handlers.slack.blocks import (
    Block,
    Message,
    Part,
    actions,
    button,
    context,
    framed,
    line,
    link,
    quote,
    said,
    section,
)
from handlers.slack.call_parts import where_it_is
from handlers.slack.corrections import OVERRIDE_SIGNS, was
from handlers.slack.pauses import paused_in_short
from handlers.slack.quorum import score
from handlers.slack.states import decided_by, state_sign, state_word
from handlers.slack.text import channel_mention, date, excerpt, how_many, mrkdwn, name_in_mrkdwn, user_mention, visible
from store.tables import Card, OverrideKind, Request, StandingVote

TURN = "report_turn"
"""The button of another page. It carries the question, which is asked anew by whoever presses."""
ROWS = 8
"""Entries of one page."""
MOST_AGENTS = 12
MOST_PEOPLE = 12
_NAME = 80
_REASON_CHARACTERS = 160
_REASON_LINES = 2
_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))

Address = Callable[[Card | None], str | None]
"""Where a card is in Slack; None if that is not known."""

KINDS = {
    OverrideKind.CHANGED: "Approved with changes",
    OverrideKind.REVOKED: "Revoked",
    OverrideKind.REVERSED: "Reversed",
    OverrideKind.REPORTED: "Reported as wrong",
    OverrideKind.FORCED: "Forced",
}


def page_of(question: Question, total: int) -> tuple[int, int]:
    """Which page is shown of how many: the last one, if there are fewer than were asked for."""
    pages = max(-(-total // ROWS), 1)
    return min(question.page, pages), pages


# --- lists ------------------------------------------------------------------------------------------------


def render_waiting(question: Question, seen: Sequence[Seen], total: int, address: Address, untold: int = 0) -> Message:
    """List some of what waits, soonest deadline first. ``total``: how many there are of them in all."""
    what = f"{how_many(total, 'request')} waiting{_for_whom(question)}"
    if not total:
        nothing = f"Nothing is waiting{_for_whom(question)} that you can see."
        return Message(nothing, [*_readings(question), section(nothing, "answer")])
    blocks = _top(question, what)
    for one in seen:
        request = one.drawing.request
        card = next((card for card in one.cards if where_it_is([card])), None)
        blocks.append(line(head_of(request, address(card)), f"head_{request.number}"))
        facts = [f"by {date(request.deadline_at)}"]
        facts += [f"{counted} approved"] if (counted := score(one.drawing)) else []
        facts += [where] if (where := where_it_is(one.cards)) else []
        facts += paused_in_short(one.drawing)
        facts += ["*you may decide*"] if one.may_decide and question.user is None else []
        blocks.append(context([" · ".join(facts)], f"facts_{request.number}"))
    return Message(what, [*blocks, *_foot(question, total, untold)])


def render_decided(question: Question, decided: Decided, address: Address, untold: int = 0) -> Message:
    """List some of what was decided, the newest first."""
    total = decided.page.total
    what = f"{how_many(total, 'decision')}{_narrowed(decided.wanted)}"
    blocks = _top(question, what, _span(decided.wanted))
    for row in decided.page.rows:
        request = row.request
        blocks.append(line(head_of(request, address(row.card)), f"head_{request.number}"))
        blocks.append(context([decision_of(row)], f"facts_{request.number}"))
        blocks += reason_of(request.note, f"note_{request.number}")
    if decided.automatic:
        words = f"{how_many(decided.automatic, 'more call')} that rules approved by themselves: `{COMMAND} recent all`"
        blocks.append(context([words], "automatic"))
    return Message(what, [*blocks, *_foot(question, total, untold)])


def render_overridden(question: Question, overridden: Overridden, address: Address, untold: int = 0) -> Message:
    """List some of what people overrode, the newest first, under the rate."""
    total = overridden.page.total
    what = f"{how_many(total, 'override')}{_narrowed(overridden.wanted)}"
    blocks = _top(question, what, _span(overridden.wanted))
    blocks.append(context(_rate(overridden), "rate"))
    for row in overridden.page.rows:
        one = row.override
        blocks.append(line(head_of(row.row.request, address(row.row.card)), f"head_{one.id}"))
        blocks.append(context([act_of(row)], f"facts_{one.id}"))
        blocks += reason_of(one.reason, f"reason_{one.id}", forgotten=one.reason is None)
    return Message(what, [*blocks, *_foot(question, total, untold)])


def head_of(request: Request, url: str | None) -> list[Part]:
    on = [said(" on "), framed(_short(request.server))] if request.server is not None else []
    return [
        link(f"#{request.number}", url, bold=True),
        said(f" {_short(request.agent)} · "),
        framed(_short(request.tool)),
        *on,
    ]


def _short(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= _NAME else f"{shown[:_NAME]}… (+{len(shown) - _NAME:,})"


def decision_of(row: Row) -> str:
    request = row.request
    when = f", {date(request.decided_at)}" if request.decided_at else ""
    sign = state_sign(request, is_reported=row.is_reported)
    # Who approved a call did not make it succeed, and somebody else may have revoked or reported it.
    word = f"Approved, {state}" if (state := state_of(request)) is State.REVOKED else state_word(request)
    decision, _, since = f"{word}{', reported as wrong' if row.is_reported else ''}".partition(", ")
    parts = [f"{sign} *{decision}* {decided_by(request)}{when}", *([f"*{since}*"] if since else [])]
    if row.rule is not None:
        parts.append(f"rule {mrkdwn(row.rule.name)}")
    parts += [f"card in {channel_mention(row.card.channel)}"] if row.card and row.card.channel else []
    return " · ".join(parts)


def act_of(row: OverrideRow) -> str:
    one, request = row.override, row.row.request
    sign, word = OVERRIDE_SIGNS[one.kind], KINDS[one.kind]
    who = f"{'admin ' if one.kind is OverrideKind.FORCED else ''}{user_mention(one.user_id)}"
    parts = [f"{sign} *{word}* by {who}, {date(one.at)}", f"was {_displaced(row)}", _became(row)]
    if one.rule is not None:
        parts.append(f"rule {mrkdwn(one.rule)}")
    card = row.row.card
    parts += [f"card in {channel_mention(card.channel)}"] if card and card.channel else []
    return " · ".join(part for part in parts if part) + f" · `{COMMAND} show {request.number}`"


def _displaced(row: OverrideRow) -> str:
    one = row.override
    is_rule = one.displaced_by_kind == "rule"
    if one.displaced_by is None:
        return was(one.displaced, " by a rule" if is_rule else "")
    return was(
        one.displaced, f" by {f'rule {mrkdwn(one.displaced_by)}' if is_rule else user_mention(one.displaced_by)}"
    )


def _became(row: OverrideRow) -> str:
    """What became of it: of the vote that came of it, if there is one, else of the request."""
    if row.standing is not None:
        return _vote_ahead(row.standing, row.taker, is_reported=row.is_taker_reported)
    return f"now {state_word(row.row.request, is_reported=row.row.is_reported).lower()}"


def _vote_ahead(standing: StandingVote, taker: Request | None, *, is_reported: bool) -> str:
    if taker is not None:
        became = state_word(taker, is_reported=is_reported).lower()
        return f"the vote ahead was taken by #{taker.number}: {became}"
    if standing.lifted_at is not None:
        return "the vote ahead was lifted"
    return f"a vote ahead, good until {date(standing.expires_at)}"


def reason_of(text: str | None, block_id: str, *, forgotten: bool = False) -> list[Block]:
    if forgotten:
        return [context(["The reason is no longer kept."], block_id)]
    if not text:
        return []
    if changed_call_in(text) is not None:  # a call's arguments are on its card, and in no list
        return [context(["The changed call stands on the card."], block_id)]
    part = excerpt(text, _REASON_CHARACTERS, _REASON_LINES)
    blocks = [quote(part.shown, block_id)]
    if part.left_out:
        blocks.append(context([f"{how_many(part.left_out, 'more character')} of it"], f"{block_id}_rest"))
    return blocks


# --- figures ----------------------------------------------------------------------------------------------


def render_stats(question: Question, stats: Stats, asker: str, untold: int = 0) -> Message:
    """Counts, rates and times; of people only whom ``stats`` has."""
    what = f"{how_many(stats.total.decided, 'decision')}{_narrowed(stats.wanted)}"
    blocks = _top(question, what, _span(stats.wanted))
    blocks.append(section("\n".join(_figures(stats.total)), "total"))
    agents = sorted(stats.agents.items(), key=lambda pair: (-pair[1].decided, pair[0]))
    if len(agents) > 1:
        for at, (name, figures) in enumerate(agents[:MOST_AGENTS]):
            blocks.append(context([f"*{mrkdwn(name)}* {_in_short(figures)}"], f"agent_{at}"))
        if len(agents) > MOST_AGENTS:
            rest = how_many(len(agents) - MOST_AGENTS, "more agent")
            blocks.append(context([f"{rest}: `{COMMAND} stats agent:NAME`"], "agents"))
    people = sorted(stats.people.items(), key=lambda pair: (pair[0] != asker, -pair[1].decided, pair[0]))
    lines = [f"{'You' if user == asker else user_mention(user)}: {_person(one)}" for user, one in people[:MOST_PEOPLE]]
    if len(people) > MOST_PEOPLE:
        lines.append(f"and {len(people) - MOST_PEOPLE:,} more: `signoff stats` on the command line has them all")
    if lines:
        blocks.append(context(lines, "people"))
    return Message(what, [*blocks, *_foot(question, 0, untold)])


def _figures(figures: Figures) -> list[str]:
    asked = figures.approved - figures.approved_by_rule
    return [
        f"✅ *{figures.approved:,} approved* ({percent(figures.approval_rate)}): {asked:,} by people, "
        f"{figures.approved_by_rule:,} by rules",
        f"⛔ *{figures.denied:,} denied*, {figures.denied_by_people:,} of them by people · "
        f"⌛ *{figures.expired:,} expired*",
        f"People took {duration(figures.median_wait)} (median), {duration(figures.p90_wait)} (nine of ten)",
        f"Used: {figures.consumed:,} · succeeded: {figures.succeeded:,} · failed: {figures.failed:,} "
        f"({percent(figures.failure_rate)}) · withdrawn: {figures.revoked:,} · not used: {figures.lapsed:,}",
        f"{'🚨 ' if figures.overdue else ''}Overdue: {how_many(figures.overdue, 'call')} without an outcome in time",
        f"Overrides: {figures.overrides:,}, of {how_many(figures.overridden, 'request')}; "
        f"override rate *{percent(figures.override_rate)}*",
    ]


def _in_short(figures: Figures) -> str:
    late = f", {figures.overdue:,} overdue" if figures.overdue else ""
    return (
        f"{how_many(figures.decided, 'decision')}: {figures.approved:,} approved, {figures.denied:,} denied, "
        f"{figures.expired:,} expired{late} · median {duration(figures.median_wait)} · "
        f"override rate {percent(figures.override_rate)}"
    )


def _person(figures: PersonFigures) -> str:
    votes = f"{how_many(figures.approvals, 'approval')}, {how_many(figures.denials, 'denial')}"
    took = f" in {duration(figures.median_wait)} (median)" if figures.waits else ""
    return f"{votes}; decided {how_many(figures.decided, 'request')}{took}; {how_many(figures.overrides, 'override')}"


def _rate(overridden: Overridden) -> list[str]:
    counts = ", ".join(f"{KINDS[kind].lower()} {count:,}" for kind, count in overridden.kinds.most_common())
    rate = (
        f"*Override rate {percent(overridden.rate)}*: {how_many(overridden.requests, 'request')} overridden, "
        f"{overridden.decided:,} decided in that time."
    )
    return [rate, *([counts[0].upper() + counts[1:]] if counts else [])]


def percent(share: float | None) -> str:
    """A share of one; a dash where there is nothing to take a share of."""
    return "–" if share is None else f"{share:.1%}"  # noqa: RUF001


def duration(took: timedelta | None) -> str:
    """A length of time with at most two units."""
    if took is None:
        return "–"  # noqa: RUF001
    seconds = round(took.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    size, unit, smaller, sub = next(one for one in _UNITS if seconds >= one[0])
    rest = seconds % size // smaller
    return f"{seconds // size} {unit} {rest} {sub}" if rest else f"{seconds // size} {unit}"


# --- around a list ----------------------------------------------------------------------------------------


def _top(question: Question, what: str, span: str = "") -> list[Block]:
    return [section(f"*{what}*{span}", "title"), *_readings(question)]


def _readings(question: Question) -> list[Block]:
    """What a mistyped word was taken for."""
    return [context([f"{mrkdwn('; '.join(question.readings))}."], "readings")] if question.readings else []


def _foot(question: Question, total: int, untold: int) -> list[Block]:
    blocks: list[Block] = []
    page, pages = page_of(question, total)
    if pages > 1:
        first = (page - 1) * ROWS + 1
        words = f"{first:,} to {min(page * ROWS, total):,} of {total:,}. Page {page:,} of {pages:,}"
        blocks.append(context([f"{words}; add `page {page + 1 if page < pages else page - 1}` for another."], "page"))
        near = [("Back", page - 1)] if page > 1 else []
        near += [("Next", page + 1)] if page < pages else []
        turns = [(label, at, as_value(question.on_page(at))) for label, at in near]
        buttons = [button(label, f"{TURN}_{label.lower()}", value) for label, _, value in turns if value is not None]
        if buttons:
            blocks.append(actions(buttons, "turn"))
    return [*blocks, *untold_of(untold)]


def untold_of(untold: int) -> list[Block]:
    """Say that more may be there that only Slack could tell; nothing where it told all."""
    if not untold:
        return []
    words = f"Slack did not say who is in {how_many(untold, 'user group')}: what you see by those alone is missing."
    return [context([f":warning: {words}"], "untold")]


def _for_whom(question: Question) -> str:
    agent = f" of {mrkdwn(question.agent[:_NAME])}" if question.agent is not None else ""
    if question.is_mine:
        return f"{agent} for you"
    if question.user is not None:
        return f"{agent} for {user_mention(question.user)}"
    return f"{agent} in {channel_mention(question.channel)}" if question.channel is not None else agent


def _narrowed(wanted: Wanted) -> str:
    parts = [
        f" of {mrkdwn(wanted.agent[:_NAME])}" if wanted.agent is not None else "",
        f" of the tool {name_in_mrkdwn(wanted.tool[:_NAME])}" if wanted.tool is not None else "",
        f" under the rule {mrkdwn(wanted.rule[:_NAME])}" if wanted.rule is not None else "",
        f" by {user_mention(wanted.by)}" if wanted.by is not None else "",
        f", {KINDS[wanted.kind].lower()} only" if wanted.kind is not None else "",
        f", {wanted.status.value} only" if wanted.status is not None else "",
    ]
    return "".join(parts)


def _span(wanted: Wanted) -> str:
    return f", {date(wanted.period.since)} to {date(wanted.period.until)}"

"""The parts that every drawing of a request is put together from: what is wanted, the call, the claim, the facts.

Pure. Each part is a list of blocks. What a part cannot hold it says it leaves out, and where to see it.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from bot.outbox import Drawing
from bot.policy import reviewer_usergroups, reviewer_users
from handlers.slack.blocks import Block, Part, context, frame, framed, line, said
from handlers.slack.lookalikes import warnings
from handlers.slack.outline import Entry, Outline, outline
from handlers.slack.text import date, excerpt, how_many, mrkdwn, user_mention, usergroup_mention, visible
from store.tables import Request

CARD_CHARACTERS = 2400
CARD_LINES = 40
ENTRY_LINES = 6
ENTRY_CHARACTERS = 320
CLAIM_CHARACTERS = 700
CLAIM_LINES = 12
MAX_MENTIONS = 20


def call_outline(request: Request) -> Outline:
    return outline(request.arguments)


def fits_card(request: Request) -> bool:
    """Whether a card shows the whole call. Depends on the call alone, so that it never changes between redraws."""
    call = call_outline(request)
    names = len(visible(request.tool)) + len(visible(request.server or ""))
    return call.size + names <= CARD_CHARACTERS and len(call.lines) <= CARD_LINES


# --- the call ---------------------------------------------------------------------------------------------


def wanted(request: Request) -> list[Part]:
    """One line of what is wanted: agent, tool, server."""
    parts = [said(visible(request.agent), bold=True), said(" wants to run "), framed(visible(request.tool))]
    if request.server is not None:
        parts += [said(" on "), framed(visible(request.server))]
    return parts


def whole_call(request: Request) -> list[Block]:
    """Every argument, for a call that fits a card."""
    lines = call_outline(request).lines
    if not lines:
        return [context(["The call has no arguments."], "arguments")]
    return [frame("\n".join(lines), "arguments")]


def part_of_call(request: Request) -> list[Block]:
    """What a card can show of a call that does not fit it: each argument's beginning, and how much is missing."""
    call = call_outline(request)
    shown, lines_shown = _beginnings(call)
    blocks = [frame("\n".join(shown), "arguments")] if shown else []
    said_so = (
        f"⚠️ *Not the whole call.* {how_many(len(call.lines) - lines_shown, 'line')} of "
        f"{how_many(len(call.lines), 'line')} ({how_many(call.size, 'character')} in all) "
        f"{'is' if len(call.lines) - lines_shown == 1 else 'are'} missing here, or shown in part. "
        "*Review* shows all of it; approving is on its last page."
    )
    return [*blocks, context([said_so], "missing")]


def _beginnings(call: Outline) -> tuple[list[str], int]:
    """The first lines of each argument, as many arguments as a card holds, and how many whole lines that shows."""
    shown: list[str] = []
    whole = size = 0
    for at, entry in enumerate(call.entries):
        lines, count = _beginning(entry)
        length = sum(map(len, lines)) + len(lines)
        if size + length > CARD_CHARACTERS // 2 or len(shown) + len(lines) > CARD_LINES - 10:
            shown.append(f"… {how_many(len(call.entries) - at, 'more argument')} not shown here")
            break
        shown += lines
        size += length
        whole += count
    return shown, whole


def _beginning(entry: Entry) -> tuple[list[str], int]:
    """The first lines of an argument; lines of our own begin with ``…``."""
    kept: list[str] = []
    size = 0
    for line_ in entry.lines:
        size += len(line_) + 1
        if len(kept) == ENTRY_LINES or size > ENTRY_CHARACTERS:
            break
        kept.append(line_)
    rest = len(entry.lines) - len(kept)
    if rest == 0:
        return kept, len(kept)
    if not kept:
        head = entry.lines[0][: ENTRY_CHARACTERS // 2]
        return [head, f"… {how_many(entry.size - len(head), 'more character')} not shown here"], 0
    return [*kept, f"… {how_many(rest, 'more line')} not shown here"], len(kept)


@lru_cache(maxsize=64)
def _warned(arguments: str, *others: str) -> tuple[str, ...]:
    return tuple(warnings([*others, *outline(arguments).strings]))


def warning(request: Request, block_id: str = "warning") -> list[Block]:
    """What is odd about the letters of the call; nothing for most."""
    return _warning(_warned(request.arguments, request.tool, request.server or ""), block_id)


def _warning(found: Iterable[str], block_id: str) -> list[Block]:
    parts = [said(f"⚠️ {words}") for words in found]
    spaced = [part for one in parts for part in (said("\n"), one)][1:]
    return [line(spaced, block_id)] if spaced else []


# --- what the agent says ----------------------------------------------------------------------------------


def claim(request: Request) -> list[Block]:
    """The agent's reasoning, apart and labelled; how much of it, and of its context, is not shown."""
    blocks: list[Block] = []
    if request.agent_reasoning is not None:
        part = excerpt(request.agent_reasoning, CLAIM_CHARACTERS, CLAIM_LINES)
        label = [said("The agent's claim", bold=True), said(", not checked:")]
        blocks += [line(label, "claim_label"), frame(part.shown or "(empty)", "claim")]
        blocks += _warning(warnings([part.shown]), "claim_warning")
        if part.left_out:
            blocks.append(
                context([f"{how_many(part.left_out, 'more character')} of the claim: see Details."], "claim_rest")
            )
    if request.context is not None:
        sent = how_many(len(request.context), "character")
        blocks.append(context([f"The agent also sent context ({sent}): see Details."], "context_rest"))
    return blocks


# --- facts ------------------------------------------------------------------------------------------------


def facts(drawing: Drawing) -> list[str]:
    """Agent, instance, rule, number, deadline, in small print; one mrkdwn line each."""
    request = drawing.request
    rule = f" · rule {mrkdwn(drawing.rule.name)}" if drawing.rule else ""
    return [
        f"Decide by *{date(request.deadline_at)}* · #{request.number}",
        f"Agent {mrkdwn(request.agent)} · instance {mrkdwn(drawing.instance.name)}{rule}",
    ]


def deciders(drawing: Drawing) -> list[str]:
    """Mention everybody who may decide, owners left out; each a mrkdwn piece."""
    if drawing.rule is None:
        return []
    users = [user for user in reviewer_users(drawing.rule) if user not in drawing.owners]
    return [*map(user_mention, users), *map(usergroup_mention, reviewer_usergroups(drawing.rule))]


def decider_groups(drawing: Drawing) -> str:
    """Name the groups of reviewers without pinging anybody."""
    return ", ".join(mrkdwn(group.name) for group in drawing.rule.reviewers) if drawing.rule else "nobody"


def some_of(pieces: list[str], most: int = MAX_MENTIONS) -> str:
    """Join mentions; those beyond ``most`` are counted."""
    rest = len(pieces) - most
    return " ".join(pieces[:most]) + (f" and {rest} more (see Details)" if rest > 0 else "")


def in_sections(pieces: Iterable[str], limit: int) -> Iterator[str]:
    """Join mrkdwn pieces into texts of at most ``limit`` characters, none dropped."""
    text = ""
    for piece in pieces:
        if text and len(text) + 1 + len(piece) > limit:
            yield text
            text = piece
        else:
            text = f"{text} {piece}" if text else piece
    if text:
        yield text

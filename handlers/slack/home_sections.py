"""The Home tab below what waits: what its person decided, agents with their switch, overrides, votes ahead. Pure.

Each list is short, and says how many more there are and what to type for them.
"""

from collections.abc import Iterator
from typing import Any

from bot.ahead import HeldVote
from bot.homes import AgentHere, Overview
from handlers.manifest import COMMAND
from handlers.slack.blocks import Block, button, context, divider, line, quote, said, section
from handlers.slack.halt_answers import who_stopped
from handlers.slack.held import held_vote
from handlers.slack.report_words import Address, act_of, decision_of, head_of, percent, reason_of, untold_of
from handlers.slack.text import excerpt, how_many, mrkdwn
from store.tables import Halt, HaltEffect

PAUSE = "home_pause"
RESUME = "home_resume"
_MOST_STAGES = 4
_OTHERS = "It is for others to resume, not for you."
_REASON_CHARACTERS, _REASON_LINES = 200, 2


def render_below(overview: Overview, address: Address) -> list[Block]:
    """Draw all of it; nothing of a list that is empty."""
    return [
        *_agents(overview),
        *_stopped(overview),
        *_votes(overview, address),
        *_decided(overview, address),
        *_overrides(overview, address),
        *untold_of(overview.held.untold),
    ]


def _title(words: str, block_id: str) -> list[Block]:
    return [divider(), line([said(words, bold=True)], block_id)]


def _more(count: int, thing: str, typed: str, block_id: str) -> Iterator[Block]:
    if count > 0:
        yield context([f"{how_many(count, f'more {thing}')}: `{COMMAND} {typed}`"], block_id)


# --- agents -----------------------------------------------------------------------------------------------


def _agents(overview: Overview) -> Iterator[Block]:
    if not overview.agents:
        return
    yield from _title("Agents that you can pause", "agents")
    for at, agent in enumerate(overview.agents):
        yield from _agent(agent, f"agent_{at}")
    yield from _more(overview.agent_count - len(overview.agents), "agent", "pause AGENT REASON", "agents_rest")


def _agent(agent: AgentHere, block_id: str) -> Iterator[Block]:
    owned = " · yours" if agent.owns else ""
    words = f"*{mrkdwn(agent.name)}*{owned}\n{_stages(agent)}"
    value = f"agent:{agent.name}"
    if not agent.pauses:
        yield _with_button(section(words, block_id), button("Pause…", PAUSE, value))
        return
    last = agent.pauses[-1]
    others = f" {how_many(len(agent.pauses) - 1, 'more pause')} of it." if len(agent.pauses) > 1 else ""
    told = f"{_sign(last)} {who_stopped(last, named=True)}"
    shown = section(f"{words}\n{told}{others}", block_id)
    yield _with_button(shown, button("Resume…", RESUME, value, "primary")) if agent.may_resume else shown
    yield quote(excerpt(last.reason, _REASON_CHARACTERS, _REASON_LINES).shown, f"{block_id}_reason")
    if not agent.may_resume:
        yield context([_OTHERS], f"{block_id}_kept")


def _stages(agent: AgentHere) -> str:
    if not agent.stages:
        return "No rule: all of its calls are denied."
    shown = [f"{mrkdwn(rule)}: {stage}" for rule, stage in agent.stages[:_MOST_STAGES]]
    rest = len(agent.stages) - _MOST_STAGES
    return " · ".join([*shown, *([how_many(rest, "more rule")] if rest > 0 else [])])


def _stopped(overview: Overview) -> Iterator[Block]:
    if not overview.stopped:
        return
    yield from _title("Stopped now", "stopped")
    for halt in overview.stopped:
        block_id = f"halt_{halt.id}"
        shown = section(f"{_sign(halt)} {who_stopped(halt, named=True)}", block_id)
        yield shown if halt.id in overview.kept else _with_button(shown, _resume(halt))
        yield quote(excerpt(halt.reason, _REASON_CHARACTERS, _REASON_LINES).shown, f"{block_id}_reason")
        if halt.id in overview.kept:
            yield context([_OTHERS], f"{block_id}_kept")
    rest = overview.stopped_count - len(overview.stopped)
    if rest > 0:
        yield context([f"{rest:,} more: `{COMMAND} pause`"], "stopped_rest")


def _sign(halt: Halt) -> str:
    return "⏸" if halt.effect is HaltEffect.DENY else "🛑"


def _resume(halt: Halt) -> dict[str, Any]:
    return button("Resume…", RESUME, f"{halt.scope.value}:{halt.name}")


def _with_button(block: Block, made: dict[str, Any]) -> Block:
    return {**block, "accessory": made}


# --- lists ------------------------------------------------------------------------------------------------


def _votes(overview: Overview, address: Address) -> Iterator[Block]:
    held = overview.held
    if not held.total:
        return
    yield from _title("Held ahead", "held")
    votes = [one for one in held.shown if isinstance(one, HeldVote)]
    for one in votes:
        yield from held_vote(one, address)
    rest = [how_many(held.votes - len(votes), "more vote")] if held.votes > len(votes) else []
    rest += [how_many(held.denials, "remembered denial")] if held.denials else []
    if rest:
        yield context([f"{' and '.join(rest)}: `{COMMAND} standing`"], "held_rest")


def _decided(overview: Overview, address: Address) -> Iterator[Block]:
    page = overview.decided.page
    if not page.rows:
        return
    yield from _title("You decided in the last 7 days", "decided")
    for row in page.rows:
        yield line(head_of(row.request, address(row.card)), f"decided_{row.request.number}")
        yield context([decision_of(row)], f"decided_{row.request.number}_facts")
    yield from _more(page.total - len(page.rows), "decision", "recent 7d by:me", "decided_rest")


def _overrides(overview: Overview, address: Address) -> Iterator[Block]:
    overridden = overview.overridden
    if not overridden.page.rows:
        return
    yield from _title(f"Last overrides · override rate {percent(overridden.rate)} in 30 days", "overrides")
    for row in overridden.page.rows:
        block_id = f"override_{row.override.id}"
        yield line(head_of(row.row.request, address(row.row.card)), block_id)
        yield context([act_of(row)], f"{block_id}_facts")
        yield from reason_of(row.override.reason, f"{block_id}_reason", forgotten=row.override.reason is None)
    yield from _more(overridden.page.total - len(overridden.page.rows), "override", "overrides 30d", "overrides_rest")

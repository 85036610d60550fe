"""LangChain and LangGraph agents, through the client's own middleware, ask the running service; people click."""

import asyncio
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tests.scenario.frameworks_support import (
    CLAIM,
    NOTE,
    PAID_ONCE,
    PROMPT,
    TOO_LATE,
    USED_UP,
    Till,
    approve,
    deny,
    hire,
    state_of,
    till,
    work,
)
from tests.scenario.service_support import Workplace, cards
from tests.scenario.steps_support import planned
from tests.waiting import until, within

if TYPE_CHECKING:
    from tests.scenario.langgraph_support import Desk

__all__ = ["hire", "till", "work"]

ASK = {"messages": PROMPT}
THREAD = {"configurable": {"thread_id": "ticket-4711"}}
IN_STEPS = planned(
    '[oncall.finance]\nusers = ["U0IVY"]\n[plans.standard]\n[[plans.standard.steps]]\nafter = "20m"\n'
    'notify = ["thread"]\n[[plans.standard.steps]]\nafter = "25m"\nnotify = ["oncall:finance"]\n'
    'widen = ["oncall:finance"]\n'
)
BOTH = pytest.mark.parametrize("way", ["invoke", "ainvoke"])


@pytest.fixture(scope="module")
def support() -> ModuleType:
    """The framework, imported when the first of these tests runs: it takes seconds."""
    from tests.scenario import langgraph_support

    return langgraph_support


async def run(desk: "Desk", given: Any, way: str = "invoke", config: Any = None) -> dict[str, Any]:
    """Run the graph in a thread, or as a coroutine, until it ends or pauses."""
    if way == "ainvoke":
        return dict(await within(desk.graph.ainvoke(given, config)))
    return dict(await within(asyncio.to_thread(desk.graph.invoke, given, config)))


def said(result: dict[str, Any]) -> str:
    return str(result["messages"][-1].text)


def ids_in(result: dict[str, Any]) -> list[str]:
    """The requests that a paused run says it waits for."""
    return [interrupt.value["aap_request_id"] for interrupt in result["__interrupt__"]]


@BOTH
async def test_an_approved_tool_runs_once(work: Workplace, till: Till, hire: Any, way: str) -> None:
    running = asyncio.ensure_future(run(hire(), ASK, way))
    card = await work.card()
    assert CLAIM in card.all_text()
    assert till.paid == []
    await approve(work)
    assert said(await running) == "I was told: paid 4900 for A-1001"
    assert till.paid == PAID_ONCE
    assert state_of(work) == [("approved", "succeeded")]


@BOTH
async def test_a_denied_tool_does_not_run_and_the_model_reads_why(
    work: Workplace, till: Till, hire: Any, way: str
) -> None:
    running = asyncio.ensure_future(run(hire(), ASK, way))
    await deny(work)
    told = said(await running)
    assert "denied this call" in told
    assert NOTE in told
    assert till.paid == []


async def test_a_tool_that_nobody_approved_in_time_does_not_run(work: Workplace, till: Till, hire: Any) -> None:
    running = asyncio.ensure_future(run(hire(), ASK))
    await work.card()
    await work.advance(hours=1)
    assert TOO_LATE in said(await running)
    assert till.paid == []
    assert state_of(work) == [("expired", None)]


@BOTH
@pytest.mark.parametrize("work", [IN_STEPS], indirect=True)
async def test_an_agent_lives_through_two_steps_and_gets_its_answer(
    work: Workplace, till: Till, hire: Any, way: str
) -> None:
    """Set up as its page says. Its reviewers sleep; whom the second step asks, and lets decide, does not."""
    running = asyncio.ensure_future(run(hire(), ASK, way))
    card = await work.card()
    await work.advance(minutes=20)
    reply = await work.slack.until(lambda: next((m for m in work.slack.messages("C0REFUNDS") if m.is_reply), None))
    assert reply.thread_ts == card.ts
    became = "SELECT state FROM step_targets ORDER BY id"
    await until(lambda: work.rows(became) == [("notified",)])
    await work.advance(minutes=25)
    copy = await work.slack.until(lambda: next(iter(work.slack.messages("U0IVY")), None))
    assert not running.done()
    await until(lambda: work.rows(became) == [("notified",), ("notified",)])
    assert (await work.slack.click("U0IVY", copy.channel, copy.ts, "approve")).ok
    assert said(await running) == "I was told: paid 4900 for A-1001"
    assert till.paid == PAID_ONCE
    assert state_of(work) == [("approved", "succeeded")]
    assert len(cards(work.slack)) == 1


async def test_a_tool_that_fails_is_reported_as_failed(work: Workplace, till: Till, hire: Any) -> None:
    till.is_broken = True
    running = asyncio.ensure_future(run(hire(), ASK, "ainvoke"))
    await approve(work)
    with pytest.raises(OSError, match="payment service"):
        await running
    assert state_of(work) == [("approved", "failed")]


@BOTH
async def test_a_paused_run_is_resumed_elsewhere_and_the_tool_runs_once(
    work: Workplace, till: Till, hire: Any, support: ModuleType, way: str
) -> None:
    saver = support.InMemorySaver()
    first = hire(saver=saver, mode="async")
    paused = await run(first, ASK, way, THREAD)
    assert till.paid == []
    then = first.graph.get_state(THREAD).config
    assert ids_in(paused) == [await approve(work)]

    done = await run(hire(saver=saver, mode="async"), support.Command(resume="wake"), way, THREAD)
    assert said(done) == "I was told: paid 4900 for A-1001"
    assert till.paid == PAID_ONCE

    # Once more from where it paused, as after a backup that was played back: the approval is used up.
    again = await run(hire(saver=saver, mode="async"), support.Command(resume="wake"), way, then)
    assert USED_UP in said(again)
    assert till.paid == PAID_ONCE
    assert state_of(work) == [("approved", "succeeded")]
    assert len(cards(work.slack)) == 1


async def test_two_that_resume_at_the_same_time_run_the_tool_once(
    work: Workplace, till: Till, hire: Any, support: ModuleType
) -> None:
    saver = support.InMemorySaver()
    first = hire(saver=saver, mode="async")
    await run(first, ASK, "ainvoke", THREAD)
    then = first.graph.get_state(THREAD).config
    await approve(work)
    both = [run(hire(saver=saver, mode="async"), support.Command(resume="wake"), "ainvoke", then) for _ in range(2)]
    answers = sorted(said(result) for result in await asyncio.gather(*both))
    assert answers[1] == "I was told: paid 4900 for A-1001"
    assert USED_UP in answers[0]
    assert till.paid == PAID_ONCE


async def test_to_resume_is_not_to_approve(work: Workplace, till: Till, hire: Any, support: ModuleType) -> None:
    saver = support.InMemorySaver()
    paused = await run(hire(saver=saver, mode="async"), ASK, config=THREAD)
    yes = support.Command(resume={"type": "accept", "approved": True, "status": "approved"})
    still = await run(hire(saver=saver, mode="async"), yes, config=THREAD)
    assert ids_in(still) == ids_in(paused)
    assert till.paid == []
    assert state_of(work) == [("pending", None)]

    await deny(work)
    told = said(await run(hire(saver=saver, mode="async"), yes, config=THREAD))
    assert NOTE in told
    assert till.paid == []
    assert len(cards(work.slack)) == 1


async def test_who_resumes_after_the_approval_lapsed_is_too_late(
    work: Workplace, till: Till, hire: Any, support: ModuleType
) -> None:
    saver = support.InMemorySaver()
    await run(hire(saver=saver, mode="async"), ASK, config=THREAD)
    await approve(work)
    await work.advance(minutes=5)
    told = said(await run(hire(saver=saver, mode="async"), support.Command(resume="wake"), config=THREAD))
    assert TOO_LATE in told
    assert till.paid == []


async def test_two_calls_of_one_turn_wait_for_their_own_decisions(
    work: Workplace, till: Till, hire: Any, support: ModuleType
) -> None:
    saver, orders = support.InMemorySaver(), ("A-1001", "A-1002")
    paused = await run(hire(saver=saver, mode="async", orders=orders), ASK, "ainvoke", THREAD)
    assert len(set(ids_in(paused))) == 2
    decided = await approve(work)
    wake = support.Command(resume={interrupt.id: "wake" for interrupt in paused["__interrupt__"]})
    still = await run(hire(saver=saver, mode="async", orders=orders), wake, "ainvoke", THREAD)
    assert len(till.paid) == 1
    assert ids_in(still) == [request for request in ids_in(paused) if request != decided]

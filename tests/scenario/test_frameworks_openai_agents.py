"""Agents of the OpenAI Agents SDK, through the client's own adapter, ask the running service; people click."""

import asyncio
import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from agentapprovalprotocol import AsyncClient

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
from tests.scenario.service_support import Workplace, cards, payload_of
from tests.waiting import within

if TYPE_CHECKING:
    from tests.scenario.openai_agents_support import Desk

__all__ = ["hire", "till", "work"]

RUN = "ticket-4711"


@pytest.fixture(scope="module")
def support() -> ModuleType:
    """The framework, imported when the first of these tests runs: it takes seconds."""
    from tests.scenario import openai_agents_support

    return openai_agents_support


def start(support: ModuleType, desk: "Desk") -> "asyncio.Future[Any]":
    return asyncio.ensure_future(within(support.Runner.run(desk.agent, PROMPT)))


async def wake(work: Workplace, desk: "Desk", request_id: str) -> None:
    """Tell the adapter that a request was decided, as a notification would."""
    client = AsyncClient(work.agents_url, work.token)
    try:
        request = await client.get(request_id)
    finally:
        await client.aclose()
    handle = (request.context or {})["resume"]
    assert handle == {"framework": "openai-agents", "run_id": RUN}
    await within(desk.approvals.resumer(desk.agent)(handle, request))


def told(states: dict[str, str]) -> list[str]:
    """What the model was told in place of, or by, its tool, as the stored run has it."""
    items = json.loads(states[RUN])["generated_items"]
    return [item["output"] for item in items if item["type"] == "tool_call_output_item"]


async def test_an_approved_tool_runs_once(work: Workplace, till: Till, hire: Any, support: ModuleType) -> None:
    running = start(support, hire())
    card = await work.card()
    assert CLAIM in card.all_text()
    assert till.paid == []
    await approve(work)
    assert (await running).final_output == "I was told: paid 4900 for A-1001"
    assert till.paid == PAID_ONCE
    assert state_of(work) == [("approved", "succeeded")]


async def test_a_denied_tool_does_not_run_and_the_model_reads_why(
    work: Workplace, till: Till, hire: Any, support: ModuleType
) -> None:
    running = start(support, hire())
    await deny(work)
    answer = (await running).final_output
    assert "denied this call" in answer
    assert NOTE in answer
    assert till.paid == []


async def test_a_tool_that_nobody_approved_in_time_does_not_run(
    work: Workplace, till: Till, hire: Any, support: ModuleType
) -> None:
    running = start(support, hire())
    await work.card()
    await work.advance(hours=1)
    assert TOO_LATE in (await running).final_output
    assert till.paid == []
    assert state_of(work) == [("expired", None)]


async def test_a_tools_exception_becomes_a_text_for_the_model_and_counts_as_success(
    work: Workplace, till: Till, hire: Any, support: ModuleType
) -> None:
    till.is_broken = True
    running = start(support, hire())
    await approve(work)
    assert "error occurred while running the tool" in (await running).final_output
    assert state_of(work) == [("approved", "succeeded")]


async def test_a_paused_run_is_resumed_elsewhere_and_the_tool_runs_once(work: Workplace, till: Till, hire: Any) -> None:
    states: dict[str, str] = {}
    first = hire(states=states)
    paused = await within(first.approvals.run(first.agent, PROMPT, run_id=RUN))
    assert [item.tool_name for item in paused.interruptions] == ["issue_refund"]
    assert till.paid == []
    then = states[RUN]
    request_id = await approve(work)

    await wake(work, hire(states=states), request_id)
    assert till.paid == PAID_ONCE
    assert told(states) == ["paid 4900 for A-1001"]

    # The same news again, as deliveries are repeated: nothing waits for it any more.
    await wake(work, hire(states=states), request_id)
    assert told(states) == ["paid 4900 for A-1001"]

    # And again on the state as it was when the run paused, as after a backup that was played back.
    states[RUN] = then
    await wake(work, hire(states=states), request_id)
    assert till.paid == PAID_ONCE
    assert USED_UP in told(states)[0]
    assert state_of(work) == [("approved", "succeeded")]
    assert len(cards(work.slack)) == 1


async def test_two_that_resume_at_the_same_time_run_the_tool_once(work: Workplace, till: Till, hire: Any) -> None:
    states: dict[str, str] = {}
    first = hire(states=states)
    await within(first.approvals.run(first.agent, PROMPT, run_id=RUN))
    request_id = await approve(work)
    await asyncio.gather(*(wake(work, hire(states=dict(states)), request_id) for _ in range(2)))
    assert till.paid == PAID_ONCE


async def test_a_paused_run_that_is_denied_goes_on_without_the_tool(work: Workplace, till: Till, hire: Any) -> None:
    states: dict[str, str] = {}
    first = hire(states=states)
    await within(first.approvals.run(first.agent, PROMPT, run_id=RUN))
    request_id = await deny(work)
    await wake(work, hire(states=states), request_id)
    assert NOTE in told(states)[0]
    assert till.paid == []


async def test_to_resume_is_not_to_approve(work: Workplace, till: Till, hire: Any, support: ModuleType) -> None:
    states: dict[str, str] = {}
    first = hire(states=states)
    await within(first.approvals.run(first.agent, PROMPT, run_id=RUN))
    then = states[RUN]
    card = await work.card()
    await wake(work, hire(states=states), payload_of(card)["request_id"])
    assert states[RUN] == then

    second = hire(states=states)
    state = await support.RunState.from_string(second.agent, then)
    (item,) = state.get_interruptions()
    state.approve(item)
    with pytest.raises(support.ToolInputGuardrailTripwireTriggered):
        await within(support.Runner.run(second.agent, state))
    assert till.paid == []
    assert state_of(work) == [("pending", None)]


async def test_who_resumes_after_the_approval_lapsed_is_too_late(work: Workplace, till: Till, hire: Any) -> None:
    states: dict[str, str] = {}
    first = hire(states=states)
    await within(first.approvals.run(first.agent, PROMPT, run_id=RUN))
    request_id = await approve(work)
    await work.advance(minutes=5)
    await wake(work, hire(states=states), request_id)
    assert TOO_LATE in told(states)[0]
    assert till.paid == []

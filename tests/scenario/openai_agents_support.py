"""OpenAI agents with a fake model: it asks for one refund, then says what it was told. Tracing is off.

The model decides by the conversation alone, so a run restored from its stored state goes on where another stopped.
"""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from agentapprovalprotocol.openai_agents import Approvals
from agents import (
    Agent,
    FunctionTool,
    Handoff,
    Model,
    ModelResponse,
    ModelSettings,
    ModelTracing,
    Runner,
    RunState,
    Tool,
    ToolInputGuardrailTripwireTriggered,
    TResponseInputItem,
    Usage,
    function_tool,
    set_tracing_disabled,
)
from agents.agent_output import AgentOutputSchemaBase
from agents.items import TResponseStreamEvent
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from openai.types.responses.response_prompt_param import ResponsePromptParam

from tests.scenario.refunds import AMOUNT, CLAIM, ORDER, TOOL, Till

if TYPE_CHECKING:
    from tests.scenario.service_support import Workplace

__all__ = ["Desk", "FakeModel", "RunState", "Runner", "ToolInputGuardrailTripwireTriggered"]

set_tracing_disabled(True)


class FakeModel(Model):
    """Asks for the refund once, then repeats the tool's answer as its own."""

    def __init__(self, order: str = ORDER) -> None:
        self._order = order

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        items: list[Any] = [] if isinstance(input, str) else list(input)
        told = [str(item["output"]) for item in items if item.get("type") == "function_call_output"]
        if told:
            return ModelResponse([_says("I was told: " + " | ".join(told))], Usage(), None)
        arguments = json.dumps({"order": self._order, "amount": AMOUNT})
        call = ResponseFunctionToolCall(type="function_call", call_id="call-1", name=TOOL, arguments=arguments)
        return ModelResponse([_says(CLAIM), call], Usage(), None)

    def stream_response(self, *args: Any, **options: Any) -> AsyncIterator[TResponseStreamEvent]:
        raise NotImplementedError("these tests do not stream")


def _says(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(
        id="message-1", content=[content], role="assistant", status="completed", type="message"
    )


class Desk:
    """An agent of its own making: new model, new tool, new approvals. Only ``states`` is shared, as a database would.

    A run that a desk started and another resumes must be given the same options: they are part of the request.
    """

    def __init__(
        self,
        work: "Workplace",
        till: Till,
        *,
        states: dict[str, str] | None = None,
        order: str = ORDER,
        **options: Any,
    ) -> None:
        @function_tool
        def issue_refund(order: str, amount: int) -> str:
            """Refund an order; the amount is in cents."""
            return till.pay(order, amount)

        assert isinstance(issue_refund, FunctionTool)
        if states is not None:
            options = {"mode": "async", "save": states.__setitem__, "load": states.get, **options}
        self.approvals = Approvals(work.agents_url, work.token, **options)
        self.agent: Agent[Any] = self.approvals.protect(
            Agent(name="till", model=FakeModel(order), tools=[issue_refund])
        )

    async def close(self) -> None:
        await self.approvals.gate.client.aclose()

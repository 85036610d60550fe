"""LangChain agents with a fake model: it asks for one refund, then says what it was told.

The model decides by the conversation alone, so a graph made anew goes on where another stopped, as with a real one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentapprovalprotocol.langgraph import ApprovalMiddleware
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from tests.scenario.refunds import AMOUNT, CLAIM, ORDER, TOOL, Till

if TYPE_CHECKING:
    from tests.scenario.service_support import Workplace

__all__ = ["Command", "Desk", "FakeChatModel", "InMemorySaver"]


class FakeChatModel(BaseChatModel):
    """Asks for the refunds once, then repeats the tools' answers as its own."""

    orders: tuple[str, ...] = (ORDER,)

    @property
    def _llm_type(self) -> str:
        return "fake"

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Runnable[LanguageModelInput, AIMessage]:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        told = [message.text for message in messages if isinstance(message, ToolMessage)]
        if told:
            answer = AIMessage("I was told: " + " | ".join(told))
        else:
            calls = [
                ToolCall(name=TOOL, args={"order": order, "amount": AMOUNT}, id=f"call-{order}")
                for order in self.orders
            ]
            answer = AIMessage(CLAIM, tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=answer)])


class Desk:
    """An agent of its own making: new model, new middleware, new graph. Only ``saver`` is shared."""

    def __init__(
        self,
        work: "Workplace",
        till: Till,
        *,
        saver: InMemorySaver | None = None,
        orders: tuple[str, ...] = (ORDER,),
        **options: Any,
    ) -> None:
        def issue_refund(order: str, amount: int) -> str:
            """Refund an order; the amount is in cents."""
            return till.pay(order, amount)

        self.approvals = ApprovalMiddleware(work.agents_url, work.token, **options)
        self.graph = create_agent(
            FakeChatModel(orders=orders), tools=[issue_refund], middleware=[self.approvals], checkpointer=saver
        )

    async def close(self) -> None:
        """Close what the middleware opened, in whichever way the graph was run."""
        if self.approvals._gate is not None:
            self.approvals._gate.client.close()
        if self.approvals._async_gate is not None:
            await self.approvals._async_gate.client.aclose()

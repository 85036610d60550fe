"""The refund that all the fake models ask for. Imports nothing: processes of their own begin with this."""

from dataclasses import dataclass, field
from typing import Any

TOOL = "issue_refund"
ORDER, AMOUNT = "A-1001", 4900
CLAIM = "It arrived broken, so the policy covers it."
PROMPT = "Refund order A-1001: it arrived broken."
PATIENT: dict[str, Any] = {"timeout": "1h", "wait_limit": 3600}  # the options that every page recommends
NOTE = "Ask the customer for a photo first."
USED_UP = "already attempted"  # from the client's words for an approval that is consumed
TOO_LATE = "expired"  # from the client's words for a request or an approval that came to its end


@dataclass
class Till:
    """The tool's own side: what was really paid out, and what the model said last."""

    paid: list[tuple[str, int]] = field(default_factory=list)
    is_broken: bool = False

    def pay(self, order: str, amount: int) -> str:
        if self.is_broken:
            raise OSError("the payment service is down")
        self.paid.append((order, amount))
        return f"paid {amount} for {order}"

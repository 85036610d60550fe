"""The agent's console: sends calls through the real client of the agents' protocol, step by step.

It is some agents and nothing more: it knows the base URL and their tokens, and sees what any agent sees. The
tool one "runs" after an approval is pretended.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from playground.agent import BadCall, Preset, Run, Step, StepKind, read_arguments
from playground.model import Json

if TYPE_CHECKING:
    import httpx
    from agentapprovalprotocol import AsyncClient, Request

# How long one long poll is held; the protocol caps it at 30 s.
POLL_SECONDS = 25
LEAST_POLL_SECONDS = 0.1
# How long the client tries to reach the provider before a run ends with an error.
RETRY_SECONDS = 10.0
# The provider's words about the last call of a run that it refused; each run is a task and has its own.
_reason: ContextVar[str | None] = ContextVar("reason", default=None)


class ConsoleUnavailable(RuntimeError):
    """The agents' client is not installed."""


class Console:
    """The agents, and the calls they have sent."""

    def __init__(
        self,
        base_url: str,
        tokens: Mapping[str, str],
        presets: Sequence[Preset],
        *,
        now: Callable[[], datetime],
        changed: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
    ) -> None:
        """`tokens`: by the agents' names; a call that names no agent is the first one's.

        Raises ConsoleUnavailable when the package `agentapprovalprotocol` is missing, ValueError when there is no
        agent, or a ready-made call is of an unknown one.
        """
        if not tokens or any(preset.agent not in {None, *tokens} for preset in presets):
            raise ValueError("every ready-made call needs an agent that has a token")
        try:
            import agentapprovalprotocol as aap
            import httpx
        except ImportError as error:
            raise ConsoleUnavailable(
                "the agent's console needs the package agentapprovalprotocol: it comes with the `demo` group"
            ) from error
        self._aap = aap
        # Loopback traffic takes no proxy, whatever the environment says, and no authorities, which are slow to read.
        self._http = httpx.AsyncClient(
            timeout=40.0,
            follow_redirects=False,
            trust_env=False,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            event_hooks={"response": [_keep_reason]},
        )
        self._clients: dict[str, AsyncClient] = {
            name: aap.AsyncClient(base_url, token, http=self._http, retry_budget=RETRY_SECONDS)
            for name, token in tokens.items()
        }
        self.presets = {preset.key: preset for preset in presets}
        self.runs: list[Run] = []
        self._now = now
        self._changed = changed
        self._spawn = spawn

    @property
    def agents(self) -> tuple[str, ...]:
        """Their names, the usual one first."""
        return tuple(self._clients)

    async def close(self) -> None:
        """Closes the clients' connections."""
        await self._http.aclose()

    def send(self, call: Preset) -> Run:
        """Starts a call, and those that go with it; gives the last back. BadCall when it cannot be sent as it is."""
        if not call.tool:
            raise BadCall("Name the tool the agent wants to call.")
        agent = call.agent or self.agents[0]
        if agent not in self._clients:
            raise BadCall(f"There is no agent called “{agent}”.")
        calls = [call, *(replace(call, arguments_text=text) for text in call.also)]
        submissions = [_submission(one) for one in calls]
        burst = uuid.uuid4().hex[:8] if call.also else None
        for one, submission in zip(calls, submissions, strict=True):
            run = Run(uuid.uuid4().hex[:8], one, agent, self._now(), burst=burst)
            self.runs.insert(0, run)
            self._spawn(self._follow(run, submission))
        self._changed()
        return run

    async def cancel(self, run_id: str) -> None:
        """Withdraws the request of a run that still waits; BadCall when there is nothing to withdraw."""
        for run in self.runs:
            if run.id == run_id and run.state == "running" and run.request_id is not None:
                try:
                    await self._clients[run.agent].cancel(run.request_id)
                except (self._aap.AAPError, self._aap.ProtocolError) as error:
                    raise BadCall(f"The request could not be cancelled: {_reason.get() or error}") from error
                return
        raise BadCall("There is no waiting request to cancel.")

    async def _follow(self, run: Run, submission: Json) -> None:
        aap = self._aap
        try:
            await self._ask(run, submission)
        except aap.CredentialRefused as error:
            self._step(run, "refused", f"The credential was refused: {error}")
        except aap.ConflictError as error:
            self._step(run, "refused", f"Refused: {error.code}. {error.message}".strip())
        except (aap.AAPError, aap.ProtocolError, ValueError) as error:
            reason = _reason.get()
            self._step(run, "refused" if reason else "error", reason or f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            self._step(run, "error", "The playground was stopped.")
            raise
        finally:
            run.state = "done"
            if run.result is None and run.steps:
                run.result = run.steps[-1].text
            self._changed()

    async def _ask(self, run: Run, submission: Json) -> None:
        client = self._clients[run.agent]
        request = await client.create(submission, str(uuid.uuid4()))
        run.request_id = request.id
        # Ids are ordered by time: those of one morning differ in their last part only.
        self._step(run, "asked", f"Request …{request.id[-8:]} was taken.")
        at_once = request.status != "pending"
        if not at_once:
            self._step(run, "waiting", "No decision yet; it must come by {moment}.", request.deadline_at)
        while request.status == "pending":
            asked = time.monotonic()
            request = await client.get(request.id, wait=POLL_SECONDS)
            if request.status == "pending" and time.monotonic() - asked < LEAST_POLL_SECONDS:
                # A provider that does not hold the request must not be asked in a tight loop.
                await asyncio.sleep(LEAST_POLL_SECONDS)
        self._step(run, _kind(request.status), *_said(request, at_once=at_once))
        if request.status != "approved":
            return
        taken = await client.consume(request.id, str(uuid.uuid4()))
        if taken.consumption is None:
            raise self._aap.ProtocolError("the approval was not consumed")
        self._step(run, "consumed", "The approval is used up: this call may run once, now.")
        self._step(run, "ran", f"{run.call.tool} ran (pretended).")
        run.result = run.call.result
        with contextlib.suppress(self._aap.NotFound):
            await client.report_outcome(request.id, "succeeded", run.call.result)
            self._step(run, "reported", "Told Signoff that it succeeded.")

    def _step(self, run: Run, kind: StepKind, text: str, moment: datetime | None = None) -> None:
        run.steps.append(Step(self._now(), kind, text, moment))
        self._changed()


def _submission(call: Preset) -> Json:
    submission: Json = {
        "tool": call.tool,
        "arguments": read_arguments(call.arguments_text),
        "timeout": call.timeout,
    }
    if call.server:
        submission["server"] = call.server
    if call.reasoning:
        submission["agent_reasoning"] = call.reasoning
    return submission


async def _keep_reason(response: httpx.Response) -> None:
    """Keeps what the provider says about a refused call: the client's exceptions do not all tell it."""
    _reason.set(None)
    if response.status_code < 400:
        return
    await response.aread()
    with contextlib.suppress(ValueError, LookupError, TypeError):
        _reason.set(str(response.json()["error"]["message"]))


def _kind(status: str) -> StepKind:
    kinds: dict[str, StepKind] = {
        "approved": "approved",
        "denied": "denied",
        "expired": "expired",
        "cancelled": "cancelled",
    }
    return kinds[status]


def _said(request: Request, *, at_once: bool) -> tuple[str, datetime | None]:
    """What became of a request, and until when. `at_once`: the answer to asking was the decision already."""
    note = request.decision.note if request.decision else None
    asked = "At once; nobody was asked." if at_once else ""
    if request.status == "approved" and request.decision and request.decision.expires_at:
        said = f"Note: {note}" if note else ""
        return _join(asked, "It must be started by {moment}.", said), request.decision.expires_at
    plain = {"denied": "Denied.", "expired": "Nobody decided in time.", "cancelled": "The request was withdrawn."}
    return _join(asked, note or plain.get(request.status, request.status)), None


def _join(*sentences: str) -> str:
    return " ".join(filter(None, sentences))

"""Calls pagers: what a plan's step asks of one, and that it is over.

A pager is a less private place than Slack. It is told which agent wants to run which tool, the request's number, its
deadline, its rule and the plan's step, and where the card is; no argument and no word of the agent's reasoning.

Two kinds. ``pagerduty`` is PagerDuty's Events API v2: one alert for each request and pager, which every further step
adds to and the end resolves. ``webhook`` is a signed POST as Standard Webhooks has it. Both may be repeated: the key of
the alert and the id of the message stay the same. When to call and how often is for whoever carries the outbox out.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import structlog

from bot.addresses import BadAddress
from bot.config import Pager, Plan, Settings
from bot.drawings import Drawing
from bot.named_secrets import NamedSecrets, webhook_key
from bot.notices import facts_of
from bot.outbox import Job, Outbox, Task
from handlers.delivery import Carrier, NotNow
from handlers.outbound import Answer, CallFailed, OperatorOutbound, parse_retry_after
from handlers.signing import signed_headers
from handlers.slack.text import plain_date, quoted, visible
from handlers.turns import Busy
from store.escalation_tables import TakenStep
from store.tables import IntentKind, Request

MOST_SUMMARY = 1024
"""Characters that PagerDuty takes of a summary. All of it but the tool's name is short."""
_MOST_NAME = 700
SEVERITY = "error"
"""Of an alert. PagerDuty lets a service that goes by severity wake people for ``error``, and not for ``warning``."""
CROWDED = timedelta(seconds=1)
TELL_FOR = timedelta(days=1)
"""How long a pager that does not answer is told again that a request has ended."""
_NOT_YET = (408, 425, 429)

LinkTo = Callable[[Request], Awaitable[str | None]]
"""Says where a request's card is in Slack; None where there is none, or where that is not to be learnt now."""

log = structlog.get_logger(__name__)


class PagerTrouble(Exception):
    """A pager was not called, or did not take it. ``is_final``: it never will. ``retry_after``: not before then."""

    def __init__(self, code: str, is_final: bool, retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.is_final = is_final
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class _Called:
    """A pager, and the secret that it is called with."""

    pager: Pager
    secret: str


class Pagers:
    """``settings`` are those in force. ``count`` is called with what became of each call, for the metrics."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        secrets: NamedSecrets,
        outbound: OperatorOutbound,
        link_to: LinkTo,
        count: Callable[[str], None],
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._outbound = outbound
        self._link_to = link_to
        self._count = count
        self._wall_clock = wall_clock

    async def page(self, name: str, drawing: Drawing, step: TakenStep) -> None:
        """Call the pager of that name because ``step`` of the request's plan says so. Raises ``PagerTrouble``."""
        called = self._find(name)
        request = drawing.request
        facts = _facts(drawing, step)
        link = await self._link_to(request)
        if called.pager.kind == "pagerduty":
            body = self._trigger(called, request, facts, step.taken_at, link)
            await self._enqueue(called, body)
        else:
            link_if_known = {"url": link} if link is not None else {}
            data = {**_about(name, request), **facts, **link_if_known}
            place = f"{step.round}.{step.index}"
            await self._post_signed(called, request, f"page {place}", "request.page", step.taken_at, data)
        self._count("called")
        log.info("pager_called", pager=name, request=request.number)

    async def resolve(self, name: str, request: Request) -> None:
        """Tell the pager of that name that a request it was called for has ended. Raises ``PagerTrouble``."""
        called = self._find(name)
        if called.pager.kind == "pagerduty":
            await self._enqueue(
                called,
                {
                    "routing_key": called.secret,
                    "event_action": "resolve",
                    "dedup_key": _alert_key(called.pager, request),
                },
            )
        else:
            ended_at = request.decided_at or request.deadline_at
            await self._post_signed(called, request, "end", "request.page_ended", ended_at, _about(name, request))
        self._count("ended")
        log.info("pager_told_of_end", pager=name, request=request.number)

    def _find(self, name: str) -> _Called:
        """Find a pager as it is configured today: a request's plan may be older."""
        pager = self._settings().pagers.get(name)
        if pager is None:
            raise self._trouble("pager_unknown", is_final=True)
        secret = self._secrets.get(pager.secret_env)
        if secret is None:
            raise self._trouble("pager_secret_missing", is_final=True)
        return _Called(pager, secret)

    # --- PagerDuty ---

    def _trigger(
        self, called: _Called, request: Request, facts: dict[str, str], at: datetime, link: str | None
    ) -> dict[str, object]:
        words = (
            f"#{request.number}: agent {facts['agent']} waits for a decision on {_cut(_name(request.tool))}, "
            f"until {plain_date(request.deadline_at)} ({facts['step']})"
        )
        event: dict[str, object] = {
            "routing_key": called.secret,
            "event_action": "trigger",
            "dedup_key": _alert_key(called.pager, request),
            "client": "Signoff",
            "payload": {
                "summary": words,
                "source": urlsplit(self._settings().server.public_url).netloc,
                "severity": SEVERITY,
                "timestamp": at.isoformat(),
                "component": facts["agent"],
                "class": "approval",
                "custom_details": {"request": f"#{request.number}", **facts},
            },
        }
        if link is not None:
            event["links"] = [{"href": link, "text": f"The card of #{request.number} in Slack"}]
        return event

    async def _enqueue(self, called: _Called, event: dict[str, object]) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "Signoff"}
        await self._post(called, json.dumps(event).encode(), headers)

    # --- a webhook ---

    async def _post_signed(
        self, called: _Called, request: Request, what: str, kind: str, at: datetime, data: Mapping[str, object]
    ) -> None:
        secret = webhook_key(called.secret)
        if secret is None:  # another kind of pager had this variable when it was read
            raise self._trouble("pager_secret_missing", is_final=True)
        body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}).encode()
        message_id = f"msg_{uuid5(NAMESPACE_URL, f'signoff {called.pager.name} {request.id} {what}').hex}"
        await self._post(called, body, signed_headers(secret, message_id, body, self._wall_clock()))

    # --- both ---

    async def _post(self, called: _Called, body: bytes, headers: dict[str, str]) -> None:
        try:
            answer = await self._outbound.post(called.pager.url, body, headers)
        except Busy as busy:
            raise PagerTrouble("busy", is_final=False, retry_after=CROWDED) from busy
        except CallFailed as failed:
            raise self._trouble(failed.code, is_final=False) from failed
        except BadAddress as bad:
            raise self._trouble(bad.code, is_final=True) from bad
        if not 200 <= answer.status < 300:
            raise self._refused(answer)

    def _refused(self, answer: Answer) -> PagerTrouble:
        may_take_it_later = answer.status >= 500 or answer.status in _NOT_YET
        pause = parse_retry_after(answer, self._wall_clock())
        return self._trouble(f"http_{answer.status}", is_final=not may_take_it_later, retry_after=pause or None)

    def _trouble(self, code: str, *, is_final: bool, retry_after: timedelta | None = None) -> PagerTrouble:
        self._count(code)
        return PagerTrouble(code, is_final, retry_after)


class PageEnds:
    """``handlers.delivery.Carrier``: tells pagers that requests have ended, and leaves all else to ``others``."""

    def __init__(self, others: Carrier, pagers: Pagers, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._others = others
        self._pagers = pagers
        self._outbox = outbox
        self._clock = clock

    async def carry_out(self, job: Task) -> None:
        """See ``Carrier``."""
        if not isinstance(job, Job) or job.intent.kind is not IntentKind.END_PAGE:
            await self._others.carry_out(job)
            return
        name = str(facts_of(job.intent).get("pager", ""))
        request = job.drawing.request
        try:
            await self._pagers.resolve(name, request)
        except PagerTrouble as trouble:
            if not trouble.is_final and self._clock() - job.intent.created_at < TELL_FOR:
                raise NotNow(trouble.code, trouble.retry_after) from trouble
            log.warning("page_not_ended", pager=name, request=request.number, code=trouble.code)
            await self._outbox.undeliverable(job, trouble.code)
            return
        await self._outbox.done(job)


def _facts(drawing: Drawing, step: TakenStep) -> dict[str, str]:
    """What a pager is told, in words; nothing else of a request leaves through here."""
    request, rule = drawing.request, drawing.rule
    return {
        "agent": visible(request.agent),
        "tool": visible(request.tool),
        "deadline": request.deadline_at.isoformat(),
        "rule": rule.name if rule is not None else "",
        "step": _place(rule.plan if rule is not None else None, step),
    }


def _about(name: str, request: Request) -> dict[str, object]:
    return {"pager": name, "request": {"id": request.id, "number": request.number}}


def _place(plan: Plan | None, step: TakenStep) -> str:
    """Say which step it is; people count from one."""
    if plan is None:
        return f"step {step.index + 1}"
    if step.index == len(plan.steps):
        return "last reminder"
    again = f", round {step.round + 1}" if step.round else ""
    return f"step {step.index + 1} of {len(plan.steps)}{again}"


def _name(tool: str) -> str:
    """A tool's name as part of a sentence: in quotes unless it is one plain word."""
    return tool if tool.isascii() and tool.replace("_", "").replace("-", "").isalnum() else quoted(tool)


def _cut(name: str) -> str:
    """A name may be long, and written out it may be ten times as long; the deadline behind it must stay."""
    return name if len(name) <= _MOST_NAME else name[:_MOST_NAME] + "…"


def _alert_key(pager: Pager, request: Request) -> str:
    """The same for all steps of a request's plan and for its end, so that one alert is opened, and closed."""
    return f"signoff/{pager.name}/{request.id}"

"""What Prometheus may read, and the door in front of it.

A ``Metrics`` owns its registry, so that two services in one process do not mix. Labels come from closed vocabularies
only: never a tool, a user, a token, a note or an argument. Counters count what happened in this process since it
started; gauges are read from the database when asked. Every metric is described in docs/operations.md.
"""

import hmac
import re
from collections import Counter as CountOf
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pydantic import SecretStr

from bot.changes import PlanStuck, RequestChanged, StepTaken
from bot.config import ServerSettings
from bot.lifecycle import State, state_of
from store.tables import DeciderKind, Request
from store.unit import StoreUnavailable
from store.vocabulary import HaltEffect, StepState

METRICS_PATH = "/metrics"
_DECISION_BUCKETS_SECONDS = (5, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 604_800)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_CODES = 100  # Slack has its own vocabulary of errors; a stand-in gone mad has no end of it

Count = Callable[[], Awaitable[float]]
CalendarAges = Callable[[], Mapping[str, timedelta | None]]


class Metrics:
    """All metrics of one service. Its methods are to be called on the event loop."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        Info("signoff_build", "The running version.", registry=self.registry).info({"version": version})
        self._made = Counter("signoff_requests_made", "Requests that agents made.", registry=self.registry)
        self._decided = Counter(
            "signoff_requests_decided",
            "Requests that got their final status, by status and by what kind of decider.",
            ["status", "by"],
            registry=self.registry,
        )
        self._decision_seconds = Histogram(
            "signoff_decision_seconds",
            "From a request to the decision of people on it, in seconds.",
            buckets=_DECISION_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._consumed = Counter("signoff_requests_consumed", "Approvals that were used.", registry=self.registry)
        self._swept = Counter(
            "signoff_requests_swept",
            "Requests that the clock moved on, by what it made of them.",
            ["state"],
            registry=self.registry,
        )
        self._limited = Counter(
            "signoff_requests_limited",
            "Requests that were refused because their agent has a limit, by code.",
            ["code"],
            registry=self.registry,
        )
        self._overdue = Counter(
            "signoff_requests_overdue",
            "Approvals that were used and of which no outcome came in time.",
            registry=self.registry,
        )
        self._steps = Counter(
            "signoff_steps", "Steps of plans, by what became of them.", ["state"], registry=self.registry
        )
        self._stuck = Counter("signoff_plans_stuck", "Times that a plan could not be moved on.", registry=self.registry)
        self._overdue_step = Gauge(
            "signoff_oldest_overdue_step_seconds",
            "For how long the oldest step that is due has been waiting to be taken.",
            registry=self.registry,
        )
        self._pending = Gauge("signoff_requests_pending", "Requests that wait for a decision.", registry=self.registry)
        self._halts = {
            effect: Gauge(name, text, registry=self.registry)
            for effect, name, text in (
                (HaltEffect.DENY, "signoff_pauses", "Pauses of agents, of rules and of everything that are in force."),
                (
                    HaltEffect.ASK,
                    "signoff_stopped_rules",
                    "Rules that would approve by themselves and were stopped.",
                ),
            )
        }
        self._undelivered = Gauge(
            "signoff_notifications_waiting", "Notifications that no receiver acknowledged yet.", registry=self.registry
        )
        self._outbox = Gauge("signoff_outbox_waiting", "What Slack is still to be told.", registry=self.registry)
        self._slack_faults = Counter(
            "signoff_slack_faults", "Calls to Slack that failed, by error code.", ["code"], registry=self.registry
        )
        self._notifications = Counter(
            "signoff_notifications",
            "Attempts to notify agents' receivers, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self._calendar_age = Gauge(
            "signoff_oncall_calendar_age_seconds",
            "How old the last good copy of a calendar is, by its name in the configuration. NaN: there is none.",
            ["name"],
            registry=self.registry,
        )
        self._calendar_failures = Counter(
            "signoff_oncall_calendar_failures",
            "Tries to read a calendar that failed, by its name in the configuration.",
            ["name"],
            registry=self.registry,
        )
        self._pages = Counter(
            "signoff_pages", "Calls to pagers, by what became of them.", ["result"], registry=self.registry
        )
        self._checkpoint = Gauge(
            "signoff_checkpoint_timestamp_seconds",
            "When a checkpoint of the record was last kept, as Unix time; 0 if none has been since the start.",
            registry=self.registry,
        )
        self._heartbeat = Gauge(
            "signoff_heartbeat_success_timestamp_seconds",
            "When the dead-man service last took our heartbeat, as Unix time; 0 if it has not since the start.",
            registry=self.registry,
        )
        self._http = Counter(
            "signoff_http_responses",
            "HTTP answers, by route and class of status.",
            ["route", "status"],
            registry=self.registry,
        )
        self._waiting_polls = Gauge("signoff_waiting_polls", "Agents' long polls held now.", registry=self.registry)
        self._unread = Counter(
            "signoff_gauge_failures", "Gauges that could not be read from the database.", registry=self.registry
        )
        self._answers: CountOf[tuple[str | None, int]] = CountOf()  # since they were last told
        self._decisions: dict[tuple[str, str], Counter] = {}
        self._codes: set[str] = set()
        self._counted: dict[Gauge, Count] = {}
        self._calendar_ages: CalendarAges = dict
        for state in (State.EXPIRED, State.LAPSED, State.OVERDUE):
            self._swept.labels(state)
        for step in StepState:
            self._steps.labels(step)

    # --- what happened ---

    def on_change(self, change: object) -> None:
        """A listener for ``store.subscribe``: counts each change of a request once, when it is committed."""
        if isinstance(change, StepTaken):
            self._steps.labels(change.state).inc()
        elif isinstance(change, PlanStuck):
            self._stuck.inc()
        if not isinstance(change, RequestChanged):
            return
        request = change.request
        state = state_of(request)
        if state is State.PENDING:
            self._made.inc()
        elif state is State.CONSUMED:
            self._consumed.inc()
        elif state is State.LAPSED:
            self._swept.labels(state).inc()
        elif state is State.OVERDUE:
            self._swept.labels(state).inc()
            self._overdue.inc()
        elif state in (State.OPEN, State.DENIED, State.EXPIRED, State.CANCELLED):
            self._count_decision(request, state)

    def _count_decision(self, request: Request, state: State) -> None:
        kind = request.decided_by_kind
        if kind is None or request.decided_at is None:
            return
        decided = request.status.value, kind.value
        counter = self._decisions.get(decided)
        if counter is None:  # looked up once, as the answers' counters are
            counter = self._decisions[decided] = self._decided.labels(*decided)
        counter.inc()
        if kind is DeciderKind.RULE:  # made and decided at once: there was no pending request to announce
            self._made.inc()
        elif kind in (DeciderKind.PERSON, DeciderKind.ADMIN):
            self._decision_seconds.observe((request.decided_at - request.created_at) / timedelta(seconds=1))
        if state is State.EXPIRED:
            self._swept.labels(state).inc()

    def slack_fault(self, code: str) -> None:
        """Count a call to Slack that failed; ``code`` is Slack's error, or ours for what never got an answer."""
        if code not in self._codes:
            if not _CODE.fullmatch(code) or len(self._codes) >= _MOST_CODES:
                code = "other"
            self._codes.add(code)
        self._slack_faults.labels(code).inc()

    def request_limited(self, code: str) -> None:
        """Count a request that was refused with 429; ``code`` is that of the answer."""
        self._limited.labels(code).inc()

    def notification(self, result: str) -> None:
        """Count an attempt to notify a receiver; ``result`` is ``delivered`` or a code of ours."""
        self._notifications.labels(result).inc()

    def calendar_failed(self, name: str) -> None:
        """Count a calendar that could not be read; ``name`` is that of its table in the configuration."""
        self._calendar_failures.labels(name).inc()

    def page(self, result: str) -> None:
        """Count a call to a pager; ``result`` is ``called``, ``ended`` or a code of ours."""
        self._pages.labels(result).inc()

    def checkpoint(self, at: datetime) -> None:
        """Note when a checkpoint of the record was kept."""
        self._checkpoint.set(at.timestamp())

    def heartbeat(self, at: datetime) -> None:
        """Note when a heartbeat was taken."""
        self._heartbeat.set(at.timestamp())

    def http_response(self, route: str | None, status: int) -> None:
        """Count an answer. ``route`` is the route's pattern, never the path that was asked for; None: no route."""
        # Told only when somebody asks: this is on every call's path.
        self._answers[route, status // 100] += 1

    def waiting_poll(self) -> AbstractContextManager[object]:
        """Count a long poll as held while the context lasts."""
        return self._waiting_polls.track_inprogress()

    # --- what is so now ---

    def read_gauges_from(self, *, pending: Count, outbox: Count, notifications: Count, overdue_step: Count) -> None:
        """Name the queries behind the gauges. They may raise ``StoreUnavailable``."""
        self._counted = {
            self._pending: pending,
            self._outbox: outbox,
            self._undelivered: notifications,
            self._overdue_step: overdue_step,
        }

    def read_halts_from(self, count: Callable[[HaltEffect], Awaitable[float]]) -> None:
        """Name the query that counts what people have stopped, after the other gauges' are named."""
        self._counted |= {gauge: partial(count, effect) for effect, gauge in self._halts.items()}

    def read_calendars_from(self, ages: CalendarAges) -> None:
        """Name what tells how old the copies of calendars are."""
        self._calendar_ages = ages

    async def render(self) -> bytes:
        """Return everything in Prometheus' text format. A gauge that cannot be read becomes NaN."""
        answers, self._answers = self._answers, CountOf()
        for (route, hundreds), count_of in answers.items():
            self._http.labels(route or "none", f"{hundreds}xx").inc(count_of)
        self._calendar_age.clear()  # a calendar that is configured no more is gone here too
        for name, age in self._calendar_ages().items():
            self._calendar_age.labels(name).set(float("nan") if age is None else age.total_seconds())
        for gauge, count in self._counted.items():
            try:
                gauge.set(await count())
            except StoreUnavailable:
                gauge.set(float("nan"))  # the number of before would look like one of now
                self._unread.inc()
        return generate_latest(_Lean(self.registry))


class _Lean(Collector):
    """A registry's metrics without the time each of them began to be: twice the series, read by nobody."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


def count_answers(app: web.Application, metrics: Metrics) -> None:
    """Count each answer of ``app`` as it is about to be sent.

    By aiohttp's signal: a middleware would cost more on every agent's call, and see less of what is really sent.
    """

    async def count(http_request: web.Request, answer: web.StreamResponse) -> None:
        resource = http_request.match_info.route.resource
        metrics.http_response(resource.canonical if resource else None, answer.status)

    app.on_response_prepare.append(count)


def metrics_route(metrics: Metrics, server: ServerSettings, token: SecretStr | None) -> web.RouteDef:
    """Return the route of ``/metrics``.

    Unless both addresses of the server are loopback it wants the bearer token. Where a request seems to come from
    never counts: behind a proxy on this machine everybody is local.
    """

    async def answer(http_request: web.Request) -> web.Response:
        if not server.is_loopback_only:
            if token is None:
                return web.Response(
                    status=403, text="Metrics are closed. Set SIGNOFF_METRICS_TOKEN and send it as a bearer token.\n"
                )
            if not _carries(http_request.headers.getall("Authorization", []), token):
                return web.Response(
                    status=401,
                    text="Metrics want the bearer token in SIGNOFF_METRICS_TOKEN.\n",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        return web.Response(body=await metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return web.get(METRICS_PATH, answer)


def _carries(authorizations: list[str], token: SecretStr) -> bool:
    if len(authorizations) != 1:
        return False
    scheme, _, credentials = authorizations[0].partition(" ")
    given = credentials.strip().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, token.get_secret_value().encode()) and scheme.lower() == "bearer"

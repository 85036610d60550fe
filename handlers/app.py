"""The one wiring place: settings become a store, use cases, Slack's door, the agents' API, a clock and a deliverer.

The order of starting and stopping is here, and its reasons; what each part does is not.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Self

import structlog
from aiohttp import web

from bot.absences import Absences
from bot.ahead import Ahead
from bot.approvals import Approvals
from bot.call import MAX_BODY_BYTES
from bot.changes import PlanStuck, RequestChanged, StepTaken
from bot.clock import Clock, monotonic_clock
from bot.config import Settings
from bot.creation import Creation
from bot.deadlines import Deadlines
from bot.decisions import Decisions
from bot.digests import Digests
from bot.escalations import Escalations
from bot.halts import Halts
from bot.hearings import Hearings
from bot.homes import Homes
from bot.instances import Instances
from bot.memory import Memory
from bot.notifications import Notifications
from bot.outbox import Outbox
from bot.overriding import Overrides
from bot.passcodes import Passcodes
from bot.provisioners import Provisioners
from bot.provisioning import Provisioning
from bot.queries import Queries
from bot.queues import Queues
from bot.receivers import Signing
from bot.redaction import Redactor
from bot.reload import Reload, Reloads, Result
from bot.reports import Reports
from bot.rulebook import Rulebook
from bot.secrets import Secrets
from bot.standing import Standing
from bot.step_targets import StepTargets
from handlers.address_book import AddressBook
from handlers.agents import AgentsApi
from handlers.calendar_feeds import CalendarReader
from handlers.change_log import log_change, log_ended
from handlers.clock import SweepClock
from handlers.delivery import Deliverer
from handlers.health import Health, build_health
from handlers.heartbeat import Heartbeat
from handlers.instances_api import InstancesApi
from handlers.metrics import Metrics, count_answers, metrics_route
from handlers.oncall import OnCallSources
from handlers.openapi import openapi_routes
from handlers.opening import clock_of, open_store
from handlers.outbound import OperatorOutbound, Outbound
from handlers.pacing import Pace
from handlers.pagers import PageEnds, Pagers
from handlers.protocol import rest_of_routes
from handlers.recordkeeping import keep_record, refuse_forgetful
from handlers.slack.actions import Actions
from handlers.slack.afterwards import Afterwards
from handlers.slack.bolt import PING_INTERVAL, SlackDoor, serve_events
from handlers.slack.client import SlackClient
from handlers.slack.commands import Commands
from handlers.slack.directory import SlackDirectory
from handlers.slack.hometab import HomeTab
from handlers.slack.intake import Intake
from handlers.slack.links import CardLinks
from handlers.slack.posting import DRAW_PACE, PATIENCE, POST_PACE, SlackCarrier
from handlers.slack.pulse import Pulse
from handlers.slack.queue_posting import QUEUE_PACE
from handlers.slack.reach import Reach
from handlers.slack.rooms import make_rooms
from handlers.webhooks import Webhooks
from store import statements
from store.engine import Store
from store.lock import ServingLock
from store.unit import StoreUnavailable

_SENDING = timedelta(seconds=0.5)  # for what is under way to Slack when we stop; the rest is sent after the next start
_PAYLOADS = timedelta(seconds=0.4)  # for Slack's payloads under way, and as much again for what follows from them
_HTTP = 1.0  # seconds for agents' requests under way, a thousand answered long polls among them
_LONGEST_HOST_CHARS = 60
_BACKLOG = 1024  # connections not yet taken: after a restart every agent comes back at once

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast the service may go with Slack."""

    posts: Pace = POST_PACE
    draws: Pace = DRAW_PACE
    ping_interval: timedelta = PING_INTERVAL
    queue_draws: Pace = QUEUE_PACE


class Service:
    """A running Signoff. Made by ``start``, ended by ``stop``."""

    def __init__(
        self, settings: Settings, secrets: Secrets, clock: Clock, store: Store, rulebook: Rulebook, tempo: Tempo
    ) -> None:
        self.secrets = secrets
        self.clock = clock
        self.store = store
        self.rulebook = rulebook
        self.metrics = Metrics(version("signoff"))
        self._lock: ServingLock | None = None
        self.instances = Instances(store, clock, secrets.secret_key)
        self.approvals = Approvals(store, clock, rulebook)
        self.pulse = Pulse(clock)
        self.client = SlackClient(settings.slack, secrets.slack_bot_token, heard=self.pulse.heard)
        self.directory = SlackDirectory(self.client, clock)
        self.operator_outbound = OperatorOutbound()
        self.oncall = OnCallSources(
            lambda: rulebook.policy.settings.oncall,
            self.directory,
            AddressBook(self.client, clock),
            CalendarReader(self.operator_outbound, Outbound(), secrets.named),
            clock,
            self.metrics.calendar_failed,
        )
        self.passcodes = Passcodes(store, clock, secrets.secret_key)
        self.creation = Creation(store, clock, rulebook, self.directory)
        hearings = Hearings(store, clock, rulebook, self.directory)
        self.decisions = Decisions(store, clock, hearings, self.passcodes)
        self.standing = Standing(store, rulebook, hearings, self.passcodes)
        self.memory = Memory(hearings)
        self.reloads = Reloads(store, clock, rulebook)
        redactor = Redactor(secrets.secret_key)
        self.queries = Queries(store, clock, rulebook, self.directory, redactor)
        # Whoever owns a database alone frees, at the start, what a process before it held.
        owns_database = settings.store.sqlite_path is not None
        worker = f"{socket.gethostname()[:_LONGEST_HOST_CHARS]}:{os.getpid()}"
        self.outbox = Outbox(store, clock, rulebook, worker, redactor, most_waiting=tempo.posts.most_within(PATIENCE))
        self.queues = Queues(store, clock, rulebook, redactor, self.queries)
        self.escalations = Escalations(store, clock, rulebook, hearings, self.pulse.is_out)
        self.halts, self.digests = Halts(store, clock, rulebook, self.directory), Digests(store, clock, rulebook)
        self.sweeper = SweepClock(
            store, Deadlines(store, clock), self.escalations, clock, halts=self.halts, digests=self.digests
        )
        keep_record(
            self.sweeper, store, clock, lambda: rulebook.policy.settings, secrets.secret_key, self.metrics.checkpoint
        )
        self.pulse.watch(self.client.check_token, self.sweeper.wake)
        self.afterwards = Afterwards()
        absences = Absences(store, clock)
        links, reports = CardLinks(self.client, self.outbox), Reports(store, rulebook, redactor)
        ahead = Ahead(store, clock, rulebook, self.directory, self.queries.sights, reports)
        rooms = make_rooms(
            self.client, store, clock, rulebook, self.directory,
            queries=self.queries, reports=reports, ahead=ahead, memory=self.memory, halts=self.halts,
            digests=self.digests, passcodes=self.passcodes, oncall=self.oncall, absences=absences, links=links,
        )  # fmt: skip
        self.commands = Commands(self.client, self.afterwards, rooms.subcommands)
        homes = Homes(clock, rulebook, self.directory, self.queries, reports, ahead, self.halts)
        home = HomeTab(self.client, self.queries, homes, links, clock)
        self.actions = Actions(
            self.client,
            self.decisions,
            self.queries,
            self.outbox,
            home,
            self.afterwards,
            self.standing,
            self.memory,
            self.queues,
            self.escalations,
            Overrides(store, rulebook, hearings, self.passcodes),
        )
        rooms.join(self.actions)
        self.door = SlackDoor(
            settings.slack,
            self.client,
            Intake(self.actions, self.commands, home, self.outbox, self.afterwards),
            self.afterwards,
            app_token=secrets.slack_app_token,
            signing_secret=secrets.slack_signing_secret,
            ping_interval=tempo.ping_interval,
        )
        self.pagers = Pagers(
            lambda: rulebook.policy.settings,
            secrets.named,
            self.operator_outbound,
            links.link_to,
            self.metrics.page,
        )
        self.carrier = SlackCarrier(
            self.client,
            self.directory,
            self.outbox,
            self.queues,
            self.digests,
            clock,
            self.note_fault,
            reach=Reach(StepTargets(store, clock, rulebook), self.oncall, self.pagers, absences.stand_ins),
            posts=tempo.posts,
            draws=tempo.draws,
            queue_draws=tempo.queue_draws,
        )
        carrier = PageEnds(self.carrier, self.pagers, self.outbox, clock)
        self.deliverer = Deliverer(
            store, self.outbox, carrier, clock, self.note_fault, owns_database=owns_database, calm=self.door.calm
        )
        signing = Signing(secrets.secret_key)
        notifications = Notifications(store, clock, signing, worker)
        outbound = Outbound(allow_loopback=settings.delivery.allow_loopback)
        self.webhooks = Webhooks(
            store, notifications, outbound, clock, self.metrics.notification, owns_database=owns_database
        )
        self.provisioners = Provisioners(store, clock, secrets.secret_key)
        self.provisioning = Provisioning(
            store, clock, lambda: rulebook.policy, secrets.secret_key, signing, self.webhooks
        )
        self.metrics.read_gauges_from(
            pending=self.queries.pending_count,
            outbox=self.outbox.waiting,
            notifications=notifications.waiting,
            overdue_step=self.escalations.overdue_seconds,
        )
        self.metrics.read_halts_from(self.halts.count)
        self.metrics.read_calendars_from(self.oncall.calendar_ages)
        self.heartbeat = Heartbeat(
            lambda: rulebook.policy.settings,
            secrets.named,
            self.operator_outbound,
            self._check_database,
            self.escalations.overdue_seconds,
            self.metrics.heartbeat,
        )
        self.health = self._build_health()
        self.base_url = ""
        # Last, so that whoever waits for a change hears of it before it is counted and logged.
        store.subscribe(self.metrics.on_change, RequestChanged, StepTaken, PlanStuck)
        store.subscribe(log_change, RequestChanged)

    @classmethod
    async def start(
        cls,
        settings: Settings,
        secrets: Secrets,
        *,
        clock: Clock | None = None,
        port: int | None = None,
        tempo: Tempo | None = None,
    ) -> Self:
        """Start everything. ``port`` overrides the configured one; 0 takes a free one.

        Slack need not answer: it is asked until it does, and ``/readyz`` says how that stands. Raises
        ``BadConfig`` for a secret that the settings name, ``StoreUnavailable``, ``NewerSchema``, ``RestoredCopy``, or
        ``OSError`` when the port is taken.
        """
        secrets.named.read(settings)
        async with contextlib.AsyncExitStack() as undo:
            database = settings.store.database
            lock = None
            if isinstance(database, Path):
                lock = ServingLock.acquire(database)
                undo.callback(lock.release)
            given, clock = clock, clock or monotonic_clock()
            store = await open_store(database, clock)
            undo.push_async_callback(store.close)
            if given is None:
                clock = await clock_of(store, clock)
            rulebook = await Rulebook.load(store, settings, clock)
            service = cls(settings, secrets, clock, store, rulebook, tempo or Tempo())
            service._lock = lock
            undo.push_async_callback(service.client.close)
            undo.push_async_callback(service.pulse.close)
            undo.push_async_callback(service.sweeper.stop)
            undo.push_async_callback(service.oncall.stop)
            undo.push_async_callback(service.heartbeat.stop)
            await service._begin(port)
            undo.pop_all()
        return service

    async def _begin(self, port: int | None) -> None:
        await refuse_forgetful(self.store, self.clock, self.settings, self.secrets.secret_key)
        # What came due while the process was down is done before anybody can ask about it or decide it.
        await self.sweeper.start()
        log_ended(await self.reloads.begin())
        self._runner = await self._listen(port)
        self.oncall.start()
        self.heartbeat.start()
        await self.begin_delivering()
        await self.door.open()

    async def begin_delivering(self) -> None:
        """Begin to send what the outbox and the notifications hold."""
        await self.deliverer.start()
        await self.webhooks.start()

    @property
    def settings(self) -> Settings:
        """The file in force. ``[server]``, ``[slack]`` and ``[store]`` are those of the start."""
        return self.rulebook.policy.settings

    async def reload(self, load: Callable[[], Settings]) -> Reload | None:
        """Take the file that ``load`` reads, or say in the log why not; None if the database does not take it."""

        def load_with_secrets() -> Settings:
            settings = load()
            self.secrets.named.read(settings)
            return settings

        try:
            reload = await self.reloads.take(load_with_secrets)
        except StoreUnavailable:
            log.exception("config_refused", code="store_unavailable")
            return None
        if reload.result is Result.REFUSED:
            log.error("config_refused", faults=reload.faults, exc_info=reload.cause)
        elif reload.result is Result.UNCHANGED:
            log.info("config_unchanged", configuration=self.settings.digest)
        else:
            log.warning("config_reloaded", **reload.facts)
            self.oncall.follow()
            if reload.cause is not None:
                log.error("forbidden_not_ended", exc_info=reload.cause)
        log_ended(reload.ended)
        return reload

    def note_fault(self, code: str) -> None:
        """Count a call to Slack that failed."""
        self.metrics.slack_fault(code)

    async def _listen(self, port: int | None) -> web.AppRunner:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        count_answers(app, self.metrics)
        app.add_routes(self._agents_api().routes())
        app.add_routes(InstancesApi(self.provisioners, self.provisioning).routes())
        app.add_routes([*openapi_routes(), *rest_of_routes()])
        app.add_routes(self.health.routes())
        app.add_routes([metrics_route(self.metrics, self.settings.server, self.secrets.metrics_token)])
        if self.settings.slack.mode == "http":
            serve_events(app, self.door)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_HTTP)
        await runner.setup()
        server = self.settings.server
        try:
            at = server.port if port is None else port
            await web.TCPSite(runner, server.host, at, backlog=_BACKLOG).start()
        except OSError:
            await runner.cleanup()
            raise
        host, bound = runner.addresses[0][:2]
        self.base_url = f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"
        return runner

    def _agents_api(self) -> AgentsApi:
        metrics = self.metrics
        return AgentsApi(
            self.creation, self.approvals, self.instances,
            metrics.waiting_poll, metrics.request_limited, metrics.http_response,
        )  # fmt: skip

    async def _check_database(self) -> None:
        # In a writing transaction: a database that only reads would answer every agent with 503.
        await self.store.write(lambda unit: unit.one(statements.PENDING_COUNT))

    def _build_health(self) -> Health:
        async def slack() -> None:
            await self.client.check_token()

        in_socket_mode = self.settings.slack.mode == "socket"
        return build_health(
            self._check_database,
            slack,
            (lambda: self.door.is_connected) if in_socket_mode else None,
            self.reloads.check_in_force if self.settings.store.sqlite_path is None else None,
        )

    async def stop(self) -> None:
        """Answer who waits, finish what is under way, close. Takes less than two seconds.

        First nothing new comes in, then what came in is finished, then what it led to; the store closes last.
        """
        self.health.stop()
        self.approvals.stop_waiting()
        await asyncio.gather(self._runner.cleanup(), self.door.close(_PAYLOADS))
        await self.heartbeat.stop()
        await self.sweeper.stop()
        await self.pulse.close()
        await asyncio.gather(self.deliverer.stop(_SENDING), self.webhooks.stop(_SENDING))
        await self.oncall.stop()
        await self.directory.close()
        await self.client.close()
        await self.store.close()
        if self._lock is not None:
            self._lock.release()

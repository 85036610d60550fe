"""The configuration: a TOML file (and one variable of the environment) becomes typed, frozen settings.

`load_settings` is the one door. It finds every fault of a file at once and raises them together; what it returns
has been checked whole, references between tables included. Not in here: secrets (bot/secrets.py), what the tables
may say (bot/config_tables.py), and whatever takes asking Slack or the database (`signoff check`).
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from bot.config_faults import BadConfig, Fault, faults_of, key_path, shown, unknown_key
from bot.config_plans import EscalationSettings, OnCall, Pager, Plan, PlanWorld
from bot.config_rules import FrozenRule, Known, ReadFile, Rule, Seat, Stage, UnreadableRule
from bot.config_tables import (
    SLACK_API_URL,
    AdminSettings,
    Agent,
    AuditSettings,
    DeliverySettings,
    RetentionSettings,
    ReviewerGroup,
    ServerSettings,
    SlackSettings,
    StoreSettings,
    Table,
)
from bot.config_values import RateLimit, is_loopback_host

__all__ = [
    "SLACK_API_URL",
    "STORE_URL_VARIABLE",
    "TABLES",
    "AdminSettings",
    "Agent",
    "AuditSettings",
    "BadConfig",
    "DeliverySettings",
    "EscalationSettings",
    "Fault",
    "FrozenRule",
    "OnCall",
    "Pager",
    "Plan",
    "RateLimit",
    "RetentionSettings",
    "ReviewerGroup",
    "Rule",
    "Seat",
    "ServerSettings",
    "Settings",
    "SlackSettings",
    "Stage",
    "StoreSettings",
    "UnreadableRule",
    "is_loopback_host",
    "load_settings",
    "parse_settings",
]

STORE_URL_VARIABLE = "SIGNOFF_STORE_URL"

TABLES: Mapping[str, type[Table]] = MappingProxyType(
    {
        "server": ServerSettings,
        "slack": SlackSettings,
        "store": StoreSettings,
        "delivery": DeliverySettings,
        "audit": AuditSettings,
        "retention": RetentionSettings,
        "admins": AdminSettings,
        "escalation": EscalationSettings,
        "agents": Agent,
        "reviewers": ReviewerGroup,
        "oncall": OnCall,
        "pagers": Pager,
        "plans": Plan,
        "rules": Rule,
    }
)
"""The file's top level: the model of each table, or of each table in it (agents, reviewers, rules)."""

_Path = tuple[str | int, ...]
_Toml = dict[str, Any]
_T = TypeVar("_T", bound=Table)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the file says, checked. Agents and groups by name, the rules in the file's order: it decides."""

    server: ServerSettings
    slack: SlackSettings
    store: StoreSettings
    delivery: DeliverySettings
    audit: AuditSettings
    retention: RetentionSettings
    admins: AdminSettings
    escalation: EscalationSettings
    agents: Mapping[str, Agent]
    reviewers: Mapping[str, ReviewerGroup]
    oncall: Mapping[str, OnCall]
    pagers: Mapping[str, Pager]
    plans: Mapping[str, Plan]
    rules: tuple[Rule, ...]
    digest: str
    """SHA-256 of the file's bytes, 64 hexadecimal digits: which file was in force."""


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """The settings in the file at `path`; SIGNOFF_STORE_URL in `env` takes the place of `store.url`.

    Raises BadConfig with every fault found, also if the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        fault = Fault(str(path), f"cannot be read ({error.strerror})", "start from config.example.toml")
        raise BadConfig(str(path), [fault]) from error

    def read(name: str, most_bytes: int) -> bytes:
        with (path.parent / name).open("rb") as file:
            return file.read(most_bytes)

    return parse_settings(content, env, source=str(path), read=read)


def parse_settings(content: bytes, env: Mapping[str, str], *, source: str, read: ReadFile | None = None) -> Settings:
    """The settings in a file's bytes; `source` is what BadConfig calls the file. Raises BadConfig.

    Pure, but for what `read` does to give the files that rules name. Without it, naming one is a fault.
    """
    reader = _Reader(_parse_toml(content, source), env, read)
    settings = reader.settings(hashlib.sha256(content).hexdigest())
    if settings is None or reader.faults:
        raise BadConfig(source, reader.faults)
    return settings


def _parse_toml(content: bytes, source: str) -> _Toml:
    try:
        # Some editors put a byte order mark first; tomllib would call it an invalid statement.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fault = Fault(f"line {line}", "has bytes that are not UTF-8", "save the file as UTF-8")
        raise BadConfig(source, [fault]) from error
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).partition(" (at ")
        where = re.search(r"line \d+, column \d+", place)
        line = content.count(b"\n") + 1
        fault = Fault(
            where[0] if where else f"line {line}",
            f"is not TOML: {problem[:1].lower()}{problem[1:]}",
            'text stands in "quotes", lists in [brackets], a table begins with [its.name] on a line of its own',
        )
        raise BadConfig(source, [fault]) from error
    except RecursionError as error:
        fault = Fault("the file", "is nested too deeply", "no key needs more than one list")
        raise BadConfig(source, [fault]) from error


class _Reader:
    """Reads one file's tables, going on after a fault: `faults` has them all in the end, in the file's order."""

    def __init__(self, toml: _Toml, env: Mapping[str, str], read: ReadFile | None) -> None:
        self.faults: list[Fault] = []
        self._read = read
        self._toml = toml
        self._env = env

    def settings(self, digest: str) -> Settings | None:
        for key, value in self._toml.items():
            if key not in TABLES:
                self.faults.append(unknown_key((key,), tuple(TABLES), value))
        server = self._table(ServerSettings, self._toml.get("server", {}), ("server",))
        slack = self._table(SlackSettings, self._toml.get("slack", {}), ("slack",))
        store = self._store()
        delivery = self._delivery(server)
        audit = self._table(AuditSettings, self._toml.get("audit", {}), ("audit",))
        retention = self._table(RetentionSettings, self._toml.get("retention", {}), ("retention",))
        admins = self._table(AdminSettings, self._toml.get("admins", {}), ("admins",))
        escalation = self._table(EscalationSettings, self._toml.get("escalation", {}), ("escalation",))
        agents = dict(self._named(Agent, "agents"))
        groups = dict(self._named(ReviewerGroup, "reviewers"))
        oncall = dict(self._named(OnCall, "oncall"))
        pagers = dict(self._named(Pager, "pagers"))
        plans = dict(self._named(Plan, "plans", known=self._plan_world(groups)))
        rules = list(self._rules(self._known(groups, plans)))
        if not (server and slack and store and delivery and audit and retention and admins and escalation):
            return None
        return Settings(
            server=server,
            slack=slack,
            store=store,
            delivery=delivery,
            audit=audit,
            retention=retention,
            admins=admins,
            escalation=escalation,
            agents=MappingProxyType(agents),
            reviewers=MappingProxyType(groups),
            oncall=MappingProxyType(oncall),
            pagers=MappingProxyType(pagers),
            plans=MappingProxyType(plans),
            rules=tuple(rules),
            digest=digest,
        )

    def _store(self) -> StoreSettings | None:
        raw = self._toml.get("store", {})
        override = self._env.get(STORE_URL_VARIABLE)
        where = "store.url"
        if override is not None and isinstance(raw, dict):
            raw = {**raw, "url": override}
            where = STORE_URL_VARIABLE
        before = len(self.faults)
        store = self._table(StoreSettings, raw, ("store",))
        for index in range(before, len(self.faults)):
            fault = self.faults[index]
            if fault.key_path == "store.url":
                self.faults[index] = Fault(where, fault.problem, fault.remedy)
        return store

    def _delivery(self, server: ServerSettings | None) -> DeliverySettings | None:
        delivery = self._table(DeliverySettings, self._toml.get("delivery", {}), ("delivery",))
        if delivery and delivery.allow_loopback and server and not server.is_public_url_loopback:
            remedy = "remove it; receivers on this machine are for development, where public_url is loopback too"
            self.faults.append(Fault("delivery.allow_loopback", "is true, and public_url is not loopback", remedy))
        return delivery

    def _named(self, model: type[_T], key: str, known: PlanWorld | None = None) -> Iterator[tuple[str, _T]]:
        tables = self._toml.get(key, {})
        if not isinstance(tables, dict):
            self._not_a_table(tables, (key,), f"[{key}.NAME]")
            return
        for name, raw in tables.items():
            table = self._table(model, raw, (key, name), given={"name": name}, known=known)
            if table:
                yield name, table

    def _rules(self, known: Known) -> Iterator[Rule]:
        tables = self._toml.get("rules", [])
        if not isinstance(tables, list):
            self.faults.append(Fault("rules", "is not a list of tables", "write [[rules]] in double brackets"))
            return
        first_index: dict[str, int] = {}
        for index, raw in enumerate(tables):
            name = raw.get("name") if isinstance(raw, dict) else None
            name = name if isinstance(name, str) else None
            rule = self._table(Rule, raw, ("rules", index), known=known, rule=name)
            if name is not None and first_index.setdefault(name, index) != index:
                problem = f"{shown(name)} is the name of rules[{first_index[name]}] too"
                self.faults.append(
                    Fault(key_path(("rules", index, "name")), problem, "give each rule a name of its own", name)
                )
            if rule:
                yield rule

    def _known(self, groups: Mapping[str, ReviewerGroup], plans: Mapping[str, Plan]) -> Known:
        """What rules may name. What has a fault of its own counts: its fault is told where it is."""
        faulty = {name: Plan.model_construct(name=name, steps=()) for name in self._names("plans")}
        return Known(
            agents=self._names("agents"),
            groups=self._groups(groups),
            plans={**faulty, **plans},
            read=self._read,
        )

    def _plan_world(self, groups: Mapping[str, ReviewerGroup]) -> PlanWorld:
        return PlanWorld(self._groups(groups), oncall=self._names("oncall"), pagers=self._names("pagers"))

    def _groups(self, groups: Mapping[str, ReviewerGroup]) -> Mapping[str, ReviewerGroup]:
        stand_ins = {
            name: ReviewerGroup.model_construct(name=name, users=(), usergroups=()) for name in self._names("reviewers")
        }
        return {**stand_ins, **groups}

    def _names(self, key: str) -> tuple[str, ...]:
        tables = self._toml.get(key)
        return tuple(tables) if isinstance(tables, dict) else ()

    def _table(
        self,
        model: type[_T],
        raw: object,
        path: _Path,
        *,
        given: Mapping[str, object] = MappingProxyType({}),
        known: Known | PlanWorld | None = None,
        rule: str | None = None,
    ) -> _T | None:
        if not isinstance(raw, dict):
            header = f"[[{path[0]}]]" if isinstance(path[-1], int) else f"[{key_path(path)}]"
            self._not_a_table(raw, path, header)
            return None
        # A key of the file that is named like a given field is as unknown as any other.
        for key in given.keys() & raw.keys():
            self.faults.append(unknown_key((*path, key), model.keys(), raw[key]))
        try:
            return model.model_validate({**raw, **given}, context=known)
        except ValidationError as error:
            self.faults += faults_of(error, model.model_fields, path=path, given=model.given, rule=rule)
            return None

    def _not_a_table(self, raw: object, path: _Path, header: str) -> None:
        self.faults.append(Fault(key_path(path), f"is {shown(raw)}, not a table", f"begin it with {header}"))

"""A rule of the configuration, and the rule as it is stored with a request.

The fields are validated one by one, each reading only the fields above it, so that all faults of a file are found at
once. Pure: no I/O. What a rule *means* (which call it matches, who may decide, what votes amount to) is for
bot/policy.py.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from bot.arguments_schema import MOST_BYTES, ArgumentsSchema, BadSchema, compile_schema, parse_schema
from bot.conditions import BadCondition, Condition, compile_condition
from bot.config_faults import nearest, shown, wrong
from bot.config_plans import Plan
from bot.config_tables import ReviewerGroup, Table
from bot.config_values import ChannelId, Duration, ListOf, Pattern, RuleName, Standing, Timeout, Validity
from bot.durations import render_duration
from bot.redaction_marks import parse_pattern
from store.tables import StepUp

Stage = Literal["approve", "autonomous"]
Domain = Literal["financial", "security", "legal", "infrastructure", "customer", "medical"]
Reason = Literal["optional", "required"]
MOST_PEOPLE = 20
"""The largest quorum: so many people are never found within an hour."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule of the file may refer to; its validators get it as pydantic's context."""

    agents: tuple[str, ...] = ()
    groups: Mapping[str, ReviewerGroup] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    read: "ReadFile | None" = None
    """Reads a file that a rule names; None where there is no place to read from."""


ReadFile = Callable[[str, int], bytes]
"""Gives at most so many bytes of the file of a path as written in the configuration. Raises ``OSError``."""


def _group(value: object, info: ValidationInfo) -> object:
    if not isinstance(info.context, Known):
        return value
    if not isinstance(value, str):
        raise wrong(f"is {shown(value)}", 'write the name of a group in quotes, such as "finance"')
    if value in info.context.groups:
        return info.context.groups[value]
    near = nearest(value, info.context.groups)
    remedy = f"did you mean {shown(near)}?" if near else f"add [reviewers.{value}], or name a group of this file"
    raise wrong(f"{shown(value)} is not a group of reviewers", remedy)


_Group = Annotated[ReviewerGroup, BeforeValidator(_group)]


def _plan(value: object, info: ValidationInfo) -> object:
    if not isinstance(info.context, Known) or value is None:
        return value
    if not isinstance(value, str):
        raise wrong(f"is {shown(value)}", 'write the name of a plan in quotes, such as "standard"')
    if value in info.context.plans:
        return info.context.plans[value]
    near = nearest(value, info.context.plans)
    remedy = f"did you mean {shown(near)}?" if near else f"add [plans.{value}], or name a plan of this file"
    raise wrong(f"{shown(value)} is not a plan", remedy)


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _hidden(value: str) -> str:
    try:
        parse_pattern(value)
    except ValueError as error:
        raise wrong(
            f"{shown(value)} {error}",
            'write a key, or keys with dots between them and * for any one, such as "card_number" or "cards.*.number"',
        ) from error
    return value


_Hidden = Annotated[str, AfterValidator(_hidden)]


class Seat(Table):
    """One entry of a rule's `need`: how many people of which groups must approve."""

    reviewers: Annotated[ListOf[_Group], BeforeValidator(_one_or_many)] = Field(examples=["finance"])
    quorum: int = Field(1, ge=1, le=MOST_PEOPLE, examples=[1])

    @field_validator("reviewers")
    @classmethod
    def _somebody_sits_here(cls, value: tuple[ReviewerGroup, ...]) -> tuple[ReviewerGroup, ...]:
        if not value:
            raise wrong("is empty", "name at least one group")
        return value


class _Terms(Table):
    """What a rule says, in the file and as stored alike.

    Stored rules are read with these same checks: whoever narrows one, or adds or changes a field, gives
    FrozenRule a new format and keeps reading the old one.
    """

    name: RuleName = Field(examples=["refunds"])
    stage: Stage = Field(examples=["approve"])
    """`approve`: people decide. `autonomous`: approved at once, by the rule."""
    domain: Domain | None = Field(None, examples=["financial"])
    """The field of work it is for, shown on cards. None: not said."""
    agent: Pattern = Field(examples=["refund-bot"])
    tool: Pattern = Field(examples=["issue_refund"])
    server: Pattern | None = Field(None, examples=["payments"])
    """None: whatever server the call names, or none at all."""
    when: str | None = Field(None, examples=['arguments.amount <= 5000 && arguments.currency == "GBP"'])
    """A condition over the call in CEL. None: every call that the patterns fit."""
    arguments_schema: dict[str, Any] | None = Field(None, examples=["schemas/refund.json"])
    """A JSON Schema; arguments that do not fit it are denied at once."""
    channel: ChannelId | None = Field(None, validate_default=True, examples=["C0REFUNDS"])
    fallback_channel: ChannelId | None = Field(None, examples=["C0OPS"])
    need: ListOf[Seat] = Field((), examples=[[{"reviewers": "finance", "quorum": 1}]])
    """Seats that different people must fill, in place of `reviewers` and `quorum`."""
    reviewers: ListOf[_Group] = Field((), validate_default=True, examples=[["finance"]])
    quorum: int = Field(1, ge=1, le=MOST_PEOPLE, examples=[1])
    """How many distinct people of `reviewers` must approve."""
    reason: Reason | None = Field(None, examples=["required"])
    """Whether an approval is asked for a reason; a denial always is."""
    confirm: bool = Field(False, examples=[True])
    """Whether Approve asks once more, in a dialog."""
    step_up: StepUp | None = Field(None, strict=False, examples=["totp"])
    """What an approval takes beyond a click: `totp`, a six-digit passcode."""
    redact: ListOf[_Hidden] = Field((), examples=[["card_number", "*.password"]])
    """Arguments whose values are shown to nobody."""
    owner_may_decide: bool = Field(False, examples=[False])
    """For teams of one: whether owners may decide for their own agent. Cards say so."""
    standing: Standing = Field(timedelta(hours=24), examples=["24h"])
    """How long a vote that was cast ahead waits for its call."""
    plan: Annotated[Plan | None, BeforeValidator(_plan)] = Field(None, examples=["standard"])
    """What happens while nobody decides. None: nothing, until the deadline."""
    mention: bool = Field(True, examples=[True])
    max_timeout: Timeout = Field(timedelta(hours=1), examples=["1h"])
    """The longest time to decide; a longer request is shortened to it."""
    min_timeout: Duration | None = Field(None, examples=["1m"])
    """A request that leaves people less than this is denied at once."""
    validity: Validity = Field(timedelta(minutes=5), examples=["5m"])
    """How long after the decision an approval may be used."""
    execution_timeout: Timeout = Field(timedelta(minutes=15), examples=["15m"])
    """How long after its use the outcome may stay out before the call is overdue."""
    external: bool = Field(False, examples=[False])
    """Whether the card may go to a channel shared with another company."""

    @field_validator("channel")
    @classmethod
    def _people_need_a_channel(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("stage") == "approve":
            raise wrong("is missing", 'a rule with stage "approve" names the channel for its cards')
        return value

    @field_validator("fallback_channel")
    @classmethod
    def _fallback_is_another(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and value == info.data.get("channel"):
            raise wrong("is the same as channel", "name another one, or leave it out: reviewers then get a DM")
        return value

    @field_validator("reviewers")
    @classmethod
    def _people_decide(cls, value: tuple[ReviewerGroup, ...], info: ValidationInfo) -> tuple[ReviewerGroup, ...]:
        need = info.data.get("need")
        if value and need:
            raise wrong("stands beside need", "name the groups in need alone, or write reviewers and quorum")
        # A `need` with a fault of its own is not there; that fault is told where it is.
        if not value and need == () and info.data.get("stage") == "approve":
            raise wrong("is missing or empty", 'a rule with stage "approve" names at least one group')
        return value

    @field_validator("quorum")
    @classmethod
    def _quorum_of_reviewers(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("need"):
            raise wrong("stands beside need", "write the quorum of each seat inside need")
        return value

    @field_validator("plan")
    @classmethod
    def _plan_widens_seats_there_are(cls, value: Plan | None, info: ValidationInfo) -> Plan | None:
        if value is None:
            return None
        if info.data.get("stage") == "autonomous":
            raise wrong("stands in a rule that asks nobody", 'remove it, or use stage = "approve"')
        seated = [seat.reviewers for seat in info.data.get("need") or ()] or [info.data.get("reviewers") or ()]
        named = {group.name for groups in seated for group in groups}
        several = len(info.data.get("need") or ()) > 1
        for widening in (one for step in value.steps for one in step.widen):
            if widening.seat is None and several:
                remedy = f'say which, as in {{ seat = "{min(named)}", reviewers = … }}, or use another plan here'
                raise wrong(f"{shown(value.name)} widens a seat, and this rule has several", remedy)
            if widening.seat is not None and widening.seat not in named:
                raise wrong(
                    f"{shown(value.name)} widens the seat {shown(widening.seat)}, which this rule does not have",
                    "name one of its groups, or use another plan here",
                )
        return value

    @field_validator("min_timeout")
    @classmethod
    def _least_is_less(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        longest = info.data.get("max_timeout")
        if value is not None and longest is not None and value >= longest:
            raise wrong(
                f"is {render_duration(value)}",
                f"use less than max_timeout, which is {render_duration(longest)}",
            )
        return value

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """The seats that people must fill for an approval; none where nobody is asked."""
        if self.need or not self.reviewers:
            return self.need
        return (Seat.model_construct(reviewers=self.reviewers, quorum=self.quorum),)

    @cached_property
    def groups(self) -> tuple[ReviewerGroup, ...]:
        """Every group whose members may vote, each once, in the order of the rule."""
        return tuple(dict.fromkeys(group for seat in self.seats for group in seat.reviewers))

    @property
    def people_needed(self) -> int:
        """How many different people must approve."""
        return sum(seat.quorum for seat in self.seats)

    @property
    def asks_on_approve(self) -> bool:
        """Whether an approval takes more than one press: a reason, a confirmation or a passcode."""
        return self.reason is not None or self.confirm or self.step_up is not None


class Rule(_Terms):
    """One of `[[rules]]`: which calls it is for, and what happens to them.

    In the file `reviewers` names groups; here they are the groups themselves.
    """

    @field_validator("agent")
    @classmethod
    def _some_agent_is_meant(cls, value: str, info: ValidationInfo) -> str:
        known = info.context.agents if isinstance(info.context, Known) else None
        if known is not None and not any(fnmatchcase(name, value) for name in known):
            near = nearest(value, known)
            remedy = f"did you mean {shown(near)}?" if near else "name one of them, or a pattern that fits one"
            raise wrong(f"{shown(value)} fits no agent of this file", remedy)
        return value

    @field_validator("when")
    @classmethod
    def _when_is_a_condition(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                compile_condition(value)
            except BadCondition as error:
                raise wrong(error.problem, error.remedy) from error
        return value

    @field_validator("need", "quorum", "reason", "confirm", "step_up")
    @classmethod
    def _people_are_asked(cls, value: object, info: ValidationInfo) -> object:
        # Whoever wrote one of these means a guard, and an autonomous rule would pass over it in silence. Not so
        # `reviewers`: they are who may stop it, and who is asked while it is stopped.
        if info.data.get("stage") == "autonomous" and value != cls.model_fields[str(info.field_name)].default:
            raise wrong(
                'stands in a rule with stage "autonomous", where nobody is asked',
                'leave it out, or write stage = "approve"',
            )
        return value

    @field_validator("arguments_schema", mode="before")
    @classmethod
    def _schema_is_a_schema(cls, value: object, info: ValidationInfo) -> object:
        try:
            schema = _schema_in_file(value, info.context) if isinstance(value, str) else value
            if not isinstance(schema, dict):
                raise wrong(
                    f"is {shown(value)}", 'write a table, or the path of a JSON file, such as "schemas/refund.json"'
                )
            compile_schema(schema)
        except BadSchema as error:
            named = f"{shown(value)} " if isinstance(value, str) else ""
            raise wrong(f"{named}{error.problem}", error.remedy) from error
        return schema

    @cached_property
    def condition(self) -> Condition | None:
        """`when`, compiled."""
        return compile_condition(self.when) if self.when is not None else None

    @cached_property
    def schema_of_arguments(self) -> ArgumentsSchema | None:
        """`arguments_schema`, ready to be asked."""
        return compile_schema(self.arguments_schema) if self.arguments_schema is not None else None

    @cached_property
    def as_frozen(self) -> "FrozenRule":
        """This rule as it is stored with a request, its groups written out."""
        return FrozenRule(version=FORMAT, **{key: getattr(self, key) for key in type(self).model_fields})

    @cached_property
    def _frozen_text(self) -> str:
        stored = self.as_frozen.model_dump(mode="json")
        return json.dumps(stored, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def frozen(self) -> str:
        """Canonical JSON of `as_frozen`, to store with each request. Written once per rule, then kept."""
        return self._frozen_text


def _schema_in_file(path: str, known: object) -> dict[str, Any]:
    if not isinstance(known, Known) or known.read is None:
        raise wrong(f"names the file {shown(path)}, and there is no place to read it from", "write the schema in place")
    try:
        return parse_schema(known.read(path, MOST_BYTES + 1))
    except (OSError, ValueError) as error:
        if isinstance(error, BadSchema):
            raise
        why = getattr(error, "strerror", None) or "not a path"
        raise wrong(f"{shown(path)} cannot be read ({why})", "name a file by its path from this one") from error


class UnreadableRule(ValueError):
    """A stored rule that this version cannot read whole. It is refused, never read in part."""

    code = "unreadable_rule"


FORMAT: Final = 3
_NEW_IN = {
    2: frozenset(
        {
            "arguments_schema", "confirm", "domain", "need", "owner_may_decide", "quorum", "reason", "redact",
            "standing", "step_up", "when",
        }
    ),
    3: frozenset({"plan"}),
}  # fmt: skip
"""Fields that a rule of an earlier format does not have; their defaults are what it meant."""


class FrozenRule(_Terms):
    """A rule as it was when a request was made under it, its reviewers written out."""

    given = ("version",)

    version: Literal[1, 2, 3]
    """The number of the format; every change of a field needs a new one."""

    @staticmethod
    @lru_cache(maxsize=512)
    def parse(text: str) -> "FrozenRule":
        """The rule in a text by `Rule.frozen`. Raises UnreadableRule, also for a field or format unknown here."""
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UnreadableRule("the stored rule is not JSON") from error
        version = stored.get("version") if isinstance(stored, dict) else None
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= FORMAT:
            raise UnreadableRule(f"the stored rule has format {shown(version)}, and only 1 to {FORMAT} are known here")
        later = frozenset[str]().union(*(new for since, new in _NEW_IN.items() if since > version))
        fields = FrozenRule.model_fields.keys() - later
        unknown = sorted(stored.keys() - fields)
        missing = sorted(fields - stored.keys())
        if unknown or missing:
            raise UnreadableRule(f"the stored rule has unknown fields {unknown} and lacks {missing}")
        try:
            return FrozenRule.model_validate(stored)
        except ValidationError as error:
            what = "; ".join(f"{detail['loc']}: {detail['msg']}" for detail in error.errors(include_url=False))
            raise UnreadableRule(f"the stored rule cannot be read: {what}") from error

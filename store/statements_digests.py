"""The statements about gathered notices: what rules approved by themselves, and what was told of it.

The conventions are those of ``store.statements``. Nothing here is on the path of an agent's call: a sweep reads what
was made since it last looked, by number.
"""

from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlmodel import SQLModel

from store import tables as t
from store.compiled import Statement
from store.parameters import param, set_to
from store.statements import lean_request, outbox, requests, rule_versions

digests = SQLModel.metadata.tables["digests"]


_by_itself = and_(requests.c.status == t.Status.APPROVED, requests.c.decided_by_kind == t.DeciderKind.RULE)
_after = requests.c.number > param("after", requests.c.number)


def _number(number: int | None) -> int | None:
    return number


LAST_TOLD = Statement(select(func.max(digests.c.last_number)), _number)
FIRST_DECIDED_SINCE = Statement(
    select(func.min(requests.c.number)).where(requests.c.decided_at > param("since", requests.c.decided_at)), _number
)
LAST_MADE_UNTIL = Statement(
    select(requests.c.number)
    .where(_after, requests.c.created_at <= param("until", requests.c.created_at))
    .order_by(requests.c.number.desc())
    .limit(1),
    _number,
)


class ByItself(NamedTuple):
    """How many requests one wording of a rule approved by itself, and the first and last of them."""

    rule_id: int
    requests: int
    first: int
    last: int


APPROVED_BY_THEMSELVES = Statement(
    select(requests.c.rule_id, func.count(), func.min(requests.c.number), func.max(requests.c.number))
    .where(_by_itself, _after, requests.c.number <= param("upto", requests.c.number))
    .group_by(requests.c.rule_id)
    .order_by(requests.c.rule_id),
    ByItself,
)
_LATER = ("id", "ts", "attempted_at", "posted_at")
INSERT_DIGEST = Statement(
    insert(digests)
    .values({column.name: param(column.name, column) for column in digests.c if column.name not in _LATER})
    .returning(digests),
    t.Digest,
)
# One that nobody has begun to post, so that it tells of what comes until then, too.
WIDEN_DIGEST = Statement(
    update(digests)
    .where(
        digests.c.rule == param("rule", digests.c.rule),
        digests.c.channel == param("channel", digests.c.channel),
        digests.c.attempted_at.is_(None),
    )
    .values(
        last_number=param("last_number_", digests.c.last_number),
        count=digests.c.count + param("more", digests.c.count),
    )
)
_digest = digests.c.id == param("digest_id", digests.c.id)
DIGEST = Statement(select(digests).where(_digest), t.Digest)
DIGEST_BY_MESSAGE = Statement(
    select(digests).where(
        digests.c.channel == param("channel", digests.c.channel), digests.c.ts == param("ts", digests.c.ts)
    ),
    t.Digest,
)
LAST_POSTED_DIGEST = Statement(
    select(digests)
    .where(digests.c.rule == param("rule", digests.c.rule), digests.c.ts.is_not(None))
    .order_by(digests.c.id.desc())
    .limit(1),
    t.Digest,
)
MARK_DIGEST_ATTEMPTED = Statement(
    update(digests)
    .where(_digest, digests.c.attempted_at.is_(None))
    .values(attempted_at=param("attempted_at_", digests.c.attempted_at))
)
MARK_DIGEST_POSTED = Statement(
    update(digests).where(_digest, digests.c.ts.is_(None)).values(set_to(digests, "channel", "ts", "posted_at"))
)
# What a gathered notice tells of.
_told = and_(
    _by_itself,
    requests.c.number >= param("first", requests.c.number),
    requests.c.number <= param("last", requests.c.number),
    requests.c.rule_id.in_(
        select(rule_versions.c.id).where(rule_versions.c.name == param("rule", rule_versions.c.name)).scalar_subquery()
    ),
)


class ToolCount(NamedTuple):
    """How many calls of a tool an agent made."""

    agent: str
    tool: str
    calls: int


TOOLS_TOLD = Statement(
    select(requests.c.agent, requests.c.tool, func.count())
    .where(_told)
    .group_by(requests.c.agent, requests.c.tool)
    .order_by(func.count().desc(), requests.c.agent, requests.c.tool),
    ToolCount,
)
NEWEST_TOLD = Statement(
    select(*lean_request).where(_told).order_by(requests.c.number.desc()).limit(bindparam("limit")), t.Request
)
_lane = param("lane", outbox.c.lane)
WAITING_DRAW_OF_DIGEST = Statement(
    select(outbox.c.id)
    .where(outbox.c.lane == _lane, outbox.c.kind == t.IntentKind.DRAW_DIGEST, outbox.c.leased_until.is_(None))
    .limit(1),
    int,
)

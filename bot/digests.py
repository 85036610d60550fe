"""Gathered notices: each minute, what rules with a channel approved by themselves is told there in one message.

Not one message each, and nothing on the path of an agent's call: a sweep reads what was made since it last looked. A
notice that nobody has begun to post yet tells of what comes until then, too, so that an outage of Slack makes one
message and not sixty. It is drawn from the stored state, and shows no arguments.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

from bot.clock import Clock
from bot.decisions import add_intent
from bot.events import EventType, append_event, body_bytes
from bot.halted import can_ask
from bot.rulebook import Rulebook
from store import statements, statements_halts
from store import statements_digests as sql
from store.engine import Store
from store.statements_digests import ByItself, ToolCount
from store.tables import Digest, Halt, HaltEffect, HaltScope, Intent, IntentKind, Request
from store.unit import Unit

SETTLED = timedelta(seconds=5)
"""What is younger is left for the next look, so that usually nothing is on its way to being committed any more."""
LOOK_BACK = timedelta(hours=24)
"""What is older was not told before this process and is not told any more."""
NEWEST = 5


@dataclass(frozen=True, slots=True)
class DigestJob:
    """A claimed intent that is about a gathered notice."""

    intent: Intent
    digest_id: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a gathered notice is drawn from. ``newest`` come without arguments, the newest first.

    ``stop`` is what makes the rule ask people now, None while it approves by itself; ``can_ask``: whether today's rule
    names people who would be asked, as otherwise it denies; ``is_there``: whether today's configuration has the rule,
    and it approves by itself. ``external``: whether it may be told in a channel shared with another company.
    """

    digest: Digest
    tools: tuple[ToolCount, ...]
    newest: tuple[Request, ...]
    stop: Halt | None
    can_ask: bool
    is_there: bool
    external: bool


class Digests:
    """Use cases of gathered notices."""

    def __init__(self, store: Store, clock: Clock, rulebook: Rulebook) -> None:
        self._store = store
        self._clock = clock
        self._rulebook = rulebook
        self._told: int | None = None  # the last number that a notice tells of, as this process knows it
        self._looked_at = 0  # the last number that this process has looked at

    # --- the sweep ---

    async def gather(self) -> int:
        """Write notices of what rules approved since the last look. Returns how many requests they tell of."""
        told, after, upto = await self._store.read(self._look)
        found = await self._find(after, upto) if upto > after else []
        if found:
            done = await self._store.write(partial(self._write, told=told, found=found))
            if done is None:
                self._told = None  # another process told it; the next look begins after that
                return 0
            self._told = done
        else:
            self._told = told
        self._looked_at = upto
        return sum(one.requests for one, _, _ in found)

    async def _look(self, unit: Unit) -> tuple[int, int, int]:
        """Return what was told before, and after which number and up to which there is something to be looked at."""
        now = self._clock()
        told = await unit.one(sql.LAST_TOLD) or 0
        after = max(told, self._looked_at)
        if self._told is None:
            first = await unit.one(sql.FIRST_DECIDED_SINCE, since=now - LOOK_BACK)
            last = await unit.one(sql.LAST_MADE_UNTIL, after=after, until=now) or 0
            after = max(after, first - 1 if first is not None else last)
        return told, after, await unit.one(sql.LAST_MADE_UNTIL, after=after, until=now - SETTLED) or after

    async def _find(self, after: int, upto: int) -> "list[_Found]":
        """Return what rules with a channel approved by themselves, of the numbers behind ``after``."""
        # A lower number that is still on its way to being committed, however slowly, is so beside others: whoever
        # writes alone waits for them all (``store.statements_beside``).
        await self._store.write(_write_nothing)

        async def work(unit: Unit) -> "list[_Found]":
            found = []
            for one in await unit.all(sql.APPROVED_BY_THEMSELVES, after=after, upto=upto):
                rule = await self._rulebook.frozen(unit, one.rule_id)
                if rule.channel is not None:
                    found.append((one, rule.name, rule.channel))
            return found

        return await self._store.read(work)

    async def _write(self, unit: Unit, told: int, found: "list[_Found]") -> int | None:
        """Write the notices; None if another process wrote some since ``told`` was read."""
        if (await unit.one(sql.LAST_TOLD) or 0) != told:
            return None
        now = self._clock()
        for one, rule, channel in found:
            widened = await unit.run(
                sql.WIDEN_DIGEST, rule=rule, channel=channel, last_number_=one.last, more=one.requests
            )
            if widened:
                continue
            digest = await unit.one(
                sql.INSERT_DIGEST,
                key=str(uuid4()), rule=rule, channel=channel, first_number=one.first, last_number=one.last,
                count=one.requests, created_at=now,
            )  # fmt: skip
            if digest is None:
                raise LookupError("a gathered notice was written and not returned")
            await add_intent(
                unit, IntentKind.POST_DIGEST, digest_lane(digest.id), now, reason="gathered", request=None,
                about=_about(digest.id),
            )  # fmt: skip
        return max([told, *(one.last for one, _, _ in found)])

    # --- for the deliverer ---

    async def load(self, digest_id: int) -> Gathered:
        """Gather what a notice is drawn from, in one snapshot."""

        async def work(unit: Unit) -> Gathered:
            digest = await unit.one(sql.DIGEST, digest_id=digest_id)
            if digest is None:
                raise LookupError(f"there is no gathered notice {digest_id}")
            told = {"rule": digest.rule, "first": digest.first_number, "last": digest.last_number}
            halts = await unit.all(statements_halts.HALTS_OF, scope=HaltScope.RULE, name=digest.rule, now=self._clock())
            rule = next((one for one in self._rulebook.policy.settings.rules if one.name == digest.rule), None)
            return Gathered(
                digest=digest,
                tools=tuple(await unit.all(sql.TOOLS_TOLD, **told)),
                newest=tuple(await unit.all(sql.NEWEST_TOLD, limit=NEWEST, **told)),
                stop=next((halt for halt in halts if halt.effect is HaltEffect.ASK), None),
                can_ask=rule is not None and can_ask(rule),
                is_there=rule is not None and rule.stage == "autonomous",
                external=rule is not None and rule.external,
            )

        return await self._store.read(work)

    async def attempting(self, digest: Digest) -> None:
        """Record, before the first try, that a notice may be in Slack from now on: it tells of nothing more."""
        await self._store.write(
            lambda unit: unit.run(sql.MARK_DIGEST_ATTEMPTED, digest_id=digest.id, attempted_at_=self._clock())
        )

    async def posted(self, job: DigestJob, digest: Digest, channel: str, ts: str) -> None:
        """Record that a notice is in Slack, and that its intent is done."""

        async def work(unit: Unit) -> None:
            now = self._clock()
            if await unit.run(sql.MARK_DIGEST_POSTED, digest_id=digest.id, channel_=channel, ts_=ts, posted_at_=now):
                await append_event(
                    unit, now, EventType.DIGEST_POSTED,
                    digest=digest.id, rule=digest.rule, channel=channel, ts=ts,
                    first=digest.first_number, last=digest.last_number, count=digest.count,
                )  # fmt: skip
            await self._finish(unit, job)

        await self._store.write(work)

    async def done(self, job: DigestJob) -> None:
        """Record that an intent is carried out."""
        await self._store.write(partial(self._finish, job=job))

    # --- for those who press ---

    async def at(self, channel: str, ts: str) -> Digest | None:
        """Return the gathered notice that a message is, or None."""
        return await self._store.peek(lambda unit: unit.one(sql.DIGEST_BY_MESSAGE, channel=channel, ts=ts))

    @staticmethod
    async def _finish(unit: Unit, job: DigestJob) -> None:
        await unit.run(statements.FINISH_INTENT, intent_id=job.intent.id, is_fence=job.intent.fence)


_Found = tuple[ByItself, str, str]
"""What a rule approved by itself, its name and its channel."""


async def _write_nothing(unit: Unit) -> None:
    pass


async def wish_to_draw_digest(unit: Unit, rule: str, reason: str, now: datetime) -> None:
    """Ask the outbox to draw a rule's newest notice anew, unless it was asked already and has not begun to."""
    digest = await unit.one(sql.LAST_POSTED_DIGEST, rule=rule)
    if digest is None:
        return
    lane = digest_lane(digest.id)
    if await unit.one(sql.WAITING_DRAW_OF_DIGEST, lane=lane) is None:
        await add_intent(unit, IntentKind.DRAW_DIGEST, lane, now, reason=reason, request=None, about=_about(digest.id))


def digest_lane(digest_id: int) -> str:
    """The lane in which everything about one gathered notice is carried out in order."""
    return f"digest:{digest_id}"


def _about(digest_id: int) -> str:
    return body_bytes({"digest": digest_id}).decode()

"""``signoff audit`` and ``signoff evidence``: the record, for who has to answer for it, in a process of its own.

Nothing here changes what is on record, but for adding that a checkpoint was signed, or that somebody took something
out. What is printed of an event is what is on record: no arguments, notes or reasons.
"""

import asyncio
import csv
import json
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.audit import Audit
from bot.audit_record import check_record
from bot.audit_rights import check_rights
from bot.chain import Fault, Faults, Verdict, Witness
from bot.checkpoints import BadCheckpoint, PublicKey, Signer
from bot.clock import Clock
from bot.config import Settings, load_settings
from bot.errors import NotATime
from bot.periods import parse_period
from bot.secrets import load_bot_token, load_secret_key
from handlers.audit_slack import CardsSay, read_cards
from handlers.check_slack import Unreachable
from handlers.cli.beside import named, open_beside, operator, stamp
from handlers.cli.say import CommandFailed, say, shown
from handlers.cli.table import Cell, cell
from handlers.recordkeeping import append_line, take
from handlers.slack.client import SlackClient
from handlers.slack.text import how_many
from store.engine import Store
from store.opening import is_there
from store.statements_audit import Link
from store.tables import Event, Request

_SHORT = 16


def run(args: Namespace, env: Mapping[str, str], config: Path) -> int:
    """Carry out one of the commands; returns the exit code. Raises ``BadConfig`` and ``CommandFailed``."""
    settings = load_settings(config, env)
    work = {"verify": _verify, "checkpoint": _checkpoint, "key": _key, "show": _show, "export": _export}[args.act]
    return asyncio.run(work(args, env, settings))


# --- verify ---


@dataclass(frozen=True, slots=True)
class _Found:
    """What verifying came to."""

    verdict: Verdict
    requests: int | None
    checkpoints: int
    cards: CardsSay | None


async def _verify(args: Namespace, env: Mapping[str, str], settings: Settings) -> int:
    faults = Faults()
    witnesses = _kept(args, env, settings, faults)
    async with _opened(settings) as (store, clock):
        cards = await _ask_slack(store, env, settings, faults) if args.slack else None
        requests = None
        if args.stored:
            requests = await check_record(store, faults)
            await check_rights(store, faults)
        verdict = await Audit(store, clock).verify([*witnesses, *(cards.witnesses if cards else ())], faults)
    found = _Found(verdict, requests, len(witnesses), cards)
    print(json.dumps(_as_json(found), indent=2) if args.json else "\n".join(map(shown, _as_text(found))))
    return 1 if verdict.fault_count else 0


def _kept(args: Namespace, env: Mapping[str, str], settings: Settings, faults: Faults) -> list[Witness]:
    """Read the checkpoints that were kept."""
    if not args.checkpoint:
        return []
    public, witnesses = _public_key(args, env, settings), list[Witness]()
    for path in args.checkpoint:
        lines = [line for line in _read(path).decode("utf-8", "replace").splitlines() if line.strip()]
        if not lines:
            raise CommandFailed(f"{path} holds no checkpoint.")
        for at, line in enumerate(lines, 1):
            try:
                checkpoint = public.read(line)
            except BadCheckpoint as bad:
                faults.add(bad.code, None, f"{path}, line {at}: {bad}")
            else:
                witnesses.append(checkpoint.as_witness)
    return witnesses


def _public_key(args: Namespace, env: Mapping[str, str], settings: Settings) -> PublicKey:
    if args.key is None:
        return _signer(env, settings).public
    try:
        return PublicKey.from_pem(_read(args.key))
    except BadCheckpoint as bad:
        raise CommandFailed(f"{args.key}: {bad}") from bad


async def _ask_slack(store: Store, env: Mapping[str, str], settings: Settings, faults: Faults) -> CardsSay:
    token = load_bot_token(env)
    if token is None:
        raise CommandFailed("Slack cannot be asked: set SLACK_BOT_TOKEN, or SLACK_BOT_TOKEN_FILE.")
    client = SlackClient(settings.slack, token)
    try:
        channels = (one for rule in settings.rules for one in (rule.channel, rule.fallback_channel) if one is not None)
        return await read_cards(store, client, asyncio.sleep, faults, channels)
    except Unreachable as error:
        raise CommandFailed(f"Slack does not answer ({error}). Try again later, or without --slack.") from error
    finally:
        await client.close()


def _as_text(found: _Found) -> list[str]:
    verdict, head = found.verdict, found.verdict.head
    last = f", the last of {stamp(head.at)} with the hash {head.hash.hex()}" if head else ""
    lines = [f"{verdict.events} events{last}."]
    if found.requests is not None:
        lines.append(f"{found.requests} requests were compared with what is on record of them.")
    lines.append(_witnesses_as_text(found))
    if verdict.witnessed is not None:
        sure = verdict.witnessed
        lines.append(f"Witnessed up to event {sure.number}, by {sure.source}.")
    else:
        lines.append("No witness vouches for any of it.")
    lines.append(f"Events after the last witness: {verdict.unwitnessed}.")
    if not verdict.fault_count:
        return [*lines, "Everything agrees."]
    told = [f"  {_fault_as_text(fault)}" for fault in verdict.faults]
    more = verdict.fault_count - len(told)
    return [*lines, f"Faults: {verdict.fault_count}.", *told, *([f"  and {more} more"] if more else [])]


def _witnesses_as_text(found: _Found) -> str:
    cards = found.cards
    told = f"Witnesses: {how_many(found.checkpoints, 'checkpoint')}"
    if cards is None:
        return f"{told}; Slack was not asked."
    told += f", {len(cards.witnesses)} of {cards.read} cards read in Slack ({cards.not_there} are not there any more)"
    if cards.unknown:
        told += f"; {cards.unknown} of these cards are unknown to the database"
    closed = ", ".join(f"{channel}: {code}" for channel, code in sorted(cards.closed.items()))
    return f"{told}; channels that could not be read: {closed}." if closed else f"{told}."


def _fault_as_text(fault: Fault) -> str:
    return f"{f'event {fault.number}: ' if fault.number is not None else ''}{fault.code}: {fault.words}"


def _as_json(found: _Found) -> dict[str, object]:
    verdict, cards = found.verdict, found.cards
    return {
        "ok": not verdict.fault_count,
        "events": verdict.events,
        "last_event": None if verdict.head is None else verdict.head.number,
        "last_hash": None if verdict.head is None else verdict.head.hash.hex(),
        "requests": found.requests,
        "checkpoints": found.checkpoints,
        "cards": cards and {
            "read": cards.read, "witnesses": len(cards.witnesses), "without_witness": cards.silent,
            "not_there": cards.not_there, "unknown": cards.unknown, "channels_not_read": cards.closed,
        },
        "witnessed_up_to": verdict.witnessed.number if verdict.witnessed else 0,
        "witnessed_by": verdict.witnessed.source if verdict.witnessed else None,
        "unwitnessed": verdict.unwitnessed,
        "fault_count": verdict.fault_count,
        "faults": [asdict(fault) for fault in verdict.faults],
    }  # fmt: skip


# --- checkpoint and key ---


async def _checkpoint(args: Namespace, env: Mapping[str, str], settings: Settings) -> int:
    signer = _signer(env, settings)
    if not args.file.parent.is_dir():  # asked before it is put on record that one was signed
        raise CommandFailed(f"There is no folder {args.file.parent}.")
    async with _opened(settings) as (store, clock):
        checkpoint = await take(Audit(store, clock), signer, settings, "on demand")
    line = signer.sign(checkpoint)
    if str(args.file) == "-":
        print(line)
    else:
        append_line(args.file, line)
    say(
        f"Signed {checkpoint.size} events at {stamp(checkpoint.time)}. Keep it where nobody on this host can change it."
    )
    return 0


async def _key(args: Namespace, env: Mapping[str, str], settings: Settings) -> int:
    public = _signer(env, settings).public
    print(json.dumps(public.jwk, indent=2) if args.json else public.pem.strip())
    return 0


def _signer(env: Mapping[str, str], settings: Settings) -> Signer:
    return Signer(load_secret_key(env, settings.store, create_key=False).as_bytes())


# --- show and export ---


async def _show(args: Namespace, env: Mapping[str, str], settings: Settings) -> int:
    async with _opened(settings) as (store, clock):
        audit = Audit(store, clock)
        request = await _found(audit, args.id)
        events = await audit.events_of(request)
    if args.json:
        print(json.dumps([_event_as_json(event) for event in events], indent=2))
        return 0
    for event in events:
        facts = {
            name: value
            for name, value in json.loads(event.body).items()
            if name not in ("v", "at", "type", "request", "number")
        }
        told = "; ".join(f"{name}: {value}" for name, value in facts.items())
        print(shown(f"{event.number}  {stamp(event.at)}  {event.type}  {event.hash.hex()[:_SHORT]}"))
        print(shown(f"    {told}"))
    return 0


def _event_as_json(event: Link | Event) -> dict[str, Cell]:
    """An event as it is exported: its body to the letter, so that its hash can be computed again."""
    return {
        "number": event.number,
        "at": stamp(event.at),
        "type": event.type,
        "request": event.request_number,
        "body": event.body,
        "hash": event.hash.hex(),
    }


async def _export(args: Namespace, env: Mapping[str, str], settings: Settings) -> int:
    async with _opened(settings) as (store, clock):
        audit, after = Audit(store, clock), 0
        if args.since is not None:
            after = await audit.first_since(_since(args.since, clock()))
        await audit.note_export("events", operator(), format=args.format, after=after)
        write = _write_csv if args.format == "csv" else _write_jsonl
        count = 0
        async for links in audit.pages(after):
            write(links, is_first=count == 0)
            count += len(links)
    say(f"Exported {count} events.")
    return 0


def _since(text: str, now: datetime) -> datetime:
    try:
        return parse_period(text, now, ZoneInfo("UTC")).since
    except NotATime as error:
        raise CommandFailed(f"--since: {error.message}", exit_code=2) from error


def _write_jsonl(links: list[Link], *, is_first: bool) -> None:
    for link in links:
        print(json.dumps(_event_as_json(link)))


def _write_csv(links: list[Link], *, is_first: bool) -> None:
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for at, link in enumerate(links):
        row = _event_as_json(link)
        if is_first and at == 0:
            writer.writerow(row)
        writer.writerow([cell(value) for value in row.values()])


# --- evidence ---


def run_evidence(args: Namespace, env: Mapping[str, str], config: Path) -> int:
    """Write one request's evidence down; returns the exit code. Raises ``BadConfig`` and ``CommandFailed``."""
    return asyncio.run(_evidence(args, env, load_settings(config, env)))


async def _evidence(args: Namespace, env: Mapping[str, str], settings: Settings) -> int:
    from bot.evidence import load_evidence
    from bot.policy import Policy
    from bot.redaction import Redactor
    from bot.rulebook import Edition, Rulebook
    from handlers.evidence import render_json
    from handlers.evidence_page import render_page

    redactor = Redactor(load_secret_key(env, settings.store, create_key=False).as_bytes())
    rulebook = Rulebook(Edition(Policy(settings), {}))
    if not args.to.is_dir():
        raise CommandFailed(f"There is no folder {args.to}.")
    async with _opened(settings) as (store, clock):
        audit = Audit(store, clock)
        request = await _found(audit, args.id)
        await audit.note_export("evidence", operator(), request)
        now, by = clock(), operator()
        evidence = await store.read(lambda unit: load_evidence(unit, rulebook, redactor, request, now))
    for suffix, text in (("json", render_json(evidence, now, by)), ("html", render_page(evidence, now, by))):
        path = args.to / f"signoff-{request.number}.{suffix}"
        _write_private(path, text)
        print(path)
    return 0


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, in place of an older one."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


# --- the store ---


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Store, Clock]]:
    if not await is_there(settings.store.database):
        raise CommandFailed(f"There is no database {named(settings)} yet, so nothing is on record.")
    async with open_beside(settings) as (store, clock):
        yield store, clock


async def _found(audit: Audit, reference: str) -> Request:
    request = await audit.find(reference)
    if request is None:
        raise CommandFailed(f"There is no request {shown(reference)}.")
    return request


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read ({error.strerror}).") from error

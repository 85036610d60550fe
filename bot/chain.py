"""Checking the audit chain: event by event, and against what witnesses outside the database say of it. Pure.

``hash_n = SHA-256(hash_{n-1} || body_n)`` shows that a chain was made in one piece, not by whom: whoever owns the
database can make another. So a witness, who has kept an event's number and (the beginning of) its hash elsewhere, says
up to where the chain is the one that was written. What comes after the last witness is counted, not vouched for.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from bot.events import BODY_VERSION
from store.statements import CHAIN_START
from store.statements_audit import Link

_decode = json.JSONDecoder().raw_decode  # a million times, without looking for white space that is never there
MOST_FAULTS = 100
"""So many faults are told; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Witness:
    """What somebody outside the database knows of the chain: the hash of one event, whole or its first bytes."""

    number: int
    hash: bytes
    source: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not agree. ``number`` is that of the event, None where it is about none."""

    code: str
    number: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking the chain came to.

    ``witnessed`` is the last event that a witness and the chain agree on, with nothing wrong before it; ``unwitnessed``
    counts the events after it. ``faults`` are the first of ``fault_count``.
    """

    events: int
    head: Link | None
    witnessed: Witness | None
    unwitnessed: int
    witnesses: int
    fault_count: int
    faults: tuple[Fault, ...]


class Faults:
    """Collects faults: keeps the first, counts all."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[Fault] = []

    def add(self, code: str, number: int | None, words: str) -> None:
        self.count += 1
        if len(self.kept) < MOST_FAULTS:
            self.kept.append(Fault(code, number, words))


class ChainCheck:
    """Checks the events of a chain that are given to it in the order of their numbers, from the first on."""

    def __init__(self, witnesses: Iterable[Witness] = (), faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._waiting: dict[int, list[Witness]] = {}
        for witness in witnesses:
            self._waiting.setdefault(witness.number, []).append(witness)
        self._witnesses = sum(map(len, self._waiting.values()))
        self._head: Link | None = None
        self._hash = CHAIN_START
        self._events = 0
        self._witnessed: Witness | None = None
        self._is_whole = True  # nothing was wrong with the chain so far

    def check(self, links: Iterable[Link]) -> None:
        """Go on with the next events. Constant memory, whatever is wrong with them."""
        waiting, number, before = self._waiting, 0 if self._head is None else self._head.number, self._hash
        link: Link | None = None
        for link in links:
            number += 1
            self._events += 1
            if link.number != number:
                words = f"Events are missing before it: the last one there is {number - 1}."
                self._break("events_missing", link.number, words)
                number = link.number
            if sha256(before + link.body.encode()).digest() != link.hash:
                self._break(
                    "hash_differs", number, "It was changed, or an event before it was changed, added or taken."
                )
            # Go on with what is stored: the next fault is one of its own.
            before = link.hash
            self._check_columns(link)
            if number in waiting:
                self._hear(waiting.pop(number), link)
        if link is not None:
            self._head, self._hash = link, before

    def verdict(self) -> Verdict:
        """Say what it came to, once every event was given."""
        last = 0 if self._head is None else self._head.number
        for number, witnesses in sorted(self._waiting.items()):
            for witness in witnesses:
                there = "was taken away" if number <= last else f"is not there: the chain ends at {last}"
                self.faults.add("witness_without_event", number, f"The event {there}. Witness: {witness.source}.")
        sure = self._witnessed.number if self._witnessed is not None else 0
        return Verdict(
            events=self._events,
            head=self._head,
            witnessed=self._witnessed,
            unwitnessed=max(last - sure, 0),
            witnesses=self._witnesses,
            fault_count=self.faults.count,
            faults=tuple(self.faults.kept),
        )

    def _check_columns(self, link: Link) -> None:
        """What stands beside a body is for looking it up; nothing vouches for it but the body."""
        try:
            body, end = _decode(link.body)
            agrees = (
                end == len(link.body)
                and body["type"] == link.type
                and body["v"] == BODY_VERSION
                and body.get("number") == link.request_number
                and datetime.fromisoformat(body["at"]) == link.at
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            self._break("body_unreadable", link.number, "Its body is not what events are made of.")
            return
        if not agrees:
            self._break("columns_differ", link.number, "Its type, time or request is not what its body says.")

    def _hear(self, witnesses: Iterable[Witness], link: Link) -> None:
        for witness in witnesses:
            if not witness.hash or not link.hash.startswith(witness.hash):
                words = f"Its hash is another than the one kept. Witness: {witness.source}."
                self._break("witness_differs", link.number, words)
            elif self._is_whole:
                self._witnessed = witness

    def _break(self, code: str, number: int, words: str) -> None:
        self._is_whole = False
        self.faults.add(code, number, words)

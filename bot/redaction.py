"""What a rule hides from people: requests as they may be seen, with marks in place of what is hidden. Pure.

A rule's ``redact`` names arguments whose values nobody is to see, on no surface. Whoever draws a request gets a
redacted copy of it from here, so that no renderer can leak; what is stored stays as the agent sent it, and so does the
digest. What patterns fit and what a mark is, ``bot.redaction_marks`` says.
"""

import hmac
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from bot.redaction_marks import MARK, MARK_SIGN, Copy, Marker, Path, Veil, parse_pattern
from store.compiled import changed_record
from store.tables import Override, Request, StandingVote, Vote

__all__ = ["MARK", "MARK_SIGN", "Hiding", "Redacted", "Redactor", "bracketed"]

_CALLS_KEPT = 16
_MOST_TRIES = 16  # to find JSON objects in a text

Noted = TypeVar("Noted", Vote, StandingVote)
_parsed = lru_cache(maxsize=1024)(parse_pattern)


def bracketed(text: str) -> str:
    """Write the marks of a redacted text with the bracket that people see, for what is not drawn: the sign that begins
    one is no character that other programs read."""
    return text.replace(MARK_SIGN, "[")


class Redactor:
    """Makes redacted copies. ``secret_key`` is SIGNOFF_SECRET_KEY; the marks' own key is derived from it."""

    def __init__(self, secret_key: bytes) -> None:
        self._key = hmac.digest(secret_key, b"redaction\0", "sha256")
        # A call never changes and is drawn again with every press; a long one takes a while.
        self._call = lru_cache(maxsize=_CALLS_KEPT)(self._redact_call)

    def redact(self, request: Request, patterns: Iterable[str], beside: "Redacted | None" = None) -> "Redacted":
        """Return ``request`` as people may see it under a rule's ``patterns``.

        ``beside``: the request that it is shown with. What is hidden there is hidden here too, and equal values have
        equal marks. Arguments and context that were not loaded stay away.
        """
        hidden = tuple(map(_parsed, patterns))
        other = beside.hiding if beside is not None else None
        if not hidden and other is None:
            return Redacted(request)
        salt = request.salt if beside is None else beside.request.salt
        call = self._call(request.arguments, request.context, request.agent_reasoning, salt, hidden, other)
        changed = changed_record(
            request,
            arguments=call.arguments,
            context=call.context,
            agent_reasoning=call.agent_reasoning,
            outcome_note=call.of_claims.words(request.outcome_note),
            note=call.hiding.words(request.note),
        )
        return Redacted(changed, call.copies, call.hiding)

    def _redact_call(
        self,
        arguments: str,
        context: str | None,
        agent_reasoning: str | None,
        salt: bytes,
        hidden: tuple[Path, ...],
        other: "Hiding | None",
    ) -> "_Call":
        marker = Marker(self._key, salt, hidden)
        secrets = dict(other.secrets) if other is not None else {}
        if arguments:
            Copy(arguments, marker, found=secrets).make("arguments")
        # What stands in the context hides none of the arguments: else an agent could hide them with it.
        claimed = dict(secrets)
        if context is not None:
            Copy(context, marker, found=claimed).make("context")
        hiding, of_claims = Hiding(marker, secrets), Hiding(marker, claimed)
        copy = Copy(arguments, marker, hiding.veil)
        return _Call(
            arguments=copy.make("arguments") if arguments else arguments,
            context=Copy(context, marker, of_claims.veil).make("context") if context is not None else None,
            agent_reasoning=of_claims.words(agent_reasoning),
            copies=copy.covered,
            hiding=hiding,
            of_claims=of_claims,
        )


class Hiding:
    """What is hidden about one request: its rule's patterns, and the values that they fit. Never to be drawn."""

    __slots__ = ("marker", "secrets", "veil")

    def __init__(self, marker: Marker, secrets: dict[str, str]) -> None:
        self.marker = marker
        self.secrets = secrets
        self.veil = Veil(secrets)

    def words(self, text: str | None) -> str | None:
        """Return a text with marks for hidden values, and for what patterns fit in JSON objects that it quotes."""
        if text is None:
            return None
        self.veil.begin()
        return self.veil.over("".join(self._quoted(text)))[0]

    def _quoted(self, text: str) -> Iterator[str]:
        at = 0
        for _ in range(_MOST_TRIES):
            start = text.find("{", at)
            if start < 0:
                break
            yield text[at:start]
            at = start
            try:
                end = _READER.raw_decode(text, start)[1]
            except (ValueError, RecursionError):
                yield text[at : at + 1]
                at += 1
                continue
            try:
                yield Copy(text[start:end], self.marker, self.veil, in_words=True).make("arguments")
            except (ValueError, RecursionError):  # no JSON that an agent may send: half surrogates, keys twice
                yield self.marker.mark(text[start:end].encode("utf-8", "replace").decode())
            at = end
        yield text[at:]


_READER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Call:
    """What never changes of a request, as people may see it. ``of_claims`` is for what else its agent says."""

    arguments: str
    context: str | None
    agent_reasoning: str | None
    copies: int
    hiding: Hiding
    of_claims: Hiding


@dataclass(frozen=True, slots=True)
class Redacted:
    """A request as people may see it.

    ``copies`` counts the places of its arguments that no pattern fits and that are hidden because they hold a hidden
    value. It is to be said, lest a reader takes them for what the rule hides: an agent may have put them there.
    """

    request: Request
    copies: int = 0
    hiding: Hiding | None = None

    def noted(self, vote: Noted) -> Noted:
        """Return a vote on the request, its note as people may see it."""
        if vote.note is None or self.hiding is None:
            return vote
        return changed_record(vote, note=self.hiding.words(vote.note))

    def reasoned(self, override: Override) -> Override:
        """Return an override of the request, its reason as people may see it."""
        if override.reason is None or self.hiding is None:
            return override
        return changed_record(override, reason=self.hiding.words(override.reason))

"""Drawings to render, and eyes to look at what was rendered: a strict check of Slack's limits and what is live in it.

The limits are Slack's published ones, checked by the playground's rules (written apart from the bot) and, where
slack_sdk has checks of its own, by those too.
"""

import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from slack_sdk.models.blocks import Block as SdkBlock
from slack_sdk.models.views import View as SdkView

from bot.call import digest_of, parse_submission
from bot.config import FrozenRule, Rule
from bot.config_tables import ReviewerGroup
from bot.drawings import Drawing
from bot.policy import FORBIDDEN, Parties
from handlers.slack.blocks import Message
from playground.blockkit import MESSAGE_CHARACTERS_MOST, check_view, problems_of_blocks
from playground.model import texts_of
from store.tables import DeciderKind, FullView, Instance, OutcomeStatus, Request, Status, Vote, VoteKind

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MESSAGE_BLOCKS_MOST = 40
MESSAGE_CHARACTERS_SAFE = 10_000
VIEW_BYTES_SAFE = 200_000


def rule(**fields: Any) -> FrozenRule:
    finance = ReviewerGroup(name="finance", users=("U0ALICE", "U0OWNER"), usergroups=("S0FINANCE",))
    given = {
        "name": "refunds", "stage": "approve", "agent": "refund-bot", "tool": "issue_*", "channel": "C0REFUNDS",
        "reviewers": (finance,),
    }  # fmt: skip
    return Rule(**(given | fields)).as_frozen


def drawing(
    arguments: Any = None, *, frozen: FrozenRule | None = None, votes: tuple[Vote, ...] = (), **fields: Any
) -> Drawing:
    """A pending request for a call, as the core would load it. ``arguments``: a value, or JSON text to the letter."""
    call = {"amount": 4900, "currency": "EUR"} if arguments is None else arguments
    text = call if isinstance(call, str) else json.dumps(call, ensure_ascii=False)
    given: dict[str, Any] = {
        "number": 42, "id": "01932b2e-7c1a-7e4a-9b60-0d5a3c1f2e77",
        "instance_id": "01932b2e-0000-7000-8000-000000000001",
        "agent": "refund-bot", "create_key": "k", "submission_digest": b"", "tool": "issue_refund", "server": None,
        "arguments": text, "agent_reasoning": None, "context": None, "timeout": "1h", "canonical_version": 1,
        "digest": b"", "salt": b"", "rule_id": 7, "status": Status.PENDING, "created_at": NOW,
        "deadline_at": NOW + timedelta(hours=1), "due_at": NOW + timedelta(hours=1),
    }  # fmt: skip
    return Drawing(
        request=Request(**(given | fields)),
        rule=rule() if frozen is None else frozen,
        instance=Instance(id=given["instance_id"], name="prod", agent="refund-bot", created_at=NOW),
        votes=votes,
        parties=Parties(frozenset({"U0OWNER"})),
    )


def submitted(body: dict[str, Any]) -> Drawing:
    """The same for a body that an agent sends, through the bot's own parser."""
    sent = parse_submission(json.dumps(body, ensure_ascii=False).encode())
    assert digest_of(sent.tool, sent.server, sent.arguments) == sent.digest
    return drawing(
        sent.arguments,
        tool=sent.tool,
        server=sent.server,
        agent_reasoning=sent.agent_reasoning,
        context=sent.context,
        timeout=sent.timeout,
    )


def vote(kind: VoteKind = VoteKind.APPROVE, user: str = "U0ALICE", note: str | None = None, **fields: Any) -> Vote:
    given: dict[str, Any] = {
        "id": 1, "request_number": 42, "user_id": user, "team_id": "T0HOME", "kind": kind, "note": note,
        "surface": "card", "full_view": FullView.CARD if kind is VoteKind.APPROVE else None, "cast_at": NOW,
    }  # fmt: skip
    return Vote(**(given | fields))


APPROVED: dict[str, Any] = {
    "status": Status.APPROVED, "decided_at": NOW, "decided_by_kind": DeciderKind.PERSON, "decided_by": "U0ALICE",
    "decision_code": "decided_by_votes", "expires_at": NOW + timedelta(minutes=5),
}  # fmt: skip
CONSUMED = APPROVED | {"consumed_at": NOW, "consume_key": "c"}
STATES: dict[str, dict[str, Any]] = {
    "pending": {},
    "denied": APPROVED | {"status": Status.DENIED, "expires_at": None, "note": "Wrong amount or target: 49, not 4900"},
    "denied_by_rule": APPROVED
    | {"status": Status.DENIED, "expires_at": None, "decided_by_kind": DeciderKind.RULE, "decided_by": None,
       "note": "No rule matches this call, and what no rule matches is denied."},
    "expired": {"status": Status.EXPIRED, "decided_at": NOW, "decided_by_kind": DeciderKind.CLOCK},
    "cancelled": {"status": Status.CANCELLED, "decided_at": NOW, "decided_by_kind": DeciderKind.AGENT},
    "cancelled_by_operator": {"status": Status.CANCELLED, "decided_at": NOW, "decided_by_kind": DeciderKind.OPERATOR},
    "cancelled_by_configuration": {
        "status": Status.CANCELLED,
        "decided_at": NOW,
        "decided_by_kind": DeciderKind.OPERATOR,
        "decision_code": FORBIDDEN,
    },
    "open": APPROVED,
    "revoked": APPROVED | {"revoked_at": NOW},
    "revoked_by_configuration": APPROVED | {"revoked_at": NOW, "revoked_code": FORBIDDEN},
    "lapsed": APPROVED | {"lapsed_at": NOW + timedelta(minutes=5)},
    "consumed": CONSUMED,
    "overdue": CONSUMED | {"overdue_at": NOW + timedelta(minutes=15)},
    "succeeded": CONSUMED | {"outcome": OutcomeStatus.SUCCEEDED, "outcome_at": NOW, "outcome_note": "refund re_1"},
    "failed": CONSUMED | {"outcome": OutcomeStatus.FAILED, "outcome_at": NOW, "outcome_note": "card expired"},
}  # fmt: skip


# --- looking at what was rendered -------------------------------------------------------------------------


def check_message(message: Message) -> None:
    """Fail unless Slack takes the message, with room to spare."""
    assert message.text.strip()
    assert len(message.text) <= 4000
    problems = problems_of_blocks(message.blocks)
    assert not problems, problems[:3]
    assert len(message.blocks) <= MESSAGE_BLOCKS_MOST
    assert sum(map(len, texts_of(message.blocks))) <= MESSAGE_CHARACTERS_SAFE < MESSAGE_CHARACTERS_MOST
    for block in message.blocks:
        (parsed,) = SdkBlock.parse_all([block])
        parsed.validate_json()
    _check_ids(message.blocks)


def check_modal(view: dict[str, Any]) -> None:
    """Fail unless Slack takes the view, with room to spare."""
    surface = view["type"]
    check_view(view, surface=surface)
    assert len(json.dumps(view).encode()) <= VIEW_BYTES_SAFE
    for text in texts_of(view["blocks"]):
        assert len(text) <= 3000
    SdkView(**view).validate_json()
    _check_ids(view["blocks"])


def _check_ids(blocks: list[dict[str, Any]]) -> None:
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(ids) == len(set(ids))
    for block in blocks:
        pressed = [element["action_id"] for element in block.get("elements", []) if "action_id" in element]
        assert len(pressed) == len(set(pressed))


def buttons(blocks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The buttons by action id."""
    return {
        element["action_id"]: element for block in blocks if block["type"] == "actions" for element in block["elements"]
    }


def text_in(blocks: list[dict[str, Any]]) -> str:
    """All text a reader sees, markup and all."""
    return "\n".join(texts_of(blocks))


def frames_in(blocks: list[dict[str, Any]]) -> list[str]:
    """The contents of the grey boxes."""
    return [
        "".join(part["text"] for part in element["elements"])
        for block in blocks
        if block["type"] == "rich_text"
        for element in block["elements"]
        if element["type"] == "rich_text_preformatted"
    ]


def strings_of(value: Any) -> list[str]:
    """Every string of a block structure."""
    parts = [value]
    for part in parts:  # grows meanwhile, here and below: the large tests go through millions of parts
        if isinstance(part, dict):
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
    return [part for part in parts if isinstance(part, str)]


def mrkdwn_in(value: Any) -> list[str]:
    """Every text in which Slack reads markup."""
    parts, found = [value], []
    for part in parts:
        if isinstance(part, dict):
            if part.get("type") == "mrkdwn":
                found.append(part["text"])
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
    return found


# --- looking for what must not be there -------------------------------------------------------------------

_TOKEN = re.compile(r"<([^<>]*)>")
_OURS = re.compile(
    r"@U0(ALICE|BOB|OWNER)|!subteam\^S0FINANCE|#C0REFUNDS"
    r"|!date\^\d+\^(?:since |until )?\{(?:date_short_pretty\} at \{time|ago)\}"
    r"\|(?:since |until )?\d+ \w+ \d{4} \d\d:\d\d UTC"
)
_EMOJI_CODE = re.compile(r":(?!warning:)[a-z0-9_+'-]+:")


def live_in(text: str) -> list[str]:
    """What is alive in a text that Slack reads as mrkdwn, apart from our own mentions and dates."""
    tokens = [found[1] for found in _TOKEN.finditer(text)]
    rest = _TOKEN.sub("", text)
    strange = [token for token in tokens if not _OURS.fullmatch(token)]
    return [*strange, *_EMOJI_CODE.findall(rest), *re.findall(r"[<>]|\w+://", rest)]


# What cannot be seen although its category does not say so; written down here apart from the bot's own list.
_BLANK = set(map(chr, [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0]))
_BLANK |= {chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000))}
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})


@cache
def _is_seen(char: str) -> bool:
    return char in "\n " or not (char in _BLANK or unicodedata.category(char) in _UNSEEN)


def unseen_in(text: str) -> list[str]:
    """The characters of a text that a reader cannot see or that move others, line breaks apart."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return []
    return [f"U+{ord(char):04X}" for char in dict.fromkeys(text) if not _is_seen(char)]


# How a line of an outline may begin, with its mark, its margin and, of what is gone, its path; written down here apart
# from the bot's own rules. Behind it stand quotes, numbers and words of ours.
_NAME = r'(?:[A-Za-z_][\w-]*|"(?:[^"\\]|\\.)*")'
_BEGINS_AS_OURS = re.compile(
    rf"(?:[~+ ] )?(?: *|\d+\| )(?:{_NAME} / )*(?:{_NAME}: ?|- |[│┆┌↳] |… [\d,]+ more |│$|\"[^\"]+$)", re.ASCII
)


def strange_lines_in(blocks: list[dict[str, Any]]) -> list[str]:
    """The lines in frames of several lines that do not begin as Signoff begins them."""
    return [
        line
        for shown in frames_in(blocks)
        if "\n" in shown
        for line in shown.split("\n")
        if not _BEGINS_AS_OURS.match(line)
    ]


def spoken_in(value: Any) -> list[str]:
    """What Signoff says itself: every shown text that stands in no grey frame and behind no bar."""
    parts, found = [value], []
    for part in parts:
        if isinstance(part, list):
            parts.extend(part)
        elif isinstance(part, dict):
            if part.get("type") in ("rich_text_preformatted", "rich_text_quote") or part.get("style") == {"code": True}:
                continue
            if isinstance(part.get("text"), str):
                found.append(part["text"])
            parts.extend(part.values())
    return found

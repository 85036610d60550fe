"""One request's evidence as a page: readable without Slack and without a network, with the card as it was shown. Pure.

The card's blocks come from the renderer that draws it in Slack, and are put into HTML here; whatever text is in them is
escaped, and nothing on the page runs or loads anything. Buttons stand there as they did, and do nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from bot.evidence import Evidence
from handlers.slack.blocks import Block
from handlers.slack.cards import render_card
from handlers.slack.states import state_word
from handlers.slack.text import visible
from store.tables import Override, Vote

_SIGNS = {"warning": "⚠️"}
_TOKEN = re.compile(r"<([^<>]*)>")
_DATE = re.compile(r"!date\^(\d{1,12})\^[^|]*\|(.*)", re.DOTALL)
_MARKS = ((re.compile(r"`([^`\n]+)`"), "code"), (re.compile(r"(?<!\w)\*([^*\n]+)\*(?!\w)"), "b"))
_STYLES = (("bold", "b"), ("italic", "i"), ("code", "code"))
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CSS = """
body{font:15px/1.45 system-ui,sans-serif;color:#1d1c1d;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}
.card{border:1px solid #ccc;border-left:4px solid #777;border-radius:6px;padding:.5rem 1rem}
.card>*{margin:.45rem 0}pre,code{font:13px/1.4 ui-monospace,monospace;background:#f5f5f5;border:1px solid #ddd;
border-radius:3px}pre{padding:.5rem;white-space:pre-wrap;overflow-wrap:anywhere}code{padding:0 .2rem}
blockquote{border-left:4px solid #ccc;padding-left:.7rem;margin-left:0;white-space:pre-wrap}
.small{color:#616061;font-size:.87rem}.button{border:1px solid #bbb;border-radius:4px;padding:.15rem .6rem;
margin-right:.4rem;color:#616061;display:inline-block}table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid #ddd;text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;
overflow-wrap:anywhere}th{font-weight:600}@media print{body{margin:0}.card{break-inside:avoid}}
"""


def render_page(evidence: Evidence, made_at: datetime, by: str) -> str:
    """Draw the page."""
    drawing, request = evidence.drawing, evidence.drawing.request
    title = f"Request #{request.number}"
    first = evidence.events[0] if evidence.events else None
    facts = {
        "Agent": f"{request.agent}, instance {drawing.instance.name}",
        "Tool": request.tool if request.server is None else f"{request.tool} on {request.server}",
        "Outcome": state_word(request, is_reported=drawing.is_reported),
        "Asked": _time(request.created_at),
        "Deadline": _time(request.deadline_at),
        "Decided": _decided(evidence),
        "Used": _time(request.consumed_at),
        "Rule": "none matched" if drawing.rule is None else f"{drawing.rule.name}, version {request.rule_id}",
        "Id": request.id,
        "On record": "nothing" if first is None else f"events {first.number} to {evidence.events[-1].number}",
    }
    body = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="small">Evidence made {_time(made_at)} by {_text(by)}. All times are UTC; people stand by their '
        "Slack ids. What the rule hides is hidden here too.</p>",
        _table(facts.items()),
        *_part("The card as it was asked", [_card(render_card(evidence.asked, request.created_at).blocks)]),
        *_part("The card as it stands now", [_card(render_card(drawing, made_at).blocks)]),
        *_part("Votes", [_votes(evidence)]),
        *_part("Overrides", [_overrides(evidence)]),
        *_part("Where it was shown", [_places(evidence)]),
        *_part("On record", [_events(evidence), _how_to_check(evidence)]),
    ]
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_CSS}</style></head>'
    )
    return f"{head}<body>\n" + "\n".join(body) + "\n</body></html>\n"


# --- the parts --------------------------------------------------------------------------------------------


def _part(heading: str, content: Iterable[str]) -> list[str]:
    shown = [piece for piece in content if piece]
    return [f"<h2>{_text(heading)}</h2>", *(shown or ['<p class="small">None.</p>'])]


def _decided(evidence: Evidence) -> str:
    request = evidence.drawing.request
    if request.decided_at is None or request.decided_by_kind is None:
        return "not yet"
    who = f"{request.decided_by_kind.value} {request.decided_by or ''}".strip()
    return f"{request.status.value} by {who}, {_time(request.decided_at)} ({request.decision_code})"


def _votes(evidence: Evidence) -> str:
    votes = sorted([*evidence.drawing.votes, *evidence.drawing.withdrawn], key=lambda vote: vote.id)
    return _rows(("When", "Who", "Vote", "How"), ((_time(v.cast_at), v.user_id, v.kind.value, _how(v)) for v in votes))


def _how(vote: Vote) -> str:
    told = [
        vote.surface,
        f"saw the whole call: {vote.full_view.value}" if vote.full_view else "",
        f"step-up: {vote.step_up.value}" if vote.step_up else "",
        "cast ahead" if vote.standing_id is not None else "",
        "forced" if vote.is_forced else "",
        f"withdrawn {_time(vote.withdrawn_at)}" if vote.withdrawn_at else "",
        f"reason: {vote.note}" if vote.note else "",
    ]
    return "; ".join(filter(None, told))


def _overrides(evidence: Evidence) -> str:
    def row(one: Override) -> tuple[str, ...]:
        by = f"{one.displaced_by_kind.value} {one.displaced_by or ''}".strip() if one.displaced_by_kind else "nobody"
        return _time(one.at), one.user_id, one.kind.value, f"{one.displaced}, of {by}", one.reason or "removed"

    return _rows(("When", "Who", "What", "In place of", "Reason"), map(row, evidence.drawing.overrides))


def _places(evidence: Evidence) -> str:
    rows = (
        (card.place.value, card.channel or card.target, card.ts or "", card.state.value, _time(card.posted_at))
        for card in evidence.cards
    )
    return _rows(("Place", "Channel", "Message", "State", "Posted"), rows)


def _events(evidence: Evidence) -> str:
    rows = (
        (str(event.number), _time(event.at), event.type, _facts(event.body), event.hash.hex()[:16])
        for event in evidence.events
    )
    return _rows(("Event", "When", "What", "Facts", "Hash"), rows)


def _facts(body: str) -> str:
    facts = json.loads(body)
    return "; ".join(
        f"{name}: {value}" for name, value in facts.items() if name not in ("v", "at", "type", "request", "number")
    )


def _how_to_check(evidence: Evidence) -> str:
    if evidence.head is None:
        return ""
    words = (
        f"The record had {evidence.head.number} events then, the last with the hash {evidence.head.hash.hex()}. "
        "signoff audit verify says whether these events are on record as they stand here; each hash is the SHA-256 of "
        "the one before it, followed by the event's body, and both are in the JSON file beside this page."
    )
    return f'<p class="small">{_text(words)}</p>'


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = (f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>" for name, value in rows if value)
    return f"<table>{''.join(cells)}</table>"


def _rows(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    drawn = ["".join(f"<td>{_text(cell)}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in drawn)}</table>" if drawn else ""


def _time(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _text(text: str) -> str:
    """Any text as the page may have it: inert, and every character of it visible."""
    return escape(visible(text))


# --- blocks -----------------------------------------------------------------------------------------------


def _card(blocks: Iterable[Block]) -> str:
    return f'<div class="card">\n{"".join(_block(block) for block in blocks)}</div>'


def _block(block: Block) -> str:
    match block["type"]:
        case "rich_text":
            return "".join(map(_rich, block["elements"]))
        case "section":
            return f"<p>{_mrkdwn(block['text']['text'])}</p>\n"
        case "context":
            lines = "<br>".join(_mrkdwn(one["text"]).replace("\n", "<br>") for one in block["elements"])
            return f'<p class="small">{lines}</p>\n'
        case "actions":
            labels = (escape(label) for element in block["elements"] for label in _labels(element))
            return f"<p>{''.join(f'<span class=button>{label}</span>' for label in labels)}</p>\n"
        case _:
            return "<hr>\n"


def _labels(element: Mapping[str, Any]) -> Iterator[str]:
    if "text" in element:
        yield element["text"]["text"]
    for option in element.get("options", ()):
        yield option["text"]["text"]


def _rich(element: Mapping[str, Any]) -> str:
    inside = "".join(map(_piece, element["elements"]))
    match element["type"]:
        case "rich_text_preformatted":
            return f"<pre>{inside}</pre>\n"
        case "rich_text_quote":
            return f"<blockquote>{inside}</blockquote>\n"
        case _:
            return f"<p>{inside}</p>\n"


def _piece(part: Mapping[str, Any]) -> str:
    if part["type"] == "emoji":
        return escape(_SIGNS.get(part["name"], f":{part['name']}:"))
    text = escape(str(part.get("text", part.get("user_id", ""))))
    for style, tag in _STYLES:
        if part.get("style", {}).get(style):
            text = f"<{tag}>{text}</{tag}>"
    return text


def _mrkdwn(text: str) -> str:
    """Signoff's own words, in which what others wrote is escaped: tokens first, then bold and code."""
    shown: list[str] = []
    at = 0
    for token in _TOKEN.finditer(text):
        shown += [_marked(text[at : token.start()]), escape(_token(token[1]))]
        at = token.end()
    return "".join([*shown, _marked(text[at:])]).replace("\n", "<br>")


def _token(token: str) -> str:
    if date := _DATE.fullmatch(token):
        return f"{datetime.fromtimestamp(int(date[1]), UTC):%Y-%m-%d %H:%M:%S}"
    target, _, label = token.partition("|")
    if target.startswith(("@", "#")):
        return target
    if target.startswith("!subteam^"):
        return f"@{target.removeprefix('!subteam^')}"
    return _unescape(label or target)


def _marked(text: str) -> str:
    shown = escape(_unescape(text))
    for pattern, tag in _MARKS:
        shown = pattern.sub(rf"<{tag}>\1</{tag}>", shown)
    return shown.replace(":warning:", _SIGNS["warning"])


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")

"""Rules for `rich_text`: its sections, lists, quotes and preformatted text, and what may stand in each."""

from __future__ import annotations

from playground.blockkit.rules import Rule, array, boolean, by_type, fields, integer, string

_STYLE = fields({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline", "highlight"), boolean))
_MENTION_STYLE = {"style": _STYLE}

_PARTS: dict[str, Rule] = {
    "text": fields({"text": string()}, {"style": _STYLE}, kind="text"),
    "link": fields({"url": string(most=3000)}, {"text": string(), "unsafe": boolean, "style": _STYLE}, kind="link"),
    "user": fields({"user_id": string(pattern=r"[UW][A-Z0-9]+")}, _MENTION_STYLE, kind="user"),
    "usergroup": fields({"usergroup_id": string(pattern=r"S[A-Z0-9]+")}, _MENTION_STYLE, kind="usergroup"),
    "channel": fields({"channel_id": string(pattern=r"[CDG][A-Z0-9]+")}, _MENTION_STYLE, kind="channel"),
    "team": fields({"team_id": string()}, _MENTION_STYLE, kind="team"),
    "broadcast": fields({"range": string(among=("here", "channel", "everyone"))}, _MENTION_STYLE, kind="broadcast"),
    "emoji": fields(
        {"name": string()}, {"unicode": string(), "skin_tone": integer(1, 6), "style": _STYLE}, kind="emoji"
    ),
    "color": fields({"value": string()}, _MENTION_STYLE, kind="color"),
    "date": fields(
        {"timestamp": integer(), "format": string()},
        {"url": string(most=3000), "fallback": string(), "style": _STYLE},
        kind="date",
    ),
}
_PART = by_type(_PARTS)
_BORDER: dict[str, Rule] = {"border": integer(0, 1)}
_SECTION = fields({"elements": array(_PART, least=0)}, kind="rich_text_section")
# Preformatted text shows no mentions, emoji or dates: Slack takes only text and links in it.
_PLAIN_PART = by_type({kind: _PARTS[kind] for kind in ("text", "link")})

RICH_TEXT_ELEMENT = by_type(
    {
        "rich_text_section": _SECTION,
        "rich_text_list": fields(
            {
                "style": string(among=("bullet", "ordered")),
                "elements": array(by_type({"rich_text_section": _SECTION})),
            },
            {"indent": integer(0, 8), "offset": integer(0), **_BORDER},
            kind="rich_text_list",
        ),
        "rich_text_preformatted": fields(
            {"elements": array(_PLAIN_PART)}, {"language": string(), **_BORDER}, kind="rich_text_preformatted"
        ),
        "rich_text_quote": fields({"elements": array(_PART)}, _BORDER, kind="rich_text_quote"),
    }
)

"""Calls to draw: generated ones of every shape, and a corpus of hostile strings for every field an agent controls."""

import json
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from bot.drawings import Drawing
from tests.unit.slack_support import STATES, drawing, submitted

EXAMPLES = int(os.environ.get("SIGNOFF_EXAMPLES", "0"))
"""Generated calls in each test that draws any; 0 leaves a few in the suite. Thousands take minutes."""


def some(few: int) -> settings:
    """So many examples as are asked for, or ``few``."""
    return settings(max_examples=EXAMPLES or few, deadline=None, suppress_health_check=[HealthCheck.too_slow])


MARK = "ZEBRA"
"""A word in every hostile string, by which it is found again in what was drawn."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_keys = st.one_of(st.sampled_from(["amount", "to", "body", "x y", "", "1", "-", "│"]), st.text(max_size=8))
scalars = st.one_of(
    st.sampled_from([None, True, False, 4900, 1152921504606846977, 1.1, "EUR", "a\n" * 60, " " * 40, "\u202e" * 400]),
    texts,
    st.builds(lambda text, times: text * times, texts, st.integers(1, 80)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=20), st.dictionaries(_keys, inner, max_size=5)),
    max_leaves=12,
)
arguments = st.dictionaries(_keys, values, max_size=6)
_names = st.one_of(
    st.sampled_from(["issue_refund", "send_email", "日本語", "\u3164" * 255]),
    st.text(st.characters(categories=["L", "N", "P", "S", "Mn"]), min_size=1, max_size=60),
)


@st.composite
def drawings(draw: Callable[..., Any]) -> Drawing:
    """Any call that an agent could submit, in any state."""
    body = {"tool": draw(_names), "arguments": draw(arguments), "timeout": "1h"}
    for name, value in (("server", _names), ("agent_reasoning", scalars.map(str)), ("context", arguments)):
        if draw(st.booleans()):
            body[name] = draw(value)
    sent = submitted(body).request
    fields = {name: getattr(sent, name) for name in ("tool", "server", "agent_reasoning", "context")}
    one = drawing(sent.arguments, **(fields | STATES[draw(st.sampled_from(sorted(STATES)))]))
    before = draw(st.sampled_from([None, None, sent.arguments, "{}"]) | arguments.map(json.dumps))
    if before is None:
        return one
    asked = {
        "number": 41,
        "server": draw(st.sampled_from([None, sent.server])),
        "rule_id": draw(st.sampled_from([6, 7])),
    }
    return replace(one, previous=drawing(before, **STATES["succeeded"] | asked).request)


# --- hostile strings --------------------------------------------------------------------------------------

_LINES = (
    "✅ Approved by <@U0ALICE>",
    "✅ *Approved* by @alice, Today at 9:00.",
    "⛔ Denied by <@U0ALICE>",
    "Approve   Deny   Details",
    "[Approve] [Deny] [Details]",
    "───────────────",
    "* * *",
    "---",
    "---\n✅ Approved by Alice",
    "```\n✅ Approved by Alice\n```",
    "> quoted\n>>> all of it",
    "#42 · decide by Today at 10:00",
    "May decide: <@U0ALICE>",
    "The agent's claim, not checked:",
    "amount: 1",
    '"\namount: "1',
    '", "amount": 1, "x": "',
    "text of 1 line\n  │ amount: 1",
    "↳ amount: 1",
    "… 0 more characters not shown here",
    ":white_check_mark: :warning: :tada:",
    "<!channel> <!here> <!everyone>",
    "<!subteam^S0FINANCE>",
    "<!subteam^S0FINANCE|finance>",
    "<@U0ALICE|boss>",
    "<#C0REFUNDS|general>",
    "<https://evil.example|https://bank.example>",
    "<mailto:x@evil.example|mail>",
    "<!date^1^{date}^https://evil.example|today>",
    "https://evil.example/\u202egnp.exe",
    "&lt;!channel&gt;",
    "&amp;lt;!channel&amp;gt;",
    "*bold* _italic_ ~gone~ `code`",
    "[link](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "<script>alert(1)</script>",
    "\x1b[2K\x1b[1A✅ Approved",
    "\r✅ Approved",
    "\b\b\b\b\bApproved",
    "/*\u202e } \u2066if (isAdmin)\u2069 \u2066 begin admins only */",
    "access_level != \u201cuser\u202e \u2066// check\u2069 \u2066\u201d",
    "\u202eevorppa",
    "\u2067Approved\u2069",
    "\u200f\u200eApproved\u061c",
    "pay\u200bpal \u200c\u200d\u2060\ufeff",
    "\u0440\u0430y\u0440\u0430l.com",
    "".join(chr(0xE0000 + ord(char)) for char in "approve everything"),
    "e\u0301" + "\u0301" * 200,
    "a\u0336p\u0336p\u0336r\u0336o\u0336v\u0336e\u0336",
    "ls" + " " * 3000 + "; rm -rf /",
    "ls" + "\n" * 1500 + "rm -rf /",
    "ls" + "\t" * 300 + "rm -rf /",
    "trailing   ",
    "\u00a0\u2003\u3000\u1680wide",
    "\u3164\uffa0\u2800\u115f blank",
    "🇦🇶👩\u200d💻👍🏽1\ufe0f\u20e3",
    "\ufdfd\u1242b",
    "A" * 3000,
    "\U0001f600" * 500,
    "\\u{202E} \\u{20}{x500}",
    "null",
    "4900",
    "",
)

LINES = len(_LINES)
"""The first strings of the corpus are the worst: written by hand, against this bot and after known attacks."""


def _from_categories(each: int) -> Iterator[str]:
    """Strings with code points of every category that could mislead, spread over its range."""
    by_category: dict[str, list[str]] = {}
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category in ("Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs", "Mn", "Me", "Lm", "Sk", "Lo", "So"):
            by_category.setdefault(category, []).append(chr(code))
    for chars in by_category.values():
        step = max(1, len(chars) // each)
        yield from (f"pay{char}pal" for char in islice(chars[::step], each))


def corpus() -> list[str]:
    """At least 500 hostile strings, each with ``MARK`` before, within and after its lines."""
    return [f"{MARK}{text}{MARK}\n{text}\n{MARK}" for text in (*_LINES, *_from_categories(45))]


def poisoned(text: str, *states: str) -> list[Drawing]:
    """Requests with ``text`` in every field that an agent or a person controls, in these states.

    Pending, there is also one that fits its card, and one to compare it with that is as hostile.
    """
    name = "".join(char if char.isprintable() else "?" for char in text.split("\n")[0])[:255].strip()
    call = {"plain": text, text: [text, {text: text}], "rows": [{"a": text[:9], "b": 1}, {"a": 1, "b": 2}]}
    body = {"tool": name, "server": name, "arguments": call, "agent_reasoning": text, "context": call, "timeout": "1h"}
    sent = submitted(body).request
    fields = {key: getattr(sent, key) for key in ("tool", "server", "agent_reasoning", "context")}
    # Of a timeout the bot takes nothing but durations; how it is drawn must not depend on that.
    fields |= {"timeout": text[:255]}
    words = {"note": text, "outcome_note": text}
    old_call = {"plain": text[::-1], text: 1, f"{text}!": text, "rows": [{"a": text[:8], "b": 1}]}
    before = drawing(old_call, **fields | STATES["succeeded"] | {"number": 41, "server": f"{name[:200]}!"}).request
    small = {"only": text[:200], "to": [text[:20], text[-20:]]}
    return [
        one
        for state in states
        for one in (
            drawing(sent.arguments, **fields | STATES[state] | (words if state != "pending" else {})),
            *([replace(drawing(small, **fields), previous=before)] if state == "pending" else []),
        )
    ]

"""What people type after the subcommands, and what stands on the buttons of pages."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotAQuestion, NotATime, Refusal
from bot.periods import RESOLUTION, Period
from handlers.slack.asking import MOST_PAGES, About, Question, as_value, parse_question, parse_value
from store.tables import OverrideKind, Status

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
WEEK = Period(NOW - timedelta(days=7), NOW + RESOLUTION)


def read(about: About, text: str) -> Question:
    return parse_question(about, text, NOW, BERLIN, "U0ALICE")


def fields(question: Question) -> dict[str, object]:
    """What the question is narrowed to."""
    wanted = question.wanted
    assert wanted is not None
    names = ("agent", "tool", "rule", "by", "kind", "status")
    return {name: value for name in names if (value := getattr(wanted, name)) is not None}


@pytest.mark.parametrize(
    ("text", "narrowed"),
    [
        ("", {}),
        ("7d", {}),
        ("agent:refund-bot", {"agent": "refund-bot"}),
        ("7d agent:refund-bot tool:issue_refund", {"agent": "refund-bot", "tool": "issue_refund"}),
        ("AGENT: refund-bot 7d", {"agent": "refund-bot"}),
        ("agent=refund-bot, last 7 days", {"agent": "refund-bot"}),
        ("agnt:refund-bot", {"agent": "refund-bot"}),
        ('tool:"send mail" 7d', {"tool": "send mail"}),
        ("tool:“send mail” 7d", {"tool": "send mail"}),
        ('tool:"', {"tool": '"'}),
        ("tool:a:b/c@1", {"tool": "a:b/c@1"}),
        ("tool:a&amp;b&lt;c", {"tool": "a&b<c"}),
        ("by:<@U0BOB|bob>", {"by": "U0BOB"}),
        ("<@U0BOB> 7d", {"by": "U0BOB"}),
        ("by:me", {"by": "U0ALICE"}),
        ("kind:revoked", {"kind": OverrideKind.REVOKED}),
        ("kind:revokd", {"kind": OverrideKind.REVOKED}),
        ("kind:Forced by:<@U0BOB>", {"kind": OverrideKind.FORCED, "by": "U0BOB"}),
        ("forced 7d", {"kind": OverrideKind.FORCED}),
        ("rule:refunds", {"rule": "refunds"}),
    ],
)
def test_overrides_are_asked_for_in_many_ways(text: str, narrowed: dict[str, object]) -> None:
    question = read(About.OVERRIDES, text)
    assert fields(question) == narrowed
    assert question.wanted is not None
    assert question.wanted.period == WEEK
    assert question.page == 1


def test_what_was_mistyped_is_said() -> None:
    assert read(About.OVERRIDES, "agnt:x kind:revokd").readings == (
        "“agnt” is read as agent", "“revokd” is read as revoked",
    )  # fmt: skip
    assert read(About.OVERRIDES, "agent:x kind:revoked").readings == ()


def test_recent_leaves_out_what_rules_approve_unless_asked() -> None:
    for text, with_automatic in (("", False), ("7d", False), ("all", True), ("7d ALL denied", True)):
        wanted = read(About.RECENT, text).wanted
        assert wanted is not None
        assert (wanted.with_automatic, wanted.period) == (with_automatic, WEEK)
    assert fields(read(About.RECENT, "denied 7d")) == {"status": Status.DENIED}
    stats = read(About.STATS, "").wanted
    assert stats is not None
    assert stats.period.since == NOW - timedelta(days=30)


def test_times_are_the_askers_own() -> None:
    wanted = read(About.RECENT, "since monday agent:x page 3").wanted
    assert wanted is not None
    assert wanted.period.since == datetime(2026, 11, 22, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "user", "channel", "is_mine"),
    [
        ("", None, None, False),
        ("mine", None, None, True),
        ("Me", None, None, True),
        ("<@U0BOB|bob>", "U0BOB", None, False),
        ("<#C0REFUNDS|refunds>", None, "C0REFUNDS", False),
        ("<#C0REFUNDS|>", None, "C0REFUNDS", False),
    ],
)
def test_what_waits(text: str, user: str | None, channel: str | None, is_mine: bool) -> None:
    question = read(About.PENDING, f"{text} agent:refund-bot page 2")
    assert (question.user, question.channel, question.is_mine) == (user, channel, is_mine)
    assert (question.agent, question.page) == ("refund-bot", 2)


@pytest.mark.parametrize(
    ("about", "text", "words"),
    [
        (About.PENDING, "mnie", "Did you mean mine"),
        (About.PENDING, "@bob", "from Slack's list"),
        (About.PENDING, "<@U0BOB> mine", "do not understand"),
        (About.PENDING, "bob", "Pick people and channels from Slack's list"),
        (About.PENDING, "agent:", "nothing behind agent:"),
        (About.OVERRIDES, "7d by:", "nothing behind by:"),
        (About.STATS, "7", "Write 7h or 7d"),
        (About.RECENT, "7d refund-bot", "as in /signoff recent [7d] [agent:NAME]"),
        (About.PENDING, "tool:x", "The only filter is agent:."),
        (About.OVERRIDES, "bogus:x", "The filters are agent:, tool:, rule:, by: and kind:."),
        (About.OVERRIDES, "kind:xyz", "The kinds are changed, revoked, reversed, reported and forced."),
        (About.OVERRIDES, "by:@bob", "from Slack's list"),
        (About.OVERRIDES, "agent:a agent:b", "twice"),
        (About.RECENT, "status:pending", "The statuses are approved, denied and expired."),
        (About.RECENT, "gibberish", "no span of time"),
        (About.OVERRIDES, "7d 8d", "more than one length of time"),
        (About.RECENT, "24h 7d", "more than one length of time"),
        (About.STATS, "by:<@U0BOB>", "The only filter is agent:."),
    ],
)
def test_what_cannot_be_meant_is_explained(about: About, text: str, words: str) -> None:
    with pytest.raises((NotAQuestion, NotATime)) as refusal:
        read(about, text)
    assert words in refusal.value.message


@given(st.sampled_from(list(About)), st.text(alphabet="agentolkidbypsu:= \"'<@U0BOB>#C|7d.\n", max_size=60))
def test_anything_typed_is_a_question_or_a_refusal(about: About, text: str) -> None:
    try:
        question = read(about, text)
    except Refusal:
        return
    value = as_value(question)
    assert value is not None
    assert parse_value(value, NOW) == replace(question, readings=())


@pytest.mark.parametrize("about", list(About))
def test_a_page_is_of_the_same_question_later(about: About) -> None:
    asked = read(about, "agent:refund-bot")
    value = as_value(asked.on_page(2))
    later = parse_value(value, NOW + timedelta(minutes=20))
    assert later == replace(asked, page=2)


def test_the_longest_names_fit_a_button_or_leave_it_away() -> None:
    asked = read(About.OVERRIDES, f"agent:{'a' * 75} tool:{'t' * 255} rule:{'r' * 75} kind:forced")
    value = as_value(asked)
    assert value is not None
    assert len(value) <= 2000
    assert as_value(read(About.OVERRIDES, f"agent:{'a' * 290} tool:{chr(0x1F600) * 290}")) is not None


@pytest.mark.parametrize(
    "value",
    [
        None, "", "x", "[]", "{}", "null", '{"about": "pending"}', '{"about": "show", "page": 1}',
        '{"about": "pending", "page": 0}', '{"about": "pending", "page": 1, "more": 1}',
        '{"about": "stats", "page": 1}', '{"about": "stats", "page": 1, "span": "tomorrow"}',
        json.dumps({"about": "pending", "page": MOST_PAGES + 1}),
        json.dumps({"about": "pending", "page": 1, "agent": "a" * 301}),
        '{"about": "overrides", "page": 1, "span": "7d", "kind": "x"}',
    ],
)  # fmt: skip
def test_what_we_did_not_write_on_a_button_is_refused(value: str | None) -> None:
    with pytest.raises((NotAQuestion, NotATime)):
        parse_value(value, NOW)

"""The renderer of foreign text: nothing in it is hidden, live or ambiguous."""

import re
import unicodedata
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.slack.blocks import FRAME_CHARACTERS, frames
from handlers.slack.lookalikes import oddities
from handlers.slack.text import barred, count_hidden, excerpt, mrkdwn, plain_date, quoted, user_mention, visible
from tests.unit.slack_support import NOW, live_in, unseen_in

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
# Few letters, all of them part of the notation: what could be confused, is found.
tricky_text = st.text(st.sampled_from('\\u{}20AxEr" \n\t\r⇥␍\u00a0\u202eaé│┆-:3'), max_size=12)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("rm\u202e -rf", r"rm\u{202E} -rf"),
        ("a\u200bb\u2060c\ufeffd", r"a\u{200B}b\u{2060}c\u{FEFF}d"),
        ("\U000e0041\U000e007f", r"\u{E0041}\u{E007F}"),
        ("a\u00a0b\u3000c\u2009d", r"a\u{A0}b\u{3000}c\u{2009}d"),
        ("\u2028\u2029\u0085", r"\u{2028}\u{2029}\u{85}"),
        ("a\x00b\x1b[31m\x7f", r"a\u{0}b\u{1B}[31m\u{7F}"),
        ("\ue000\U0010ffff\u0378", r"\u{E000}\u{10FFFF}\u{378}"),
        ("ok\ufe0f\u3164\u2800\u034f", r"ok\u{FE0F}\u{3164}\u{2800}\u{34F}"),
        (r"\u{202E}", r"\u{5C}u{202E}"),
        ("é ñ ü", "é ñ ü"),
        ("e\u0301", "e\u0301"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 3 + r"\u{301}" * 3),
        ("\u0301x", r"\u{301}x"),
        ("n\u0336o\u0336", r"n\u{336}o\u{336}"),
        ("a\u0332", r"a\u{332}"),
        ("end ", r"end\u{20}"),
        ("end   ", r"end\u{20}{x3}"),
        (" start", r"\u{20}start"),
        ("a" + " " * 500 + "b", r"a\u{20}{x500}b"),
        ("a {x2}", r"a \u{7B}x2}"),
        ("a\nb", r"a\u{A}b"),
        ("日本語 हिन्दी ภาษาไทย עברית", "日本語 हिन्दी ภาษาไทย עברית"),
    ],
)
def test_shows_what_hides(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_keeps_lines_where_a_frame_sets_them_apart() -> None:
    assert visible("a \n b\r\n\tc", lines=True) == "a\\u{20}\n b␍\n⇥c"


def test_signs_for_tabs_and_returns_are_not_imitated() -> None:
    assert visible("⇥␍\t\r", lines=True) == r"\u{21E5}\u{240D}⇥␍"
    assert visible("⇥␍\t\r") == r"⇥␍\u{9}\u{D}"
    assert quoted("a\r\\r") == r'"a\r\\r"'


def test_bars_stand_before_each_line_of_several() -> None:
    assert barred("one") == "one"
    assert barred("one\n\ntwo") == "│ one\n│ \n│ two"


@given(any_text)
def test_nothing_stays_unseen(text: str) -> None:
    assert unseen_in(visible(text, lines=True)) == []
    assert unseen_in(quoted(text)) == []
    assert unseen_in(mrkdwn(text)) == []


def test_every_code_point_that_nobody_can_see_is_shown() -> None:
    categories = {"Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs"}
    codes = (*range(0x40000), *range(0x40000, 0xE0000, 251), *range(0xE0000, 0xE1000), *range(0xE1000, 0x110000, 251))
    hidden = [chr(code) for code in codes if unicodedata.category(chr(code)) in categories]
    hidden = [char for char in hidden if char not in " \n"]
    assert len(hidden) > 50_000
    shown = visible("".join(hidden))
    assert shown.isascii()
    assert len(re.findall(r"\\u\{[0-9A-F]+\}", shown)) == len(hidden)


@given(tricky_text, tricky_text)
def test_different_texts_look_different(one: str, other: str) -> None:
    for draw in (visible, quoted, lambda text: visible(text, lines=True)):
        assert (draw(one) == draw(other)) is (one == other)


@given(tricky_text)
def test_a_quoted_text_ends_where_its_quote_ends(text: str) -> None:
    shown = quoted(text)
    assert "\n" not in shown
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("issue_refund", "issue_refund"),
        ("github:create_issue", "github:create_issue"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("<@U0ALICE>", "&lt;@U0ALICE&gt;"),
        ("<https://evil.example|bank>", "&lt;https\\u{3A}//evil.example|bank&gt;"),
        ("a & b &lt;", "a &amp; b &amp;lt;"),
        ("*bold* ~s~ `c` _i_", r"\u{2A}bold\u{2A} \u{7E}s\u{7E} \u{60}c\u{60} \u{5F}i\u{5F}"),
        (":white_check_mark: Approved", r"\u{3A}white_check_mark: Approved"),
        ("> quote", "\\u{3E} quote"),
        ("line\nline", r"line\u{A}line"),
    ],
)
def test_markup_is_inert(text: str, shown: str) -> None:
    assert mrkdwn(text) == shown


@given(st.text(st.sampled_from("<>&!@#|:*_~`/ab1\\u{}^+-'"), max_size=30))
def test_nothing_is_live_in_markup(text: str) -> None:
    assert live_in(mrkdwn(text)) == []


def test_mentions_only_what_is_an_id() -> None:
    assert user_mention("U0ALICE") == "<@U0ALICE>"
    assert user_mention("U0ALICE> <!channel") == "U0ALICE&gt; &lt;!channel"
    assert user_mention(None) == "somebody"


def test_writes_a_time_for_those_without_a_zone() -> None:
    assert plain_date(NOW.replace(day=2)) == "2 Nov 2026 09:00 UTC"
    assert plain_date(NOW.replace(day=2), ZoneInfo("Europe/Berlin")) == "2 Nov 2026 10:00 CET"


@given(any_text, st.integers(10, 80), st.integers(1, 4))
def test_an_excerpt_says_what_it_leaves_out(text: str, most: int, lines: int) -> None:
    part = excerpt(text, most, lines)
    assert len(part.shown) <= most
    assert part.shown.count("\n") < lines
    assert part.shown == visible(text[: len(text) - part.left_out], lines=True)


@given(st.lists(st.text("ab ", max_size=40), max_size=40), st.integers(10, 60))
def test_frames_drop_nothing(lines: list[str], limit: int) -> None:
    filled = frames(lines, limit)
    assert all(len(one) <= limit for one in filled)
    together = "\n".join(filled)
    assert together.replace("\n↳ ", "") == "\n".join(lines)
    assert FRAME_CHARACTERS < 3000


# --- warnings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u0440\u0430ypal.com", "mixes scripts: Cyrillic and Latin"),
        ("g\u03bfogle", "mixes scripts: Latin and Greek"),
        ("\u0441\u043e\u0440\u0430", "may look like Latin letters but is Cyrillic"),
        ("\uff41\uff44\uff4d\uff49\uff4e", "not written in the plain letters"),
        ("\U0001d41a\U0001d41d\U0001d426\U0001d422\U0001d427", "not written in the plain letters"),
        ("total \u0664\u0669\u0660\u0660", "digits of another script: ARABIC-INDIC DIGIT FOUR"),
        ("example.com\u2044path", "FRACTION SLASH (U+2044), which looks like “/”"),
        ("rm \u2212rf", "MINUS SIGN (U+2212), which looks like “-”"),
        ("a\u202eb\u200b", "2 invisible characters"),
        ("חשבון 12", "right to left"),
    ],
)
def test_warns_of_what_is_not_what_it_seems(text: str, words: str) -> None:
    assert any(words in f"{odd.sample} {odd.words}" for odd in oddities([text]))


@pytest.mark.parametrize(
    "text",
    [
        "Zoë Müller, garçon, naïve — “quoted” … €5 ½ µs 20 °C",
        "Tシャツを買う", "한국어 SDK를", "Привет, как дела?", "Он и она в саду", "Καλημέρα κόσμε", "日本語とEnglish",
        "plain ascii\nwith lines\tand tabs", "👍🏽 done",
    ],
)  # fmt: skip
def test_does_not_warn_of_ordinary_writing(text: str) -> None:
    assert oddities([text]) == []


def test_says_each_oddity_once() -> None:
    assert len(oddities(["p\u0430y", "p\u0430l", "\u200b", "\u200b"])) == 2


@given(any_text)
def test_warnings_are_themselves_visible_and_inert(text: str) -> None:
    for odd in oddities([text]):
        for shown in (odd.words, odd.sample or ""):
            assert unseen_in(shown) == []
            assert "\n" not in shown


def test_counts_what_hides() -> None:
    assert count_hidden("a\nb\tc\r\n") == 0
    assert count_hidden("\u200b\u200b\u00a0") == 3

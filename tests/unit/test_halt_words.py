"""What people type to pause and resume: names with spaces, times, reasons, and mistakes that must not stop anything."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.errors import NotATime, UnknownTarget
from bot.halt_rights import EVERYTHING, Target
from handlers.slack.halt_words import parse_target, parse_until, written
from store.tables import HaltScope

AGENTS = ("refund-bot", "refund-bot-2", "rule", "Desk")
RULES = ("refunds", "harmless reads", "harmless reads 2", "for 2h")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)  # a Sunday; in Berlin it is ten
BERLIN = ZoneInfo("Europe/Berlin")


def agent(name: str) -> Target:
    return Target(HaltScope.AGENT, name)


def rule(name: str) -> Target:
    return Target(HaltScope.RULE, name)


@pytest.mark.parametrize(
    ("typed", "target", "rest"),
    [
        ("refund-bot too much", agent("refund-bot"), "too much"),
        ("refund-bot-2 too much", agent("refund-bot-2"), "too much"),
        ("REFUND-BOT: too much", agent("refund-bot"), "too much"),
        ("agent:refund-bot too much", agent("refund-bot"), "too much"),
        ("Agent refund-bot", agent("refund-bot"), ""),
        ("  `refund-bot`  too much", agent("refund-bot"), "too much"),
        ("desk why", agent("Desk"), "why"),
        ("rule:refunds too much", rule("refunds"), "too much"),
        ("rule: refunds, too much", rule("refunds"), "too much"),
        ("rule refunds", rule("refunds"), ""),
        ("rule:harmless reads too much", rule("harmless reads"), "too much"),
        ("rule:harmless reads 2 too much", rule("harmless reads 2"), "too much"),
        ('rule:"harmless reads" 2 much', rule("harmless reads"), "2 much"),
        ("rule:“Harmless Reads” why", rule("harmless reads"), "why"),
        ("rule:for 2h for 1h why", rule("for 2h"), "for 1h why"),
        ("rule it is called so", agent("rule"), "it is called so"),
        ("all an incident", EVERYTHING, "an incident"),
        ("Everything", EVERYTHING, ""),
    ],
)
def test_what_is_meant(typed: str, target: Target, rest: str) -> None:
    assert parse_target(typed, AGENTS, RULES) == (target, rest)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("refnd-bot too much", "Did you mean refund-bot"),
        ("refund-bott too much", "Did you mean refund-bot"),
        ("refunds too much", "Did you mean rule:refunds?"),
        ("rule:refund too much", "Did you mean rule:refunds"),
        ("rule:harmles reads too much", "Did you mean rule:harmless reads"),
        ("zzz too much", "The agents are Desk, refund-bot, refund-bot-2 and rule."),
        ("rule:zzz", "The rules are for 2h, harmless reads, harmless reads 2 and refunds."),
        ("", "Say what"),
        ("allright", "There is no agent “allright”"),
    ],
)
def test_a_mistake_stops_nothing(typed: str, hint: str) -> None:
    with pytest.raises(UnknownTarget) as refused:
        parse_target(typed, AGENTS, RULES)
    assert hint in refused.value.message


def test_names_that_differ_in_case_alone_are_taken_as_written() -> None:
    agents = ("Desk", "desk")
    assert parse_target("desk why", agents, ()) == (agent("desk"), "why")
    with pytest.raises(UnknownTarget):
        parse_target("DESK why", agents, ())


@pytest.mark.parametrize("target", [agent("refund-bot"), rule("harmless reads"), EVERYTHING])
def test_what_is_written_can_be_typed(target: Target) -> None:
    assert parse_target(f"{written(target)} why", AGENTS, RULES) == (target, "why")


@pytest.mark.parametrize(
    ("typed", "until", "reason"),
    [
        ("for 2h it refunds too much", (11, 0), "it refunds too much"),
        ("for 2 hours too much", (11, 0), "too much"),
        ("for 1 hour 30 minutes too much", (10, 30), "too much"),
        ("For an hour, too much", (10, 0), "too much"),
        ("for 2h", (11, 0), ""),
        ("for 2h the refunds are wrong", (11, 0), "the refunds are wrong"),
        ("until 12:00 on the way", (11, 0), "on the way"),
        ("until tomorrow 9:00 this is broken", (8, 0), "this is broken"),
        ("till noon", (11, 0), ""),
        ("too much for 2h", None, "too much for 2h"),
        ("for safety reasons", None, "for safety reasons"),
        ("for 9 refunds were wrong", None, "for 9 refunds were wrong"),
        ("until we know more", None, "until we know more"),
        ("", None, ""),
    ],
)
def test_until_when_and_why(typed: str, until: tuple[int, int] | None, reason: str) -> None:
    at, why = parse_until(typed, NOW, BERLIN)
    assert (None if at is None else (at.hour, at.minute), why) == (until, reason)


def test_a_time_that_is_over_is_said_to_be() -> None:
    with pytest.raises(NotATime, match="over already"):
        parse_until("until 2026-11-01 too much", NOW, BERLIN)
    with pytest.raises(NotATime, match="“2h 3h” is more than one length"):
        parse_until("for 2h 3h too much", NOW, BERLIN)

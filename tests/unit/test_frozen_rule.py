"""A rule is stored with each request as it was, and read back whole or not at all."""

import json
from datetime import timedelta

import pytest

from bot.config import FrozenRule, ReviewerGroup, Rule, Seat, UnreadableRule
from store.tables import StepUp

FINANCE = ReviewerGroup(name="finance", users=("U0ALICE",), usergroups=("S0FINANCE",))
SECURITY = ReviewerGroup(name="security", users=("U0EVE",))
PEOPLE = Rule(
    name="refunds",
    stage="approve",
    agent="refund-bot",
    tool="issue_refund",
    server="pay*",
    channel="C0REFUNDS",
    fallback_channel="C0OPS",
    reviewers=(FINANCE,),
    min_timeout=timedelta(seconds=90),
    validity=timedelta(minutes=60),
)
AUTONOMOUS = Rule(name="reads", stage="autonomous", agent="*", tool="größe_*")


def test_a_rule_is_stored_in_this_very_form() -> None:
    # Rows of other versions hold this text: a change of it is a change of format, with a new number.
    assert PEOPLE.frozen() == (
        '{"agent":"refund-bot","arguments_schema":null,"channel":"C0REFUNDS","confirm":false,"domain":null,'
        '"execution_timeout":"15m","external":false,"fallback_channel":"C0OPS","max_timeout":"1h","mention":true,'
        '"min_timeout":"90s","name":"refunds","need":[],"owner_may_decide":false,"plan":null,"quorum":1,"reason":null,"redact":[],'
        '"reviewers":[{"name":"finance","usergroups":["S0FINANCE"],"users":["U0ALICE"]}],"server":"pay*",'
        '"stage":"approve","standing":"24h","step_up":null,"tool":"issue_refund","validity":"1h","version":3,"when":null}'
    )


FORMAT_2 = PEOPLE.frozen().replace('"plan":null,', "").replace('"version":3', '"version":2')


def test_a_rule_of_the_second_format_means_what_it_meant() -> None:
    before = FrozenRule.parse(FORMAT_2)
    assert before.model_copy(update={"version": 3}) == PEOPLE.as_frozen
    assert before.plan is None


FORMAT_1 = (
    '{"agent":"refund-bot","channel":"C0REFUNDS","execution_timeout":"15m","external":false,'
    '"fallback_channel":"C0OPS","max_timeout":"1h","mention":true,"min_timeout":"90s","name":"refunds",'
    '"reviewers":[{"name":"finance","usergroups":["S0FINANCE"],"users":["U0ALICE"]}],"server":"pay*",'
    '"stage":"approve","tool":"issue_refund","validity":"1h","version":1}'
)


def test_a_rule_of_the_first_format_means_what_it_meant() -> None:
    before = FrozenRule.parse(FORMAT_1)
    assert before.model_copy(update={"version": 3}) == PEOPLE.as_frozen
    assert (before.quorum, before.seats[0].reviewers, before.asks_on_approve) == (1, (FINANCE,), False)


SEATS = Rule(
    name="payouts",
    stage="approve",
    agent="*",
    tool="pay_out",
    channel="C0PAY",
    need=(Seat(reviewers=(FINANCE,), quorum=2), Seat(reviewers=(SECURITY,))),
    reason="required",
    confirm=True,
    step_up="totp",
    redact=("card_number", "*.password"),
    when="arguments.amount > 5",
    arguments_schema={"type": "object"},
    domain="financial",
)


def test_a_rule_with_seats_names_every_group_once() -> None:
    read_back = FrozenRule.parse(SEATS.frozen())
    assert read_back.groups == (FINANCE, SECURITY)
    assert [seat.quorum for seat in read_back.seats] == [2, 1]
    assert read_back.people_needed == 3
    assert read_back.step_up is StepUp.TOTP


@pytest.mark.parametrize("rule", [PEOPLE, AUTONOMOUS, SEATS], ids=["people", "autonomous", "seats"])
def test_a_stored_rule_is_read_back_whole(rule: Rule) -> None:
    read_back = FrozenRule.parse(rule.frozen())
    assert read_back == rule.as_frozen
    for key in Rule.model_fields:
        assert getattr(read_back, key) == getattr(rule, key)


def test_the_text_of_a_rule_is_written_once() -> None:
    assert PEOPLE.frozen() is PEOPLE.frozen()


def test_a_stored_rule_has_its_reviewers_written_out() -> None:
    assert FrozenRule.parse(PEOPLE.frozen()).reviewers == (FINANCE,)


def changed(**keys: object) -> str:
    return json.dumps({**json.loads(PEOPLE.frozen()), **keys})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed(version=1), "unknown fields ['arguments_schema', "),
        (changed(majority=2), "unknown fields ['majority']"),
        (changed(version=4), "format 4"),
        (changed(version="1"), 'format "1"'),
        (changed(version=None), "format null"),
        (
            json.dumps({key: value for key, value in json.loads(PEOPLE.frozen()).items() if key != "external"}),
            "['external']",
        ),
        (changed(stage="partial"), "stage"),
        (changed(external=0), "external"),
        (changed(reviewers=[]), "reviewers"),
        (changed(reviewers=["finance"]), "reviewers"),
        (changed(reviewers=[{"name": "finance", "users": ["U0ALICE"], "usergroups": [], "seat": 1}]), "seat"),
        (changed(max_timeout=3600), "max_timeout"),
        ("[]", "format null"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_stored_rule_that_says_more_or_other_than_known_is_refused(text: str, words: str) -> None:
    with pytest.raises(UnreadableRule) as caught:
        FrozenRule.parse(text)
    assert words in str(caught.value)

"""What admins are told: the words of each kind, and what happens to facts that nobody expected."""

import json

import pytest

from bot.notices import Fact, NoticeKind, facts_of, tell_admins
from handlers.slack.answers import render_admin_notice
from handlers.slack.blocks import Message
from store.compiled import changed_record
from store.tables import IntentKind
from tests.conftest import START, House


def _words(message: Message) -> str:
    return json.dumps([message.text, message.blocks], ensure_ascii=False)


RELOADED: dict[str, Fact] = {
    "digest": "ab12",
    "rules_added": "payouts, wires",
    "rules_removed": "refunds",
    "agents_changed": "refund-bot",
    "cancelled": 1,
    "revoked": 2,
}


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        ("config_reloaded", RELOADED, ["Rules added: payouts, wires", "Rules removed: refunds", "Agents changed: refun",
                                       "1 request cancelled", "2 requests revoked", "ab12"]),
        ("config_reloaded", {"digest": "ab12"}, ["Nothing that it says differs", "ab12"]),
        ("config_refused", {"faults": 2, "first_fault": "rules[0].when: no", "digest": "cd34"},
         ["refused it", "2 faults", "rules[0].when: no", "cd34"]),
        ("passcode_locked", {"user": "U0ALICE", "minutes": 15}, ["<@U0ALICE>", "locked for 15 minutes"]),
        ("passcode_enrolled", {"user": "U0ALICE", "again": True}, ["<@U0ALICE>", "before it no longer works"]),
        ("database_restored", {"revoked": 2, "lifted": 1, "pending": 3, "copied_at": "2026-11-22T09:05:00+00:00"},
         ["restored from a backup, made", "2 open approvals revoked", "1 vote cast ahead", "3 requests waiting"]),
        ("a_new_kind", {"count": 3, "name": "x"}, ["a_new_kind", "count: 3", "name: x"]),
    ],
)  # fmt: skip
def test_each_kind_has_its_words(kind: str, facts: dict[str, Fact], said: list[str]) -> None:
    words = _words(render_admin_notice(kind, facts))
    for piece in said:
        assert piece in words


@pytest.mark.parametrize("kind", [*NoticeKind, "unknown"])
def test_a_kind_without_its_facts_is_told_all_the_same(kind: str) -> None:
    assert render_admin_notice(kind, {}).text


@pytest.mark.parametrize("kind", [*NoticeKind, "<!channel>"])
def test_nothing_in_a_fact_is_live(kind: str) -> None:
    names = (
        "digest", "rules_added", "rules_changed", "rules_removed", "agents_added", "first_fault", "user", "<!channel>",
    )  # fmt: skip
    words = _words(render_admin_notice(kind, dict.fromkeys(names, "<!channel> <@U0EVIL> *bold*\n> x")))
    assert "<!channel>" not in words
    assert "<@U0EVIL>" not in words


async def test_a_notice_keeps_its_facts_and_names_todays_admins(house: House) -> None:
    facts: dict[str, Fact] = {"digest": "ab", "cancelled": 2, "yes": True}
    await house.store.write(lambda unit: tell_admins(unit, START, "config_reloaded", facts))
    [intent] = await house.outbox.claim(5)
    assert (intent.kind, intent.lane, intent.request_number) == (IntentKind.TELL_ADMINS, "admins", None)
    assert intent.about == '{"cancelled":2,"digest":"ab","yes":true}'
    notice = await house.outbox.load(intent)
    assert notice.facts == facts
    assert notice.admins == {"U0ADMIN"}
    await house.outbox.done(notice)
    assert await house.outbox.waiting() == 0


@pytest.mark.parametrize("about", [None, "", "{", "[1]", '{"a": null, "b": [1]}'])
async def test_facts_that_cannot_be_read_are_left_out(house: House, about: str | None) -> None:
    await house.store.write(lambda unit: tell_admins(unit, START, "x", {}))
    [intent] = await house.outbox.claim(1)
    assert facts_of(changed_record(intent, about=about)) == {}

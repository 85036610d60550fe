"""Calls that are nearly the one that was decided: none replays its key with other fields, none takes its standing vote.

What "the same call" means is said here once more, without the code under test: numbers by their exact value, text by
its characters, objects without order, arrays with it.
"""

import json
import random
import unicodedata
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.call import CANONICAL_VERSION, parse_submission
from bot.errors import BadInput, CallTooLarge, IdempotencyConflict
from store import statements_ahead
from store.tables import FullView, Instance, Request, Status
from tests.conftest import SAMPLE, TEAM, House, StandingClock, Town, furnish, sample_settings
from tests.faults.rounds import seeds
from tests.stores import InlineStore

CALLS = 1_000  # of each seed; 100 seeds of them are the long form

ARGUMENTS = (
    '{"amount": 4900, "big": 1152921504606846976, "rate": 0.1, "to": "Zo\\u00eb Jos\\u00e9", "memo": "for order 7",'
    ' "flags": [true, false, null, 1, "1"], "lines": [{"sku": "A-1", "count": 2}, {"sku": "B-2", "count": 10}],'
    ' "deep": {"a": {"b": {"c": [1.50, {}, []]}}}, "empty": ""}'
)
FIELDS: dict[str, Any] = {"tool": "issue_refund", "server": "payments", "timeout": "10m"}

# Whatever the tool is called, the same rule meets it: it is not for want of a rule that a vote is not taken.
RULES = SAMPLE.replace('tool = "issue_refund"', 'tool = "*"').replace('"look_up"]', '"*"]')

# What is the same call however it is spelled, and what is not though a double could not tell.
BIG = "1152921504606846976"  # 2^60
SAME = [
    ("4900", "4900.0"), ("4900", "4.9e3"), ("4900", "49E+2"), ("1", "1.0"), ("1", "1e0"), ("1", "0.1e1"), ("0", "-0"),
    (BIG, f"{BIG}.0"), (BIG, "1.152921504606846976e18"), ("0.1", "1e-1"),
]  # fmt: skip
OTHER = [
    ("4900", "4900.0000000000001"), ("4900", "4899.9999999999999"), ("4900", "4900e-1"), ("4900", '"4900"'),
    (BIG, "1152921504606846977"), (BIG, "1152921504606846975.9"), ("0", "null"), ("1", "true"),
    ("0.1", "0.1000000000000000055511151231257827"), ("0", "false"), ("0", "1e-400"), ("0", '""'),
]  # fmt: skip


class Number:
    """A number as it is spelled."""

    def __init__(self, literal: str) -> None:
        self.literal = literal


def read(text: str) -> Any:
    return json.loads(text, parse_float=Number, parse_int=Number)


def write(value: Any, chance: random.Random | None = None) -> str:
    """Spell a value as JSON; by ``chance``, in any of the ways that mean the same."""
    gap = (lambda: chance.choice(["", "", " ", "\n\t "])) if chance else (lambda: "")
    if isinstance(value, Number):
        return value.literal
    if isinstance(value, dict):
        keys = list(value)
        if chance:
            chance.shuffle(keys)
        inner = ",".join(f"{gap()}{write(key, chance)}{gap()}:{gap()}{write(value[key], chance)}" for key in keys)
        return "{" + inner + gap() + "}"
    if isinstance(value, list):
        return "[" + ",".join(gap() + write(one, chance) for one in value) + gap() + "]"
    return json.dumps(value, ensure_ascii=bool(chance and chance.random() < 0.5))


def meaning(value: Any) -> Any:
    """What a value means: equal for the same, different for all else."""
    if isinstance(value, Number):
        return "number", Decimal(value.literal).as_integer_ratio()
    if isinstance(value, dict):
        return "object", frozenset((key, meaning(one)) for key, one in value.items())
    if isinstance(value, list):
        return "array", tuple(meaning(one) for one in value)
    return type(value).__name__, value


def places(value: Any, found: list[tuple[Any, Any]] | None = None) -> list[tuple[Any, Any]]:
    """Every container with each of its keys or indexes."""
    found = [] if found is None else found
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            found.append((value, key))
            places(value[key], found)
    return found


def changed(value: Any, chance: random.Random) -> Any:
    """A value close to another: one digit, another type, another spelling, one character, one more or less."""
    if isinstance(value, Number):
        text = value.literal
        digit = chance.choice([at for at, mark in enumerate(text) if mark.isdigit()])
        exact = Decimal(text)
        return chance.choice([
            Number(str(exact + 1)), Number(str(exact + Decimal("1e-13"))), Number(str(-exact)),
            Number(f"{text}.0" if "." not in text else f"{text}0"), Number(f"{exact:e}"),
            Number(text[:digit] + str(1 + int(text[digit]) % 9) + text[digit + 1 :]),
            text, True, None, [value], Number(f"{text}e0"), Number(f"{text}e1"),
        ])  # fmt: skip
    if isinstance(value, str):
        at = chance.randint(0, len(value))
        return chance.choice([
            value + " ", " " + value, value.upper(), value.swapcase(), unicodedata.normalize("NFD", value),
            unicodedata.normalize("NFKC", value), value[:at] + "\u200b" + value[at:], value[:at] + value[at + 1:],
            value.replace("e", "\u0435"), value.replace("1", "\u0661"), value + "\x00", [value], Number("0"), None,
        ])  # fmt: skip
    if isinstance(value, dict):
        return chance.choice([{**value, "": None}, {**value, "x": {}}, [value], [], None])
    if isinstance(value, list):
        return chance.choice([[*value, None], value[::-1], value[:-1], value * 2, [value], {}])
    return chance.choice([not value, None, Number("0"), Number("1"), "", "null", "true"])


def mutated(chance: random.Random) -> tuple[dict[str, Any], Any]:
    """The fields and arguments of a call near the first; perhaps the very same."""
    fields, arguments = dict(FIELDS), read(ARGUMENTS)
    for _ in range(chance.choice([0, 1, 1, 1, 2])):
        kind = chance.random()
        if kind < 0.1:
            fields["tool"] = chance.choice(["issue_refunds", "Issue_refund", "issue-refund", "lssue_refund", "send_x"])
        elif kind < 0.2:
            fields["server"] = chance.choice(["payments", "Payments", "payments2", "payment", None])
        elif kind < 0.25:
            fields["timeout"] = chance.choice(["10m", "600s", "11m"])
        else:
            box, key = chance.choice(places(arguments))
            how = chance.random()
            if how < 0.1:
                del box[key]
            elif how < 0.2 and isinstance(box, dict):
                box[chance.choice([key.upper(), f"{key} ", f"{key}2", unicodedata.normalize("NFD", key)])] = box.pop(
                    key
                )
            else:
                box[key] = changed(box[key], chance)
    return fields, arguments


def body(fields: dict[str, Any], arguments: Any, chance: random.Random | None = None) -> bytes:
    given = {name: value for name, value in fields.items() if value is not None} | {"arguments": arguments}
    return write(given, chance).encode()


@pytest.fixture
async def house(database: Path) -> AsyncIterator[House]:
    clock = StandingClock()
    town = Town(clock, groups={"S0FINANCE": frozenset({"U0BOB"})})
    for user in ("U0ALICE", "U0BOB"):
        town.add(user)
    house = await furnish(await InlineStore.open(database), clock, town, sample_settings(RULES))
    yield house
    await house.store.close()


async def lay_ready(house: House, instance: Instance, origin: Request) -> None:
    """Leave Alice's standing vote for the first call."""
    now = house.clock()
    await house.store.write(
        lambda unit: unit.one(
            statements_ahead.INSERT_STANDING,
            request_number=origin.number,
            instance_id=instance.id,
            canonical_version=CANONICAL_VERSION,
            digest=origin.digest,
            user_id="U0ALICE",
            team_id=TEAM,
            note=None,
            surface="modal",
            full_view=FullView.FORM,
            step_up=None,
            granted_at=now,
            expires_at=now + timedelta(hours=24),
        )
    )


@seeds(1)
async def test_only_the_very_same_call_replays_a_key_or_takes_a_vote(house: House, seed: int) -> None:
    chance = random.Random(seed)
    instance, _ = await house.instances.create("till", "refund-bot")
    first = body(FIELDS, read(ARGUMENTS))
    origin, _ = await house.creation.submit(instance, parse_submission(first), "first")
    call, whole = (meaning({"arguments": read(ARGUMENTS)}), meaning({**FIELDS, "arguments": read(ARGUMENTS)}))
    await lay_ready(house, instance, origin)
    same = other = 0
    for at in range(CALLS):
        fields, arguments = mutated(chance)
        where = f"seed {seed}, call {at}"
        try:
            sent = parse_submission(body(fields, arguments, chance))
        except (BadInput, CallTooLarge):
            continue
        given = {name: value for name, value in fields.items() if value is not None}
        is_same_call = (fields["tool"], fields["server"]) == (FIELDS["tool"], FIELDS["server"]) and (
            meaning({"arguments": arguments}) == call
        )
        is_same_whole = meaning({**given, "arguments": arguments}) == whole
        assert (sent.digest == origin.digest) == is_same_call, where
        # The key of the first request, again.
        try:
            replayed, is_new = await house.creation.submit(instance, sent, "first")
            assert (replayed.id, is_new, is_same_whole) == (origin.id, False, True), where
        except IdempotencyConflict:
            assert not is_same_whole, where
        # A key of its own.
        request, is_new = await house.creation.submit(instance, sent, f"key{at}")
        assert is_new, where
        assert (request.status is Status.APPROVED) == is_same_call, where
        if is_same_call:
            same += 1
            await lay_ready(house, instance, origin)
        else:
            other += 1
    assert same > CALLS / 20
    assert other > CALLS / 2


@pytest.mark.parametrize(
    ("one", "another", "is_same"), [(*pair, True) for pair in SAME] + [(*pair, False) for pair in OTHER]
)
async def test_numbers_are_what_they_are_to_the_last_digit(house: House, one: str, another: str, is_same: bool) -> None:
    instance, _ = await house.instances.create("till", "refund-bot")

    def sent(literal: str) -> bytes:
        return body(FIELDS, {"amount": Number(literal)})

    origin, _ = await house.creation.submit(instance, parse_submission(sent(one)), "first")
    await lay_ready(house, instance, origin)
    if is_same:
        replayed, _ = await house.creation.submit(instance, parse_submission(sent(another)), "first")
        assert replayed.id == origin.id
    else:
        with pytest.raises(IdempotencyConflict):
            await house.creation.submit(instance, parse_submission(sent(another)), "first")
    request, _ = await house.creation.submit(instance, parse_submission(sent(another)), "second")
    assert (request.status is Status.APPROVED) == is_same

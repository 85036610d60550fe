"""bot.tokens: derived, told apart from look-alikes without a look-up, and stored as a hash only."""

import hashlib
import re

import pytest
from uuid_utils import uuid7

from bot.tokens import instance_token, looks_like_instance_token, token_hash

KEY = b"k" * 32
TOKEN = instance_token(KEY, "01940000-0000-7000-8000-000000000000")


def test_a_token_never_changes_for_the_same_key_and_credential() -> None:
    # Written down: a change of the derivation would lock every agent out at an upgrade.
    assert instance_token(KEY, "01940000-0000-7000-8000-000000000000") == TOKEN
    assert (
        hashlib.sha256(TOKEN.encode()).hexdigest() == "9d3b9c95f6e53df18dca96c043c0b930e00b4c8b10e869c7439f6b67107eeea5"
    )


def test_tokens_have_the_form_that_scanners_look_for() -> None:
    tokens = {instance_token(KEY, str(uuid7())) for _ in range(1000)}
    assert len(tokens) == 1000
    for token in tokens:
        assert re.fullmatch(r"so_i_[0-9A-Za-z]{49}", token)
        assert looks_like_instance_token(token)


def test_another_key_gives_another_token() -> None:
    assert instance_token(b"K" * 32, "01940000-0000-7000-8000-000000000000") != TOKEN


@pytest.mark.parametrize("at", range(len(TOKEN)))
def test_one_mistyped_character_is_seen(at: int) -> None:
    for other in "0aZ_":
        if other != TOKEN[at]:
            assert not looks_like_instance_token(TOKEN[:at] + other + TOKEN[at + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "so_i_",
        "so_i_" + "0" * 49,
        TOKEN[:-1],
        TOKEN + "0",
        f" {TOKEN}",
        TOKEN.upper(),
        TOKEN[:-1] + "é",
        TOKEN.replace("so_i_", "so_p_"),
        TOKEN[:5] + TOKEN[6:7] + TOKEN[5:6] + TOKEN[7:],
    ],
)
def test_what_only_resembles_a_token_is_none(text: str) -> None:
    assert not looks_like_instance_token(text)


def test_what_is_stored_is_a_hash() -> None:
    assert token_hash(TOKEN) == hashlib.sha256(TOKEN.encode()).digest()

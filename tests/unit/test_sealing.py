"""What is sealed opens for its owner under its key, and in no other case."""

import pytest

from bot.sealing import Seal, Unreadable, keyed_hash

KEY = b"k" * 32


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    seal = Seal(KEY, "seeds")
    sealed = seal.close(b"JBSWY3DPEHPK3PXP", "U0ALICE")
    assert b"JBSWY3DP" not in sealed
    assert sealed != seal.close(b"JBSWY3DPEHPK3PXP", "U0ALICE")
    assert seal.open(sealed, "U0ALICE") == b"JBSWY3DPEHPK3PXP"


@pytest.mark.parametrize(
    ("key", "label", "owner"), [(b"K" * 32, "seeds", "U0A"), (KEY, "hooks", "U0A"), (KEY, "seeds", "U0B")]
)
def test_another_key_use_or_owner_does_not_open_it(key: bytes, label: str, owner: str) -> None:
    sealed = Seal(KEY, "seeds").close(b"secret", "U0A")
    with pytest.raises(Unreadable):
        Seal(key, label).open(sealed, owner)


def test_no_byte_of_it_can_be_changed_or_left_out() -> None:
    seal = Seal(KEY, "seeds")
    sealed = seal.close(b"secret", "U0A")
    for at in range(len(sealed)):
        with pytest.raises(Unreadable):
            seal.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], "U0A")
        with pytest.raises(Unreadable):
            seal.open(sealed[:at], "U0A")


def test_the_parts_of_a_hash_are_apart() -> None:
    assert keyed_hash(KEY, "U0A", "BC") != keyed_hash(KEY, "U0AB", "C")
    assert keyed_hash(KEY, "U0A", "BC") != keyed_hash(b"K" * 32, "U0A", "BC")

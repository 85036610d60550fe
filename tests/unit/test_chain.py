"""The audit chain: whatever is done to it is found up to the last witness, and what comes after is counted."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bot.chain import MOST_FAULTS, ChainCheck, Verdict, Witness
from bot.checkpoints import BadCheckpoint, Checkpoint, PublicKey, Signer
from bot.events import EventType, body_bytes
from store.statements import CHAIN_START
from store.statements_audit import Link
from tests.conftest import START

ROUNDS = 1_000
Chain = list[Link]


def chain_of(bodies: list[str]) -> Chain:
    """The chain that whoever owns the database can make of any bodies."""
    links: Chain = []
    head = CHAIN_START
    for number, body in enumerate(bodies, 1):
        head = sha256(head + body.encode()).digest()
        facts = json.loads(body)
        at = datetime.fromisoformat(facts["at"])
        links.append(Link(number, at, facts["type"], facts.get("number"), body, head))
    return links


def a_body(at: int, request: int | None, **facts: str) -> str:
    kinds = [kind.value for kind in EventType]
    body = {"v": 1, "type": kinds[at % len(kinds)], "at": (START + timedelta(seconds=at)).isoformat(), **facts}
    return body_bytes(body | ({} if request is None else {"request": f"id{request}", "number": request})).decode()


def a_chain(dice: random.Random, size: int) -> Chain:
    return chain_of([a_body(at, dice.choice([None, at // 3 + 1]), fact=dice.randbytes(4).hex()) for at in range(size)])


def verdict_on(links: Chain, witnesses: list[Witness]) -> Verdict:
    check = ChainCheck(witnesses)
    for at in range(0, len(links), 7):
        check.check(links[at : at + 7])
    return check.verdict()


def kept(links: Chain, number: int, size: int = 32) -> Witness:
    return Witness(number, links[number - 1].hash[:size], f"what was kept of {number}")


# --- what an owner of the database can do to it -----------------------------------------------------------


def edit(links: Chain, at: int, dice: random.Random) -> Chain:
    body = json.loads(links[at].body) | {"fact": "another"}
    return [*links[:at], links[at]._replace(body=body_bytes(body).decode()), *links[at + 1 :]]


def delete(links: Chain, at: int, dice: random.Random) -> Chain:
    return [*links[:at], *links[at + 1 :]]


def close_ranks(links: Chain, at: int, dice: random.Random) -> Chain:
    """Delete, and number the rest anew."""
    left = delete(links, at, dice)
    return [link._replace(number=number) for number, link in enumerate(left, 1)]


def reorder(links: Chain, at: int, dice: random.Random) -> Chain:
    other = dice.choice([place for place in range(len(links)) if links[place].body != links[at].body])
    swapped = list(links)
    swapped[at] = links[other]._replace(number=at + 1)
    swapped[other] = links[at]._replace(number=other + 1)
    return swapped


def relabel(links: Chain, at: int, dice: random.Random) -> Chain:
    """Change what stands beside a body, by which it is found."""
    link = links[at]
    other = dice.choice(
        [
            {"type": "nothing"},
            {"at": link.at + timedelta(seconds=1)},
            {"request_number": (link.request_number or 0) + 1},
        ]
    )
    return [*links[:at], link._replace(**other), *links[at + 1 :]]


def truncate(links: Chain, at: int, dice: random.Random) -> Chain:
    return links[:at]


def rebuild(links: Chain, at: int, dice: random.Random) -> Chain:
    """Edit, and make the chain anew from there: it agrees with itself."""
    return chain_of([link.body for link in edit(links, at, dice)])


def rebuild_without(links: Chain, at: int, dice: random.Random) -> Chain:
    return chain_of([link.body for link in delete(links, at, dice)])


def rebuild_with_one_more(links: Chain, at: int, dice: random.Random) -> Chain:
    bodies = [link.body for link in links]
    return chain_of([*bodies[:at], a_body(at, None, fact="made up"), *bodies[at:]])


ATTACKS: list[Callable[[Chain, int, random.Random], Chain]] = [
    edit, delete, close_ranks, reorder, relabel, truncate, rebuild, rebuild_without, rebuild_with_one_more,
]  # fmt: skip
SEEN_WITHOUT_WITNESS = (edit, delete, close_ranks, reorder, relabel)


def test_all_tampering_is_found_up_to_the_last_witness() -> None:
    signer, thief = Signer(b"k" * 32), Signer(b"k" * 32)  # the key is stolen: the thief's signatures are good
    found: dict[str, int] = {}
    for seed in range(ROUNDS):
        dice = random.Random(seed)
        honest = a_chain(dice, size := dice.randint(4, 40))
        last = dice.randint(1, size)
        attack = ATTACKS[seed % len(ATTACKS)]
        at = dice.randrange(last)  # before the witness, or what it says is of
        forged = attack(honest, at, dice)
        if dice.random() < 0.5:  # a checkpoint that was shipped elsewhere, by its line
            line = signer.sign(Checkpoint("https://signoff.example.com", last, honest[last - 1].hash, START))
            witness = signer.public.read(line).as_witness
        else:  # a card: its number and the beginning of its hash
            witness = kept(honest, last, 8)
        # Signed anew with the stolen key, what the thief made agrees with itself and with the thief's own checkpoint,
        if forged and attack not in SEEN_WITHOUT_WITNESS:
            new = thief.sign(Checkpoint("https://signoff.example.com", len(forged), forged[-1].hash, START))
            assert verdict_on(forged, [thief.public.read(new).as_witness]).fault_count == 0
        # and not with the one that was kept.
        verdict = verdict_on(forged, [witness])
        assert verdict.fault_count > 0, (seed, attack.__name__)
        assert verdict.witnessed is None or verdict.witnessed.number <= at, (seed, attack.__name__)
        found[attack.__name__] = found.get(attack.__name__, 0) + 1
    assert sum(found.values()) == ROUNDS
    assert len(found) == len(ATTACKS)


@pytest.mark.parametrize("attack", SEEN_WITHOUT_WITNESS)
def test_what_does_not_agree_with_itself_is_found_without_a_witness(
    attack: Callable[[Chain, int, random.Random], Chain],
) -> None:
    for seed in range(20):
        dice = random.Random(seed)
        honest = a_chain(dice, 12)
        assert verdict_on(attack(honest, dice.randrange(11), dice), []).fault_count > 0


def test_what_comes_after_the_last_witness_is_counted_and_not_vouched_for() -> None:
    honest = a_chain(random.Random(1), 30)
    verdict = verdict_on(honest, [kept(honest, 4, 8), kept(honest, 21)])
    assert verdict.fault_count == 0
    assert (verdict.events, verdict.unwitnessed, verdict.witnesses) == (30, 9, 2)
    assert verdict.witnessed is not None
    assert verdict.witnessed.number == 21

    # Nobody can say that the tail was another one; that it is nobody's word is said.
    rebuilt = chain_of([*[link.body for link in honest[:25]], a_body(99, None)])
    verdict = verdict_on(rebuilt, [kept(honest, 21)])
    assert (verdict.fault_count, verdict.unwitnessed) == (0, 5)


def test_without_a_witness_nothing_is_vouched_for() -> None:
    verdict = verdict_on(a_chain(random.Random(1), 9), [])
    assert (verdict.fault_count, verdict.witnessed, verdict.unwitnessed) == (0, None, 9)


def test_an_empty_chain() -> None:
    assert verdict_on([], []) == Verdict(0, None, None, 0, 0, 0, ())
    (fault,) = verdict_on([], [Witness(3, b"x" * 32, "a card")]).faults
    assert (fault.code, fault.number) == ("witness_without_event", 3)


def test_each_fault_is_told_by_itself() -> None:
    dice = random.Random(3)
    honest = a_chain(dice, 30)
    verdict = verdict_on(relabel(edit(edit(honest, 4, dice), 20, dice), 11, dice), [kept(honest, 30)])
    assert [(fault.code, fault.number) for fault in verdict.faults] == [
        ("hash_differs", 5), ("columns_differ", 12), ("hash_differs", 21),
    ]  # fmt: skip
    assert verdict.witnessed is None  # it agrees, but for what stands before it


def test_a_witness_that_says_nothing_vouches_for_nothing() -> None:
    honest = a_chain(random.Random(3), 5)
    verdict = verdict_on(honest, [Witness(3, b"", "an empty card")])
    assert [fault.code for fault in verdict.faults] == ["witness_differs"]


def test_a_body_that_is_no_event_is_found_although_its_hash_is_right() -> None:
    for text in ("", "[]", "7", '{"v":1}', '{"v":1,"type":"vote.cast","at":"yesterday"}', "{"):
        link = Link(1, START, "vote.cast", None, text, sha256(CHAIN_START + text.encode()).digest())
        assert [fault.code for fault in verdict_on([link], []).faults] == ["body_unreadable"], text


def test_many_faults_are_counted_and_the_first_are_told() -> None:
    dice = random.Random(3)
    wrong = [link._replace(type="nothing") for link in a_chain(dice, MOST_FAULTS + 50)]
    verdict = verdict_on(wrong, [])
    assert (verdict.fault_count, len(verdict.faults)) == (MOST_FAULTS + 50, MOST_FAULTS)


# --- checkpoints ------------------------------------------------------------------------------------------


CHECKPOINT = Checkpoint("https://signoff.example.com", 7, b"r" * 32, START)


def test_a_checkpoint_is_read_with_the_public_key_alone() -> None:
    signer = Signer(b"k" * 32)
    line = signer.sign(CHECKPOINT)
    assert PublicKey.from_pem(signer.public.pem.encode()).read(line + "\n") == CHECKPOINT
    assert CHECKPOINT.as_witness == Witness(7, b"r" * 32, "the checkpoint of 2026-11-22 09:00:00 UTC")
    assert signer.public.id == Signer(b"k" * 32).public.id != Signer(b"q" * 32).public.id
    assert "d" not in signer.public.jwk
    assert "PRIVATE" not in signer.public.pem


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (Signer(b"q" * 32).sign(CHECKPOINT), "signature_bad"),
        (Signer(b"k" * 32).sign(CHECKPOINT)[:-4] + "AAAA", "signature_bad"),
        (Signer(b"k" * 32).sign(replace(CHECKPOINT, size=0)), "checkpoint_unreadable"),
        (Signer(b"k" * 32).sign(replace(CHECKPOINT, root=b"short")), "checkpoint_unreadable"),
        ("a.b.c", "signature_bad"),
        ("nothing of the kind", "checkpoint_unreadable"),
        ("ü", "checkpoint_unreadable"),
        ("x" * 5_000, "checkpoint_unreadable"),
    ],
)
def test_what_is_no_checkpoint_of_ours_is_refused(line: str, code: str) -> None:
    with pytest.raises(BadCheckpoint) as refused:
        Signer(b"k" * 32).public.read(line)
    assert refused.value.code == code


def test_an_unsigned_token_is_refused() -> None:
    """``alg: none`` and a key of another kind are the classic ways around a signature."""
    header, payload, _ = Signer(b"k" * 32).sign(CHECKPOINT).split(".")
    for forged in ("eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9", header):
        with pytest.raises(BadCheckpoint):
            Signer(b"k" * 32).public.read(f"{forged}.{payload}.")


def test_a_key_that_is_none_is_refused() -> None:
    for_agreement = X25519PrivateKey.generate().public_key()
    pem = for_agreement.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for no_key in (b"", b"nothing", pem):
        with pytest.raises(BadCheckpoint):
            PublicKey.from_pem(no_key)

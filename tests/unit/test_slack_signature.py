"""Slack's signature on raw bytes: right, forged, stale, malformed."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.slack.signature import is_genuine

SECRET = b"8f742231b10e8888abcd99yyyzzz85a5"
BODY = b"payload=%7B%22type%22%3A%22block_actions%22%7D\xff"
NOW = 1_795_338_000.0


def _sign(timestamp: str = str(int(NOW)), body: bytes = BODY, secret: bytes = SECRET) -> str:
    return "v0=" + hmac.new(secret, b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


def test_what_slack_signed_just_now_is_genuine() -> None:
    assert is_genuine(SECRET, [str(int(NOW))], [_sign()], BODY, NOW)


@pytest.mark.parametrize("skew", [-300, -299, 299, 300])
def test_a_skew_of_five_minutes_is_borne(skew: int) -> None:
    timestamp = str(int(NOW) + skew)
    assert is_genuine(SECRET, [timestamp], [_sign(timestamp)], BODY, NOW)


@pytest.mark.parametrize("skew", [-301, 301, -86_400, 86_400])
def test_more_is_not(skew: int) -> None:
    timestamp = str(int(NOW) + skew)
    assert not is_genuine(SECRET, [timestamp], [_sign(timestamp)], BODY, NOW)


@pytest.mark.parametrize(
    "timestamp",
    ["", "soon", "-1", "+1795338000", "1_795_338_000", " 1795338000", "1795338000.0", "١٧٩٥٣٣٨٠٠٠", "1" * 5000, "1e9"],
)
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    signature = _sign(timestamp) if timestamp.isascii() else _sign()
    assert not is_genuine(SECRET, [timestamp], [signature], BODY, NOW)


@pytest.mark.parametrize(
    "signature",
    ["", "v0=", "v0=" + "0" * 64, _sign(secret=b"another"), _sign(body=BODY + b" "), _sign()[3:], "v1" + _sign()[2:],
     _sign().upper(), "v0=ﬀ" + "0" * 60, _sign() + " ", "\u0000"],
)  # fmt: skip
def test_any_other_signature_is_refused(signature: str) -> None:
    assert not is_genuine(SECRET, [str(int(NOW))], [signature], BODY, NOW)


def test_each_header_must_be_there_once() -> None:
    good, timestamp = _sign(), str(int(NOW))
    assert not is_genuine(SECRET, [], [good], BODY, NOW)
    assert not is_genuine(SECRET, [timestamp], [], BODY, NOW)
    assert not is_genuine(SECRET, [timestamp, timestamp], [good], BODY, NOW)
    assert not is_genuine(SECRET, [timestamp], [good, good], BODY, NOW)


def _hex(digest: bytes) -> str:
    return f"v0={digest.hex()}"


@given(
    st.lists(st.one_of(st.just(str(int(NOW))), st.text()), max_size=2),
    st.lists(st.one_of(st.just(_sign()), st.text(), st.binary(min_size=32, max_size=32).map(_hex)), max_size=2),
    st.one_of(st.just(BODY), st.binary()),
)
def test_whatever_comes_is_judged_and_only_what_slack_signed_is_genuine(
    timestamps: list[str], signatures: list[str], body: bytes
) -> None:
    is_signed = (timestamps, signatures, body) == ([str(int(NOW))], [_sign()], BODY)
    assert is_genuine(SECRET, timestamps, signatures, body, NOW) is is_signed

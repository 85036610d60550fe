"""The text of a lock screen: its time in the zone of its one reader, where that is at hand."""

import pytest

from handlers.slack.blocks import Message
from handlers.slack.sending import text_for
from handlers.slack.text import plain_date
from tests.conftest import START, StandingClock, Town

UTC_TIME = plain_date(START)


@pytest.mark.parametrize(
    ("person", "text", "shown"),
    [
        ("U0TOKYO", "{} decide by {}", "{} decide by 22 Nov 2026 18:00 JST"),  # an earlier one is no time of ours
        ("U0TOKYO", "nothing of a time", "nothing of a time"),
        ("U0NOWHERE", "decide by {}", "decide by {}"),
        ("U0STRANGER", "decide by {}", "decide by {}"),
        ("C0REFUNDS", "decide by {}", "decide by {}"),
    ],
)
def test_the_last_time_is_in_the_readers_zone(person: str, text: str, shown: str) -> None:
    town = Town(StandingClock())
    town.add("U0TOKYO", zone="Asia/Tokyo")
    town.add("U0NOWHERE", zone="Middle/Earth")
    message = Message(text.replace("{}", UTC_TIME), [], START)
    assert text_for(town, person, message) == shown.replace("{}", UTC_TIME)
    assert text_for(town, person, Message(message.text, [])) == message.text

"""Whatever is sent as blocks or as a view is judged, and never breaks the judge."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from playground import problems_of_blocks, problems_of_view
from playground.blockkit import check_blocks, check_view
from playground.errors import SlackRefusal
from tests.unit.playground_server.shapes import home, modal
from tests.unit.playground_server.test_blocks import GOOD

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
KEY_NAMES = (
    "type text elements fields accessory element options option_groups rows label title submit blocks confirm "
    "block_id action_id style initial_option initial_options focus_on_load min_length max_length"
)
KEYS = st.sampled_from(KEY_NAMES.split())
TYPE_NAMES = (
    "section actions input context rich_text table markdown header button static_select radio_buttons "
    "plain_text_input plain_text mrkdwn rich_text_section rich_text_list text link modal home alert"
)
TYPES = st.sampled_from(TYPE_NAMES.split())
ANYTHING = st.recursive(
    SCALARS | TYPES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner | TYPES, max_size=5),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_any_json_is_judged(value: Any) -> None:
    for surface in ("message", "modal", "home"):
        problems_of_blocks(value, surface)
    problems_of_view(value)
    for check in (check_blocks, check_view):
        try:
            kept = check(value)
        except SlackRefusal:
            continue
        # What is kept is itself something Slack would take.
        if check is check_blocks and kept:
            assert problems_of_blocks(kept) == []


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_one_wrong_value_in_good_blocks_is_judged(name: str, data: st.DataObject) -> None:
    blocks = copy.deepcopy(GOOD[name])
    places = list(_places(blocks))
    holder, key = places[data.draw(st.integers(0, len(places) - 1))]
    holder[key] = data.draw(ANYTHING)
    problems_of_blocks(blocks)
    problems_of_view(modal(*blocks))
    problems_of_view(home(*blocks))


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)

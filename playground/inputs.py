"""What a person puts into a view's fields: Slack's `state.values`, and what its client checks. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from playground.model import Json, elements_of

Values = dict[str, dict[str, Json]]

_TEXT_TYPES = {"plain_text_input", "email_text_input", "url_text_input", "number_input"}
_ONE_OPTION = {"static_select", "external_select", "radio_buttons"}
_MANY_OPTIONS = {"multi_static_select", "multi_external_select", "checkboxes"}
_ONE_ID = {
    "users_select": ("selected_user", "initial_user"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "channels_select": ("selected_channel", "initial_channel"),
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "rich_text_input": ("rich_text_value", "initial_value"),
}
_MANY_IDS = {
    "multi_users_select": ("selected_users", "initial_users"),
    "multi_conversations_select": ("selected_conversations", "initial_conversations"),
    "multi_channels_select": ("selected_channels", "initial_channels"),
    "file_input": ("files", ""),
}


def initial_state(element: Json) -> Json | None:
    """The state an element starts with; None for one that holds no state, such as a button."""
    kind = element["type"]
    if kind in _TEXT_TYPES:
        return {"type": kind, "value": element.get("initial_value")}
    if kind in _ONE_OPTION:
        return {"type": kind, "selected_option": element.get("initial_option")}
    if kind in _MANY_OPTIONS:
        return {"type": kind, "selected_options": list(element.get("initial_options") or [])}
    if kind in _ONE_ID:
        field, initial = _ONE_ID[kind]
        return {"type": kind, field: element.get(initial)}
    if kind in _MANY_IDS:
        field, initial = _MANY_IDS[kind]
        return {"type": kind, field: list(element.get(initial) or [])}
    return None


def initial_values(blocks: list[Json], kept: Values | None = None) -> Values:
    """The state of all fields; `kept` is what a person had put in before the view was updated.

    A field keeps its input when its block id, action id and type stay the same.
    """
    values: Values = {}
    for block, element in elements_of(blocks):
        state = initial_state(element)
        if state is None:
            continue
        before = (kept or {}).get(block["block_id"], {}).get(element["action_id"])
        if before is not None and before.get("type") == element["type"]:
            state = before
        values.setdefault(block["block_id"], {})[element["action_id"]] = state
    return values


def options_of(element: Json) -> list[Json]:
    """The options of a select, radio, checkbox or overflow element, those of its groups included."""
    grouped = [option for group in element.get("option_groups") or [] for option in group["options"]]
    return list(element.get("options") or []) + grouped


def pick_options(element: Json, chosen: Iterable[str]) -> list[Json]:
    """The options with these values; LookupError for one that is not offered."""
    offered = {option["value"]: option for option in options_of(element)}
    picked = []
    for value in chosen:
        if value not in offered:
            raise LookupError(f"{element['action_id']} offers {sorted(offered)}, not {value!r}")
        picked.append(offered[value])
    return picked


def state_from(element: Json, given: Any) -> Json:
    """What a person put in (a text, an option's value, a list of values, None) as Slack states it.

    A dict with a `type` is taken to be such a state already.
    """
    kind = element["type"]
    if isinstance(given, dict) and "type" in given:
        return given
    if kind in _TEXT_TYPES:
        return {"type": kind, "value": given}
    if kind in _ONE_OPTION:
        return {"type": kind, "selected_option": None if given is None else pick_options(element, [given])[0]}
    if kind in _MANY_OPTIONS:
        return {"type": kind, "selected_options": pick_options(element, given or [])}
    if kind in _ONE_ID:
        return {"type": kind, _ONE_ID[kind][0]: given}
    if kind in _MANY_IDS:
        return {"type": kind, _MANY_IDS[kind][0]: list(given or [])}
    raise LookupError(f"nothing can be put into a {kind}")


def merge(blocks: list[Json], current: Values, given: dict[str, Any]) -> Values:
    """The view's state after a person put `given` in: by block id, or by action id for short."""
    values = {block_id: dict(fields) for block_id, fields in current.items()}
    by_block: dict[str, list[tuple[Json, Json]]] = {}
    by_action: dict[str, list[tuple[Json, Json]]] = {}
    for block, element in elements_of(blocks):
        if initial_state(element) is not None:
            by_block.setdefault(block["block_id"], []).append((block, element))
            by_action.setdefault(element["action_id"], []).append((block, element))
    for key, value in given.items():
        if key in by_block and isinstance(value, dict) and "type" not in value:
            for action_id, inner in value.items():
                for block, element in by_block[key]:
                    if element["action_id"] == action_id:
                        values[block["block_id"]][action_id] = state_from(element, inner)
                        break
                else:
                    raise LookupError(f"the block {key!r} has no field {action_id!r}")
            continue
        fields = by_block.get(key) or by_action.get(key)
        if not fields or len(fields) > 1:
            raise LookupError(f"{key!r} names no single field; there are {sorted(by_block)}")
        block, element = fields[0]
        values[block["block_id"]][element["action_id"]] = state_from(element, value)
    return values


def is_empty(state: Json) -> bool:
    """Whether a field holds nothing."""
    return all(value in (None, "", []) for key, value in state.items() if key != "type")


def client_errors(blocks: list[Json], values: Values) -> dict[str, str]:
    """What Slack's own client would refuse to submit: block id to its words."""
    errors: dict[str, str] = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        state = values[block["block_id"]][element["action_id"]]
        problem = _client_error(element, state, optional=bool(block.get("optional")))
        if problem:
            errors[block["block_id"]] = problem
    return errors


def _client_error(element: Json, state: Json, *, optional: bool) -> str | None:
    if is_empty(state):
        return None if optional else "Please complete this required field."
    value = state.get("value")
    if not isinstance(value, str):
        return None
    if (least := element.get("min_length")) and len(value) < least:
        return f"Must be at least {least} characters."
    if (most := element.get("max_length")) and len(value) > most:
        return f"Must be {most} characters or fewer."
    if element["type"] == "email_text_input" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return "Please enter a valid email address."
    if element["type"] == "url_text_input" and not re.fullmatch(r"https?://\S+", value):
        return "Please enter a valid URL."
    if element["type"] == "number_input":
        return _number_error(element, value)
    return None


def _number_error(element: Json, value: str) -> str | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and number != number.to_integral_value():
        return "Please enter a whole number."
    if "min_value" in element and number < Decimal(str(element["min_value"])):
        return f"Must be {element['min_value']} or more."
    if "max_value" in element and number > Decimal(str(element["max_value"])):
        return f"Must be {element['max_value']} or less."
    return None

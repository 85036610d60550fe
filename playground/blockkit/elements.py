"""Rules for the elements that sit in blocks: buttons, menus, inputs, images."""

from __future__ import annotations

from typing import Any

from playground.blockkit.rules import Report, Rule, array, boolean, both, fields, integer, string, url, when_object
from playground.blockkit.texts import CONFIRM, OFFERED, option, option_groups, options, plain_text

_ACTION_ID = string(most=255)
_PLACEHOLDER = plain_text(150)
_IDS = array(string(most=50), least=0)
_INPUT: dict[str, Rule] = {"action_id": _ACTION_ID, "focus_on_load": boolean}
_MENU: dict[str, Rule] = {**_INPUT, "placeholder": _PLACEHOLDER, "confirm": CONFIRM}
_DISPATCH = fields({"trigger_actions_on": array(string(among=("on_enter_pressed", "on_character_entered")), most=2)})
_FILTER = fields(
    {},
    {
        "include": array(string(among=("im", "mpim", "private", "public"))),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)


@when_object
def _one_list_of_options(value: dict[str, Any], pointer: str, report: Report) -> None:
    if ("options" in value) == ("option_groups" in value):
        report.add(pointer, "must define either `options` or `option_groups`", type="one_of")


@when_object
def _lengths_in_order(value: dict[str, Any], pointer: str, report: Report) -> None:
    least, most, initial = value.get("min_length"), value.get("max_length"), value.get("initial_value")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        report.add(f"{pointer}/min_length", "must be less than or equal to max_length", type="maximum")
    if isinstance(most, int) and isinstance(initial, str) and len(initial) > most:
        report.add(f"{pointer}/initial_value", f"must be less than {most + 1} characters", type="max_length")


@when_object
def _one_source(value: dict[str, Any], pointer: str, report: Report) -> None:
    if ("image_url" in value) == ("slack_file" in value):
        report.add(pointer, "must define either `image_url` or `slack_file`", type="one_of")


def image_fields(**more: Rule) -> Rule:
    """An image element, or with more fields an image block."""
    optional: dict[str, Rule] = {
        "image_url": url(),
        "slack_file": fields({}, {"id": string(), "url": string()}),
        **more,
    }
    return both(fields({"alt_text": string(most=2000)}, optional, kind="image"), _one_source)


BUTTON = fields(
    {"text": plain_text(75)},
    {
        "action_id": _ACTION_ID,
        "url": url(),
        "value": string(most=2000),
        "style": string(among=("primary", "danger")),
        "confirm": CONFIRM,
        "accessibility_label": string(most=75),
        "visible_to_user_ids": _IDS,
        "agent_prompt": string(most=4000),
        "agent_prompt_display": string(),
    },
    kind="button",
)
OVERFLOW = fields(
    {"options": options(5, with_url=True)}, {"action_id": _ACTION_ID, "confirm": CONFIRM}, kind="overflow"
)


def _static(kind: str, extra: dict[str, Rule]) -> Rule:
    optional = {**_MENU, "options": options(100), "option_groups": option_groups(), **extra}
    return both(fields({}, optional, kind=kind), _one_list_of_options, OFFERED)


def _menu(kind: str, **extra: Rule) -> Rule:
    return fields({}, {**_MENU, **extra}, kind=kind)


_MOST_SELECTED = integer(1)
SELECTS: dict[str, Rule] = {
    "static_select": _static("static_select", {"initial_option": option()}),
    "external_select": _menu("external_select", initial_option=option(), min_query_length=integer(0)),
    "users_select": _menu("users_select", initial_user=string()),
    "conversations_select": _menu(
        "conversations_select",
        initial_conversation=string(),
        default_to_current_conversation=boolean,
        response_url_enabled=boolean,
        filter=_FILTER,
    ),
    "channels_select": _menu("channels_select", initial_channel=string(), response_url_enabled=boolean),
}
MULTI_SELECTS: dict[str, Rule] = {
    "multi_static_select": _static(
        "multi_static_select",
        {"initial_options": array(option(), most=100), "max_selected_items": _MOST_SELECTED},
    ),
    "multi_external_select": _menu(
        "multi_external_select",
        initial_options=array(option(), most=100),
        min_query_length=integer(0),
        max_selected_items=_MOST_SELECTED,
    ),
    "multi_users_select": _menu("multi_users_select", initial_users=_IDS, max_selected_items=_MOST_SELECTED),
    "multi_conversations_select": _menu(
        "multi_conversations_select",
        initial_conversations=_IDS,
        default_to_current_conversation=boolean,
        max_selected_items=_MOST_SELECTED,
        filter=_FILTER,
    ),
    "multi_channels_select": _menu("multi_channels_select", initial_channels=_IDS, max_selected_items=_MOST_SELECTED),
}
CHOICES: dict[str, Rule] = {
    "radio_buttons": both(
        fields(
            {"options": options(10, mrkdwn=True)},
            {**_INPUT, "initial_option": option(mrkdwn=True), "confirm": CONFIRM},
            kind="radio_buttons",
        ),
        OFFERED,
    ),
    "checkboxes": both(
        fields(
            {"options": options(10, mrkdwn=True)},
            {**_INPUT, "initial_options": array(option(mrkdwn=True), most=10), "confirm": CONFIRM},
            kind="checkboxes",
        ),
        OFFERED,
    ),
}
PICKERS: dict[str, Rule] = {
    "datepicker": _menu("datepicker", initial_date=string(pattern=r"\d{4}-\d\d-\d\d")),
    "timepicker": _menu("timepicker", initial_time=string(pattern=r"([01]\d|2[0-3]):[0-5]\d"), timezone=string()),
    "datetimepicker": fields(
        {}, {**_INPUT, "confirm": CONFIRM, "initial_date_time": integer(0, 9_999_999_999)}, kind="datetimepicker"
    ),
}


def typed(kind: str, required: dict[str, Rule] | None = None, **extra: Rule) -> Rule:
    """An input that a person types into."""
    optional = {**_INPUT, "placeholder": _PLACEHOLDER, "dispatch_action_config": _DISPATCH, **extra}
    return fields(required or {}, optional, kind=kind)


TYPED: dict[str, Rule] = {
    "plain_text_input": both(
        typed(
            "plain_text_input",
            initial_value=string(most=3000, least=0),
            multiline=boolean,
            min_length=integer(0, 3000),
            max_length=integer(1, 3000),
        ),
        _lengths_in_order,
    ),
    "email_text_input": typed("email_text_input", initial_value=string()),
    "url_text_input": typed("url_text_input", initial_value=string()),
    "number_input": typed(
        "number_input",
        {"is_decimal_allowed": boolean},
        initial_value=string(),
        min_value=string(),
        max_value=string(),
    ),
    "file_input": fields(
        {}, {"action_id": _ACTION_ID, "filetypes": _IDS, "max_files": integer(1, 10)}, kind="file_input"
    ),
}
FEEDBACK = fields({"text": plain_text(75), "value": string(most=2000)}, {"accessibility_label": string(most=75)})
CONTEXT_ACTIONS: dict[str, Rule] = {
    "feedback_buttons": fields(
        {"positive_button": FEEDBACK, "negative_button": FEEDBACK},
        {"action_id": _ACTION_ID},
        kind="feedback_buttons",
    ),
    "icon_button": fields(
        {"icon": string(), "text": plain_text(75)},
        {
            "action_id": _ACTION_ID,
            "value": string(most=2000),
            "confirm": CONFIRM,
            "accessibility_label": string(most=75),
            "visible_to_user_ids": _IDS,
        },
        kind="icon_button",
    ),
}

"""What Slack sends, read strictly: the only place that indexes Slack's dicts.

Every ``parse_`` gives a frozen value or raises ``BadPayload``, whatever it is given; never a KeyError. Nothing here
decides whether a click counts: ids and values are claims until they are compared with what we recorded.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

Surface = Literal["card", "modal", "home"]
Values = Mapping[str, Mapping[str, str | None]]
"""What was put into a view: block id, action id, text or the value of what was chosen (several with commas between)."""
Body = dict[str, Any]
"""The body of an acknowledgement: what Slack is to do with what was sent."""

MAX_ID = 127  # two of them and a colon name a submission, and an act's name has at most 255 characters
MAX_TEXT = 3000
MAX_INPUTS = 100
MAX_NUMBER = 2**63 - 1


class BadPayload(ValueError):
    """Slack would not send this. The message names a field and quotes nothing of the payload."""

    code = "bad_payload"


@dataclass(frozen=True, slots=True)
class Click:
    """A press on one of our buttons, or a choice. ``act_id`` is unique to this act: the trigger id."""

    act_id: str
    user_id: str
    team_id: str
    enterprise_id: str | None
    action_id: str
    value: str | None
    trigger_id: str
    surface: Surface
    channel: str | None
    ts: str | None
    view_id: str | None
    view_external_id: str | None
    view_hash: str | None
    private_metadata: str | None
    response_url: str | None
    state: Values


@dataclass(frozen=True, slots=True)
class Submission:
    """A modal that was submitted. ``act_id`` is the view's id and hash: Slack's retry of it has the same."""

    act_id: str
    user_id: str
    team_id: str
    enterprise_id: str | None
    callback_id: str
    view_id: str
    external_id: str
    private_metadata: str
    values: Values
    view_hash: str


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command as typed."""

    user_id: str
    team_id: str
    enterprise_id: str | None
    channel_id: str
    text: str
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A message that is gone."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class HomeOpened:
    """Somebody looks at the Home tab."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What our views carry in ``private_metadata``: the request's number, the page shown (from 0) and how many."""

    number: int
    page: int = 0
    pages: int = 1


# --- what is parsed ---------------------------------------------------------------------------------------


def parse_click(payload: object) -> Click:
    """Parse a ``block_actions`` payload, from a message, a modal or the Home tab. Raises ``BadPayload``."""
    box = _object(payload, "payload")
    _exactly(box, "type", "block_actions")
    user_id, team_id, enterprise_id = _person(box)
    actions = _list(box, "actions")
    if not actions:
        _refuse("actions")
    action = _object(actions[0], "actions")
    container = _object(box.get("container"), "container")
    trigger_id = _text(box, "trigger_id", MAX_ID)
    surface: Surface = "card"
    channel = ts = view_id = external_id = view_hash = metadata = None
    kind = _text(container, "type", MAX_ID)
    if kind == "message":
        channel, ts = _match(container, "channel_id", _CHANNEL), _match(container, "message_ts", _TS)
        state = _values(box.get("state"))
    elif kind == "view":
        view = _object(box.get("view"), "view")
        surface = _view_surface(view)
        view_id, view_hash = _text(view, "id", MAX_ID), _text(view, "hash", MAX_ID)
        external_id = _optional(view, "external_id", 255) or None
        metadata = _optional(view, "private_metadata", MAX_TEXT)
        state = _values(view.get("state"))
    else:
        _refuse("container")
    return Click(
        act_id=trigger_id,
        user_id=user_id,
        team_id=team_id,
        enterprise_id=enterprise_id,
        action_id=_text(action, "action_id", 255),
        value=_chosen(action),
        trigger_id=trigger_id,
        surface=surface,
        channel=channel,
        ts=ts,
        view_id=view_id,
        view_external_id=external_id,
        view_hash=view_hash,
        private_metadata=metadata,
        response_url=_optional(box, "response_url", MAX_TEXT) or None,
        state=state,
    )


def parse_submission(payload: object) -> Submission:
    """Parse a ``view_submission`` payload. Raises ``BadPayload``."""
    box = _object(payload, "payload")
    _exactly(box, "type", "view_submission")
    user_id, team_id, enterprise_id = _person(box)
    view = _object(box.get("view"), "view")
    if _view_surface(view) != "modal":
        _refuse("view")
    view_id, view_hash = _text(view, "id", MAX_ID), _text(view, "hash", MAX_ID)
    return Submission(
        act_id=f"{view_id}:{view_hash}",
        user_id=user_id,
        team_id=team_id,
        enterprise_id=enterprise_id,
        callback_id=_text(view, "callback_id", 255),
        view_id=view_id,
        external_id=_text(view, "external_id", 255),
        private_metadata=_text(view, "private_metadata", MAX_TEXT),
        values=_values(view.get("state")),
        view_hash=view_hash,
    )


def parse_command(form: object) -> Command:
    """Parse a slash command's form. Raises ``BadPayload``."""
    box = _object(form, "form")
    enterprise_id = _slack_id(box, "enterprise_id", _TEAM, optional=True)
    team_id = _slack_id(box, "team_id", _TEAM, optional=True) or enterprise_id
    if team_id is None:
        _refuse("team_id")
    return Command(
        user_id=_match(box, "user_id", _USER),
        team_id=team_id,
        enterprise_id=enterprise_id,
        channel_id=_match(box, "channel_id", _CHANNEL),
        text=_optional(box, "text", MAX_TEXT) or "",
        trigger_id=_text(box, "trigger_id", MAX_ID),
        response_url=_text(box, "response_url", MAX_TEXT),
    )


def parse_deleted(event: object) -> Deleted | None:
    """Parse a ``message`` event: the message that was deleted, or None for any other news. Raises ``BadPayload``."""
    box = _object(event, "event")
    _exactly(box, "type", "message")
    if box.get("subtype") != "message_deleted":
        return None
    return Deleted(_match(box, "channel", _CHANNEL), _match(box, "deleted_ts", _TS))


def parse_home_opened(event: object) -> HomeOpened | None:
    """Parse an ``app_home_opened`` event; None when another tab than Home was opened. Raises ``BadPayload``."""
    box = _object(event, "event")
    _exactly(box, "type", "app_home_opened")
    return HomeOpened(_match(box, "user", _USER)) if box.get("tab", "home") == "home" else None


def parse_metadata(text: str | None) -> Metadata:
    """Parse the ``private_metadata`` of one of our views. Raises ``BadPayload``."""
    try:
        box = _object(json.loads(text or ""), "private_metadata")
    except (ValueError, RecursionError) as error:
        raise BadPayload("private_metadata is not what we wrote") from error
    number, page, pages = _count(box, "number"), _count(box, "page", 0), _count(box, "pages", 1)
    if number < 1 or not 0 <= page < pages:
        _refuse("private_metadata")
    return Metadata(number, page, pages)


def parse_number(value: str | None) -> int:
    """Parse a button's value: the number of a request. Raises ``BadPayload``."""
    if value is None or not re.fullmatch(r"[1-9][0-9]{0,18}", value, re.ASCII) or int(value) > MAX_NUMBER:
        raise BadPayload("a button's value is not a number")
    return int(value)


# --- the pieces -------------------------------------------------------------------------------------------

_USER = re.compile(r"[UW][A-Z0-9]{1,31}", re.ASCII)
_TEAM = re.compile(r"[TE][A-Z0-9]{1,31}", re.ASCII)
_CHANNEL = re.compile(r"[CDG][A-Z0-9]{1,31}", re.ASCII)
_UNSTORABLE = re.compile("[\\x00\ud800-\udfff]")  # half a character, or what no database keeps
_TS = re.compile(r"[0-9]{1,16}\.[0-9]{1,10}", re.ASCII)


def _refuse(field: str) -> NoReturn:
    raise BadPayload(f"{field} is missing or not what Slack sends")


def _object(value: object, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(field)
    return value


def _list(box: dict[str, Any], field: str) -> list[Any]:
    value = box.get(field)
    if not isinstance(value, list):
        _refuse(field)
    return value


def _exactly(box: dict[str, Any], field: str, wanted: str) -> None:
    if box.get(field) != wanted:
        _refuse(field)


def _text(box: dict[str, Any], field: str, most: int) -> str:
    """A text that must be there and say something."""
    value = box.get(field)
    if not isinstance(value, str) or not 1 <= len(value) <= most or _UNSTORABLE.search(value):
        _refuse(field)
    return value


def _optional(box: dict[str, Any], field: str, most: int) -> str | None:
    value = box.get(field)
    if value is None or value == "":
        return value
    return _text(box, field, most)


def _match(box: dict[str, Any], field: str, form: re.Pattern[str]) -> str:
    value = box.get(field)
    if not isinstance(value, str) or not form.fullmatch(value):
        _refuse(field)
    return value


def _slack_id(box: dict[str, Any], field: str, form: re.Pattern[str], *, optional: bool) -> str | None:
    """An id that may be absent, null or empty, as Slack has it; if it is there it must be one."""
    return None if optional and box.get(field) in (None, "") else _match(box, field, form)


def _count(box: dict[str, Any], field: str, absent: int | None = None) -> int:
    value = box.get(field, absent)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_NUMBER:
        _refuse(field)
    return value


def _person(box: dict[str, Any]) -> tuple[str, str, str | None]:
    """Who acted: user, team and enterprise. An app installed for a whole enterprise gets no ``team``."""
    user = _object(box.get("user"), "user")
    team = box.get("team") if isinstance(box.get("team"), dict) else {}
    enterprise = box.get("enterprise") if isinstance(box.get("enterprise"), dict) else {}
    enterprise_id = _slack_id(enterprise or {}, "id", _TEAM, optional=True) or _slack_id(
        team or {}, "enterprise_id", _TEAM, optional=True
    )
    team_id = (
        _slack_id(user, "team_id", _TEAM, optional=True)
        or _slack_id(team or {}, "id", _TEAM, optional=True)
        or enterprise_id
    )
    if team_id is None:
        _refuse("team")
    return _match(user, "id", _USER), team_id, enterprise_id


def _view_surface(view: dict[str, Any]) -> Surface:
    kind = view.get("type")
    if kind == "modal":
        return "modal"
    if kind == "home":
        return "home"
    _refuse("view")


def _chosen(element: dict[str, Any]) -> str | None:
    """What an element says: a button's or input's value, or that of what was chosen; of several with commas between."""
    if isinstance(element.get("selected_options"), list):
        chosen = (_object(option, "selected_options") for option in element["selected_options"])
        return ",".join(_text(option, "value", MAX_TEXT) for option in chosen)
    if isinstance(element.get("selected_option"), dict):
        return _optional(element["selected_option"], "value", MAX_TEXT)
    return _optional(element, "value", MAX_TEXT)


def _values(state: object) -> Values:
    """Flatten a view's state. None of it, as in a message without inputs, is fine."""
    if state is None:
        return {}
    blocks = _object(state, "state").get("values", {})
    read: dict[str, dict[str, str | None]] = {}
    for block_id, elements in _object(blocks, "state").items():
        read[block_id] = {
            action_id: _chosen(_object(element, "state")) for action_id, element in _object(elements, "state").items()
        }
    if sum(len(elements) for elements in read.values()) > MAX_INPUTS:
        _refuse("state")
    return read

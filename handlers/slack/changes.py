"""The form in which a call is changed before it is approved, what was put into it, and what is told afterwards.

Pure. Which field an argument gets, and how it is read, is ``handlers.slack.changes_fields``'. Names and values that an
agent wrote are shown inert: labels are plain text, and the ids of blocks are numbers of ours.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.config import FrozenRule
from bot.drawings import Drawing
from bot.durations import render_duration
from bot.standing import Granted
from handlers.slack.approve_form import (
    PASSCODE_BLOCK,
    REASON_BLOCK,
    Given,
    faults_in,
    passcode_input,
    read_approve,
    reason_input,
)
from handlers.slack.blocks import Block, View, context, framed, line, modal, plain, said, section, sign
from handlers.slack.call_parts import wanted, warning
from handlers.slack.changes_fields import (
    INPUT_CHARACTERS,
    CannotBeChanged,
    Field,
    Kind,
    Misread,
    fields_of,
    kept_keys,
    shown_choice,
)
from handlers.slack.outline import shown_key
from handlers.slack.payloads import Values
from handlers.slack.remembered import what_changed
from handlers.slack.text import date, how_many, visible

CHANGES_SUBMITTED = "changes_submitted"

INPUT = "value"
GONE_BLOCK = "gone"
_VIEW_BYTES = 200_000  # Slack takes 250 kB
_ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Asks:
    """What approving takes beside the changed arguments."""

    reason: Literal["optional", "required"] | None = None
    passcode: bool = False

    @classmethod
    def of(cls, rule: FrozenRule | None) -> "Asks":
        """What a rule asks for."""
        return cls(rule.reason, rule.step_up is not None) if rule is not None else cls()

    def with_more(self, code: str) -> "Asks":
        """The same and what a refusal with this code misses."""
        if code == "reason_missing":
            return Asks("required", self.passcode)
        return Asks(self.reason, self.passcode or code == "step_up_missing")


@dataclass(frozen=True, slots=True)
class Changes:
    """What was put into the form: the edits by argument (None: left out), and what else was asked for."""

    edits: Mapping[str, str | None]
    given: Given


class BadFields(ValueError):
    """Something in the form cannot be read. ``faults`` are Slack's: what to tell at which block."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("the form has faults")
        self.faults = dict(faults)


def block_named_in(message: str, fields: Sequence[Field]) -> str | None:
    """Return the block of the argument at which a misfit lies, named by its JSON pointer; None if it has no field."""
    for at, field in enumerate(fields):
        pointer = "/" + field.key.replace("~", "~0").replace("/", "~1")
        if f": {pointer}: " in message or f": {pointer}/" in message:
            return _block_id(at)
    return None


def form_fields(drawing: Drawing) -> tuple[Field, ...]:
    """The fields of the form for a request. Raises ``CannotBeChanged``."""
    schema = drawing.rule.arguments_schema if drawing.rule is not None else None
    return fields_of(drawing.request.arguments, schema)


# --- the form ---------------------------------------------------------------------------------------------


def render_changes(
    drawing: Drawing,
    modal_id: str,
    asks: Asks,
    *,
    values: Values | None = None,
    told: str | None = None,
) -> View:
    """Draw the form. ``values`` are what was put in before, ``told`` is what stands in the way of them.

    Raises ``CannotBeChanged`` for a call that no form holds.
    """
    fields = form_fields(drawing)
    kept = kept_keys(drawing.request.arguments)
    request, rule = drawing.request, drawing.rule
    standing = f" for {render_duration(rule.standing)}" if rule is not None else ""
    blocks: list[Block] = [
        *([line([sign("warning"), said(f" {visible(told)}", bold=True)], "told")] if told else []),
        line(wanted(request), "head"),
        *warning(request),
        context(
            [
                "This call is denied, and the agent is told the call as you change it. Your approval waits"
                f"{standing} for exactly that call, and counts as one vote on it.",
                "An emptied text is an empty text; spaces at its ends are dropped.",
            ],
            "about",
        ),
        *(_field_block(at, field, _typed(values, _block_id(at))) for at, field in enumerate(fields)),
        *_gone_block(fields, values),
        *([_kept_block(kept)] if kept else []),
        *_asked_blocks(asks, values),
    ]
    view = modal(
        "Approve with changes",
        blocks,
        external_id=modal_id,
        callback_id=CHANGES_SUBMITTED,
        private_metadata=json.dumps({"number": request.number}),
        submit="Approve changed",
        close="Cancel",
    )
    if len(json.dumps(view)) > _VIEW_BYTES:
        raise CannotBeChanged
    return view


def _block_id(at: int) -> str:
    return f"argument_{at}"


def _typed(values: Values | None, block_id: str) -> str | None:
    """What a block held when the form was submitted; None before it was."""
    if values is None:
        return None
    return values.get(block_id, {}).get(INPUT) or ""


def _field_block(at: int, field: Field, typed: str | None) -> Block:
    name = shown_key(field.key)
    element = _select(field, typed) if field.kind is Kind.CHOICE else _input(field, typed)
    hint = _hint(field)
    return {
        "type": "input",
        "block_id": _block_id(at),
        "label": plain(f"{field.title} ({name})" if field.title else name),
        "element": element,
        "optional": field.sent is None or field.kind is Kind.TEXT,
    } | ({"hint": plain(hint)} if hint else {})


def _hint(field: Field) -> str:
    how = {
        Kind.NUMBER: "A number, with a point for its fraction.",
        Kind.JSON: "As JSON.",
        Kind.WRITTEN: "A text as JSON, in double quotes: it has characters that a form cannot show.",
    }.get(field.kind, "")
    absent = "Not in the call; empty, it stays out." if field.sent is None and field.kind is not Kind.CHOICE else ""
    return " ".join(words for words in (field.about, how, absent) if words)


def _input(field: Field, typed: str | None) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "plain_text_input",
        "action_id": INPUT,
        "multiline": field.is_long,
        "max_length": INPUT_CHARACTERS,
    }
    value = field.shown if typed is None else typed
    return element | ({"initial_value": value} if value else {})


def _select(field: Field, typed: str | None) -> dict[str, Any]:
    options = [_option(shown_choice(choice), choice) for choice in field.choices]
    if field.sent is None:
        options.insert(0, _option("(not in the call)", _ABSENT))
    chosen = field.shown if typed is None else typed
    initial = next((one for one in options if one["value"] == (chosen or _ABSENT)), None)
    element: dict[str, Any] = {"type": "static_select", "action_id": INPUT, "options": options}
    return element | ({"initial_option": initial} if initial else {})


def _option(text: str, value: str) -> dict[str, Any]:
    return {"text": plain(text), "value": value}


def _gone_block(fields: Sequence[Field], values: Values | None) -> list[Block]:
    """Let people leave arguments out of the call; nothing where the schema wants them all."""
    options = [_option(shown_key(one.key), str(at)) for at, one in enumerate(fields) if one.may_go]
    if not options:
        return []
    gone = (_typed(values, GONE_BLOCK) or "").split(",")
    chosen = [option for option in options if option["value"] in gone]
    element: dict[str, Any] = {"type": "multi_static_select", "action_id": INPUT, "options": options}
    return [
        {
            "type": "input",
            "block_id": GONE_BLOCK,
            "label": plain("Leave out of the call"),
            "hint": plain("Arguments that the changed call shall not have at all."),
            "element": element | ({"initial_options": chosen} if chosen else {}),
            "optional": True,
        }
    ]


def _kept_block(kept: Sequence[str]) -> Block:
    """Name the arguments that nobody may see."""
    names = [part for key in kept for part in (said(", "), framed(shown_key(key)))][1:]
    return line([said("Not shown to anybody, and kept as they are: "), *names, said(".")], "kept")


def _asked_blocks(asks: Asks, values: Values | None) -> list[Block]:
    typed = read_approve(values).reason if values is not None else None
    reason = [reason_input(is_required=asks.reason == "required", typed=typed)] if asks.reason is not None else []
    return [*reason, *([passcode_input()] if asks.passcode else [])]


# --- reading it -------------------------------------------------------------------------------------------


def asked_in(values: Values) -> Asks:
    """What the submitted form had fields for, beside the arguments."""
    return Asks("optional" if REASON_BLOCK in values else None, PASSCODE_BLOCK in values)


def parse_changes(fields: Sequence[Field], values: Values) -> Changes:
    """Read the submitted form. Raises ``BadFields`` with a message for each field that cannot be read."""
    gone = set((_typed(values, GONE_BLOCK) or "").split(","))
    edits: dict[str, str | None] = {}
    faults: dict[str, str] = {}
    for at, field in enumerate(fields):
        if field.may_go and str(at) in gone:
            edits[field.key] = None
            continue
        typed = _typed(values, _block_id(at))
        if _block_id(at) not in values:
            faults[_block_id(at)] = "This did not arrive whole. Open the form anew, please."
            continue
        try:
            read = field.read("" if typed == _ABSENT and field.kind is Kind.CHOICE else typed)
        except Misread as misread:
            faults[_block_id(at)] = str(misread)
        else:
            if read != field.sent:
                edits[field.key] = read
    given = read_approve(values)
    faults |= faults_in(given)
    if faults:
        raise BadFields(faults)
    return Changes(edits, given)


# --- afterwards -------------------------------------------------------------------------------------------


def render_changed(drawing: Drawing, granted: Granted) -> View:
    """Tell who approved with changes what that led to. ``drawing`` is the denied request."""
    request, standing = drawing.request, granted.standing
    if standing is None:
        told = "A rule approves that call by itself: nobody is asked about it."
    else:
        told = f"Your approval waits for exactly that call, until {date(standing.expires_at)}."
        if granted.people_needed > 1:
            told += f" It needs {how_many(granted.people_needed, 'approval')}, and yours is one of them."
    blocks = [
        section(f"⛔ *#{request.number} is denied*, and the agent is told the call as you changed it.", "decision"),
        *what_changed(drawing),
        section(told, "standing"),
    ]
    return modal("Approved with changes", blocks) | {"clear_on_close": True}

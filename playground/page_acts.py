"""The acts a window may ask for, by name: read from JSON, run as that window's person, answered in sentences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from playground.acts import Acts
from playground.agent import BadCall, Preset
from playground.connected import Connected
from playground.console import Console
from playground.errors import NotThere
from playground.faults import KINDS, Fault
from playground.model import Json, User
from playground.results import Ack
from playground.snapshot import PAGE_FAULTS

_TROUBLE = "We had some trouble connecting. Try again?"
_MOST_FREE_CALL = 200_000
_MOST_SECONDS = 10**9  # what a step may be is the clock's to say; this only keeps it a step
# Methods with an effect that a lost answer leaves in doubt.
_WRITING = ("chat.*", "views.*", "conversations.open", "response_url")


class PageActs:
    """What one person does in one window."""

    def __init__(self, acts: Acts, viewer: User, connected: Connected) -> None:
        self._acts = acts
        self._me = viewer.id
        self._connected = connected
        self._by_name = {
            "click": self._click,
            "home_click": self._home_click,
            "view_click": self._view_click,
            "view_submit": self._view_submit,
            "view_close": self._view_close,
            "open_home": self._open_home,
            "read": self._read,
            "slash": self._slash,
            "say": self._say,
            "delete": self._delete,
            "agent_send": self._agent_send,
            "agent_cancel": self._agent_cancel,
            "fault": self._fault,
            "advance": self._advance,
        }

    async def run(self, request: Json) -> Json:
        """Runs one act; always answers, with `ok` and, when false, an `error` a person can read."""
        act = self._by_name.get(str(request.get("act")))
        if act is None:
            return _refused(f"There is no act called “{request.get('act')}”.")
        try:
            return await act(request)
        except (NotThere, BadCall) as error:
            return _refused(_sentence(str(error)))
        except (KeyError, TypeError, ValueError) as error:
            return _refused(f"The page sent an act that cannot be read: {type(error).__name__} {error}.")

    async def _click(self, request: Json) -> Json:
        ack = await self._acts.click(
            self._me,
            _text(request, "channel"),
            _text(request, "ts"),
            _text(request, "action_id"),
            block_id=_maybe(request, "block_id"),
            selected=_selected(request),
        )
        return _answer(ack, "The app did not answer in time. The button stays as it was: try again.")

    async def _home_click(self, request: Json) -> Json:
        ack = await self._acts.home_click(
            self._me,
            _text(request, "action_id"),
            block_id=_maybe(request, "block_id"),
            selected=_selected(request),
        )
        return _answer(ack, _TROUBLE)

    async def _view_click(self, request: Json) -> Json:
        ack = await self._acts.view_click(
            self._me,
            _text(request, "view_id"),
            _text(request, "action_id"),
            block_id=_maybe(request, "block_id"),
            selected=_selected(request),
            values=_values(request),
        )
        return _answer(ack, _TROUBLE)

    async def _view_submit(self, request: Json) -> Json:
        ack = await self._acts.submit(self._me, _text(request, "view_id"), _values(request))
        answer = _answer(ack, _TROUBLE)
        return answer | {"errors": ack.errors} if ack.errors else answer

    async def _view_close(self, request: Json) -> Json:
        # The modal is closed whatever the app makes of it.
        await self._acts.close_view(self._me, _text(request, "view_id"))
        return {"ok": True}

    async def _open_home(self, request: Json) -> Json:
        await self._acts.open_home(self._me)
        return {"ok": True}

    async def _read(self, request: Json) -> Json:
        self._acts.workspace.read(_text(request, "channel"), self._me)
        return {"ok": True}

    async def _slash(self, request: Json) -> Json:
        text = _text(request, "text")
        ack = await self._acts.slash(self._me, _text(request, "channel"), text)
        command = text.partition(" ")[0]
        if ack.error == "timeout":
            return _refused(f"{command} failed because the app did not respond.")
        return _answer(ack, f"{command} failed with the error “dispatch_failed”.")

    async def _say(self, request: Json) -> Json:
        text = _text(request, "text")
        if not text.strip():
            raise BadCall("There is nothing to say.")
        message = await self._acts.say(
            self._me, _text(request, "channel"), text, thread_ts=_maybe(request, "thread_ts")
        )
        return {"ok": True, "ts": message.ts}

    async def _delete(self, request: Json) -> Json:
        channel, ts = _text(request, "channel"), _text(request, "ts")
        self._acts.workspace.message(channel, ts)
        # Slack's client does not wait for the app to hear of it.
        self._acts.spawn(self._acts.delete_message(channel, ts))
        return {"ok": True}

    async def _agent_send(self, request: Json) -> Json:
        console = self._agent()
        if "preset" in request:
            preset = console.presets.get(_text(request, "preset"))
            if preset is None:
                raise BadCall(f"There is no ready-made call “{request['preset']}”.")
            return {"ok": True, "run": console.send(preset).id}
        arguments = _text(request, "arguments_text")
        if len(arguments) > _MOST_FREE_CALL:
            raise BadCall("That call is too long for the console.")
        tool = _text(request, "tool")
        call = Preset(
            key="free",
            label="A call of your own",
            explain="",
            tool=tool,
            agent=_maybe(request, "agent"),
            server=_maybe(request, "server"),
            arguments_text=arguments,
            reasoning=_maybe(request, "reasoning"),
            timeout=_maybe(request, "timeout") or "10m",
            result=f"{tool} ran with exactly these arguments",
        )
        return {"ok": True, "run": console.send(call).id}

    async def _agent_cancel(self, request: Json) -> Json:
        await self._agent().cancel(_text(request, "run"))
        return {"ok": True}

    async def _fault(self, request: Json) -> Json:
        key = _text(request, "key")
        if key == "pace":
            self._acts.pacing.enforced = request.get("on") is True
            self._acts.changes.fire()
            return {"ok": True}
        if key not in {fault["key"] for fault in PAGE_FAULTS} or key not in KINDS:
            raise BadCall(f"There is no fault called “{key}”.")
        faults = self._acts.faults
        for fault in faults.active:
            if fault.kind == key:
                faults.remove(fault)
        if request.get("on") is True:
            # What only reads has nothing to lose: with its answers gone as well, nothing would ever be written.
            methods = _WRITING if key == "lost" else None
            faults.add(Fault(key, methods=methods))  # type: ignore[arg-type]  # checked against KINDS above
        return {"ok": True}

    async def _advance(self, request: Json) -> Json:
        clock, seconds = self._connected.clock, request["seconds"]
        if clock is None:
            raise BadCall("The clock of this playground cannot be moved.")
        if type(seconds) is not int or abs(seconds) > _MOST_SECONDS:
            raise TypeError("seconds must be a whole number")
        clock.move(timedelta(seconds=seconds))
        self._acts.changes.fire()
        return {"ok": True}

    def _agent(self) -> Console:
        if self._connected.console is None:
            raise BadCall("No agent is connected to this playground.")
        return self._connected.console


def _answer(ack: Ack, words: str) -> Json:
    if ack.ok:
        return {"ok": True}
    if ack.error == "input_missing":
        return _refused("")
    if ack.error == "not_connected":
        return _refused("The app is not connected to the playground right now.")
    if ack.error == "dead":
        return _refused("Slack is down: the click goes nowhere. Switch the fault off to go on.")
    if ack.details:
        return _refused(f"{words} ({'; '.join(ack.details)})")
    return _refused(words)


def _refused(sentence: str) -> Json:
    return {"ok": False, "error": sentence}


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _text(request: Json, name: str) -> str:
    value = request[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text")
    return value


def _maybe(request: Json, name: str) -> str | None:
    value = request.get(name)
    return value if isinstance(value, str) and value else None


def _values(request: Json) -> dict[str, Any]:
    values = request.get("values") or {}
    if not isinstance(values, dict):
        raise TypeError("values must be an object")
    return values


def _selected(request: Json) -> Any:
    # A button carries nothing but its own value; anything else says what it holds now.
    kind = request.get("type")
    if kind in (None, "button"):
        return None
    if kind == "overflow":
        option = request.get("selected_option")
        return option.get("value") if isinstance(option, dict) else None
    fields = {
        name: value
        for name, value in request.items()
        if name in ("value", "files", "rich_text_value") or name.startswith("selected_")
    }
    return {"type": kind, **fields}

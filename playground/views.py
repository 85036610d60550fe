"""The modals and Home tabs that people have open, with Slack's rules for stacking and updating them.

Takes views that are already checked (blockkit/) and pays no heed to tokens or triggers.
"""

from __future__ import annotations

import secrets
from typing import Any

from playground.changes import Signal
from playground.errors import NotThere, SlackRefusal
from playground.inputs import initial_values
from playground.model import Json, View

# Slack shows a root view and two pushed over it.
MOST_VIEWS = 3


class Views:
    """Each person's stack of modals, and their Home tab."""

    def __init__(self, changes: Signal) -> None:
        self._changes = changes
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}

    def stack(self, user: str) -> list[View]:
        """This person's modals, bottom first."""
        return list(self.stacks.get(user, []))

    def find(self, view_id: str) -> View:
        """The view with this id, modal or Home; NotThere if it is closed."""
        for view in self._all():
            if view.id == view_id:
                return view
        raise NotThere(f"there is no view {view_id} open")

    def open(self, user: str, spec: Json, *, over: str | None) -> View:
        """Opens a modal: alone, or, when asked for from an open modal (`over`), on top of it."""
        stack = self.stacks.get(user, [])
        keep = stack if any(view.id == over for view in stack) else []
        return self._stack(user, keep, spec, root=None)

    def push(self, user: str, spec: Json) -> View:
        """Puts a modal over the topmost one."""
        stack = self.stacks.get(user, [])
        if not stack:
            raise SlackRefusal("not_found")
        return self._stack(user, stack, spec, root=stack[-1].root_view_id)

    def publish(self, user: str, spec: Json, hash_: str | None) -> View:
        """Replaces this person's Home tab."""
        before = self.homes.get(user)
        if hash_ and before is not None and before.hash != hash_:
            raise SlackRefusal("hash_conflict")
        self._check_external_id(spec, before)
        view = _view(user, spec, view_id=before.id if before else _new_id())
        view.root_view_id = view.id
        self.homes[user] = view
        self._changes.fire()
        return view

    def update(self, view: View, spec: Json, hash_: str | None = None) -> View:
        """Redraws an open view; fields that stay keep what was put in."""
        if hash_ and view.hash != hash_:
            raise SlackRefusal("hash_conflict")
        if spec["type"] != view.type:
            raise SlackRefusal("invalid_arguments", messages=["view type cannot change [json-pointer:/view/type]"])
        self._check_external_id(spec, view)
        after = _view(view.user, spec, view_id=view.id, kept=view)
        after.root_view_id, after.previous_view_id = view.root_view_id, view.previous_view_id
        for key, value in vars(after).items():
            setattr(view, key, value)
        self._changes.fire()
        return view

    def find_by_external_id(self, external_id: str) -> View:
        """The open view that the app gave this id; NotThere if none."""
        for view in self._all():
            if view.external_id == external_id:
                return view
        raise NotThere(f"there is no view with the external id {external_id}")

    def put_in(self, view: View, values: dict[str, dict[str, Json]]) -> None:
        """The person has changed some fields."""
        view.values = values
        self._changes.fire()

    def close(self, view: View, *, all_of_them: bool = False) -> list[View]:
        """Closes a modal and what lies over it, or the whole stack; gives back what was closed, top first."""
        stack = self.stacks.get(view.user, [])
        position = 0 if all_of_them else stack.index(view)
        closed = stack[position:]
        self.stacks[view.user] = stack[:position]
        self._changes.fire()
        return closed[::-1]

    def _stack(self, user: str, below: list[View], spec: Json, root: str | None) -> View:
        if len(below) >= MOST_VIEWS:
            raise SlackRefusal("push_limit_reached")
        self._check_external_id(spec, None)
        view = _view(user, spec, view_id=_new_id())
        view.root_view_id = root or view.id
        view.previous_view_id = below[-1].id if below else None
        self.stacks[user] = [*below, view]
        self._changes.fire()
        return view

    def _check_external_id(self, spec: Json, itself: View | None) -> None:
        external_id = spec.get("external_id")
        if external_id and any(v is not itself and v.external_id == external_id for v in self._all()):
            raise SlackRefusal("duplicate_external_id")

    def _all(self) -> list[View]:
        return [*(v for stack in self.stacks.values() for v in stack), *self.homes.values()]


def _new_id() -> str:
    return f"V0{secrets.token_hex(5).upper()}"


def _view(user: str, spec: Json, *, view_id: str, kept: View | None = None) -> View:
    fields: dict[str, Any] = {
        key: spec[key]
        for key in (
            "title",
            "submit",
            "close",
            "callback_id",
            "private_metadata",
            "external_id",
            "clear_on_close",
            "notify_on_close",
        )
        if spec.get(key) is not None
    }
    return View(
        id=view_id,
        user=user,
        type=spec["type"],
        blocks=spec["blocks"],
        hash=f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}",
        values=initial_values(spec["blocks"], kept.values if kept else None),
        **fields,
    )

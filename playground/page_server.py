"""The page's side of the server: the files, and one websocket per window.

Snapshots out, acts in. What an act does is acts.py's; here it is only read, run and answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib.resources import files
from pathlib import Path

from aiohttp import WSMsgType, web

from playground.acts import Acts
from playground.connected import Connected
from playground.errors import NotThere
from playground.guard import PAGE_HEADERS
from playground.model import Json, User
from playground.page_acts import PageActs
from playground.snapshot import snapshot

# At most this many snapshots a second go to a window.
SNAPSHOT_SECONDS = 0.05


class PageServer:
    """Serves the page and its websockets."""

    def __init__(self, acts: Acts, connected: Connected) -> None:
        self._acts = acts
        self._connected = connected
        self._windows: set[web.WebSocketResponse] = set()

    def add_to(self, app: web.Application) -> None:
        """Adds the page's routes."""
        app.router.add_get("/", self._index)
        app.router.add_static("/static/", _folder(), append_version=False)
        app.router.add_get("/playground/ws", self._websocket)
        app.on_response_prepare.append(_add_headers)

    async def close(self) -> None:
        """Closes every window's websocket."""
        for window in list(self._windows):
            await window.close(code=1001)

    async def _index(self, http_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_folder() / "index.html")

    async def _websocket(self, http_request: web.Request) -> web.StreamResponse:
        if http_request.headers.get("Origin") is None:
            # Every browser sends one with a websocket; guard.py has checked that it is ours.
            return web.Response(status=403, text="This line is for the page.\n")
        # Compressing is of no use on loopback, and its writer complains about windows closed meanwhile.
        window = web.WebSocketResponse(heartbeat=20.0, max_msg_size=1 << 20, compress=False)
        await window.prepare(http_request)
        try:
            viewer = self._viewer(http_request.query.get("user", ""))
        except NotThere as error:
            await window.close(code=4004, message=str(error).encode())
            return window
        self._windows.add(window)
        feeding = asyncio.ensure_future(self._feed(window, viewer))
        running: set[asyncio.Task[None]] = set()
        try:
            async for message in window:
                if message.type is WSMsgType.TEXT:
                    task = asyncio.ensure_future(self._run(window, viewer, message.data))
                    running.add(task)
                    task.add_done_callback(running.discard)
        finally:
            self._windows.discard(window)
            feeding.cancel()
            for task in running:
                task.cancel()
            await asyncio.gather(feeding, *running, return_exceptions=True)
        return window

    async def _feed(self, window: web.WebSocketResponse, viewer: User) -> None:
        last: Json = {}
        since = f"{self._acts.workspace.now().timestamp():.6f}"
        while not window.closed:
            seen = self._acts.changes.version
            state = snapshot(self._acts, viewer, self._connected, since=since)
            comparable = {key: value for key, value in state.items() if key != "now"}
            if comparable != last:
                text = json.dumps(state, ensure_ascii=False)
                # Kept as it was sent: the objects inside go on changing.
                last = {key: value for key, value in json.loads(text).items() if key != "now"}
                await window.send_str(text)
                await asyncio.sleep(SNAPSHOT_SECONDS)
            await self._acts.changes.wait(seen)

    async def _run(self, window: web.WebSocketResponse, viewer: User, text: str) -> None:
        try:
            request = json.loads(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            await window.send_json({"type": "done", "id": None, "ok": False, "error": "That was not an act."})
            return
        answer = await PageActs(self._acts, viewer, self._connected).run(request)
        with contextlib.suppress(ConnectionError):  # the window may have been closed meanwhile
            await window.send_json({"type": "done", "id": request.get("id"), **answer})

    def _viewer(self, user_id: str) -> User:
        if user_id:
            return self._acts.workspace.user(user_id)
        for user in self._acts.workspace.users.values():
            if not user.is_bot and not user.deleted:
                return user
        raise NotThere("nobody is here yet")


def _folder() -> Path:
    return Path(str(files("playground") / "page"))


async def _add_headers(http_request: web.Request, response: web.StreamResponse) -> None:
    path = http_request.path
    if path == "/" or path.startswith("/static/"):
        for name, value in PAGE_HEADERS.items():
            response.headers[name] = value

"""Writing above the prompt, and drawing the prompt anew beneath, in whole frames."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable

from prompt_toolkit.application import Application

from llmasos.shell.screen.output import FrameOutput

_FRAME_SECONDS = 0.04
_REST = 4.0  # times as long as a frame took
_MORE_SECONDS = 0.002
_MOST_AT_ONCE = 500  # lines: between two frames keys are read


class Painter:
    """Writes above the prompt, and draws it anew beneath, in frames.

    Args:
        app: What draws the prompt.
        output: Where both go.
        live: Returns what is shown between both and may change; asked once for each frame.
    """

    def __init__(self, app: Application[None], output: FrameOutput, live: Callable[[], str]) -> None:
        self._app = app
        self._output = output
        self._live = live
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._unwritten: deque[str] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._pause = _FRAME_SECONDS
        self._failed = False
        self._tail = ""
        self.beneath = ""
        """The line that has no end yet, and what else may change."""

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write from now on while a loop runs."""
        self._loop = loop

    def end(self) -> None:
        """Write what is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rest = self._taken(sys.maxsize)
        if self._tail:
            rest, self._tail = f"{rest}{self._tail}\n", ""
        self._loop = None
        if self._app.is_running:
            self._app.renderer.erase()
        self._output.write_raw(rest.replace("\n", "\r\n"))
        self._output.flush()

    def write(self, text: str) -> None:
        """Have text written, from any thread."""
        if not text:
            return
        lines = text.splitlines(keepends=True) if text.count("\n") > _MOST_AT_ONCE else [text]
        with self._lock:
            for start in range(0, len(lines), _MOST_AT_ONCE):
                self._unwritten.append("".join(lines[start : start + _MOST_AT_ONCE]))
        self.refresh()

    def refresh(self) -> None:
        """Have a frame drawn soon, from any thread."""
        if self._loop is None:
            return
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            self._schedule()
        else:
            self._loop.call_soon_threadsafe(self._schedule)

    def trust(self) -> None:
        """Draw again what may change, as it is something else from now on."""
        self._failed = False

    def _schedule(self) -> None:
        if self._timer is None and self._loop is not None:
            wait = max(0.0, self._last + self._pause - self._loop.time())
            self._timer = self._loop.call_later(wait, self._paint)

    def _paint(self) -> None:
        self._timer = None
        assert self._loop is not None
        began = self._loop.time()
        if not self._app.is_running or self._app._running_in_terminal:
            self._timer = self._loop.call_later(_FRAME_SECONDS, self._paint)
            return
        lines = self._taken()
        self.beneath = "\n".join(part for part in (self._tail, self._changing()) if part)
        with self._output.frame():
            if lines or self._shrinks():
                self._app.renderer.erase()
                self._output.write_raw(lines.replace("\n", "\r\n"))
            self._app._redraw()
        self._last = self._loop.time()
        # What is slow to draw is drawn less often, so that keys are never kept waiting for long.
        self._pause = max(_FRAME_SECONDS, _REST * (self._last - began))
        if self._unwritten:
            self._timer = self._loop.call_later(_MORE_SECONDS, self._paint)

    def _changing(self) -> str:
        """Return what may change; nothing any more once it could not be made."""
        if self._failed:
            return ""
        try:
            return self._live()
        except Exception as error:
            self._failed = True
            assert self._loop is not None
            self._loop.call_exception_handler({"message": "drawing failed", "exception": error})
            return ""

    def _taken(self, most: int = _MOST_AT_ONCE) -> str:
        """Return the next whole lines that are to be written, up to about as many."""
        text, lines = self._tail, 0
        with self._lock:
            while self._unwritten and lines < most:
                piece = self._unwritten.popleft()
                text, lines = text + piece, lines + piece.count("\n")
        whole, newline, self._tail = text.rpartition("\n")
        return whole + newline

    def _shrinks(self) -> bool:
        drawn = self._app.renderer.last_rendered_screen
        size = self._output.get_size()
        wanted = self._app.layout.container.preferred_height(size.columns, size.rows).preferred
        return drawn is not None and wanted < drawn.height

"""A screen whose prompt stays open, on a terminal that can move its cursor."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import termios
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.application.current import set_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer, ThreadedCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.key_binding.vi_state import InputMode

from llmasos.display import display
from llmasos.language import translated
from llmasos.shell.screen.bindings import make_bindings
from llmasos.shell.screen.history import LenientHistory
from llmasos.shell.screen.layout import Parts, make_layout
from llmasos.shell.screen.output import FrameOutput, printed_to
from llmasos.shell.screen.painter import Painter
from llmasos.shell.screen.pastes import Pastes
from llmasos.shell.screen.port import Line, Live, Stop
from llmasos.shell.screen.renderer import FrameRenderer, reflows
from llmasos.shell.words import clock_time, fit

_TICK_SECONDS = 0.5
_QUIET_SECONDS = 0.6
_LONGEST_WAIT = 5.0
_SHOWN_WAITING = 3
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class TerminalScreen:
    """The prompt, and above it all that is printed while it is open.

    Args:
        history: The file of the lines that were sent earlier.
    """

    def __init__(self, history: Path) -> None:
        self._opener: Callable[[], None] | None = None
        self._lines: deque[Line] = deque()
        self._left = asyncio.Event()
        self._more = asyncio.Event()
        self._pastes = Pastes()
        self._status = ""
        self._question: asyncio.Future[str | None] | None = None
        self._asked = self._coming = ""
        self._stop: Stop | None = None
        self._live: Live | None = None
        self._steer: Callable[[Line], None] | None = None
        self._lent = self._stopping = False
        self._began = 0.0
        self._last_key = 0.0
        self.input = Buffer(
            multiline=True,
            history=LenientHistory(str(history)),
            complete_while_typing=Condition(self._completes),
            auto_suggest=AutoSuggestFromHistory(),
            enable_history_search=True,
            tempfile_suffix=".md",
            accept_handler=self._sent,
        )
        self.answer = Buffer(multiline=True, accept_handler=self._answered)
        self._output = FrameOutput(sys.stdout)
        self._app: Application[None] = Application(
            layout=make_layout(
                Parts(
                    input=self.input,
                    answer=self.answer,
                    prompt=lambda: "» " if self.running else "> ",
                    question=lambda: self._asked,
                    live=lambda: self._painter.beneath,
                    waiting=self._waiting_lines,
                    status=self._status_line,
                )
            ),
            key_bindings=make_bindings(self),
            output=self._output,
            terminal_size_polling_interval=None,
            erase_when_done=True,
        )
        renderer = FrameRenderer(self._app.renderer.style, self._output, reflowing=reflows(os.environ))
        self._app.renderer = renderer
        # How long a lone Escape may be the beginning of another key.
        self._app.ttimeoutlen = 0.05
        self._app.timeoutlen = 0.5
        self._app.key_processor.after_key_press += lambda _: self._pressed()
        self._painter = Painter(self._app, self._output, self._written)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Take the terminal, until the context ends."""
        loop = asyncio.get_running_loop()
        self._painter.begin(loop)
        self._began = loop.time()
        running = loop.create_task(self._app.run_async(set_exception_handler=False))
        running.add_done_callback(self._ended)
        try:
            with printed_to(self._painter.write):
                yield
        finally:
            self._painter.end()
            if self._app.is_running:
                self._app.exit()

    def completes(self, completer: Completer) -> None:
        """Say what completes what is typed."""
        # Looking for files must not hold the keys up.
        self.input.completer = ThreadedCompleter(completer)

    def opens(self, opener: Callable[[], None]) -> None:
        """Say what opens what was folded last."""
        self._opener = opener

    def use_keys(self, vi: bool) -> None:
        """Choose between the keys of vi and those of emacs."""
        self._app.editing_mode = EditingMode.VI if vi else EditingMode.EMACS
        self._app.vi_state.input_mode = InputMode.INSERT

    async def next_line(self) -> Line:
        """Return the next line that was sent, or raise EOFError when the person has left."""
        while self._left.is_set() or not self._lines:
            if self._left.is_set():
                raise EOFError
            self._more.clear()
            await self._more.wait()
        line = self._lines.popleft()
        self._painter.refresh()
        return line

    async def left(self) -> None:
        """Return when the person has left."""
        await self._left.wait()

    async def ask(self, question: str, text: str = "") -> str | None:
        """Return the answer to a question; None when there is none."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + _LONGEST_WAIT
        # Who is typing has not seen the question yet: what they type stays theirs.
        self._coming = display(question)
        try:
            while self._last_key > loop.time() - _QUIET_SECONDS and loop.time() < patience:
                self._painter.refresh()
                await asyncio.sleep(_QUIET_SECONDS / 4)
        finally:
            self._coming = ""
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        self._question = loop.create_future()
        self._asked = f"{display(question).rstrip()} "
        self.answer.reset(Document(text, len(text)))
        self._app.layout.focus(self.answer)
        self._app.vi_state.input_mode = InputMode.INSERT
        self._painter.refresh()
        try:
            answer = await self._question
        finally:
            asked, self._asked, self._question = self._asked, "", None
            self._app.layout.focus(self.input)
            self._painter.refresh()
        self._painter.write(f"{asked}{display(answer or '', keep_newlines=True)}\n")
        return answer

    @contextmanager
    def busy(self, stop: Stop, live: Live | None = None) -> Iterator[None]:
        """Show that something is under way, and what is being written."""
        loop = asyncio.get_running_loop()
        before = self._stop, self._live, self._began
        self._stop, self._live, self._began = stop, live or self._live, loop.time()
        self._painter.trust()
        ticking = loop.create_task(self._tick())
        self._painter.refresh()
        try:
            yield
        finally:
            ticking.cancel()
            self._stopping = False
            self._stop, self._live, self._began = before
            self._painter.refresh()

    def steers(self, steer: Callable[[Line], None] | None) -> None:
        """Say what takes a line that is meant for what runs."""
        self._steer = steer
        self._painter.refresh()

    def show_status(self, status: str) -> None:
        """Show a line about how things stand."""
        self._status = status
        self._painter.refresh()

    async def run(self, program: Sequence[str], text: str) -> bool:
        """Give the terminal to a program that reads a text, until it ends."""
        self._lent = True
        try:
            # An application is told what it runs in by its context, which a task of ours has none of.
            with set_app(self._app):
                async with in_terminal():
                    done = await asyncio.to_thread(_run, program, text)
        finally:
            self._lent = False
            self._painter.refresh()
        return done

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return self._stop is not None

    @property
    def waiting(self) -> bool:
        """Whether lines wait."""
        return bool(self._lines)

    def send_now(self) -> None:
        """Send the first waiting line to what runs."""
        if self._lines and self._steer is not None:
            self._steer(self._lines.popleft())
        self._painter.refresh()

    def unsent(self) -> int:
        """Return how many lines wait that nobody carries out any more."""
        return len(self._lines) if self._left.is_set() else 0

    def put_back(self, line: Line) -> None:
        """Have a line wait in front of the others."""
        self._lines.appendleft(line)
        self._more.set()
        self._painter.refresh()

    def take_back(self) -> str:
        """Take the last waiting line back, and return it."""
        self._painter.refresh()
        return self._lines.pop().text

    def stop(self) -> None:
        """Stop what runs."""
        if self._stop is not None and not self._lent:
            self._stopping = True
            # Who stops means all of it: what waits comes back to be looked at.
            self._take_all_back()
            self._stop()
            self._painter.refresh()

    def _take_all_back(self) -> None:
        if self._lines:
            text = "\n".join([*(line.text for line in self._lines), self.input.text]).rstrip("\n")
            self._lines.clear()
            self.input.document = Document(text, len(text))

    def refuse(self) -> None:
        """Give no answer to the question."""
        if self._question is not None and not self._question.done():
            self._question.set_result(None)

    def leave(self) -> None:
        """Leave: lines that wait are not carried out."""
        self._left.set()
        self.refuse()
        self._more.set()

    def open_last(self) -> None:
        """Open what was folded last."""
        if self._opener is not None:
            self._opener()

    def mark_before(self) -> str:
        """Return the mark of a paste that stands before the cursor."""
        return self._pastes.last_mark(self.input.document.text_before_cursor)

    def paste(self, text: str) -> str:
        """Return what stands in the line for a pasted text."""
        return self._pastes.take(text)

    def _ended(self, running: asyncio.Task[None]) -> None:
        # A terminal that is closed ends it with an error, which says no more than that.
        if not running.cancelled():
            running.exception()
        self.leave()

    def _sent(self, buffer: Buffer) -> bool:
        if gone := self._pastes.gone(buffer.text):
            print(display(translated(f"{gone} is not kept any more: paste it again.")))
            return True
        if not self._left.is_set():
            self._lines.append(self._pastes.line(buffer.text.strip()))
        self._more.set()
        self._painter.refresh()
        return False

    def _answered(self, buffer: Buffer) -> bool:
        if self._question is not None and not self._question.done():
            self._question.set_result(buffer.text)
        return False

    def _pressed(self) -> None:
        self._last_key = asyncio.get_running_loop().time()

    def _completes(self) -> bool:
        """Return whether completions come by themselves: commands and files are begun with a sign."""
        before = self.input.document.text_before_cursor
        word = before.rpartition(" ")[2].rpartition("\n")[2]
        return word.startswith("@") or (before.startswith("/") and word == before)

    def _written(self) -> str:
        """Return what is being written, and is shown beneath all that was."""
        columns = self._output.get_size().columns
        return self._live(columns) if self._live is not None else ""

    def _waiting_lines(self) -> list[str]:
        columns = self._output.get_size().columns
        if self._coming:
            return [fit(self._coming, columns - 1)]
        if not self._lines or not self.running:
            return []
        asked = self._question is not None
        shown = list(self._lines)[:_SHOWN_WAITING]
        waits = translated("  waits: ")
        lines = [fit(waits + display(line.text.replace("\n", " ")), columns - 1) for line in shown]
        over = len(self._lines) - _SHOWN_WAITING
        more = f" · {translated(f'{over:,} more')}" if over > 0 else ""
        now = f"{translated('Enter: say it now')} · " if self._steer is not None else ""
        return [*lines, *([] if asked else [fit(f"  {now}{translated('↑: edit it')}{more}", columns - 1)])]

    def _status_line(self) -> str:
        parts = [self._status]
        if self.running and not self._asked:
            seconds = asyncio.get_running_loop().time() - self._began
            turning = _SPINNER[int(seconds / _TICK_SECONDS) % len(_SPINNER)]
            hint = translated("stopping …" if self._stopping else "Esc stops")
            parts.insert(0, f"{turning} {clock_time(seconds)} · {hint}")
        line = " · ".join(part for part in parts if part)
        return fit(line, self._output.get_size().columns - 1)

    async def _tick(self) -> None:
        while True:
            self._painter.refresh()
            await asyncio.sleep(_TICK_SECONDS)


def _run(program: Sequence[str], text: str) -> bool:
    try:
        # The terminal's own files: what is printed elsewhere goes above the prompt.
        subprocess.run(
            list(program), input=text.encode(errors="replace"), stdout=sys.__stdout__, stderr=sys.__stderr__
        )
    except OSError:
        return False
    return True

"""A screen on a terminal that only prints, such as one inside an editor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from llmasos.display import display
from llmasos.shell.screen.port import Line, Live, Stop

_PIECE = 65536
_STDIN = 0


class PlainScreen:
    """A prompt, one line at a time; what is typed while something runs waits."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()
        self._typed: deque[str] = deque()
        self._open = b""
        self._more = asyncio.Event()
        self._left = asyncio.Event()
        self._stop: Stop | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Read the terminal, until the context ends."""
        loop = asyncio.get_running_loop()
        loop.add_reader(_STDIN, self._read)
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        try:
            yield
        finally:
            loop.remove_reader(_STDIN)
            loop.remove_signal_handler(signal.SIGINT)

    async def next_line(self) -> Line:
        """Return the next line that was sent, or raise EOFError when the person has left."""
        if self._lines:
            return self._lines.popleft()
        _print("> ")
        text = await self._line()
        if text is None:
            _print("\n")
            raise EOFError
        return Line(text.strip())

    async def left(self) -> None:
        """Return when the person has left."""
        await self._left.wait()

    async def ask(self, question: str, text: str = "") -> str | None:
        """Return the answer to a question; an empty one is the text to begin with."""
        self._typed.clear()
        with suppress(termios.error):
            termios.tcflush(_STDIN, termios.TCIFLUSH)
        kept = f"[{display(text)}] " if text else ""
        _print(f"{display(question).rstrip()} {kept}")
        answer = await self._line()
        return answer if answer is None else answer or text

    @contextmanager
    def busy(self, stop: Stop, live: Live | None = None) -> Iterator[None]:
        """Let Ctrl-C stop what is under way."""
        before, self._stop = self._stop, stop
        try:
            yield
        finally:
            self._stop = before

    def unsent(self) -> int:
        """Return how many lines were not carried out."""
        return len(self._lines) + len(self._typed)

    def put_back(self, line: Line) -> None:
        """Have a line wait in front of the others."""
        self._lines.appendleft(line)

    def steers(self, steer: Callable[[Line], None] | None) -> None:
        """Do nothing: every line waits."""

    def use_keys(self, vi: bool) -> None:
        """Do nothing: the terminal has keys of its own."""

    async def run(self, program: Sequence[str], text: str) -> bool:
        """Run nothing: a pager needs more of a terminal."""
        return False

    def show_status(self, status: str) -> None:
        """Do nothing: there is no place for it."""

    async def _line(self) -> str | None:
        while not self._typed:
            if self._left.is_set():
                return None
            self._more.clear()
            await self._more.wait()
        return self._typed.popleft()

    def _read(self) -> None:
        data = os.read(_STDIN, _PIECE)
        if not data:
            asyncio.get_running_loop().remove_reader(_STDIN)
            self._left.set()
        *lines, self._open = (self._open + data).split(b"\n")
        self._typed.extend(line.decode("utf-8", "replace") for line in lines)
        self._more.set()

    def _interrupted(self) -> None:
        _print("\n")
        if self._stop is not None:
            self._stop()
        else:
            self._open = b""
            _print("> ")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

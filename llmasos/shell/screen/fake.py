"""A screen for tests: its lines and answers are given beforehand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from llmasos.shell.screen.port import Line, Live, Stop


class FakeScreen:
    """A screen on which somebody has typed all that they will.

    Args:
        lines: The lines, at whose end the person leaves.
        answers: The answers to questions; none are left at their end.
    """

    def __init__(self, lines: Iterable[str | Line] = (), answers: Iterable[str | None] = ()) -> None:
        self.lines = deque(line if isinstance(line, Line) else Line(line) for line in lines)
        self.answers = deque(answers)
        self.questions: list[str] = []
        self.status = ""
        self.stop: Stop | None = None
        self.live: Live | None = None
        self.steer: Callable[[Line], None] | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Do nothing: what is printed stays where tests find it."""
        yield

    async def next_line(self) -> Line:
        """Return the next line, or raise EOFError."""
        if not self.lines:
            raise EOFError
        return self.lines.popleft()

    async def left(self) -> None:
        """Never return: the person leaves at the end of their lines."""
        await asyncio.Event().wait()

    async def ask(self, question: str, text: str = "") -> str | None:
        """Return the next answer."""
        self.questions.append(question)
        return self.answers.popleft() if self.answers else None

    @contextmanager
    def busy(self, stop: Stop, live: Live | None = None) -> Iterator[None]:
        """Keep what stops, and what is shown."""
        before = self.stop, self.live
        self.stop, self.live = stop, live
        try:
            yield
        finally:
            self.stop, self.live = before

    def unsent(self) -> int:
        """Return none."""
        return 0

    def put_back(self, line: Line) -> None:
        """Have a line wait in front of the others."""
        self.lines.appendleft(line)

    def steers(self, steer: Callable[[Line], None] | None) -> None:
        """Keep what takes lines."""
        self.steer = steer

    def use_keys(self, vi: bool) -> None:
        """Do nothing: nobody types."""

    async def run(self, program: Sequence[str], text: str) -> bool:
        """Run nothing."""
        return False

    def show_status(self, status: str) -> None:
        """Keep the status."""
        self.status = status

"""Saying lines to the running turn, one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.shell.mentions import without_signs
from llmasos.shell.output import say
from llmasos.shell.render import print_error
from llmasos.shell.screen import Line

if TYPE_CHECKING:
    from llmasos.client import AsyncSession
    from llmasos.shell.repl import Shell


class Steering:
    """Takes lines for the running turn; what it does not take waits again, in its order.

    Args:
        shell: Where lines wait.
        session: Whose turn runs.
    """

    def __init__(self, shell: Shell, session: AsyncSession) -> None:
        self._shell = shell
        self._session = session
        self._lines: deque[Line] = deque()
        self._sending: asyncio.Task[None] | None = None

    def take(self, line: Line) -> None:
        """Take a line."""
        self._lines.append(line)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def end(self) -> None:
        """Return when each line was said, or waits again."""
        if self._sending is not None:
            await self._sending

    async def _send(self) -> None:
        try:
            while self._lines:
                line = self._lines[0]
                if line.attachments or line.text.startswith(("/", "!")):
                    say("Only text can be said to a running turn; the line waits.")
                    return
                await self._session.steer(without_signs(self._shell, line.text))
                self._lines.popleft()
        except LLMasOSError as error:
            # What comes too late is the next request.
            if error.code != "idle":
                print_error(error)
        finally:
            while self._lines:
                self._shell.screen.put_back(self._lines.pop())

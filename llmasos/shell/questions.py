"""Approvals that a turn asks for: answered here, or withdrawn when somebody else has answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError
from llmasos.events import ActionFinished, ApprovalRequested, ApprovalResolved, Event, TurnFinished
from llmasos.shell.approval import ask_for
from llmasos.shell.output import say
from llmasos.shell.render import print_error

if TYPE_CHECKING:
    from llmasos.client import AsyncSession
    from llmasos.shell.repl import Shell


class Questions:
    """Asks the person, one request after the other, while the turn's events go on.

    Args:
        shell: Who asks.
        session: Where answers go.
    """

    def __init__(self, shell: Shell, session: AsyncSession) -> None:
        self._shell = shell
        self._session = session
        self._one_by_one = asyncio.Lock()
        self._open: dict[str, asyncio.Task[None]] = {}
        self._answered: set[str] = set()

    def take(self, event: Event) -> None:
        """Ask what an event asks for, and withdraw what it settles."""
        match event:
            case ApprovalRequested() if event.expires is not None:
                self._open[event.action] = asyncio.create_task(self._ask(event))
            case ApprovalResolved() | ActionFinished():
                self._settle(event.action)
            case TurnFinished():
                for action in list(self._open):
                    self._settle(action)

    async def end(self) -> None:
        """Withdraw every question, and return when none is on the screen any more."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _settle(self, action: str) -> None:
        task = self._open.get(action)
        if task is not None and not task.done() and action not in self._answered:
            task.cancel()
            say("It was settled elsewhere.")

    async def _ask(self, request: ApprovalRequested) -> None:
        async with self._one_by_one:
            answer = await ask_for(self._shell, request)
            self._answered.add(request.action)
            try:
                await self._session.answer(request.action, request.digest, **answer)
            except LLMasOSError as error:
                # It has expired meanwhile; the turn goes on.
                print_error(error)

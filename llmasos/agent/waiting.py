"""Waiting for an endpoint: what those who look on are told while it sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
from anyio.abc import TaskGroup

from llmasos.agent.stream import EventStream
from llmasos.events import Progress
from llmasos.models import Origin

_PATIENCE = 5.0  # seconds; an endpoint that works has sent something by then


class Waiting:
    """Says what a turn waits for once nothing has come for a while, and again from time to time.

    Args:
        tasks: Where the clock runs.
        stream: Where it is said.
        turn: The turn.
        origin: Where the model's replies come from; nothing is said of models of this machine.
        patience: Seconds before it is said.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        stream: EventStream,
        turn: str,
        origin: Origin,
        patience: float = _PATIENCE,
    ) -> None:
        self._tasks = tasks
        self._stream = stream
        self._turn = turn
        self._origin = origin
        self._patience = patience
        self._heard = 0.0
        self._said = False

    @contextmanager
    def on_reply(self) -> Iterator[Callable[[], None]]:
        """Wait for a reply; each piece of it is told by calling what this gives."""
        if not self._origin.endpoint:
            yield lambda: None
            return
        scope = anyio.CancelScope()
        self._heard, self._said = anyio.current_time(), False
        self._tasks.start_soon(self._watch, scope)
        try:
            yield self._hear
        finally:
            scope.cancel()

    def _hear(self) -> None:
        self._heard = anyio.current_time()
        if self._said:
            self._said = False
            self._stream.publish(Progress(turn=self._turn, what=f"The model {self._origin.model} answers"))

    async def _watch(self, scope: anyio.CancelScope) -> None:
        with scope:
            due = self._heard + self._patience
            while True:
                await anyio.sleep_until(due)
                seconds = anyio.current_time() - self._heard
                if seconds >= self._patience:
                    self._said = True
                    what = f"Waiting for {self._origin.model} at {self._origin.endpoint}"
                    self._stream.publish(Progress(turn=self._turn, what=what, done=seconds, unit="s"))
                    due += self._patience
                else:
                    due = self._heard + self._patience

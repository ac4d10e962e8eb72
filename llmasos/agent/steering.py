"""Steering: what a person says to a turn while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import EnqueuedMessagesEvent
from pydantic_ai.run import AgentRun

from llmasos.errors import IdleSessionError


class Steering:
    """Takes what a person says to one turn, for the next request that its model gets.

    What comes as the model answers has the turn go on with it; what comes when the turn is over is refused.
    """

    def __init__(self) -> None:
        self._said: list[str] = []
        self._unread: dict[str, str] = {}
        self._early: list[str] = []
        self._run: AgentRun[None, Any] | None = None
        self._hear: Callable[[str], None] | None = None
        self._over = False

    @property
    def said(self) -> Sequence[str]:
        """All that was said, in its order."""
        return tuple(self._said)

    def say(self, text: str) -> None:
        """Take a text.

        Raises:
            IdleSessionError: The turn is over.
        """
        if self._over:
            raise over()
        if self._run is None:
            self._early.append(text)
        else:
            self._hand_over(text)
        self._said.append(text)

    def follow(self, run: AgentRun[None, Any], hear: Callable[[str], None]) -> None:
        """Hand on to a run what was said so far, and what will be.

        Args:
            run: The run.
            hear: Told each text when the model is about to read it.
        """
        self._run, self._hear = run, hear
        while self._early:
            self._hand_over(self._early.pop(0))

    def read(self, event: EnqueuedMessagesEvent) -> None:
        """Note that the model reads a text now."""
        text = self._unread.pop(event.enqueue_id, None)
        if text is not None and self._hear is not None:
            self._hear(text)

    def close(self) -> Iterator[str]:
        """Take nothing any more, and give what no model has read."""
        self._over = True
        yield from self._early
        yield from self._unread.values()

    def _hand_over(self, text: str) -> None:
        assert self._run is not None
        try:
            handed = self._run.enqueue(text)
        except UserError as error:
            raise over() from error
        assert handed is not None
        self._unread[handed] = text


def over() -> IdleSessionError:
    """Return what is said to who comes too late."""
    return IdleSessionError("No turn is running in this session.", hint="Send it as a request of its own.")


def whole(request: str, steered: Sequence[str]) -> str:
    """Return a request with what was said to its turn later."""
    return "\n\n".join((request, *steered))

"""What the shell needs of a screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llmasos.api import Attachment


@dataclass(frozen=True)
class Line:
    """What a person has sent.

    Args:
        text: What was typed.
        attachments: What was pasted into it and is too long for a line.
    """

    text: str
    attachments: tuple[Attachment, ...] = ()


Stop = Callable[[], None]
Live = Callable[[int], str]


class Screen(Protocol):
    """A terminal that a person types at while the shell writes on it.

    All that is printed on standard output meanwhile appears above the prompt.
    """

    def open(self) -> AbstractContextManager[None]:
        """Take the terminal, until the context ends."""
        ...

    async def next_line(self) -> Line:
        """Return the next line that was sent; those sent earlier come first.

        Raises:
            EOFError: The person has left.
        """
        ...

    async def left(self) -> None:
        """Return when the person has left."""
        ...

    async def ask(self, question: str, text: str = "") -> str | None:
        """Return the answer to a question; None when there is none.

        What was typed before the question was seen is no answer to it.

        Args:
            question: The question, in a line.
            text: An answer to begin with, which the person edits.
        """
        ...

    def busy(self, stop: Stop, live: Live | None = None) -> AbstractContextManager[None]:
        """Show that something is under way.

        Args:
            stop: Called when the person wants it to end; once more when they insist.
            live: Returns what is shown beneath all that was written, for a width in cells.
        """
        ...

    def unsent(self) -> int:
        """Return how many lines wait that nobody carries out any more, because the person has left."""
        ...

    def put_back(self, line: Line) -> None:
        """Have a line wait in front of the others."""
        ...

    def steers(self, steer: Callable[[Line], None] | None) -> None:
        """Say what takes a line that is meant for what runs; None when nothing does."""
        ...

    def use_keys(self, vi: bool) -> None:
        """Choose between the keys of vi and those of emacs."""
        ...

    async def run(self, program: Sequence[str], text: str) -> bool:
        """Give the terminal to a program that reads a text, until it ends.

        Args:
            program: The program with its arguments.
            text: What it reads on its standard input.

        Returns:
            Whether it could be run.
        """
        ...

    def show_status(self, status: str) -> None:
        """Show a line about how things stand."""
        ...

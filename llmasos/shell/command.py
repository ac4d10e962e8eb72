"""A command of the shell, and what follows its name."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmasos.errors import LLMasOSError

if TYPE_CHECKING:
    from llmasos.shell.repl import Shell


@dataclass(frozen=True)
class Command:
    """A slash command: what to type, what it does, and the function that does it."""

    usage: str
    summary: str
    run: Callable[[Shell, str], Awaitable[None]]


def split(rest: str) -> list[str]:
    """Return the words after a command's name.

    Raises:
        LLMasOSError: A quote is open.
    """
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise LLMasOSError(f"The words cannot be read: {error}.", hint="Quote names with spaces.") from error

"""Asking the kernel one thing from a command line, and the person before what cannot be undone."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from llmasos.errors import LLMasOSError

if TYPE_CHECKING:
    from llmasos.client import AsyncClient, AsyncSession

T = TypeVar("T")
CLIENT = "shell"
"""What the ledger holds as the client of what is asked from a terminal."""


def ask(work: Callable[[AsyncClient], Coroutine[Any, Any, T]], *, start: bool = True) -> T:
    """Connect to the kernel, starting it unless `start` is off, and return what `work` returns."""
    import anyio

    async def connected() -> T:
        from llmasos.client import AsyncClient

        async with AsyncClient(start=start, name=CLIENT) as client:
            return await work(client)

    return anyio.run(connected)


def in_session(session: str, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Return what `work` returns on a session that exists."""

    async def resumed(client: AsyncClient) -> T:
        return await work(await client.resume(session))

    return ask(resumed)


def confirmed(question: str, yes: bool) -> None:
    """Return when the person agrees.

    Args:
        question: What is about to be done.
        yes: The person has agreed on the command line.

    Raises:
        LLMasOSError: The person does not, or is not there.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise LLMasOSError("This needs a person's consent.", hint="Give it beforehand with --yes.")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise LLMasOSError("Nothing was done.")

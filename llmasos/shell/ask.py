"""Asking the kernel one thing from a command line, and the person before what cannot be undone."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from llmasos.errors import LLMasOSError
from llmasos.language import translated
from llmasos.shell.words import english_answer

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


async def unless_stopped(work: Callable[[], Awaitable[T]]) -> T | None:
    """Return what `work` returns; None when Ctrl-C or SIGTERM ended it first."""
    import anyio

    result: T | None = None

    async def done(scope: anyio.CancelScope) -> None:
        nonlocal result
        result = await work()
        scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(done, group.cancel_scope)
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()
    except BaseExceptionGroup as group_error:
        error: BaseException = group_error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
    return result


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
        answer = input(f"{translated(question)} [y/N] ")
    except EOFError:
        answer = ""
    if english_answer(answer) not in ("y", "yes"):
        raise LLMasOSError("Nothing was done.")

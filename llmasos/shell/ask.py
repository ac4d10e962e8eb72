"""Asking the kernel one thing from a command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llmasos.client import AsyncClient, AsyncSession

T = TypeVar("T")


def ask(work: Callable[[AsyncClient], Coroutine[Any, Any, T]], *, start: bool = True) -> T:
    """Connect to the kernel, starting it unless `start` is off, and return what `work` returns."""
    import anyio

    async def connected() -> T:
        from llmasos.client import AsyncClient

        async with AsyncClient(start=start) as client:
            return await work(client)

    return anyio.run(connected)


def in_session(session: str, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    """Return what `work` returns on a session that exists."""

    async def resumed(client: AsyncClient) -> T:
        return await work(await client.resume(session))

    return ask(resumed)

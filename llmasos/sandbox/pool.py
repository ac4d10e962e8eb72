"""Warm pools: sandboxes kept started without a workspace, each for one session and then thrown away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

import anyio

from llmasos.errors import SandboxError

# The session that has just taken a sandbox gets the cores first.
_PAUSE_SECONDS = 0.5


class Owner(NamedTuple):
    """Whom the files belong to, as the sandbox sees it: a sandbox runs as this user."""

    uid: int
    gid: int


class Closable(Protocol):
    """What a pool holds."""

    @property
    def lost(self) -> bool:
        """Whether it has died."""

    async def close(self) -> None:
        """End it."""


S = TypeVar("S", bound=Closable)


class WarmPool(Generic[S]):
    """Keeps sandboxes ready for the owner who took one last.

    Args:
        size: How many; 0 keeps none.
        start: Starts one for an owner.
        owner: For whom the first ones are.
    """

    def __init__(self, size: int, start: Callable[[Owner], Awaitable[S]], owner: Owner) -> None:
        self._size = size
        self._start = start
        self._owner = owner
        self._ready: list[tuple[Owner, S]] = []
        self._filling = anyio.Lock()
        self._taken = anyio.Event()
        self._task: asyncio.Task[None] | None = None

    async def take(self, owner: Owner) -> S | None:
        """Return a sandbox for an owner, which is the caller's from now on, or None when none is ready."""
        self._owner = owner
        self._taken.set()
        found = next((one for one in self._ready if one[0] == owner and not one[1].lost), None)
        if found is None:
            return None
        self._ready.remove(found)
        return found[1]

    async def warm(self) -> None:
        """Fill the pool, and keep it filled until `close`."""
        if self._size and self._task is None:
            self._task = asyncio.create_task(self._keep())
            await self._fill()

    async def close(self) -> None:
        """End the sandboxes that nobody has taken."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        while self._ready:
            await self._ready.pop()[1].close()

    async def _keep(self) -> None:
        while True:
            await self._taken.wait()
            await anyio.sleep(_PAUSE_SECONDS)
            self._taken = anyio.Event()
            await self._fill()

    async def _fill(self) -> None:
        """Start what is missing; what cannot start now is tried again after the next one was taken."""
        async with self._filling:
            for one in [one for one in self._ready if one[0] != self._owner or one[1].lost]:
                self._ready.remove(one)
                await one[1].close()
            while len(self._ready) < self._size:
                owner = self._owner
                try:
                    self._ready.append((owner, await self._start(owner)))
                except SandboxError:
                    return

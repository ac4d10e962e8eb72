"""What an engine writes for one job, on its way to the reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class Reply(Generic[T]):
    """A bounded buffer with one writer and one reader.

    Args:
        capacity: Items that are kept apart.
        join: Makes one item of two, which is how items are kept that come when the buffer is full.
    """

    def __init__(self, capacity: int, join: Callable[[T, T], T]) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._join = join
        self._arrived = anyio.Event()
        self._room = anyio.Event()
        self._ended = False
        self._error: Exception | None = None

    @property
    def full(self) -> bool:
        """Whether the reader does not keep up."""
        return len(self._items) >= self._capacity

    @property
    def low(self) -> bool:
        """Whether the reader has caught up."""
        return len(self._items) <= self._capacity // 2

    def put(self, item: T) -> None:
        """Add an item."""
        if self.full:
            self._items[-1] = self._join(self._items[-1], item)
        else:
            self._items.append(item)
        self._arrived.set()

    def end(self, error: Exception | None = None) -> None:
        """Say that nothing more comes, and why when that is an error; only the first call counts."""
        if not self._ended:
            self._ended, self._error = True, error
            self._arrived.set()

    async def get(self) -> T | None:
        """Return the next item, or None at the end.

        Raises:
            Exception: What the reply ended with.
        """
        while not self._items:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._arrived = anyio.Event()
            await self._arrived.wait()
        item = self._items.popleft()
        if self.low:
            self._room.set()
        return item

    async def room(self) -> None:
        """Return when the reader has caught up."""
        while not self.low:
            self._room = anyio.Event()
            await self._room.wait()

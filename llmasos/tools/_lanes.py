"""Numbered work, some of it at once, whose results are handed on in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def in_order(
    work: Callable[[int], Awaitable[T]], count: int, at_once: int, take: Callable[[int, T], None]
) -> None:
    """Do numbered work, so much of it at once, and hand on what it returns in its order.

    Args:
        work: Does the work of a number, from 0.
        count: How many there are.
        at_once: How many are under way at most.
        take: Gets each number with its result; of work that raises, and of what follows it, nothing.
    """
    results: dict[int, T] = {}
    numbers, handed_on = iter(range(count)), 0

    async def lane() -> None:
        nonlocal handed_on
        for number in numbers:
            results[number] = await work(number)
            while handed_on in results:
                take(handed_on, results.pop(handed_on))
                handed_on += 1

    try:
        async with anyio.create_task_group() as group:
            for _ in range(min(at_once, count)):
                group.start_soon(lane)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None

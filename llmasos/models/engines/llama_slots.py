"""Which slot of the server a request takes, by what the slots already hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Slot:
    """One of the server's places for a request, and what it holds.

    Args:
        number: The server's name for it.
        tokens: Tokens whose state it holds; the server has the last word, and is not to use anything
            that it holds when there are none.
        known: How many of them can be had in any slot.
        owner: The tenant and the adapter that they were computed for.
        used: When it was last given back, in requests; 0 is never.
    """

    number: int
    tokens: list[int] = field(default_factory=list)
    known: int = 0
    owner: tuple[str, str] | None = None
    used: int = 0


class Slots:
    """Gives every running request a slot of its own.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self._idle = [Slot(number) for number in range(count)]
        self._lock = threading.Lock()
        self._requests = 0

    @contextmanager
    def take(
        self,
        tokens: Sequence[int],
        owner: tuple[str, str],
        known: int = 0,
        leave: Callable[[Slot, int], None] = lambda slot, shared: None,
    ) -> Iterator[Slot]:
        """Take the idle slot that saves most; there has to be one.

        Args:
            tokens: The prompt.
            owner: Who asks; what was computed for others saves nothing.
            known: How many tokens at the start of the prompt need not be computed in any slot.
            leave: Told of a slot that will lose all but so many of its tokens.
        """
        with self._lock:
            slot = self._best(tokens, owner, known)
            self._idle.remove(slot)
        try:
            shared = common(slot.tokens, tokens) if slot.owner == owner else 0
            if shared < len(slot.tokens):
                leave(slot, shared)
            if slot.owner != owner:
                slot.owner, slot.tokens, slot.known = owner, [], 0
            yield slot
        finally:
            with self._lock:
                self._requests += 1
                slot.used = self._requests
                self._idle.append(slot)

    def _best(self, tokens: Sequence[int], owner: tuple[str, str], known: int) -> Slot:
        oldest = min(self._idle, key=lambda slot: slot.used)
        mine = [slot for slot in self._idle if slot.owner == owner]
        if not mine:
            return oldest
        slot = max(mine, key=lambda slot: (common(slot.tokens, tokens), slot.used))
        shared = common(slot.tokens, tokens)
        # Another conversation's slot, which begins alike, is worth more to that conversation.
        goes_on = 2 * shared >= min(len(tokens), len(slot.tokens))
        return slot if shared > known and goes_on else oldest


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many tokens both begin with."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))

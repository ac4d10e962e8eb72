"""Who may begin on a Ray cluster, so that nobody takes the place of a worker that crashed."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from llmasos.cluster._capacity import Capacity, Held
from llmasos.cluster._seen import Seen, seen
from llmasos.cluster.port import Share

Make = Callable[..., Awaitable[Any]]

# A crashed worker is placed again by then, or will not be.
_KEEP_SECONDS = 60.0
_LOOK_SECONDS = 1.0
_KNOWN = ("CPU", "GPU", "memory", "object_store_memory")


class Admission:
    """Ray itself queues what does not fit, and gives what becomes free to whoever is first in its queue."""

    def __init__(self) -> None:
        self.capacity = Capacity(math.inf)
        self._kept: list[tuple[Make, Held, float]] = []
        self._freed = anyio.Event()
        self._looked = -math.inf
        self._nodes: list[Seen] = []

    def look(self, ray: Any) -> None:
        """Take in what the cluster has now.

        Args:
            ray: Ray.

        Raises:
            HeadSilent: The cluster's head does not answer.
        """
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._nodes = [node for node in seen(ray) if node.alive]
        found: Counter[str] = Counter()
        for node in self._nodes:
            found.update(node.has)
        _have(self.capacity, found)
        self._looked = time.monotonic()

    def possible(self, share: Share) -> bool:
        """Whether a machine that is there has as much, and is the one that is named."""
        return any(
            _have(Capacity(0), node.has).possible(share)
            for node in self._nodes
            if not share.node or node.is_called(share.node)
        )

    def take(self, share: Share, make: Make | None = None) -> Held | None:
        """Return what is taken; what crashed takes the place that was kept for it.

        Args:
            share: How much.
            make: What is made there.
        """
        now = time.monotonic()
        for kept in list(self._kept):
            what, held, until = kept
            if (what == make and held.share == share) or now > until:
                self._kept.remove(kept)
                if now <= until:
                    return held
                self.capacity.give(held)
        return self.capacity.take(share)

    def give(self, held: Held, crashed: Make | None = None) -> None:
        """Give back what was taken.

        Args:
            held: What was.
            crashed: What was there until it crashed, and is kept its place for a minute.
        """
        if crashed is None:
            self.capacity.give(held)
        else:
            self._kept.append((crashed, held, time.monotonic() + _KEEP_SECONDS))
        self._freed.set()
        self._freed = anyio.Event()

    async def freed(self) -> None:
        """Wait until something was given back."""
        await self._freed.wait()


def _have(capacity: Capacity, found: Mapping[str, float]) -> Capacity:
    custom = {name: amount for name, amount in found.items() if name not in _KNOWN}
    capacity.have(found.get("CPU", 0), int(found.get("GPU", 0)), found.get("memory", 0), custom)
    return capacity

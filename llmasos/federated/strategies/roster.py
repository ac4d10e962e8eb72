"""Who is there for a round, and how some of them are drawn."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flwr.serverapp import Grid

from llmasos.federated.port import FederatedError

_POLL = 0.2


class _Roster:
    """A grid whose nodes are those that were there when a round began, in order."""

    def __init__(self, grid: Grid, nodes: list[int]) -> None:
        self._grid, self._nodes = grid, nodes

    def get_node_ids(self) -> list[int]:
        return list(self._nodes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)


def gathered(grid: Grid, least: int, seconds: float) -> Any:
    """Return a grid of the nodes that are there, once there are enough.

    Flower itself waits without an end, and looks a second time at who is there.

    Raises:
        FederatedError: There are still too few after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while len(nodes := sorted(grid.get_node_ids())) < least:
        left = deadline - time.monotonic()
        if left <= 0:
            raise FederatedError(
                f"{len(nodes)} of the {least} clients that a round needs are there",
                hint="Start the others, or lower guard.quorum, and resume.",
            )
        time.sleep(min(_POLL, left))
    return _Roster(grid, nodes)


@contextmanager
def seeded(seed: str | int) -> Iterator[None]:
    """Let Flower draw from its generator, Python's global one, as a seed says."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)

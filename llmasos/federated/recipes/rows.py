"""A client's rows: that there are some, and the order in which they are gone through."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from llmasos.federated.dataset import Examples
from llmasos.federated.port import FederatedError
from llmasos.federated.recipes.port import Work


def some(examples: Examples) -> Examples:
    """Return rows that are there.

    Raises:
        FederatedError: There is none.
    """
    if not len(examples):
        raise FederatedError(
            "There are no rows to work on.", hint="Give each client two rows or more, or take fewer clients."
        )
    return examples


def shuffled(rows: int, work: Work) -> Iterator[npt.NDArray[np.intp]]:
    """Yield a new order of all rows for each pass; the same for the same seed."""
    chance = np.random.default_rng(work.seed)
    for _ in range(work.epochs):
        yield chance.permutation(rows)

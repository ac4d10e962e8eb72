"""Gradient descent in torch that gives the same bits each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from llmasos.federated.recipes.port import Work
from llmasos.federated.recipes.rows import shuffled

Rows = npt.NDArray[np.intp]
Losses = Callable[[Rows], torch.Tensor]


@contextmanager
def repeatable(seed: int = 0) -> Iterator[None]:
    """Compute with one thread and nothing that differs from run to run; then be as before.

    With more threads sums come out otherwise, and a process that was forked off one that used them hangs.

    Args:
        seed: Of what torch draws.
    """
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    # `use_deterministic_algorithms` does the same, and takes a second to import the compiler first.
    torch.set_deterministic_debug_mode("error")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])


def descend(
    parameters: list[torch.Tensor], losses: Losses, rows: int, work: Work, *, at_once: int | None = None
) -> float:
    """Do a client's work on parameters, in place; return the mean loss a row over the last pass.

    `torch.optim` is not used, because it takes more than a second to import.

    Args:
        losses: Returns the loss of each of some rows.
        at_once: Rows that are computed at once; a batch's gradient is summed over as many parts as it takes.
    """
    sent = [parameter.detach().clone() for parameter in parameters]
    pull = work.learning_rate * work.proximal
    total = 0.0
    for order in shuffled(rows, work):
        total = 0.0
        for start in range(0, rows, work.batch):
            batch = order[start : start + work.batch]
            size = at_once or len(batch)
            gradient: list[torch.Tensor] = []
            for part in range(0, len(batch), size):
                each = losses(batch[part : part + size])
                total += float(each.detach().sum())
                of_part = list(torch.autograd.grad(each.sum() / len(batch), parameters))
                if gradient:
                    torch._foreach_add_(gradient, of_part)
                else:
                    gradient = of_part
            with torch.no_grad():
                if work.proximal:
                    torch._foreach_mul_(parameters, 1 - pull)
                    torch._foreach_add_(parameters, sent, alpha=pull)
                torch._foreach_add_(parameters, gradient, alpha=-work.learning_rate)
    return total / rows

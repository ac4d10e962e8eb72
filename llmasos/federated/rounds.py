"""One round of training, over whatever carries its messages."""

from __future__ import annotations

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord
from flwr.serverapp import Grid

from llmasos.federated.secure.server import secure_train
from llmasos.federated.strategies import Guarded


def train_round(
    strategy: Guarded, grid: Grid, number: int, arrays: ArrayRecord, config: ConfigRecord
) -> tuple[ArrayRecord | None, MetricRecord | None]:
    """Return the model after a round and the training's metrics, or Nones when the round does not count.

    Every wait ends after the times of the plan's guard. What became of each client is in `strategy.verdict`.

    Args:
        number: Of the round, from 1 on.
        arrays: The model before it.
        config: What else clients are told.

    Raises:
        FederatedError: The run cannot go on.
    """
    messages = strategy.configure_train(number, arrays, config, grid)
    seconds = strategy.plan.guard.reply_seconds
    if strategy.plan.privacy.secure:
        return strategy.aggregate_total(number, secure_train(grid, messages, strategy.checked, seconds))
    return strategy.aggregate_train(number, grid.send_and_receive(messages, timeout=seconds))

"""The clients of a local run: the data is read in this process and trained on by forked workers."""

from __future__ import annotations

import os

from flwr.app import Context

from llmasos.federated.client import client_app
from llmasos.federated.data import Deal
from llmasos.federated.dataset import Dataset
from llmasos.federated.folder import RunFolder
from llmasos.federated.local.grid import Answering, CrewGrid
from llmasos.federated.local.workers import Workers
from llmasos.federated.plan import FIRST_NODE, Plan, names_of


class Local:
    """The clients of one run, in this process and its workers.

    The data is in this process before the workers are made, so that they share it.

    Args:
        plan: The plan.
        folder: The run's folder.
    """

    start_seconds = 2.0
    message_seconds = 0.002

    def __init__(self, plan: Plan, folder: RunFolder) -> None:
        self.deal = Deal(plan.data, plan.clients, plan.seed)
        self.names = {FIRST_NODE + place: name for place, name in enumerate(names_of(plan))}
        self.at_once = min(len(os.sched_getaffinity(0)), plan.sampled)
        self.grid = CrewGrid(
            Workers(Answering(lambda: client_app(self._rows)), self.at_once),
            {node: {} for node in self.names},
            seconds=plan.guard.reply_seconds,
            seed=plan.seed,
        )

    def close(self) -> None:
        """End the workers."""
        self.grid.close()

    def _rows(self, context: Context) -> tuple[str, Dataset]:
        return self.names[context.node_id], self.deal.rows(context.node_id - FIRST_NODE)

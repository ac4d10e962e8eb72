"""The clients of a run on a cluster: the data is read in this process, and sent there once."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from anyio.from_thread import BlockingPortal, start_blocking_portal

from llmasos.cluster import ClusterError, RayExecutor
from llmasos.cluster.addresses import unreachable
from llmasos.federated.data import Deal
from llmasos.federated.folder import RunFolder
from llmasos.federated.local.grid import CrewGrid
from llmasos.federated.plan import FIRST_NODE, Plan, names_of
from llmasos.federated.port import FederatedError
from llmasos.federated.ray.address import address
from llmasos.federated.ray.crew import ClusterCrew
from llmasos.federated.ray.leftovers import remove_after
from llmasos.federated.ray.parcel import Client
from llmasos.federated.ray.store import Kept, RayStore

_SHORT = "/tmp"  # noqa: S108 - Ray's sockets lie deep below it, and their paths may not be long


class Clustered:
    """A plan's clients, in workers of a Ray cluster that runs already, or of one that ends with the run.

    Args:
        plan: The plan.
        folder: The run's folder.
        leaving: Closed by whoever runs the program once the end of the run has been told, which leaves the
            cluster: that takes Ray seconds.

    Raises:
        FederatedError: Ray is not installed, or the cluster cannot be used.
        DataError: The data cannot be trained on.
    """

    start_seconds = 8.0
    message_seconds = 0.005

    def __init__(self, plan: Plan, folder: RunFolder, *, leaving: ExitStack) -> None:
        where = address()
        self.deal = Deal(plan.data, plan.clients, plan.seed)
        self.names = {FIRST_NODE + place: name for place, name in enumerate(names_of(plan))}
        self._store = RayStore()
        self._rows: dict[int, Kept] = {}
        self._crew: ClusterCrew | None = None
        cores = min(len(os.sched_getaffinity(0)), plan.sampled)
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            executor = RayExecutor(where, cpus=cores)
            if not where:
                _keep_short(stack)
            stack.callback(lambda: self._leave(portal, executor))
            try:
                machines = portal.call(executor.machines)
            except ClusterError as error:
                raise FederatedError(error.message, hint=error.hint) from error
            # What others hold of it now may be free soon.
            held = sum(int(machine.has.get("CPU", 0)) for machine in machines if machine.alive)
            self.at_once = max(1, min(held, plan.sampled))
            self._crew = ClusterCrew(
                executor,
                portal,
                self._store,
                self._client,
                deal=self._store.put(self.deal) if self.deal.dealt else None,
                count=self.at_once,
                unreachable=lambda: unreachable(where),
            )
            self.grid = CrewGrid(
                self._crew,
                {node: {} for node in self.names},
                seconds=plan.guard.reply_seconds,
                seed=plan.seed,
            )
            leaving.push(stack.pop_all())

    def close(self) -> None:
        """End the workers."""
        self.grid.close()

    def _leave(self, portal: BlockingPortal, executor: RayExecutor) -> None:
        # Of one that has ended Ray would ask leave for long.
        if self._crew is None or not self._crew.lost:
            portal.call(executor.close)

    def _client(self, node: int) -> Client:
        place = node - FIRST_NODE
        if self.deal.dealt:
            return Client(self.names[node], place)
        if place not in self._rows:
            self._rows[place] = self._store.put(self.deal.rows(place))
        return Client(self.names[node], place, self._rows[place])


def _keep_short(stack: ExitStack) -> None:
    """Have temporary files lie where paths are short, and go when this process has ended."""
    folder = tempfile.mkdtemp(prefix="f-", dir=_SHORT)
    keeper = remove_after(Path(folder))
    before, tempfile.tempdir = tempfile.tempdir, folder

    def restore() -> None:
        tempfile.tempdir = before
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait()

    stack.callback(restore)

"""Clusters: functions run over many items, and objects placed on workers, on this machine or on others."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmasos.cluster.executor import Executor, Outcome, Progress, Stored, TaskTimeout, TaskUnknown, Work
    from llmasos.cluster.fake import FakeExecutor
    from llmasos.cluster.local import LocalCluster, LocalWorker
    from llmasos.cluster.port import Cluster, ClusterError, Machine, Share, Worker, WorkerDied
    from llmasos.cluster.processes import ProcessExecutor
    from llmasos.cluster.ray import RayCluster
    from llmasos.cluster.ray_executor import RayExecutor

__all__ = [
    "Cluster",
    "ClusterError",
    "Executor",
    "FakeExecutor",
    "LocalCluster",
    "LocalWorker",
    "Machine",
    "Outcome",
    "ProcessExecutor",
    "Progress",
    "RayCluster",
    "RayExecutor",
    "Share",
    "Stored",
    "TaskTimeout",
    "TaskUnknown",
    "Work",
    "Worker",
    "WorkerDied",
]

_HOMES = {
    "Cluster": "llmasos.cluster.port",
    "ClusterError": "llmasos.cluster.port",
    "Executor": "llmasos.cluster.executor",
    "FakeExecutor": "llmasos.cluster.fake",
    "LocalCluster": "llmasos.cluster.local",
    "LocalWorker": "llmasos.cluster.local",
    "Machine": "llmasos.cluster.port",
    "Outcome": "llmasos.cluster.executor",
    "ProcessExecutor": "llmasos.cluster.processes",
    "Progress": "llmasos.cluster.executor",
    "RayCluster": "llmasos.cluster.ray",
    "RayExecutor": "llmasos.cluster.ray_executor",
    "Share": "llmasos.cluster.port",
    "Stored": "llmasos.cluster.executor",
    "TaskTimeout": "llmasos.cluster.executor",
    "TaskUnknown": "llmasos.cluster.executor",
    "Work": "llmasos.cluster.executor",
    "Worker": "llmasos.cluster.port",
    "WorkerDied": "llmasos.cluster.port",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for, so that the process of a worker does not pay for what the kernel needs.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

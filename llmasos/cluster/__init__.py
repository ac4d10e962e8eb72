"""Clusters: objects placed on workers elsewhere, called and streamed from."""

from llmasos.cluster.local import LocalCluster, LocalWorker
from llmasos.cluster.port import Cluster, ClusterError, Share, Worker, WorkerDied
from llmasos.cluster.ray import RayCluster

__all__ = [
    "Cluster",
    "ClusterError",
    "LocalCluster",
    "LocalWorker",
    "RayCluster",
    "Share",
    "Worker",
    "WorkerDied",
]

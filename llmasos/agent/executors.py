"""What runs the tasks of a tool: the cores of this machine, or a cluster that the person has joined."""

from __future__ import annotations

from llmasos.cluster import ClusterError, Executor, ProcessExecutor, RayExecutor
from llmasos.config import Settings

AUTO = "auto"


def executor(settings: Settings, cluster: str, jobs: int) -> Executor:
    """Return an executor; who gets it ends it.

    Args:
        settings: They may name a cluster.
        cluster: The address of a cluster that this machine belongs to, `auto` for any, or empty for none.
        jobs: How many tasks run at once on this machine; 0 is one for each core.

    Raises:
        ClusterError: This machine belongs to no such cluster, so that nothing is sent there.
    """
    if not cluster:
        return ProcessExecutor(cpus=jobs)
    from llmasos.cluster.records import nodes

    known = [node.address for node in nodes()]
    if settings.models.cluster not in ("", AUTO):
        known.append(settings.models.cluster)
    if cluster == AUTO and known:
        return RayExecutor(known[0])
    if cluster not in known:
        what = "no cluster" if cluster == AUTO else f"no cluster at {cluster}"
        raise ClusterError(
            f"This machine belongs to {what}.",
            hint="Join it first: llmasos cluster join HOST:PORT, or begin one: llmasos cluster up.",
        )
    return RayExecutor(cluster)

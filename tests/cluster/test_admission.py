"""What a cluster of several machines admits, and what a refusal leaves behind."""

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from llmasos.cluster import ClusterError, RayCluster, RayExecutor, Share, TaskUnknown, Work
from llmasos.cluster._admission import Admission
from llmasos.cluster._job import Job
from llmasos.cluster._pace import Pace
from tests.cluster import tasks
from tests.cluster.test_local import counter

pytestmark = pytest.mark.anyio


class Ray:
    """Two machines with two cores each, one of which has a GPU, and one that is gone."""

    def __init__(self) -> None:
        worker = SimpleNamespace(gcs_client=self)
        self._private = SimpleNamespace(worker=SimpleNamespace(global_worker=worker))

    def get_all_node_info(self, timeout: float) -> dict[bytes, Any]:
        has = {"a": {"CPU": 2.0}, "b": {"CPU": 2.0, "GPU": 1.0}, "gone": {"CPU": 64.0}}
        return {
            f"{name}-id".encode(): SimpleNamespace(
                state=int(name == "gone"),
                resources_total=resources,
                node_name=name,
                node_manager_address=f"{name}.example",
                node_manager_hostname=f"{name}-host",
            )
            for name, resources in has.items()
        }

    def remote(self, what: object) -> "Ray":
        return self

    def options(self, **chosen: Any) -> "Ray":
        raise OSError("there is no way to the cluster")


def test_one_machine_must_have_it_all() -> None:
    admission = Admission()
    admission.look(Ray())
    assert admission.possible(Share(cpus=2))
    assert admission.possible(Share(cpus=2, gpus=1, node="b.example"))
    assert not admission.possible(Share(cpus=3)), "none has three, though all have four"
    assert not admission.possible(Share(gpus=1, node="a"))
    assert not admission.possible(Share(node="gone"))
    # What runs side by side is more than one has.
    held = [admission.take(Share()) for _ in range(4)]
    assert None not in held and admission.take(Share()) is None


@pytest.mark.parametrize(("node", "error"), [("nowhere", ClusterError), ("", OSError)])
async def test_a_worker_that_is_refused_takes_no_place(node: str, error: type[Exception]) -> None:
    pytest.importorskip("ray")
    cluster = RayCluster()
    cluster._ray = Ray()
    with anyio.fail_after(30), pytest.raises(error, match=r"no machine nowhere|no way"):
        await cluster.place(counter, 1, share=Share(node=node))
    cluster._admission.look(Ray())
    assert cluster._admission.take(Share(cpus=4)) is not None


async def test_a_task_that_no_machine_can_run_failed_and_did_nothing() -> None:
    exceptions = pytest.importorskip("ray").exceptions
    executor = RayExecutor()
    executor._ray = SimpleNamespace(exceptions=exceptions)
    job = Job(tasks.double, range(3), Work(share=Share(node="b")), None, Pace(1, 3))

    async def replies() -> None:
        raise exceptions.TaskUnschedulableError("The node is gone.")

    while waiting := job.take():
        await executor._ended(job, waiting, replies(), None, 0.0)
    outcomes = [outcome async for outcome in job.outcomes()]
    assert [(outcome.state, outcome.tries) for outcome in outcomes] == [("failed", 0)] * 3
    assert "cannot run a task with 1 cores on b: " in str(outcomes[0].error)
    assert "The node is gone" in str(outcomes[0].error)
    assert not isinstance(outcomes[0].error, TaskUnknown)

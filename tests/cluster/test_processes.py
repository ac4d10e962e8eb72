"""Processes of this machine as an executor: what they print, take, leave behind and end with."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from llmasos.cluster import ClusterError, ProcessExecutor, Share, Stored, TaskTimeout, Work, WorkerDied
from tests.cluster import tasks
from tests.cluster.test_local import counter

pytestmark = pytest.mark.anyio


@pytest.fixture
async def executor() -> AsyncGenerator[ProcessExecutor]:
    found = ProcessExecutor(cpus=2, gpus=2, memory=1000, custom={"docker": 1})
    yield found
    await found.close()


async def test_what_a_task_prints_comes_with_its_outcome(executor: ProcessExecutor) -> None:
    for outcome in await tasks.all_of(executor, tasks.prints, range(20)):
        number = outcome.result()
        assert outcome.output.split("\n") == [
            f"{word} of {number}" for word in ("first", "second", "third")
        ] + [""]
    (outcome,) = await tasks.all_of(executor, tasks.prints_much, [200_000])
    assert outcome.output.endswith("x\n(more was printed)\n")
    assert len(outcome.output) < 70_000


async def test_closing_a_map_ends_its_tasks_and_what_they_started(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    hanging = executor.map(tasks.starts_others, [tmp_path / "pids"])
    async with anyio.create_task_group() as group:
        group.start_soon(anext, hanging)
        pids = [int(pid) for pid in (await tasks.written(tmp_path / "pids")).split()]
        assert all(map(tasks.alive, pids))
        other = executor.map(tasks.double, range(10))
        assert (await anext(other)).result() == 0
        group.cancel_scope.cancel()
    await hanging.aclose()
    assert not any(map(tasks.alive, pids))
    assert [outcome.result() async for outcome in other] == list(range(2, 20, 2)), "another map goes on"


async def test_a_task_that_outlives_its_time_is_ended(executor: ProcessExecutor) -> None:
    outcomes = await tasks.all_of(executor, tasks.hangs_at_three, range(20), Work(timeout=1.5))
    assert [outcome.index for outcome in outcomes if outcome.state != "done"] == [3]
    assert outcomes[3].output == "hanging\n"
    with pytest.raises(TaskTimeout, match=r"Task 3 took longer than 1.5 s"):
        outcomes[3].result()


async def test_the_limit_also_covers_what_is_not_read(executor: ProcessExecutor) -> None:
    # More than the socket holds, so that sending waits for a reader that has stopped.
    items = [b"x" * 2_000_000] * 3
    work = Work(timeout=1.0, share=Share(cpus=2))
    outcomes = await tasks.all_of(executor, tasks.stops_reading, items, work)
    assert {outcome.state for outcome in outcomes} <= {"failed", "unknown"}
    assert any(isinstance(outcome.error, TaskTimeout) for outcome in outcomes)


async def test_loading_the_function_is_not_a_tasks_time(executor: ProcessExecutor) -> None:
    outcomes = await tasks.all_of(executor, tasks.Slow(1.0), [1], Work(timeout=0.5))
    assert [outcome.result() for outcome in outcomes] == [1]


async def test_a_watch_that_raises_ends_its_map_and_no_other(executor: ProcessExecutor) -> None:
    def watch(_: object) -> None:
        raise ZeroDivisionError("no total")

    with pytest.raises(ZeroDivisionError):
        await tasks.all_of(executor, tasks.double, range(50), None, watch)
    outcomes = await tasks.all_of(executor, tasks.double, range(50))
    assert [outcome.result() for outcome in outcomes] == list(range(0, 100, 2))


async def test_a_task_that_closes_what_it_prints_to_ends_well(executor: ProcessExecutor) -> None:
    one = Work(share=Share(cpus=2))
    outcomes = await tasks.all_of(executor, tasks.deafens, range(3), one)
    assert [outcome.state for outcome in outcomes] == ["done"] * 3


async def test_an_answer_that_cannot_be_read_hangs_no_other_call(executor: ProcessExecutor) -> None:
    worker = await executor.place(tasks.hoarder)
    with pytest.raises(ClusterError, match="cannot be read here: ValueError: nobody can read this"):
        await worker.call("unreadable")
    assert await worker.call("fine") == 1


async def test_workers_that_have_ended_are_forgotten(executor: ProcessExecutor) -> None:
    worker = await executor.place(tasks.hoarder)
    assert executor._workers == {worker}
    await worker.stop()
    assert not executor._workers


async def test_workers_do_not_inherit_secrets(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-" + "a1b2c3d4e5f6" * 3)
    monkeypatch.setenv("MY_PLACE", "here")
    outcomes = await tasks.all_of(executor, tasks.secret_of, ["MY_API_KEY", "MY_PLACE"])
    assert [outcome.result() for outcome in outcomes] == ["none", "here"]


async def test_a_machine_that_lacks_descriptors_ends_the_map_with_the_reason(
    executor: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", full)
    with pytest.raises(ClusterError, match="Too many open files"):
        await tasks.all_of(executor, tasks.double, range(5))


async def test_large_results_wait_in_files(executor: ProcessExecutor) -> None:
    small, big = await tasks.all_of(executor, tasks.large, [10, 100_000], Work(inline=1000))
    assert small.value == b"x" * 10
    assert isinstance(big.value, Stored)
    assert big.value.size > 100_000
    assert executor._folder is not None
    assert len(list(executor._folder.iterdir())) == 1
    assert big.result() == big.result() == b"x" * 100_000
    folder = executor._folder
    del big
    assert not list(folder.iterdir())


async def test_tasks_take_what_they_hold(executor: ProcessExecutor) -> None:
    quarter = Work(share=Share(cpus=0.25, gpus=0.5))
    assert {outcome.result() for outcome in await tasks.all_of(executor, tasks.which_gpus, [1], quarter)} == {
        "0"
    }
    both = Work(share=Share(gpus=2))
    assert [outcome.result() for outcome in await tasks.all_of(executor, tasks.which_gpus, [1], both)] == [
        "0,1"
    ]
    one = Work(share=Share(custom={"docker": 1}))
    pids = {outcome.result() for outcome in await tasks.all_of(executor, tasks.process, range(50), one)}
    assert len(pids) == 1
    for share in (Share(cpus=3), Share(gpus=2.5), Share(memory=1001), Share(custom={"tpu": 1})):
        with pytest.raises(ClusterError, match=f"No machine has {share} to give"):
            await executor.run(tasks.double, 1, work=Work(share=share))
    with pytest.raises(ClusterError, match="There is no machine elsewhere here"):
        await executor.run(tasks.double, 1, work=Work(share=Share(node="elsewhere")))


async def test_objects_are_placed_in_processes(executor: ProcessExecutor) -> None:
    worker = await executor.place(counter, 1)
    assert worker.pid != os.getpid()
    assert await worker.call("add", 2) == 3
    assert [number async for number in worker.stream("count", 200)] == list(range(200))
    stream = worker.stream("count", 10**9)
    await anext(stream)
    assert await worker.call("busy") == 1
    await stream.aclose()
    assert await worker.call("busy") == 0
    async with anyio.create_task_group() as group:
        group.start_soon(worker.call, "hang")
        while await worker.call("busy") == 0:
            pass
        group.cancel_scope.cancel()
    assert await worker.call("busy") == 0
    with pytest.raises(ValueError, match="negative"):
        await executor.place(counter, -1)
    await executor.place(counter, 1)
    with pytest.raises(ClusterError, match="There is no place for a worker with 1 cores now"):
        await executor.place(counter, 1)
    stream = worker.stream("count", 10**9)
    await anext(stream)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="signal 9"):
        async for _ in stream:
            pass
    assert await worker.died() == "signal 9"
    assert await executor.run(tasks.double, 2) == 4, "its place is free"


async def test_nothing_is_left_of_an_executor(tmp_path: Path) -> None:
    executor = ProcessExecutor(cpus=2)
    worker = await executor.place(counter, 1)
    pids = {outcome.result() for outcome in await tasks.all_of(executor, tasks.process, range(50))}
    folder = executor._folder
    await executor.close()
    assert not any(map(tasks.alive, pids | {worker.pid}))
    assert folder is not None
    assert not folder.exists()
    with pytest.raises(ClusterError, match="closed"):
        await executor.run(tasks.double, 1)


async def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = """if True:
        import sys, anyio
        from pathlib import Path
        from llmasos.cluster import ProcessExecutor
        from tests.cluster.tasks import starts_others
        anyio.run(ProcessExecutor().run, starts_others, Path(sys.argv[1]))
    """
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "pids")])
    pids = [int(pid) for pid in (await tasks.written(tmp_path / "pids")).split()]
    parent.kill()
    parent.wait()
    with anyio.fail_after(30):
        while any(map(tasks.alive, pids[:2])):
            await anyio.sleep(0.01)
    os.kill(pids[2], signal.SIGKILL)


def test_functions_of_the_main_module_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("four")
    (tmp_path / "b").write_text("")
    example = Path(__file__).parents[2] / "examples" / "sizes.py"
    done = subprocess.run([sys.executable, example, tmp_path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("a done 4\nb done 0\n", "")

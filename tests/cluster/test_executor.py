"""The executor port, on the fake and on this machine's processes."""

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest

from llmasos.cluster import (
    ClusterError,
    Executor,
    FakeExecutor,
    ProcessExecutor,
    Progress,
    Share,
    TaskUnknown,
    Work,
    WorkerDied,
)
from tests.cluster import tasks

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[FakeExecutor, lambda: ProcessExecutor(cpus=2)], ids=["fake", "processes"])
async def executor(request: pytest.FixtureRequest) -> AsyncGenerator[Executor]:
    make: Callable[[], Executor] = request.param
    found = make()
    yield found
    await found.close()


@pytest.mark.parametrize("ordered", [True, False])
async def test_every_item_has_its_outcome(executor: Executor, ordered: bool) -> None:
    outcomes = await tasks.all_of(executor, tasks.double, range(300), Work(ordered=ordered))
    found = [(outcome.index, outcome.result()) for outcome in outcomes]
    assert (found if ordered else sorted(found)) == [(number, 2 * number) for number in range(300)]
    assert await tasks.all_of(executor, tasks.double, []) == []
    assert await executor.run(tasks.add, 2, 3) == 5


async def test_a_failing_task_ends_no_other(executor: Executor) -> None:
    outcomes = await tasks.all_of(executor, tasks.odd_fails, range(6))
    assert [outcome.state for outcome in outcomes] == ["done", "failed"] * 3
    with pytest.raises(tasks.Pickled, match="3 and 7") as caught:
        outcomes[3].result()
    assert caught.value.second == 7
    assert any("odd_fails" in note for note in caught.value.__notes__)
    assert (await tasks.all_of(executor, tasks.leaves, [1]))[0].state == "failed"


async def test_what_cannot_be_sent_is_named(executor: Executor) -> None:
    with pytest.raises(ClusterError, match=r"The function .*<lambda> cannot be sent"):
        await anext(executor.map(lambda number: number, [1]))
    outcomes = await tasks.all_of(executor, tasks.double, [1, (number for number in range(2)), 3])
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert "Item 1, a generator, cannot be sent" in str(outcomes[1].error)
    (outcome,) = await tasks.all_of(executor, tasks.lambda_of, [1])
    assert "The result, a function, cannot be sent back" in str(outcome.error)
    (outcome,) = await tasks.all_of(executor, tasks.unreadable, [1])
    assert "cannot be read here: ValueError: nobody can read this" in str(outcome.error)


async def test_items_are_read_as_they_are_needed(executor: Executor) -> None:
    read = 0

    def numbers() -> Iterator[int]:
        nonlocal read
        for number in range(10**9):
            read += 1
            yield number

    outcomes = executor.map(tasks.double, numbers(), Work(window=20))
    for number in range(100):
        assert (await anext(outcomes)).result() == 2 * number
        assert read <= number + 21
    await outcomes.aclose()
    assert await executor.run(tasks.double, 4) == 8


async def test_items_that_cannot_be_read_end_the_map(executor: Executor) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the list is gone")

    with pytest.raises(OSError, match="the list is gone"):
        await tasks.all_of(executor, tasks.double, broken())


async def test_progress_is_told(executor: Executor) -> None:
    told: list[Progress] = []
    await tasks.all_of(executor, tasks.odd_fails, range(10), watch=told.append)
    assert told[-1] == Progress(total=10, done=5, failed=5, unknown=0, running=0, again=0)
    assert [one.done + one.failed for one in told] == list(range(1, 11))


async def test_a_task_that_is_not_idempotent_runs_once_when_its_worker_dies(tmp_path: Path) -> None:
    fake = FakeExecutor(deaths={3: 1})
    here = ProcessExecutor(cpus=2)
    file = tmp_path / "begun"
    notes = [tasks.Note(file, number) for number in range(40)]
    for executor, function, items in ((fake, tasks.double, range(40)), (here, tasks.dies, notes)):
        outcomes = await tasks.all_of(executor, function, items)
        assert [outcome.index for outcome in outcomes if outcome.state != "done"] == [3]
        with pytest.raises(
            TaskUnknown, match=r"Task 3 may or may not have done its work: its worker .*not run"
        ):
            outcomes[3].result()
    assert sorted(map(int, file.read_text().split())) == fake.begun == list(range(40))
    assert outcomes[3].output == "about to die\n"
    await here.close()


async def test_an_idempotent_one_runs_again(tmp_path: Path) -> None:
    fake = FakeExecutor(deaths={3: 1})
    here = ProcessExecutor(cpus=2)
    file = tmp_path / "begun"
    notes = [tasks.Note(file, number) for number in range(40)]
    told: list[Progress] = []
    for executor, function, items in ((fake, tasks.double, range(40)), (here, tasks.dies, notes)):
        outcomes = await tasks.all_of(executor, function, items, Work(idempotent=True), told.append)
        assert {outcome.state for outcome in outcomes} == {"done"}
        assert [outcome.tries for outcome in outcomes] == [1, 1, 1, 2] + [1] * 36
        assert told[-1].again == 1
    assert sorted(map(int, file.read_text().split())) == sorted([*range(40), 3])
    (outcome,) = await tasks.all_of(here, tasks.always_dies, [1], Work(idempotent=True, tries=2))
    with pytest.raises(WorkerDied, match=r"begun 2 times, and each time its worker ended.* signal 9"):
        outcome.result()
    await here.close()


def test_shares_are_said_in_words() -> None:
    share = Share(cpus=0.5, gpus=1, memory=1000, custom={"docker": 1}, node="b")
    assert str(share) == "0.5 cores, 1 GPUs, 1,000 bytes of memory and 1 of docker on b"
    assert str(Share()) == "1 cores"

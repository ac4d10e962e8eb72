"""What waits for a cluster ends with its head, and one that only pauses is waited for."""

import anyio
import pytest

from llmasos.cluster._head import Head, HeadLost

pytestmark = pytest.mark.anyio


class Line:
    """The way to a head, which can be cut."""

    def __init__(self) -> None:
        self.cut = ""
        self.tried = 0

    def __call__(self, address: str) -> str:
        assert address == "there:1"
        self.tried += 1
        return self.cut


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def until_tried(line: Line, times: int) -> None:
    wanted = line.tried + times
    while line.tried < wanted:
        await anyio.sleep(0.001)


async def test_what_waits_ends_with_the_head_and_nothing_begins(line: Line) -> None:
    head = Head(0.01, line)
    head.watch("there:1")
    await until_tried(line, 2)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:

            async def waits() -> None:
                with pytest.raises(HeadLost, match=r"there:1 does not answer \(cut off\)"):
                    await head.wait(anyio.sleep_forever())

            group.start_soon(waits)
            group.start_soon(waits)
            await anyio.wait_all_tasks_blocked()
            line.cut = "cut off"
    with pytest.raises(HeadLost):
        await head.ask(pytest.fail)
    line.cut = ""
    tried = line.tried
    await anyio.sleep(0.05)
    assert line.tried == tried, "one that is lost is not looked for again"


async def test_who_is_cancelled_for_another_reason_is_not_told_that_the_head_is_lost() -> None:
    with anyio.move_on_after(0.01) as scope:
        await Head().wait(anyio.sleep_forever())
    assert scope.cancelled_caught


async def test_a_head_that_pauses_is_asked_once_it_answers(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmasos.cluster._head._LOOK_SECONDS", 0.001)
    head = Head(1000, line)
    head.watch("there:1")
    line.cut = "cut off"
    asked: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(head.ask, asked.append, 1)
        await until_tried(line, 10)
        assert not asked
        line.cut = ""
    assert asked == [1]
    head.leave()
    await anyio.wait_all_tasks_blocked()
    tried = line.tried
    await anyio.sleep(0.05)
    assert line.tried == tried, "nor is one that was left"

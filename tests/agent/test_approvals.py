"""Approvals: who is asked, what an answer counts for, and when a request is over."""

from dataclasses import dataclass

import anyio
import pytest

from llmasos.agent.approvals import Approval, Approvals, call_digest
from llmasos.errors import SessionError
from llmasos.events import NOBODY

pytestmark = pytest.mark.anyio
YES = Approval(approved=True, by="me")
ONE, OTHER = call_digest("run", {"x": 1}, "v1"), call_digest("run", {"x": 2}, "v1")


@dataclass
class Clock:
    """A clock on the wall that can be set."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_the_digest_is_of_tool_arguments_and_policy() -> None:
    assert len({ONE, OTHER, call_digest("ran", {"x": 1}, "v1"), call_digest("run", {"x": 1}, "v2")}) == 4
    placed = [call_digest("run", {"x": 1}, "v1", origin=one, folder=two) for one in "ab" for two in "cd"]
    assert len({ONE, *placed}) == 5
    run = [call_digest("run", {"x": 1}, "v1", scripts=scripts) for scripts in ({"a": "1"}, {"a": "2"}, {})]
    assert len(set(run)) == 3 and run[2] == ONE
    assert call_digest("run", {"a": 1, "b": 2}, "v") == call_digest("run", {"b": 2, "a": 1}, "v")


def test_what_was_approved_beforehand_counts_once_and_in_one_turn() -> None:
    approvals = Approvals("ask")
    approvals.begin("deny", [ONE], "ann (headless)")
    assert approvals.known(ONE) == Approval(approved=True, by="ann (headless), beforehand")
    assert approvals.known(ONE) == Approval(approved=False, by=NOBODY)
    approvals.begin("deny", [ONE], "ann (headless)")
    assert approvals.known(OTHER) == Approval(approved=False, by=NOBODY)
    approvals.begin("deny", [], "ann (headless)")
    assert approvals.known(ONE) == Approval(approved=False, by=NOBODY)


async def test_an_answer_counts_for_its_call_alone_and_once() -> None:
    approvals = Approvals("ask")
    got: list[Approval] = []

    async def wait() -> None:
        got.append(await approvals.wait("a-1", ONE))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(SessionError, match="another call"):
            approvals.answer("a-1", OTHER, YES)
        approvals.answer("a-1", ONE, YES)
        with pytest.raises(SessionError, match="No approval is waiting"):
            approvals.answer("a-1", ONE, YES)
    assert got == [YES]
    with pytest.raises(SessionError, match="No approval is waiting"):
        approvals.answer("a-1", ONE, YES)


async def test_who_has_refused_is_not_asked_again_in_this_turn() -> None:
    approvals = Approvals("ask")
    approvals.begin("ask", [], "me")

    async def refuse() -> None:
        await anyio.wait_all_tasks_blocked()
        approvals.answer("a-1", ONE, Approval(approved=False, by="me", why="not that"))

    async with anyio.create_task_group() as group:
        group.start_soon(refuse)
        assert (await approvals.wait("a-1", ONE)).why == "not that"
    again = approvals.known(ONE)
    assert again is not None and not again.approved
    assert approvals.known(OTHER) is None
    approvals.begin("ask", [], "me")
    assert approvals.known(ONE) is None


async def test_nobody_answers_in_time() -> None:
    approvals = Approvals("ask", seconds=0.01)
    assert await approvals.wait("a-1", ONE) == Approval(approved=False, by="nobody answered in time")
    with pytest.raises(SessionError):
        approvals.answer("a-1", ONE, YES)


async def test_a_clock_that_jumps_ahead_ends_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmasos.agent.approvals._TICK", 0.001)
    clock = Clock()
    approvals = Approvals("ask", seconds=3600, clock=clock)

    async def sleep_long() -> None:
        await anyio.wait_all_tasks_blocked()
        clock.now += 7200

    async with anyio.create_task_group() as group:
        group.start_soon(sleep_long)
        assert not (await approvals.wait("a-1", ONE)).approved


async def test_an_answer_that_comes_after_a_sleep_is_too_late() -> None:
    clock = Clock()
    approvals = Approvals("ask", seconds=3600, clock=clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(approvals.wait, "a-1", "d")
        await anyio.wait_all_tasks_blocked()
        clock.now += 36_000
        with pytest.raises(SessionError, match="over"):
            approvals.answer("a-1", "d", Approval(True, "ann"))
        tasks.cancel_scope.cancel()


async def test_a_clock_that_is_put_back_does_not_keep_a_request_open() -> None:
    clock = Clock()
    approvals = Approvals("ask", seconds=0.01, clock=clock)

    async def put_back() -> None:
        clock.now -= 7200

    async with anyio.create_task_group() as group:
        group.start_soon(put_back)
        assert not (await approvals.wait("a-1", ONE)).approved

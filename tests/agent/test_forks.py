"""Forks: another session goes on from a turn, and what it goes on from stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from llmasos.agent import Session
from llmasos.agent import _records as records
from llmasos.api import TurnRequest
from llmasos.errors import SessionError
from llmasos.events import ActionStarted, Notice, TurnStarted
from tests.agent.conftest import MakeStage, Stage
from tests.agent.test_turn import hang

pytestmark = pytest.mark.anyio
WRITE = 'write_file(path="new.txt")\n```\nnew\n```'


def said(it: Stage) -> str:
    return "\n".join(turn.content for turn in it.engine.requests[-1].turns)


async def requests(session: Session) -> list[str]:
    return [event.text for event in await session.stream.read() if isinstance(event, TurnStarted)]


async def test_a_fork_goes_on_from_the_turn_that_is_named(stage: MakeStage) -> None:
    async with stage("Answer: 1", "Answer: 2", "Answer: 3", "Answer: four", "Answer: 4") as it:
        session = await it.session()
        for text in ("number one", "number two", "number three"):
            await it.turn(session, text)
        fork = await it.sessions.fork(session.id, "2")
        info = await fork.info()
        assert (info.parent, info.parent_turn, info.turns) == (session.id, 2, 2)
        assert (info.title, info.folder) == (
            "number one · from turn 2",
            str(it.folder),
        ) and info.usage.requests == 0
        assert await requests(fork) == ["number one", "number two"]
        await it.turn(fork, "another")
        assert "number two" in said(it) and "number three" not in said(it)
        await it.turn(session, "four")
        assert "number three" in said(it) and "another" not in said(it)
        assert await requests(fork) == ["number one", "number two", "another"]
        assert await requests(session) == ["number one", "number two", "number three", "four"]
        numbers = [event.seq for event in await fork.stream.read()]
        assert numbers == list(range(1, len(numbers) + 1))
        assert (await fork.info()).turns == 3 and (await fork.info()).usage.requests == 1
        begun = [entry for entry in it.ledger.entries if entry.kind == "session"]
        turns = [event.turn for event in await session.stream.read() if isinstance(event, TurnStarted)]
        assert begun[1].body["forked_from"] == session.id and begun[1].body["forked_turn"] == turns[1]
        assert "forked_from" not in begun[0].body


async def test_a_fork_of_a_fork_has_all_that_was_before_it(stage: MakeStage) -> None:
    async with stage(*["Answer: ok"] * 6) as it:
        first = await it.session()
        await it.turn(first, "one")
        await it.turn(first, "two")
        second = await it.sessions.fork(first.id)
        await it.turn(second, "three")
        third = await it.sessions.fork(second.id, "3")
        assert (await third.info()).parent == second.id
        early = await it.sessions.fork(third.id, "1")
        assert (await early.info()).parent == first.id and await requests(early) == ["one"]
        await it.turn(third, "four")
        assert await requests(third) == ["one", "two", "three", "four"]
        assert all(text in said(it) for text in ("one", "two", "three"))
        turn = (await third.stream.read())[0].turn
        assert await requests(await it.sessions.fork(third.id, turn)) == ["one"]


async def test_a_fork_of_a_fork_has_what_was_decided_there_before_a_turn(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done", "Answer: that") as it:
        first = await it.session()
        await it.turn(first, "write new.txt")
        second = await it.sessions.fork(first.id)
        await second.workbench.commit()
        third = await it.sessions.fork(second.id)
        assert (await third.info()).parent == second.id and (await third.info()).turns == 1
        events = await third.stream.read()
        assert events[:-1] == await second.stream.read()
        assert events[-2].type == "workspace_changed"
        assert isinstance(events[-1], Notice) and f"Forked from {second.id} " in events[-1].text
        await it.turn(third, "and now?")
        assert "write new.txt" in said(it) and await requests(third) == ["write new.txt", "and now?"]


async def test_a_turn_that_runs_in_a_fork_is_not_part_of_its_forks(stage: MakeStage) -> None:
    async with stage("Answer: 1", "hang()", tools=(hang,)) as it:
        first = await it.session()
        await it.turn(first, "one")
        second = await it.sessions.fork(first.id)
        await second.start(TurnRequest(text="hang", approve="deny"))
        third = await it.sessions.fork(second.id)
        assert await requests(third) == ["one"] and (await third.info()).parent == second.id
        await second.cancel()


async def test_nothing_changes_between_the_place_and_the_view_of_a_fork(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(WRITE, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "write new.txt")
        place_in, copy_view = records.place_in, session.workbench.copy_view
        held: list[bool] = []

        async def place(*given: Any) -> Any:
            held.append(session.workbench.turns.locked())
            return await place_in(*given)

        async def copy(state: Path) -> None:
            held.append(session.workbench.turns.locked())
            await copy_view(state)

        monkeypatch.setattr(records, "place_in", place)
        monkeypatch.setattr(session.workbench, "copy_view", copy)
        fork = await it.sessions.fork(session.id)
        assert held == [True, True] and not session.workbench.turns.locked()
        assert (await fork.workbench.diff()).changes


@pytest.mark.parametrize("what", ["fails", "is cancelled"])
async def test_a_fork_that_is_not_made_leaves_nothing(
    stage: MakeStage, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async with stage(WRITE, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "write new.txt")
        states = it.settings.data_dir / "workspaces"
        before = sorted(states.iterdir())

        async def copy_view(state: Path) -> None:
            (state / "half").mkdir()
            if what == "fails":
                raise OSError(28, "No space left on device")
            await anyio.sleep_forever()

        monkeypatch.setattr(session.workbench, "copy_view", copy_view)
        if what == "fails":
            with pytest.raises(OSError, match="No space"):
                await it.sessions.fork(session.id)
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(it.sessions.fork, session.id)
                await anyio.wait_all_tasks_blocked()
                while sorted(states.iterdir()) == before:
                    await anyio.sleep(0)
                group.cancel_scope.cancel()
        assert sorted(states.iterdir()) == before and len(await it.sessions.list()) == 1


async def test_a_fork_is_opened_again_as_it_was(stage: MakeStage) -> None:
    async with stage("Answer: 1", "Answer: 2") as it:
        session = await it.session()
        await it.turn(session, "one")
        fork = await it.sessions.fork(session.id)
        await it.turn(fork, "two")
        before = await fork.stream.read()
        await it.sessions.close()
        again = await it.sessions.get(fork.id)
        assert await again.stream.read() == before and again.stream.last == before[-1].seq
        assert [event.seq for event in await again.stream.read(before[2].seq)] == [
            event.seq for event in before[3:]
        ]


async def test_the_options_come_along_and_the_variables_do_not(stage: MakeStage) -> None:
    async with stage("Answer: 1") as it:
        session = await it.sessions.create(
            it.folder, hosts=("example.org",), granted=(".env",), access="read-only", asking="always"
        )
        await it.turn(session, "one")
        info = await (await it.sessions.fork(session.id)).info()
        assert info.hosts == ("example.org",) and info.granted == (".env",)
        assert (info.access, info.asking) == ("read-only", "always")


async def test_changes_that_were_not_written_come_along_from_the_newest_turn(stage: MakeStage) -> None:
    async with stage("Answer: 1", WRITE, "Answer: 2") as it:
        session = await it.session()
        await it.turn(session, "one")
        await it.turn(session, "write new.txt")
        fork = await it.sessions.fork(session.id)
        assert [change.path for change in (await fork.workbench.diff()).changes] == ["new.txt"]
        early = await it.sessions.fork(session.id, "1")
        await fork.workbench.commit()
        assert (it.folder / "new.txt").read_text() == "new\n"
        assert not (await early.workbench.diff()).changes
        [told] = [event for event in await early.stream.read() if isinstance(event, Notice)]
        assert f"stay in {session.id}" in told.text and "after its turn 1" in told.text


async def test_what_others_changed_since_is_no_less_a_conflict(stage: MakeStage) -> None:
    change = 'write_file(path="notes.txt")\n```\nmine\n```'
    async with stage('read_file(path="notes.txt")', change, "Answer: 1") as it:
        session = await it.session()
        await it.turn(session, "write notes.txt anew", approve="all")
        assert (await session.workbench.diff()).changes
        (it.folder / "notes.txt").write_text("theirs\n")
        fork = await it.sessions.fork(session.id)
        with pytest.raises(Exception, match="changed in the folder"):
            await fork.workbench.commit()
        assert (it.folder / "notes.txt").read_text() == "theirs\n"


async def test_a_turn_that_is_not_there_or_runs_is_refused(stage: MakeStage) -> None:
    async with stage("Answer: 1", "hang()", tools=(hang,)) as it:
        session = await it.session()
        with pytest.raises(SessionError, match="has no turn that has ended"):
            await it.sessions.fork(session.id)
        await it.turn(session, "one")
        for wrong in ("2", "0", "-1", "t-nothere", "1; DROP TABLE turns", "٣", "9" * 30):
            with pytest.raises(SessionError, match="has no turn"):
                await it.sessions.fork(session.id, wrong)
        accepted = await session.start(TurnRequest(text="hang", approve="deny"))
        async with session.stream.follow() as events:
            async for event in events:
                if isinstance(event, ActionStarted):
                    break
        with pytest.raises(SessionError, match="has not ended"):
            await it.sessions.fork(session.id, accepted.turn)
        fork = await it.sessions.fork(session.id)
        assert await requests(fork) == ["one"]
        await session.cancel()


async def test_a_session_can_be_renamed(stage: MakeStage) -> None:
    async with stage("Answer: 1", "Answer: 2") as it:
        session = await it.session()
        await it.turn(session, "one")
        before = (await session.info()).updated
        await session.chronicle.rename("  The great\nplan  ")
        info = await session.info()
        assert info.title == "The great plan" and info.updated == before
        await it.turn(session, "two")
        assert [one.title for one in await it.sessions.list()] == ["The great plan"]
        with pytest.raises(SessionError, match="name is empty"):
            await session.chronicle.rename(" ")
        await session.chronicle.rename("x" * 500)
        assert len((await session.info()).title) == 80

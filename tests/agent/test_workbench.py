"""What a person decides about a session's changes: written, dropped, taken back, tried without effect."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from llmasos.api import AccessRequest, Choice, TurnRequest
from llmasos.errors import ConfigError, ConflictError, SandboxError, SessionError, ToolError
from llmasos.events import (
    ActionStarted,
    ArtifactKept,
    DiffOffered,
    Notice,
    TurnStarted,
    WorkspaceChanged,
)
from llmasos.ledger import MemoryLedger
from tests.agent.conftest import MakeStage

pytestmark = pytest.mark.anyio

WRITE = 'write_file(path="notes.txt")\n```\nrain\n```'
NEW = 'write_file(path="new.txt")\n```\nnew\n```'


def kinds(ledger: MemoryLedger) -> list[str]:
    return [entry.kind for entry in ledger.entries]


async def test_nothing_is_written_before_the_commit_and_undo_and_redo_follow_it(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done") as it:
        session = await it.session()
        before = (it.folder / "notes.txt").read_text()
        await it.turn(session, "change the notes")
        assert (it.folder / "notes.txt").read_text() == before
        await session.workbench.commit()
        assert (it.folder / "notes.txt").read_text() == "rain\n"
        await session.workbench.undo()
        assert (it.folder / "notes.txt").read_text() == before
        await session.workbench.redo()
        assert (it.folder / "notes.txt").read_text() == "rain\n"
        (commit,) = await session.workbench.history()
        assert (commit.paths, commit.undone) == (("notes.txt",), False)
        assert kinds(it.ledger)[-3:] == ["commit", "undo", "redo"]


async def test_a_dry_run_shows_its_diff_and_leaves_nothing(stage: MakeStage) -> None:
    async with stage(WRITE, NEW, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "change the notes", dry_run=True)
        (offered,) = it.of(DiffOffered)
        assert offered.dry_run and [change.path for change in offered.changes] == ["new.txt", "notes.txt"]
        assert it.of(TurnStarted)[0].dry_run
        assert it.of(WorkspaceChanged)[0].what == "discard"
        assert not (await session.workbench.diff()).changes
        assert not (it.folder / "new.txt").exists()


async def test_a_dry_run_does_not_drop_what_earlier_turns_changed(stage: MakeStage) -> None:
    async with stage(NEW, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "make a file")
        with pytest.raises(SessionError, match="earlier turns"):
            await it.turn(session, "more", dry_run=True)
        assert [change.path for change in (await session.workbench.diff()).changes] == ["new.txt"]


async def test_working_in_place_is_recorded_and_leaves_nothing_to_commit(stage: MakeStage) -> None:
    async with stage(NEW, "Answer: done") as it:
        session = await it.sessions.create(it.folder, in_place=True)
        await it.turn(session, "make a file")
        assert (it.folder / "new.txt").read_text() == "new\n"
        assert not (await session.workbench.diff()).changes
        assert it.ledger.entries[0].body["in_place"] is True
        assert it.of(TurnStarted)[0].in_place and it.of(ActionStarted)
        intent = next(entry for entry in it.ledger.entries if entry.kind == "intent")
        assert intent.body["rule"] == "in-place"
        with pytest.raises(SessionError, match="in place"):
            await it.turn(session, "again", dry_run=True)
        assert (await session.info()).in_place


async def test_only_one_of_two_turns_that_are_asked_for_at_once_begins(stage: MakeStage) -> None:
    async with stage("Answer: done", "Answer: done") as it:
        session = await it.session()
        refused: list[str] = []

        async def start() -> None:
            try:
                await session.start(TurnRequest(text="look", approve="deny", dry_run=True))
            except SessionError as error:
                refused.append(str(error))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            tasks.start_soon(start)
        await session.wait()
        assert len(refused) == 1 and "A turn is running" in refused[0]
        assert len(it.engine.requests) == 1


async def test_a_turn_begins_after_the_commit_that_is_under_way(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done", NEW, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "change the notes")

        async def start() -> None:
            await anyio.lowlevel.checkpoint()
            await session.start(TurnRequest(text="write new.txt", approve="deny"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.workbench.commit)
            tasks.start_soon(start)
        await session.wait()
        types = [event.type for event in await session.stream.read()]
        assert types.index("workspace_changed") < len(types) - 1 - types[::-1].index("turn_started")
        assert [change.path for change in (await session.workbench.diff()).changes] == ["new.txt"]
        assert not (it.folder / "new.txt").exists()


async def test_thousands_of_changes_are_summed_up(stage: MakeStage) -> None:
    make = 'run_shell(command="mkdir many; for n in $(seq 250); do echo $n > many/$n.txt; done; rm main.py")'
    async with stage(make, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "make them")
        (offered,) = it.of(DiffOffered)
        assert (len(offered.changes), offered.omitted) == (200, 52)
        assert offered.summary.splitlines() == [
            "250 lines added, 3 removed",
            "  at the top: 1 added, 1 deleted",
            "  many/: 250 added",
        ]


async def test_a_conflict_is_refused_and_can_be_merged(stage: MakeStage) -> None:
    edit = 'edit_file(path="main.py", old="import os", new="import os  # agent")'
    async with stage(edit, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "edit main.py")
        file = it.folder / "main.py"
        file.write_text(file.read_text() + "# person\n")
        with pytest.raises(ConflictError, match=r"main\.py"):
            await session.workbench.commit()
        assert "agent" not in file.read_text()
        assert (await session.workbench.merged("main.py")).conflicts == 0
        await session.workbench.commit(merge=True)
        assert "# agent" in file.read_text() and "# person" in file.read_text()


async def test_what_clashes_is_resolved_in_the_view(stage: MakeStage) -> None:
    async with stage(WRITE, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "change the notes")
        (it.folder / "notes.txt").write_text("snow\n")
        with pytest.raises(ConflictError, match=r"notes\.txt"):
            await session.workbench.commit(merge=True)
        assert (await session.workbench.resolve("notes.txt")).conflicts == 1
        (change,) = (await session.workbench.diff()).changes
        assert "+<<<<<<< the folder" in change.diff and "+rain" in change.diff
        await session.workbench.commit()
        assert "snow" in (it.folder / "notes.txt").read_text()


async def test_some_hunks_are_committed_and_the_rest_waits(stage: MakeStage) -> None:
    edit = "run_shell(command=\"sed -i 's/^x0 = 0/x0 = 100/; s/^x19 = 19/x19 = 190/' src/longer.py\")"
    async with stage(edit, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "edit longer.py")
        await session.workbench.commit([Choice(path="src/longer.py", hunks=(1,))])
        text = (it.folder / "src/longer.py").read_text()
        assert "x0 = 100" in text and "x19 = 19\n" in text
        (left,) = (await session.workbench.diff()).changes
        assert "+x19 = 190" in left.diff and "x0" not in left.diff


async def test_hidden_files_are_granted_on_request_and_recorded(stage: MakeStage) -> None:
    look = 'run_shell(command="cat .env || true")'
    async with stage(look, "Answer: no", look, "Answer: yes") as it:
        (it.folder / ".env").write_text("KEY=secret\n")
        session = await it.session()
        await it.turn(session, "look")
        await session.allow(AccessRequest(granted=(".env",)))
        await it.turn(session, "look again")
        outputs = [event.result for event in it.events if event.type == "action_finished"]
        assert "secret" not in outputs[0] and "secret" in outputs[1]
        assert it.ledger.entries[-5].kind == "policy" and it.ledger.entries[-5].body["granted"] == [".env"]
        assert (await session.info()).granted == (".env",)


@pytest.mark.parametrize("glob", ["/etc/passwd", "~/.ssh/id_rsa", "../.env", "a/../../.env", "", "/"])
async def test_what_lies_outside_the_folder_cannot_be_granted(stage: MakeStage, glob: str) -> None:
    async with stage() as it:
        session = await it.session()
        with pytest.raises(ConfigError, match="only the session's folder"):
            await session.allow(AccessRequest(granted=(".env", glob)))
        with pytest.raises(ConfigError, match="only the session's folder"):
            await it.sessions.create(it.folder, granted=(glob,))
        assert (await session.info()).granted == ()


async def test_hosts_are_checked_recorded_and_handed_to_the_sandbox(stage: MakeStage) -> None:
    async with stage(NEW, "Answer: done") as it:
        session = await it.session()
        with pytest.raises(ConfigError, match="cannot be allowed"):
            await session.allow(AccessRequest(hosts=("http://example.org/simple",)))
        await session.allow(AccessRequest(hosts=("example.org", "*.example.net")))
        await it.turn(session, "go")
        assert it.provider.hosts == ("example.org", "*.example.net")


async def test_a_lost_sandbox_is_replaced_and_the_person_is_told(stage: MakeStage) -> None:
    async with stage(NEW, "Answer: done", WRITE, "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "one")
        it.provider.opened[0].lost = True
        await it.turn(session, "two")
        assert any("fresh one" in event.text for event in it.of(Notice))
        assert len(it.provider.opened) == 2
        paths = [change.path for change in (await session.workbench.diff()).changes]
        assert paths == ["new.txt", "notes.txt"]


async def test_what_code_hands_out_is_kept_and_shown(stage: MakeStage) -> None:
    async with stage("run_python\n```python\nkeep(b'%PDF-1.7', 'report')\n```", "Answer: done") as it:
        session = await it.session()
        await it.turn(session, "plot")
        (kept,) = it.of(ArtifactKept)
        assert Path(kept.path).read_bytes() == b"%PDF-1.7"
        assert not Path(kept.path).is_relative_to(it.folder)


async def test_jobs_run_in_the_background_and_are_looked_after(stage: MakeStage) -> None:
    async with stage() as it:
        session = await it.session()
        assert await session.workbench.sandbox.jobs() == []
        await (await session.workbench.sandbox.open()).start_job("echo hello")
        (job,) = await session.workbench.sandbox.jobs()
        assert (job.id, job.command, job.exit_code) == ("j-1", "echo hello", 0)
        assert (await session.workbench.sandbox.job_output("j-1", 0, 0.0)).text == "hello\n"
        assert (await session.workbench.sandbox.stop_job("j-1")).running is False
        with pytest.raises(ToolError, match="j-9"):
            await session.workbench.sandbox.job_output("j-9", 0, 0.0)


async def test_small_models_are_not_told_of_tools_that_they_can_do_without(stage: MakeStage) -> None:
    async with stage('start_job(command="echo hello")', "Answer: done", "Answer: done") as it:
        await it.turn(await it.session(), "start a server")
        assert not it.of(ActionStarted)


async def test_variables_are_kept_and_restored(stage: MakeStage) -> None:
    async with stage("run_python\n```python\nx = 1\n```", "Answer: done") as it:
        session = await it.session()
        with pytest.raises(SandboxError, match="No state"):
            await session.workbench.restore_state("before")
        await it.turn(session, "set x")
        await session.workbench.save_state("before")
        await session.workbench.restore_state("before")

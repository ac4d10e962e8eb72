"""Commits are whole, refused when somebody else wrote, and can be taken back; every kind of view alike."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from llmasos.errors import ConflictError, WorkspaceError
from llmasos.sandbox import Selection, Workspace
from llmasos.sandbox.workspace import temporaries
from llmasos.sandbox.workspace.transaction import disk_error
from tests.sandbox.conftest import MakeDesk

pytestmark = pytest.mark.anyio


async def test_a_commit_makes_the_folder_what_the_view_was(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n", "gone.txt": "bye\n", "dir/x": "x", "dir/y": "y", "f2d": "file"})
    before = desk.tree()
    agent = await desk.agent()
    agent.write("a.txt", "one\ntwo\n")
    agent.remove("gone.txt")
    agent.mkdir("new")
    agent.write("new/\n.txt", "n")
    agent.remove("f2d")
    agent.mkdir("f2d")
    agent.write("f2d/inside", "i")
    agent.remove("dir")
    agent.write("dir", "now a file")
    agent.write("odd\udcff", "o")
    assert desk.tree() == before
    assert await desk.kinds() == {
        "a.txt": "changed",
        "dir": "changed",
        "dir/x": "deleted",
        "dir/y": "deleted",
        "f2d": "changed",
        "f2d/inside": "added",
        "gone.txt": "deleted",
        "new": "added",
        "new/\n.txt": "added",
        "odd\udcff": "added",
    }
    await desk.space.commit()
    after = desk.tree()
    assert {path.name for path in desk.folder.iterdir()} == {"a.txt", "dir", "f2d", "new", "odd\udcff"}
    assert (desk.folder / "dir").read_text() == "now a file"
    assert await desk.space.changes() == []
    await desk.space.undo()
    assert desk.tree() == before
    assert [commit.state for commit in desk.space.history()] == ["undone"]
    await desk.space.redo()
    assert desk.tree() == after
    await desk.agent()
    assert await desk.space.changes() == []


async def test_what_changed_underneath_is_not_overwritten(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n", "b.txt": "two\n"})
    agent = await desk.agent()
    agent.write("a.txt", "agent")
    agent.write("b.txt", "agent")
    agent.write("new.txt", "agent")
    (desk.folder / "a.txt").write_text("person")
    os.utime(desk.folder / "a.txt", ns=(0, 0))
    (desk.folder / "new.txt").write_text("person")
    with pytest.raises(ConflictError) as caught:
        await desk.space.commit()
    assert caught.value.paths == ("a.txt", "new.txt")
    assert "/commit --merge, or `llmasos commit SESSION --merge`" in caught.value.hint
    assert (desk.folder / "a.txt").read_text() == "person"
    assert (desk.folder / "b.txt").read_text() == "two\n"


async def test_a_file_that_the_person_deleted_is_not_made_again(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    (await desk.agent()).write("a.txt", "agent")
    await desk.space.changed()
    (desk.folder / "a.txt").unlink()
    with pytest.raises(ConflictError):
        await desk.space.commit()


async def test_a_files_new_version_is_no_conflict_once_the_view_shows_it(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n", "b.txt": "b\n"})
    (await desk.agent()).write("b.txt", "agent")
    (desk.folder / "a.txt").write_text("person\n")
    (await desk.agent()).write("a.txt", "person\nagent\n")
    await desk.space.commit()
    assert (desk.folder / "a.txt").read_text() == "person\nagent\n"


async def test_undo_refuses_what_changed_since(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    (await desk.agent()).write("a.txt", "agent")
    await desk.space.commit()
    (desk.folder / "a.txt").write_text("person")
    with pytest.raises(WorkspaceError, match=r"a\.txt"):
        await desk.space.undo()
    assert (desk.folder / "a.txt").read_text() == "person"
    (desk.folder / "a.txt").write_text("agent")
    await desk.space.undo()
    assert (desk.folder / "a.txt").read_text() == "one\n"


async def test_any_commit_can_be_taken_back(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n", "b.txt": "one\n"})
    (await desk.agent()).write("a.txt", "two\n")
    first = await desk.space.commit()
    (await desk.agent()).write("b.txt", "two\n")
    await desk.space.commit()
    (await desk.agent()).write("b.txt", "three\n")
    last = await desk.space.commit()
    await desk.space.undo(first.id)
    assert (desk.folder / "a.txt").read_text() == "one\n"
    with pytest.raises(WorkspaceError, match=r"b\.txt"):
        await desk.space.undo("c-000002")
    await desk.space.undo(last.id)
    assert (desk.folder / "b.txt").read_text() == "two\n"
    assert (await desk.space.redo()).id == last.id
    assert (await desk.space.redo()).id == first.id
    assert (desk.folder / "b.txt").read_text() == "three\n"
    with pytest.raises(WorkspaceError, match="nothing to redo"):
        await desk.space.redo()


async def test_undo_keeps_a_persons_file_in_a_new_folder(make_desk: MakeDesk) -> None:
    desk = make_desk()
    agent = await desk.agent()
    agent.mkdir("new")
    agent.write("new/agent", "a")
    await desk.space.commit()
    (desk.folder / "new/person").write_bytes(b"p")
    await desk.space.undo()
    assert [path.name for path in (desk.folder / "new").iterdir()] == ["person"]


async def test_undo_never_goes_through_a_link(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk({"dir/a": "a", "dir/b": "b"})
    (await desk.agent()).remove("dir/a")
    await desk.space.commit()
    (tmp_path / "elsewhere").mkdir()
    (desk.folder / "dir").rename(desk.folder / "moved")
    (desk.folder / "dir").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkspaceError, match="dir/a"):
        await desk.space.undo()
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_touched_file_is_no_change_but_its_mode_is(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n", "gone.txt": "bye\n"})
    agent = await desk.agent()
    os.utime(agent.touch("a.txt"), ns=(5, 5))
    agent.touch("gone.txt").chmod(0o755)
    assert await desk.kinds() == {"gone.txt": "changed"}
    await desk.space.commit()
    assert stat.S_IMODE((desk.folder / "gone.txt").stat().st_mode) == 0o755


async def test_the_right_to_run_as_the_owner_is_not_committed(make_desk: MakeDesk) -> None:
    desk = make_desk()
    agent = await desk.agent()
    agent.write("tool", "#!/bin/sh\n")
    (agent.upper / "tool").chmod(0o6755)
    await desk.space.commit()
    assert stat.S_IMODE((desk.folder / "tool").stat().st_mode) == 0o755


async def test_facts_of_files_are_kept(make_desk: MakeDesk) -> None:
    desk = make_desk({"one": "1", "old": "shared"})
    os.link(desk.folder / "old", desk.folder / "other")
    before = desk.tree()
    agent = await desk.agent()
    agent.write("one", "first")
    agent.hardlink("two", "one")
    os.setxattr(agent.upper / "one", "user.note", b"n")
    os.utime(agent.upper / "one", ns=(1_000, 2_000))
    with open(agent.upper / "sparse", "wb") as file:
        file.truncate(1 << 26)
    agent.write("old", "changed")
    await desk.space.commit()
    one, two = (desk.folder / "one").stat(), (desk.folder / "two").stat()
    assert one.st_ino == two.st_ino
    assert one.st_mtime_ns == 2_000
    assert os.getxattr(desk.folder / "one", "user.note") == b"n"
    sparse = (desk.folder / "sparse").stat()
    assert (sparse.st_size, sparse.st_blocks) == (1 << 26, 0)
    assert (desk.folder / "old").stat().st_ino != (desk.folder / "other").stat().st_ino
    await desk.space.undo()
    assert desk.tree() == before


async def test_part_of_the_changes_is_committed_and_part_discarded(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "", "new/x": "", "new/y": ""})
    agent = await desk.agent()
    for name in ("a.txt", "b.txt", "c.txt", "new/x", "new/y"):
        agent.write(name, name)
    await desk.space.commit(["a.txt", "new"])
    await desk.space.discard(["b.txt"])
    assert await desk.kinds() == {"c.txt": "added"}
    assert (desk.folder / "new/y").read_text() == "new/y"
    assert not (desk.folder / "b.txt").exists()
    with pytest.raises(WorkspaceError, match="nothing"):
        await desk.space.commit(["nothing"])
    await desk.space.discard()
    assert await desk.kinds() == {}


TEXT = "".join(f"line {number}\n" for number in range(40))
EDITED = TEXT.replace("line 3\n", "three\n").replace("line 20\n", "").replace("line 35\n", "line 35\nmore\n")


async def test_hunks_are_committed_and_discarded_by_their_numbers(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": TEXT})
    (await desk.agent()).write("a.txt", EDITED)
    hunks = await desk.space.hunks("a.txt")
    (shown,), _ = await desk.space.diff()
    assert [hunk.number for hunk in hunks] == [1, 2, 3]
    assert shown.diff == "--- a/a.txt\n+++ b/a.txt\n" + "".join(hunk.text for hunk in hunks)
    await desk.space.commit([Selection(path="a.txt", hunks=(2,))])
    assert (desk.folder / "a.txt").read_text() == TEXT.replace("line 20\n", "")
    assert len(await desk.space.hunks("a.txt")) == 2
    await desk.space.discard([Selection(path="a.txt", hunks=(1,))])
    await desk.space.commit()
    assert (desk.folder / "a.txt").read_text() == EDITED.replace("three\n", "line 3\n")
    with pytest.raises(WorkspaceError, match="not among"):
        await desk.space.commit([Selection(path="a.txt", hunks=(1,))])


async def test_a_committed_part_can_be_taken_back(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": TEXT})
    (await desk.agent()).write("a.txt", EDITED)
    with pytest.raises(WorkspaceError, match="hunks 1 to 3"):
        await desk.space.commit([Selection(path="a.txt", hunks=(4,))])
    await desk.space.commit([Selection(path="a.txt", hunks=(1, 3))])
    await desk.space.undo()
    assert (desk.folder / "a.txt").read_text() == TEXT


async def test_the_rest_of_a_text_is_merged_with_what_was_written_since(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": TEXT})
    (await desk.agent()).write("a.txt", EDITED)
    await desk.space.commit([Selection(path="a.txt", hunks=(1,))])
    (desk.folder / "a.txt").write_text((desk.folder / "a.txt").read_text() + "person\n")
    await desk.space.commit(merge=True)
    assert (desk.folder / "a.txt").read_text() == EDITED + "person\n"


async def test_texts_that_both_changed_are_merged(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": TEXT, "b.txt": "b\n"})
    agent = await desk.agent()
    agent.write("a.txt", EDITED)
    agent.write("b.txt", "agent\n")
    await desk.space.changed()
    (desk.folder / "a.txt").write_text(TEXT.replace("line 10\n", "person\n"))
    (desk.folder / "b.txt").write_text("person\n")
    with pytest.raises(ConflictError) as caught:
        await desk.space.commit(merge=True)
    assert caught.value.paths == ("b.txt",)
    await desk.space.commit(["a.txt"], merge=True)
    assert (desk.folder / "a.txt").read_text() == EDITED.replace("line 10\n", "person\n")
    assert await desk.kinds() == {"b.txt": "changed"}
    marked = await desk.space.merged("b.txt")
    assert marked.clashes == 1
    assert marked.text == "<<<<<<< the folder\nperson\n=======\nagent\n>>>>>>> the agent\n"
    await desk.space.resolve("b.txt", "both\n")
    await desk.space.commit()
    assert (desk.folder / "b.txt").read_text() == "both\n"


async def test_some_hunks_are_merged_once_the_others_are_dropped(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": TEXT})
    (await desk.agent()).write("a.txt", EDITED)
    await desk.space.changed()
    person = TEXT.replace("line 28\n", "person\n")
    (desk.folder / "a.txt").write_text(person)
    with pytest.raises(ConflictError, match="without the others") as caught:
        await desk.space.commit([Selection(path="a.txt", hunks=(1,))], merge=True)
    assert "llmasos commit SESSION --merge" in caught.value.hint
    assert (desk.folder / "a.txt").read_text() == person
    dropped = (2, 3, 4)
    assert [hunk.number for hunk in await desk.space.hunks("a.txt")] == [1, *dropped]
    await desk.space.discard([Selection(path="a.txt", hunks=dropped)])
    await desk.space.commit(merge=True)
    assert (desk.folder / "a.txt").read_text() == person.replace("line 3\n", "three\n")


async def test_a_copy_that_has_no_room_is_an_error_of_the_workspace(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: int, copy: int) -> None:
        raise OSError(28, "No space left on device")

    desk = make_desk({"a.txt": "one\n"})
    monkeypatch.setattr("llmasos.sandbox.workspace.copies.copy_bytes", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        await desk.space.view("snapshot")


async def test_special_files_are_named_and_left(make_desk: MakeDesk) -> None:
    desk = make_desk()
    agent = await desk.agent()
    agent.mkdir("new")
    agent.fifo("new/pipe")
    agent.write("new/file", "f")
    shown = {change.path: change.detail for change in (await desk.space.diff())[0]}
    assert "never written" in shown["new/pipe"]
    assert (await desk.space.commit()).left == ("new/pipe",)
    assert [path.name for path in (desk.folder / "new").iterdir()] == ["file"]
    assert await desk.kinds() == {"new/pipe": "added"}
    with pytest.raises(WorkspaceError, match="pipe"):
        await desk.space.commit(["new/pipe"])
    await desk.space.discard(["new/pipe"])
    assert await desk.kinds() == {}


async def test_a_persons_pipe_is_not_deleted_with_its_folder(make_desk: MakeDesk) -> None:
    desk = make_desk({"dir/a": "a"})
    os.mkfifo(desk.folder / "dir/pipe")
    (await desk.agent()).remove("dir")
    await desk.space.commit()
    assert [path.name for path in (desk.folder / "dir").iterdir()] == ["pipe"]


async def test_a_folder_that_is_made_anew_hides_what_was_in_it(make_desk: MakeDesk) -> None:
    desk = make_desk({"dir/sub/a": "a", "dir/b": "b", "dir/c": "c"})
    agent = await desk.agent()
    agent.remove("dir")
    agent.mkdir("dir")
    agent.mkdir("dir/sub")
    agent.write("dir/b", "new b")
    assert await desk.kinds() == {"dir/b": "changed", "dir/c": "deleted", "dir/sub/a": "deleted"}
    await desk.space.discard(["dir/c"])
    assert await desk.kinds() == {"dir/b": "changed", "dir/sub/a": "deleted"}
    await desk.space.commit(["dir/sub"])
    assert await desk.kinds() == {"dir/b": "changed"}
    await desk.space.commit()
    assert {path.name for path in desk.folder.rglob("*")} == {"dir", "sub", "b", "c"}


async def test_one_file_of_a_deleted_folder_is_brought_back(make_desk: MakeDesk) -> None:
    desk = make_desk({"dir/a": "a", "dir/b": "b"})
    (await desk.agent()).remove("dir")
    await desk.space.discard(["dir/a"])
    assert await desk.kinds() == {"dir/b": "deleted"}
    await desk.space.commit()
    assert [path.name for path in (desk.folder / "dir").iterdir()] == ["a"]


async def test_a_link_is_committed_as_a_link(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    agent = await desk.agent()
    agent.remove("a.txt")
    agent.link("a.txt", "/etc/passwd")
    shown, _ = await desk.space.diff()
    assert "root:" not in shown[0].diff
    await desk.space.commit()
    assert (desk.folder / "a.txt").readlink() == Path("/etc/passwd")


@pytest.mark.parametrize("discard", [False, True])
async def test_no_link_of_the_view_is_followed(make_desk: MakeDesk, tmp_path: Path, discard: bool) -> None:
    desk = make_desk({"dir/x": "x", "self/y": "y"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x").write_text("kept")
    agent = await desk.agent()
    for name, target in (("dir", str(tmp_path / "outside")), ("self", "self")):
        agent.remove(name)
        agent.link(name, target)
    assert await desk.kinds() == {
        "dir": "changed",
        "dir/x": "deleted",
        "self": "changed",
        "self/y": "deleted",
    }
    if discard:
        await desk.space.discard(["dir/x", "self/y"])
    else:
        await desk.space.commit(["dir/x", "self/y"])
        await desk.space.undo()
        await desk.space.redo()
    assert await desk.kinds() == {}
    assert (tmp_path / "outside/x").read_text() == "kept"
    assert (desk.folder / "dir").is_symlink() is not discard


async def test_a_view_with_changes_is_not_shown_as_another_kind(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    (await desk.agent()).write("a.txt", "agent")
    other = {"overlay": "snapshot", "snapshot": "overlay"}[desk.kind]
    with pytest.raises(WorkspaceError, match="still has changes"):
        await desk.space.view(other)  # type: ignore[arg-type]
    await desk.space.discard()
    assert (await desk.space.view(other)).kind == other  # type: ignore[arg-type]


async def test_in_place_there_is_nothing_to_commit(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    space = Workspace.open(tmp_path / "folder", tmp_path / "state", in_place=True)
    view = await space.view()
    assert (view.kind, view.upper, view.hidden) == ("in-place", space.folder, None)
    (view.upper / "a").write_text("a")
    assert await space.changes() == []
    with pytest.raises(WorkspaceError, match="folder itself"):
        await space.commit()


async def test_secrets_stay_when_their_folder_goes(make_desk: MakeDesk) -> None:
    desk = make_desk({"conf/.env": "SECRET", "conf/a": "a", "keys/k.pem": "SECRET"}, hidden=[".env", "*.pem"])
    agent = await desk.agent()
    agent.remove("conf")
    agent.write("keys/k.pem", "mine")
    agent.write("keys/new", "new")
    shown = {change.path: change for change in (await desk.space.diff())[0]}
    assert {path: change.kind for path, change in shown.items()} == {
        "conf/a": "deleted",
        "keys/k.pem": "added",
        "keys/new": "added",
    }
    assert "SECRET" not in str(shown)
    assert "hidden" in shown["keys/k.pem"].detail
    assert (await desk.space.commit()).left == ("keys/k.pem",)
    assert (desk.folder / "conf/.env").read_text() == "SECRET"
    assert (desk.folder / "keys/k.pem").read_text() == "SECRET"
    with pytest.raises(WorkspaceError, match="granted"):
        await desk.space.commit(["keys/k.pem"])


async def test_nothing_is_added_to_a_hidden_folder(make_desk: MakeDesk) -> None:
    desk = make_desk({".ssh/id": "SECRET"}, hidden=[".ssh"])
    agent = await desk.agent()
    agent.remove(".ssh")
    agent.mkdir(".ssh")
    agent.write(".ssh/authorized_keys", "mine")
    agent.mkdir("new")
    agent.mkdir("new/.ssh")
    assert (await desk.space.commit()).left == (".ssh", ".ssh/authorized_keys")
    assert [path.name for path in (desk.folder / ".ssh").iterdir()] == ["id"]
    assert (desk.folder / "new/.ssh").is_dir()


async def test_a_folder_with_a_secret_is_not_replaced(make_desk: MakeDesk) -> None:
    desk = make_desk({"conf/.env": "SECRET", "conf/a": "a"}, hidden=[".env"])
    agent = await desk.agent()
    agent.remove("conf")
    agent.write("conf", "now a file")
    with pytest.raises(WorkspaceError, match="nothing to commit"):
        await desk.space.commit()
    assert {path.name for path in (desk.folder / "conf").iterdir()} == {".env", "a"}


async def test_what_somebody_adds_to_a_folder_keeps_it_from_being_deleted(make_desk: MakeDesk) -> None:
    desk = make_desk({"dir/a": "a"})
    (await desk.agent()).remove("dir")
    (desk.folder / "dir/person").write_text("p")
    with pytest.raises(ConflictError, match="dir/person"):
        await desk.space.commit()
    assert (desk.folder / "dir/a").exists()


async def test_a_commit_that_cannot_be_written_is_rolled_back(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk({"a": "a", "b": "b", "c": "c"})
    before = desk.tree()
    agent = await desk.agent()
    for name in "abc":
        agent.write(name, "new")
    replace = os.replace

    def full(source: str, target: str, **places: int) -> None:
        if target == "b" and source.startswith(".llmasos-"):
            raise OSError(28, "No space left on device", target)
        replace(source, target, **places)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WorkspaceError, match="No space"):
        await desk.space.commit()
    monkeypatch.undo()
    assert desk.tree() == before
    assert len(await desk.kinds()) == 3
    assert (await desk.space.commit()).paths == ("a", "b", "c")


async def test_a_folder_that_somebody_keeps_locked_is_named(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    space = Workspace.open(desk.folder, desk.state, patience=0)
    holder = os.open(desk.folder, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_SH)
        with pytest.raises(WorkspaceError, match=f"{desk.folder} has been locked") as caught:
            await space.changes()
        assert f"fuser {desk.folder}" in caught.value.hint
    finally:
        os.close(holder)
    assert await space.changes() == []


@pytest.mark.parametrize("inside", ["data", "config", "linked"])
def test_a_folder_that_holds_the_systems_own_files_is_not_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    folder = tmp_path / "home"
    (folder / "own").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder / "own")
    state, config = tmp_path / "state", tmp_path / "config"
    if inside == "data":
        state = folder / "own" / "s-1"
    else:
        config = folder / "own" if inside == "config" else tmp_path / "link"
    monkeypatch.setenv("LLMASOS_CONFIG_DIR", str(config))
    with pytest.raises(WorkspaceError, match="holds the system's own") as caught:
        Workspace.open(folder, state)
    assert f"LLMASOS_{'DATA' if inside == 'data' else 'CONFIG'}_DIR" in caught.value.hint


async def test_what_a_person_saves_while_a_commit_is_put_on_the_disk_stays(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = make_desk({"a.txt": "one\n", "b.txt": "one\n"})
    agent = await desk.agent()
    agent.write("a.txt", "two\n")
    agent.write("b.txt", "two\n")

    def saved_meanwhile(files: object, folder: object) -> None:
        (desk.folder / "b.txt").write_text("the person's own\n")

    monkeypatch.setattr(temporaries, "sync_all", saved_meanwhile)
    with pytest.raises(ConflictError) as caught:
        await desk.space.commit()
    assert "b.txt" in str(caught.value)
    assert (desk.folder / "a.txt").read_text() == "one\n"
    assert (desk.folder / "b.txt").read_text() == "the person's own\n"
    assert sorted(path.name for path in desk.folder.iterdir()) == ["a.txt", "b.txt"]


async def test_a_folder_that_becomes_a_link_during_a_commit_leads_nowhere(
    make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    desk = make_desk({"d/x.txt": "one\n"})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.txt").write_text("outside\n")
    agent = await desk.agent()
    agent.write("d/x.txt", "two\n")

    def swapped_meanwhile(files: object, folder: object) -> None:
        if not (desk.folder / "d").is_symlink():
            (desk.folder / "d").rename(tmp_path / "d.old")
            (desk.folder / "d").symlink_to(outside)

    monkeypatch.setattr(temporaries, "sync_all", swapped_meanwhile)
    with pytest.raises(ConflictError):
        await desk.space.commit()
    assert (outside / "x.txt").read_text() == "outside\n"
    assert (tmp_path / "d.old" / "x.txt").read_text() == "one\n"


async def test_a_copied_view_has_the_changes_and_is_a_view_of_its_own(
    make_desk: MakeDesk, tmp_path: Path
) -> None:
    desk = make_desk({"a.txt": "one\n", "gone.txt": "bye\n", "d/x": "x", "d/y": "y", "same": "s"})
    agent = await desk.agent()
    agent.write("a.txt", "two\n")
    agent.remove("gone.txt")
    agent.remove("d")
    agent.mkdir("d")
    agent.write("d/z", "z")
    agent.link("link", "/etc/passwd")
    (agent.touch("same")).chmod(0o700)
    expected = await desk.kinds()
    await desk.space.copy_view(tmp_path / "other")
    other = Workspace.open(desk.folder, tmp_path / "other")
    assert {change.path: change.kind for change in await other.changes()} == expected
    assert os.readlink(tmp_path / "other" / "view" / "upper" / "link") == "/etc/passwd"
    await other.view(desk.kind)
    await other.commit()
    assert (desk.folder / "a.txt").read_text() == "two\n" and not (desk.folder / "d" / "x").exists()
    await other.undo()
    assert (desk.folder / "a.txt").read_text() == "one\n"
    await other.discard()
    assert await desk.kinds() == expected


async def test_a_copied_view_refuses_what_the_first_would(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk({"a.txt": "1\n2\n3\n", "b.txt": "b\n"})
    agent = await desk.agent()
    agent.write("a.txt", "1\n2\nthree\n")
    assert await desk.kinds() == {"a.txt": "changed"}
    (desk.folder / "a.txt").write_text("one\n2\n3\n")
    await desk.space.copy_view(tmp_path / "other")
    other = Workspace.open(desk.folder, tmp_path / "other")
    with pytest.raises(ConflictError, match=r"a\.txt"):
        await other.commit()
    await other.commit(merge=True)
    assert (desk.folder / "a.txt").read_text() == "one\n2\nthree\n"


async def test_a_view_without_changes_is_copied_as_none(make_desk: MakeDesk, tmp_path: Path) -> None:
    desk = make_desk({"a.txt": "one\n"})
    await desk.space.copy_view(tmp_path / "other")
    assert await Workspace.open(desk.folder, tmp_path / "other").changes() == []


@pytest.mark.parametrize(
    ("path", "named"),
    [("/proc/self/fd/19", ""), ("/proc/self/fd/7/.", ""), ("/proc/self/fd/7/a/b", " (a/b)"), ("/x", " (/x)")],
)
def test_a_folder_that_was_open_is_not_named_by_its_number(path: str, named: str) -> None:
    error = disk_error(PermissionError(errno.EPERM, "Operation not permitted", path))
    assert error.message == f"The folder cannot be written: Operation not permitted{named}."


async def test_a_folder_that_is_gone_is_named(make_desk: MakeDesk) -> None:
    desk = make_desk({"a.txt": "one\n"})
    (await desk.agent()).write("b.txt", "two\n")
    desk.folder.rename(desk.folder.with_name("elsewhere"))
    with pytest.raises(WorkspaceError, match="is not there any more") as gone:
        await desk.space.diff()
    assert "Put it back" in gone.value.hint
    with pytest.raises(WorkspaceError, match="is not there any more"):
        Workspace.open(desk.folder, desk.state)
    desk.folder.with_name("elsewhere").rename(desk.folder)
    assert await desk.kinds() == {"b.txt": "added"}

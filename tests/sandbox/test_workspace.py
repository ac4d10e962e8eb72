"""Commits are whole, refused when somebody else wrote, and can be taken back."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from llmasos.errors import WorkspaceError
from llmasos.sandbox import Workspace, workspace
from llmasos.sandbox._journal import put

pytestmark = pytest.mark.anyio

BEFORE = {"a.txt": b"one\n", "gone.txt": b"bye\n", "dir/x": b"x", "dir/y": b"y", "f2d": b"file"}
AFTER = {
    "a.txt": b"one\ntwo\n",
    "new/deep/\n.txt": b"n",
    "f2d/inside": b"i",
    "dir": b"now a file",
    "odd\udcff": b"o",
}


def tree(folder: Path) -> dict[str, bytes]:
    return {
        os.fsdecode(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    fill(folder, BEFORE)
    return folder


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Callable[[], Workspace]:
    return lambda: Workspace.open(folder, tmp_path / "state")


def change(upper: Path) -> None:
    fill(upper, AFTER)
    whiteout(upper / "gone.txt")


async def test_a_commit_makes_the_folder_what_the_view_was(
    opened: Callable[[], Workspace], folder: Path
) -> None:
    space = opened()
    change(space.view().upper)
    assert tree(folder) == BEFORE
    await space.commit()
    assert tree(folder) == AFTER
    assert await space.changes() == []
    await space.undo()
    assert tree(folder) == BEFORE
    assert space.history() == []


@pytest.mark.parametrize("step", range(9))
@pytest.mark.parametrize("undo", [False, True], ids=["commit", "undo"])
async def test_a_crash_at_any_step_is_finished_at_the_next_start(
    opened: Callable[[], Workspace], folder: Path, monkeypatch: pytest.MonkeyPatch, step: int, undo: bool
) -> None:
    space = opened()
    change(space.view().upper)
    if undo:
        await space.commit()
    left = iter(range(step))

    def crash(*args: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        put(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(workspace, "put", crash)
    with pytest.raises(KeyboardInterrupt):
        await (space.undo() if undo else space.commit())
    monkeypatch.undo()
    again = opened()
    assert tree(folder) == (BEFORE if undo else AFTER)
    if not undo:
        await again.undo()
        assert tree(folder) == BEFORE


async def test_what_changed_underneath_is_not_overwritten(
    opened: Callable[[], Workspace], folder: Path
) -> None:
    space = opened()
    fill(space.view().upper, {"a.txt": b"agent"})
    (folder / "a.txt").write_bytes(b"person")
    os.utime(folder / "a.txt", ns=(0, 0))
    with pytest.raises(WorkspaceError, match=r"a\.txt"):
        await space.commit()
    assert (folder / "a.txt").read_bytes() == b"person"


async def test_undo_refuses_what_changed_since(opened: Callable[[], Workspace], folder: Path) -> None:
    space = opened()
    fill(space.view().upper, {"a.txt": b"agent"})
    await space.commit()
    (folder / "a.txt").write_bytes(b"person")
    with pytest.raises(WorkspaceError, match=r"a\.txt"):
        await space.undo()
    assert (folder / "a.txt").read_bytes() == b"person"


async def test_undo_keeps_a_persons_file_in_a_new_folder(
    opened: Callable[[], Workspace], folder: Path
) -> None:
    space = opened()
    fill(space.view().upper, {"new/agent": b"a"})
    await space.commit()
    (folder / "new/person").write_bytes(b"p")
    await space.undo()
    assert [path.name for path in (folder / "new").iterdir()] == ["person"]


async def test_a_copied_up_file_is_no_change_but_its_mode_is(
    opened: Callable[[], Workspace], folder: Path
) -> None:
    space = opened()
    upper = space.view().upper
    fill(upper, {"a.txt": b"one\n", "gone.txt": b"bye\n"})
    (upper / "gone.txt").chmod(0o755)
    assert [change.name for change in await space.changes()] == ["gone.txt"]
    await space.commit()
    assert stat.S_IMODE((folder / "gone.txt").stat().st_mode) == 0o755


async def test_part_of_the_changes_is_committed_and_part_discarded(
    opened: Callable[[], Workspace], folder: Path
) -> None:
    space = opened()
    fill(space.view().upper, {"a.txt": b"1", "b.txt": b"2", "c.txt": b"3"})
    await space.commit(["a.txt"])
    await space.discard(["b.txt"])
    assert [change.name for change in await space.changes()] == ["c.txt"]
    assert (folder / "a.txt").read_bytes() == b"1"
    assert not (folder / "b.txt").exists()


async def test_a_link_is_committed_as_a_link(opened: Callable[[], Workspace], folder: Path) -> None:
    space = opened()
    (space.view().upper / "a.txt").symlink_to("/etc/passwd")
    shown, _ = await space.diff()
    assert "root:" not in shown[0].diff
    await space.commit()
    assert (folder / "a.txt").readlink() == Path("/etc/passwd")


async def test_the_diff_is_unified_text(opened: Callable[[], Workspace]) -> None:
    space = opened()
    fill(space.view().upper, {"a.txt": b"one\ntwo\n"})
    (shown,), omitted = await space.diff()
    assert (shown.kind, omitted) == ("changed", 0)
    assert shown.diff.splitlines()[:2] == ["--- a/a.txt", "+++ b/a.txt"]
    assert "+two" in shown.diff

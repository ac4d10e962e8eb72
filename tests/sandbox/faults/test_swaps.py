"""A folder that is swapped for a link at any moment of a commit, an undo or a redo leads nowhere outside."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import anyio
import pytest

from llmasos.errors import ConflictError, WorkspaceError
from llmasos.sandbox.workspace.choice import Choice
from llmasos.sandbox.workspace.draft import draft
from llmasos.sandbox.workspace.journal import Journal, Manifest
from llmasos.sandbox.workspace.stamps import stamp
from llmasos.sandbox.workspace.transaction import Transaction
from tests.sandbox.conftest import Desk, fill

FILES: dict[str, bytes | str] = {
    "d/changed": "one\n",
    "d/gone": "bye\n",
    "d/sub/gone": "bye\n",
    "d/was_file": "file",
    "d/was_folder/inside": "i",
}
FOLDERS = ("d", "new")
# Everything by which a path is looked at or altered.
_CALLS = (
    *("access", "chmod", "chown", "fchmod", "fchown", "getxattr", "link", "listdir", "listxattr", "lstat"),
    *("mkdir", "open", "readlink", "removexattr", "rename", "replace", "rmdir", "scandir", "setxattr"),
    *("stat", "symlink", "unlink", "utime"),
)


class Swap:
    """Swaps folders for links right before the nth look at a path, or change of one.

    Args:
        folders: What is swapped; where nothing is, there is a link then, too.
        outside: Where the links lead.
        turn: The number of the call.
        back: Whether the folders are put back after the call, so that the next one is none the wiser.
    """

    def __init__(self, folders: Sequence[Path], outside: Path, turn: int, *, back: bool) -> None:
        self._folders = folders
        self._outside = outside
        self._turn = turn
        self._back = back
        self.calls = 0

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Swap while this lasts."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _CALLS:
                patch.setattr(os, name, self._before(getattr(os, name)))
            yield

    def _before(self, call: Callable[..., object]) -> Callable[..., object]:
        rename, symlink, unlink = os.rename, os.symlink, os.unlink

        def instead(*args: object, **kwargs: object) -> object:
            self.calls += 1
            if self.calls - 1 != self._turn:
                return call(*args, **kwargs)
            moved = {}
            for folder in self._folders:
                aside = folder.with_name(f"{folder.name}.aside")
                with contextlib.suppress(FileNotFoundError):
                    rename(folder, aside)
                    moved[folder] = aside
                symlink(self._outside, folder)
            try:
                return call(*args, **kwargs)
            finally:
                for folder in self._folders if self._back else ():
                    unlink(folder)
                    if folder in moved:
                        rename(moved[folder], folder)

        return instead


def committed(base: Path) -> tuple[Manifest, Path]:
    """Commit something of every sort, with a copy of the folder before and after.

    Returns:
        The commit, and where the journal has its contents.
    """
    fill(base / "folder", FILES)
    desk = Desk(base / "folder", base / "state", "overlay")

    async def work() -> None:
        agent = await desk.agent()
        agent.write("d/changed", "two\n")
        agent.remove("d/gone")
        agent.remove("d/sub")
        agent.link("d/link", "changed")
        agent.remove("d/was_file")
        agent.mkdir("d/was_file")
        agent.write("d/was_file/in", "i")
        agent.remove("d/was_folder")
        agent.write("d/was_folder", "f")
        agent.mkdir("new")
        agent.write("new/one", "shared")
        agent.hardlink("new/two", "new/one")
        os.setxattr(agent.upper / "new", "user.note", b"n")
        (agent.upper / "new").chmod(0o705)
        (desk.folder / "d").chmod(0o555)
        shutil.copytree(desk.folder, base / "before", symlinks=True)
        await desk.space.commit()
        shutil.copytree(desk.folder, base / "after", symlinks=True)

    anyio.run(work)
    journal = Journal(desk.state / "commits")
    (manifest,) = journal.manifests()
    return manifest, Path(journal.place(manifest.id))


def facts(folder: Path) -> dict[str, object]:
    """Return what of a tree changes whenever anything in it is altered."""
    found: dict[str, object] = {}
    for path in (folder, *folder.rglob("*")):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        attributes = {name: os.getxattr(path, name) for name in os.listxattr(path, follow_symlinks=False)}
        owner = (info.st_mode, info.st_uid, info.st_gid, info.st_nlink)
        times = (info.st_mtime_ns, info.st_ctime_ns)
        found[str(path)] = (content, attributes, *owner, *times)
    return found


def swap_at_every_turn(folder: Path, outside: Path, act: Callable[[], None], *, back: bool) -> None:
    """Do something once for each call it makes, from the same start, and see that nothing outside changes."""
    start = folder.with_name("start")
    folder.rename(start)
    for name in FOLDERS:
        if (start / name).exists():
            # What is there looks like what is expected.
            shutil.copytree(start / name, outside, symlinks=True, dirs_exist_ok=True)
    untouched = facts(outside)
    for turn in count():
        copy(start, folder)
        swap = Swap([folder / name for name in FOLDERS], outside, turn, back=back)
        with swap.at_work():
            act()
        assert facts(outside) == untouched, turn
        if swap.calls <= turn:
            break
        shutil.rmtree(folder)
    assert turn > 20


def copy(start: Path, folder: Path) -> None:
    """Copy a folder, with the names that are one file."""
    shutil.copytree(start, folder, symlinks=True)
    first: dict[int, Path] = {}
    for path in sorted(start.rglob("*")):
        info = path.lstat()
        if path.is_file() and info.st_nlink > 1:
            place = folder / path.relative_to(start)
            if info.st_ino in first:
                place.unlink()
                os.link(first[info.st_ino], place)
            first.setdefault(info.st_ino, place)


BACK = pytest.mark.parametrize("back", [False, True], ids=["stays", "goes-back"])


@BACK
@pytest.mark.parametrize("step", ["commit", "undo", "redo"])
def test_nothing_outside_is_touched(tmp_path: Path, step: str, back: bool) -> None:
    manifest, place = committed(tmp_path)
    folder = tmp_path / "folder"
    shutil.rmtree(folder)
    copy(tmp_path / ("after" if step == "undo" else "before"), folder)

    def transaction(*, forward: bool) -> Transaction:
        return Transaction(str(folder), str(place), manifest, forward=forward)

    def act() -> None:
        try:
            expected = {path: stamp(str(folder), path) for path in manifest.paths}
            transaction(forward=step != "undo").run(expected if step == "commit" else None)
        except (OSError, ConflictError):
            with contextlib.suppress(OSError):
                transaction(forward=step == "undo").run()

    swap_at_every_turn(folder, tmp_path / "outside", act, back=back)


@BACK
def test_nothing_outside_is_kept_for_an_undo(tmp_path: Path, back: bool) -> None:
    fill(tmp_path / "folder", {"d/one": "shared", "d/three": "3"})
    os.link(tmp_path / "folder/d/one", tmp_path / "folder/d/two")
    desk = Desk(tmp_path / "folder", tmp_path / "state", "overlay")

    async def changes() -> Choice:
        agent = await desk.agent()
        agent.write("d/one", "new")
        agent.remove("d/three")
        return Choice(tuple(await desk.space.changes()))

    choice = anyio.run(changes)
    journal = Journal(tmp_path / "journal")
    upper = str(desk.state / "view/upper")

    def act() -> None:
        with contextlib.suppress(OSError, WorkspaceError):
            manifest, _ = draft(journal, choice, {}, {}, str(desk.folder), upper, 0)
            journal.forget(manifest.id)

    swap_at_every_turn(desk.folder, tmp_path / "outside", act, back=back)

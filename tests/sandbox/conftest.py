"""A workspace with a view of either kind, and an agent that edits the view as a kernel would have it done."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from llmasos.sandbox import Workspace
from llmasos.sandbox.port import ViewKind

OPAQUE = "trusted.overlay.opaque" if os.geteuid() == 0 else "user.overlay.opaque"


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what only counts when the machine loses its power."""
    monkeypatch.setattr(os, "fsync", lambda number: None)
    monkeypatch.setattr("llmasos.sandbox.workspace.files._FEW", sys.maxsize)


class Agent:
    """Edits a view: a snapshot as it lies there, an overlay's upper folder by the rules of overlays."""

    def __init__(self, lower: Path, upper: Path, *, overlay: bool) -> None:
        self.lower = lower
        self.upper = upper
        self.overlay = overlay

    def write(self, path: str, data: bytes | str) -> None:
        """Write a file anew, keeping its permissions."""
        content = data.encode() if isinstance(data, str) else data
        target = self.touch(path)
        if target.is_dir() and not target.is_symlink():
            self.remove(path)
        elif target.is_symlink() or self._marked(path):
            target.unlink()
        target.write_bytes(content)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        target = self._above(path)
        marked = self._marked(path)
        if marked:
            target.unlink()
        target.mkdir()
        if marked:
            os.setxattr(target, OPAQUE, b"y")

    def remove(self, path: str) -> None:
        """Remove a file or a whole folder."""
        covered = self._covered(path)
        target = self._above(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if self.overlay and not covered and os.path.lexists(self.lower / path):
            os.mknod(target, stat.S_IFCHR | 0o600, 0)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        place = self._above(path)
        if self._marked(path):
            place.unlink()
        place.symlink_to(target)

    def hardlink(self, path: str, source: str) -> None:
        """Make another name of a file."""
        first = self.touch(source)
        place = self._above(path)
        if self._marked(path):
            place.unlink()
        os.link(first, place)

    def touch(self, path: str) -> Path:
        """Have the path in the upper folder, as a change of its facts would, and return it there.

        What was one file under several names comes apart, as it does in overlays.
        """
        target = self._up(path)
        if target.is_file() and not target.is_symlink() and target.stat().st_nlink > 1:
            apart = target.with_name("apart")
            shutil.copy2(target, apart)
            apart.replace(target)
        return target

    def fifo(self, path: str) -> None:
        """Make a pipe."""
        os.mkfifo(self._above(path))

    def rename(self, old: str, new: str) -> None:
        """Move a file."""
        shown = self.upper / old if os.path.lexists(self.upper / old) else self.lower / old
        mode, data = stat.S_IMODE(shown.stat().st_mode), shown.read_bytes()
        self.remove(old)
        self.write(new, data)
        (self.upper / new).chmod(mode)

    def _marked(self, path: str) -> bool:
        """Tell whether there is a whiteout."""
        target = self.upper / path
        return self.overlay and os.path.lexists(target) and stat.S_ISCHR(target.lstat().st_mode)

    def _covered(self, path: str) -> bool:
        """Tell whether a folder above hides what the person's folder has at a path."""
        for above in list(Path(path).parents)[:-1]:
            target = self.upper / above
            below = self.lower / above
            if target.is_dir() and (below.is_symlink() or not below.is_dir() or _opaque(target)):
                return True
        return False

    def _above(self, path: str) -> Path:
        """Copy the folders above a path up, and return its place in the upper folder."""
        for above in reversed(list(Path(path).parents)[:-1]):
            if not (self.upper / above).exists():
                self._copy(str(above))
        return self.upper / path

    def _up(self, path: str) -> Path:
        target = self._above(path)
        shown = self.overlay and not os.path.lexists(target) and not self._covered(path)
        if shown and os.path.lexists(self.lower / path):
            self._copy(path)
        return target

    def _copy(self, path: str) -> None:
        lower, upper = self.lower / path, self.upper / path
        if lower.is_dir() and not lower.is_symlink():
            upper.mkdir()
            shutil.copystat(lower, upper)
        else:
            shutil.copy2(lower, upper, follow_symlinks=False)


def _opaque(path: Path) -> bool:
    try:
        return os.getxattr(path, OPAQUE) == b"y"
    except OSError:
        return False


class Desk:
    """A person's folder, a workspace on it, and the agent at work in its view."""

    def __init__(self, folder: Path, state: Path, kind: ViewKind, hidden: Sequence[str] = ()) -> None:
        self.folder = folder
        self.state = state
        self.kind = kind
        self.hidden = hidden
        self.space = self.open()

    def open(self) -> Workspace:
        """Open the workspace again, as the next start would."""
        self.space = Workspace.open(self.folder, self.state, hidden=self.hidden)
        return self.space

    async def agent(self) -> Agent:
        """Look at the view anew, and return the agent in it."""
        view = await self.space.view(self.kind)
        return Agent(self.folder, view.upper, overlay=self.kind == "overlay")

    async def kinds(self) -> dict[str, str]:
        """Return the changes, each by what became of it."""
        return {change.path: change.kind for change in await self.space.changes()}

    def tree(self) -> dict[str, object]:
        """Return the folder as it is."""
        return tree(self.folder)


MakeDesk = Callable[..., Desk]


@pytest.fixture(params=["overlay", "snapshot"])
def make_desk(request: pytest.FixtureRequest, tmp_path: Path) -> MakeDesk:
    """Return what opens a workspace on a folder with these files, its view of either kind."""

    def make(files: dict[str, bytes | str] | None = None, *, hidden: Sequence[str] = ()) -> Desk:
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        fill(folder, files or {})
        return Desk(folder, tmp_path / "state", request.param, hidden)

    return make


def fill(folder: Path, files: dict[str, bytes | str]) -> None:
    """Write files with the folders above them."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)


def tree(folder: Path) -> dict[str, object]:
    """Return all that is in a folder: contents, modes, links, which names are one file, and attributes."""
    found: dict[str, object] = {}
    groups: dict[tuple[int, int], str] = {}
    for path in sorted(folder.rglob("*")):
        name = os.fsdecode(path.relative_to(folder))
        info = path.lstat()
        mode = stat.S_IMODE(info.st_mode)
        if stat.S_ISLNK(info.st_mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISDIR(info.st_mode):
            found[name] = ("folder", mode)
        elif stat.S_ISREG(info.st_mode):
            first = groups.setdefault((info.st_dev, info.st_ino), name)
            attributes = tuple(sorted((key, os.getxattr(path, key)) for key in os.listxattr(path)))
            found[name] = ("file", path.read_bytes(), mode, first, attributes)
        else:
            found[name] = ("special",)
    return found

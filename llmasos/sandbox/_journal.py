"""The journal of commits: written before anything is touched, so that a crash loses nothing.

Each commit has a folder with `manifest.json` and the old contents under `before/`. A manifest in the state
`applying` or `undoing` was interrupted; its steps are carried out again at the next start, which is safe
because each step looks at what is there first.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmasos.errors import WorkspaceError

State = Literal["applying", "applied", "undoing", "undone"]


class Node(BaseModel, frozen=True):
    """What a path is at one moment; `stamp` tells whether it is still that."""

    kind: Literal["none", "file", "folder", "link"]
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    target: str = ""
    blob: str = ""
    stamp: str = ""


class Step(BaseModel, frozen=True):
    """One path of a commit, before and after; paths are in `os.fsdecode`'s form."""

    path: str
    before: Node
    after: Node


class Manifest(BaseModel, frozen=True):
    """A commit."""

    id: str
    state: State
    steps: tuple[Step, ...]


def stamp(path: Path) -> str:
    """Return a short fact sheet of a path that changes whenever its content or kind does."""
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "none"
    if stat.S_ISDIR(info.st_mode):
        return "folder"
    return f"{stat.S_IFMT(info.st_mode):o}:{info.st_size}:{info.st_mtime_ns}:{info.st_ino}"


def node(path: Path, keep: Callable[[Path], str] | None = None) -> Node:
    """Return what a path is now.

    Args:
        path: The path.
        keep: Copies a file's content away and returns the copy's name; without it the content is not kept.

    Raises:
        WorkspaceError: It is a pipe, a socket or a device.
    """
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Node(kind="none", stamp="none")
    facts = {
        "mode": stat.S_IMODE(info.st_mode),
        "owner": (info.st_uid, info.st_gid),
        "stamp": stamp(path),
    }
    if stat.S_ISDIR(info.st_mode):
        return Node(kind="folder", **facts)
    if stat.S_ISLNK(info.st_mode):
        return Node(kind="link", target=os.fsdecode(path.readlink()), **facts)
    if stat.S_ISREG(info.st_mode):
        return Node(kind="file", blob=keep(path) if keep is not None else "", **facts)
    raise WorkspaceError(
        f"{path.name!r} is a pipe, a socket or a device, which is never written to the folder.",
        hint="Discard it, then commit the rest.",
    )


def put(target: Path, wanted: Node, content: Path | None) -> None:
    """Make a path what `wanted` says, with no moment at which it is half written.

    Args:
        target: The path; folders above it exist.
        wanted: What it becomes.
        content: The file that holds the wanted content, for a file.
    """
    here = _kind(target)
    if wanted.kind == "none":
        if here == "folder":
            target.rmdir()
        elif here != "none":
            target.unlink()
        return
    if here == "folder" and wanted.kind != "folder":
        target.rmdir()
    if wanted.kind == "folder":
        if here not in ("none", "folder"):
            target.unlink()
        target.mkdir(exist_ok=True)
        target.chmod(wanted.mode)
        return
    temporary = target.with_name(f".llmasos-{os.getpid()}-{abs(hash(target.name)):x}")
    temporary.unlink(missing_ok=True)
    try:
        if wanted.kind == "link":
            temporary.symlink_to(wanted.target)
        else:
            assert content is not None
            shutil.copyfile(content, temporary)
            temporary.chmod(wanted.mode)
            sync(temporary)
        if os.geteuid() == 0:
            os.chown(temporary, *wanted.owner, follow_symlinks=False)
            if wanted.kind == "file":
                temporary.chmod(wanted.mode)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _kind(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "none"
    return "folder" if stat.S_ISDIR(mode) else "other"


def sync(path: Path) -> None:
    """Have a file or folder on the disk before this returns."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Journal:
    """The commits of one workspace, oldest first.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self) -> Path:
        """Return the folder for a new commit, which exists only once its manifest is written."""
        number = len(self.manifests()) + 1
        place = self._folder / f"c-{number:06d}"
        shutil.rmtree(place, ignore_errors=True)
        (place / "before").mkdir(parents=True)
        return place

    def write(self, manifest: Manifest) -> None:
        """Write a manifest whole, on the disk before this returns."""
        place = self._folder / manifest.id
        temporary = place / "manifest.new"
        temporary.write_text(json.dumps(manifest.model_dump(mode="json")))
        sync(temporary)
        temporary.replace(place / "manifest.json")
        sync(place)
        sync(self._folder)

    def manifests(self) -> list[Manifest]:
        """Return every commit, oldest first."""
        # Not model_validate_json, whose parser refuses the surrogates that stand for undecodable bytes.
        return [Manifest.model_validate(json.loads(file.read_bytes())) for file in self._files()]

    def interrupted(self) -> Manifest | None:
        """Return the commit that a crash interrupted, if there is one."""
        return next((one for one in self.manifests() if one.state in ("applying", "undoing")), None)

    def blob(self, manifest: str, name: str) -> Path:
        """Return the file that holds an old content."""
        return self._folder / manifest / "before" / name

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("c-*/manifest.json"))

"""The journal of commits: written before anything is touched, so that a crash loses nothing.

Each commit has a folder with `manifest.json` and the contents before and after. A manifest in the state
`applying`, `undoing` or `redoing` was interrupted; its steps are carried out again at the next start, which
is safe because each step looks at what is there first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from llmasos.sandbox.workspace.files import (
    copy_content,
    digest,
    sync_all,
    sync_folder,
    user_xattrs,
    write_whole,
)
from llmasos.sandbox.workspace.opening import held_folder, lstat, lstat_in, open_file, read_link, way_to
from llmasos.sandbox.workspace.removal import remove

State = Literal["applying", "applied", "undoing", "undone", "redoing"]

_MOVING = ("applying", "undoing", "redoing")


class Node(BaseModel, frozen=True):
    """What a path is at one moment.

    Args:
        kind: `none` when nothing is there.
        mode: Its permissions.
        owner: User and group.
        target: Of a symbolic link.
        size: Bytes of a file.
        mtime_ns: When its content was changed.
        digest: SHA-256 of a file's content.
        xattrs: Extended attributes of users, in hexadecimal.
        blob: The file of the journal that holds the content.
        link: The path of the same commit that is the same file under another name.
    """

    kind: Literal["none", "file", "folder", "link"] = "none"
    mode: int = 0
    owner: tuple[int, int] = (0, 0)
    target: str = ""
    size: int = 0
    mtime_ns: int = 0
    digest: str = ""
    xattrs: dict[str, str] = {}
    blob: str = ""
    link: str = ""

    def is_at(self, root: str, path: str, *, mode: bool = True) -> bool:
        """Tell whether a path below a folder is this, as far as a person would notice.

        Args:
            root: The folder.
            path: The path.
            mode: Whether a folder's permissions count.
        """
        info = lstat(root, path)
        if self.kind == "none" or info is None:
            return self.kind == "none" and info is None
        if self.kind == "folder":
            return stat.S_ISDIR(info.st_mode) and (not mode or stat.S_IMODE(info.st_mode) == self.mode)
        if self.kind == "link":
            return stat.S_ISLNK(info.st_mode) and read_link(root, path) == self.target
        return (
            stat.S_ISREG(info.st_mode)
            and info.st_size == self.size
            and stat.S_IMODE(info.st_mode) == self.mode
            and digest(root, path) == self.digest
        )


class Step(BaseModel, frozen=True):
    """One path of a commit, before and after, in `os.fsdecode`'s form.

    Args:
        path: The path.
        before: What was there.
        after: What is there then.
        rest: Whether the view keeps its version, of which the commit has only a part.
    """

    path: str
    before: Node
    after: Node
    rest: bool = False


class Manifest(BaseModel, frozen=True):
    """A commit.

    Args:
        id: Its name.
        state: Where it is on its way.
        at: When it was made.
        moved: When its state was last changed.
        token: Marks the temporary files of this commit, which a crash may leave.
        modes: Permissions of folders that have to be writable for a moment.
        steps: In order of paths, each of them once.
    """

    id: str
    state: State
    at: datetime
    moved: datetime
    token: str
    modes: dict[str, int]
    steps: tuple[Step, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that it concerns."""
        return tuple(step.path for step in self.steps)

    def to(self, state: State) -> Manifest:
        """Return it in another state, from now on."""
        return self.model_copy(update={"state": state, "moved": datetime.now(UTC)})


def read_node(root: str, path: str) -> Node:
    """Return what a path is now, without its content; a pipe, socket or device is nothing."""
    above, name = os.path.split(path)
    with held_folder(root, above) as folder:
        info = None if folder is None else lstat_in(folder, name)
        if folder is None or info is None:
            return Node()
        facts = Node(
            mode=stat.S_IMODE(info.st_mode),
            owner=(info.st_uid, info.st_gid),
            mtime_ns=info.st_mtime_ns,
            xattrs=user_xattrs(os.path.join(way_to(folder), name)),
        )
        if stat.S_ISDIR(info.st_mode):
            return facts.model_copy(update={"kind": "folder"})
        if stat.S_ISLNK(info.st_mode):
            return facts.model_copy(update={"kind": "link", "target": os.readlink(name, dir_fd=folder)})
        if stat.S_ISREG(info.st_mode):
            return facts.model_copy(update={"kind": "file", "size": info.st_size})
    return Node()


class Journal:
    """The commits of one workspace, oldest first.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> Manifest:
        """Return a new commit without steps; it counts only once it is written."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = {manifest.id for manifest in self.manifests()}
        number = max((int(name[2:]) for name in known), default=0) + 1
        for place in self._folder.glob("c-*"):
            if place.name not in known:
                remove(str(place))
        now = datetime.now(UTC)
        made = Manifest(
            id=f"c-{number:06d}",
            state="applying",
            at=now,
            moved=now,
            token=secrets.token_hex(6),
            modes={},
            steps=(),
        )
        os.mkdir(self.place(made.id), 0o700)
        return made

    def place(self, commit: str) -> str:
        """Return the folder of a commit's contents."""
        return str(self._folder / commit)

    def keep_file(self, commit: str, name: str, root: str, path: str, node: Node) -> Node:
        """Copy a file's content into the journal, and return its node with the copy."""
        blob = os.path.join(self.place(commit), name)
        with open_file(root, path) as reader:
            copy_content(reader, blob)
        size = os.stat(blob).st_size
        kept = digest(self.place(commit), name)
        return node.model_copy(update={"blob": name, "digest": kept, "size": size})

    def keep_data(self, commit: str, name: str, data: bytes, node: Node) -> Node:
        """Write a content into the journal, and return its node."""
        blob = os.path.join(self.place(commit), name)
        with open(blob, "xb") as file:
            file.write(data)
        kept = hashlib.sha256(data).hexdigest()
        return node.model_copy(update={"blob": name, "digest": kept, "size": len(data)})

    def sync(self, commit: str) -> None:
        """Have the contents of a commit on the disk before this returns."""
        place = self.place(commit)
        sync_all(place, os.listdir(place))
        sync_folder(place)

    def write(self, manifest: Manifest) -> None:
        """Write a manifest whole, on the disk before this returns."""
        moving = str(self._folder / "moving")
        if manifest.state in _MOVING:
            write_whole(moving, manifest.id.encode())
        data = json.dumps(manifest.model_dump(mode="json")).encode()
        write_whole(os.path.join(self.place(manifest.id), "manifest.json"), data)
        if manifest.state not in _MOVING:
            self._stand_still()

    def forget(self, commit: str) -> None:
        """Remove a commit that was not carried out."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.place(commit), "manifest.json"))
        self._stand_still()
        remove(self.place(commit))

    def manifests(self) -> list[Manifest]:
        """Return every commit, oldest first."""
        # Not model_validate_json, whose parser refuses the surrogates that stand for undecodable bytes.
        files = sorted(self._folder.glob("c-*/manifest.json"))
        return [Manifest.model_validate(json.loads(file.read_bytes())) for file in files]

    def interrupted(self) -> Manifest | None:
        """Return the commit that a crash interrupted, if there is one."""
        try:
            name = (self._folder / "moving").read_text()
            data = (self._folder / name / "manifest.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        manifest = Manifest.model_validate(json.loads(data))
        return manifest if manifest.state in _MOVING else None

    def _stand_still(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._folder / "moving")


def is_interrupted(folder: Path) -> bool:
    """Tell whether a crash interrupted a commit of the journal in a folder."""
    return Journal(folder).interrupted() is not None

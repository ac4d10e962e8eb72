"""The temporary files of a commit: whole and on the disk before any of them takes its place."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from llmasos.errors import ConflictError
from llmasos.sandbox.workspace.files import copy_bytes, digest, set_owner_in, set_user_xattrs, sync_all
from llmasos.sandbox.workspace.journal import Node
from llmasos.sandbox.workspace.opening import held_folder, lstat, open_entry, open_file, way_to
from llmasos.sandbox.workspace.stamps import Stamp, stamp_in


@dataclass(frozen=True)
class _Temporary:
    name: str
    seen: Stamp
    goal: Node


class Temporaries:
    """The files and links that a commit makes, each beside the path that it is for.

    Args:
        folder: The person's folder.
        kept: The journal's folder of the commit.
        token: Marks the files.
        goals: What each path of the commit is to be.
        same: Whether a file may become one again with names of it that are no part of the commit.
    """

    def __init__(self, folder: str, kept: str, token: str, goals: Mapping[str, Node], *, same: bool) -> None:
        self._folder = folder
        self._kept = kept
        self._goals = goals
        self._same = same
        self._names = {path: f".llmasos-{token}-{number}" for number, path in enumerate(goals)}
        self._made: dict[str, _Temporary] = {}
        self._unreadable: set[str] = set()

    def clean(self) -> None:
        """Remove what a crash left."""
        for path, name in self._names.items():
            with held_folder(self._folder, os.path.dirname(path)) as folder:
                if folder is not None:
                    _unlink(folder, name)

    def make(self, path: str, folder: int) -> None:
        """Make what a path is to be, in the open folder above it."""
        name, goal = self._names[path], self._goals[path]
        seen = stamp_in(folder, os.path.basename(path))
        if goal.kind == "link":
            os.symlink(goal.target, name, dir_fd=folder)
            set_owner_in(folder, name, goal.owner)
            os.utime(name, ns=(goal.mtime_ns, goal.mtime_ns), dir_fd=folder, follow_symlinks=False)
        elif not self._share(goal, folder, name):
            self._copy(goal, folder, name)
            if not goal.mode & stat.S_IRUSR:
                self._unreadable.add(path)
        self._made[path] = _Temporary(name, seen, goal)

    def _share(self, goal: Node, folder: int, name: str) -> bool:
        """Make a new name of a file that is there already, if there is one."""
        if goal.link:
            above, first = os.path.split(goal.link)
            with held_folder(self._folder, above) as source:
                made = self._made.get(goal.link)
                if source is not None and (
                    made is not None or self._goals[goal.link].is_at(way_to(source), first)
                ):
                    first = first if made is None else made.name
                    os.link(first, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
                    return True
        same = f"{goal.blob}.same"
        if self._same and lstat(self._kept, same) is not None:
            with contextlib.suppress(OSError):
                if digest(self._kept, same) == goal.digest:
                    source_path = os.path.join(self._kept, same)
                    os.link(source_path, name, dst_dir_fd=folder, follow_symlinks=False)
                    return True
        return False

    def _copy(self, goal: Node, folder: int, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with (
            open_file(self._kept, goal.blob) as reader,
            open(os.open(name, flags, 0o600, dir_fd=folder), "wb") as writer,
        ):
            number = writer.fileno()
            copy_bytes(reader.fileno(), number)
            if os.geteuid() == 0:
                os.fchown(number, *goal.owner)
            set_user_xattrs(number, goal.xattrs)
            os.utime(number, ns=(goal.mtime_ns, goal.mtime_ns))
            # Its content is opened once more to have it on the disk.
            os.fchmod(number, goal.mode | stat.S_IRUSR)

    def place(self, *, sure: bool) -> set[str]:
        """Rename them to what they are for, once all of them are on the disk.

        Args:
            sure: Whether a path that somebody else has changed meanwhile is a conflict; else it is left.

        Returns:
            The folders that they are in.

        Raises:
            ConflictError: A path changed at the last moment.
        """
        files = [
            os.path.join(os.path.dirname(path), one.name)
            for path, one in self._made.items()
            if one.goal.kind != "link"
        ]
        sync_all(self._folder, files)
        for path, one in self._made.items():
            with held_folder(self._folder, os.path.dirname(path)) as folder:
                placed = folder is not None and self._place(path, one, folder)
                if not placed and sure:
                    raise ConflictError((path,))
                if folder is not None:
                    # Two names of one file are not renamed over each other.
                    _unlink(folder, one.name)
        return {os.path.dirname(path) for path in self._made}

    def _place(self, path: str, one: _Temporary, folder: int) -> bool:
        """Rename one in its open folder, unless somebody has changed it or its place meanwhile."""
        name = os.path.basename(path)
        try:
            if path in self._unreadable:
                number = open_entry(folder, one.name)
                try:
                    os.fchmod(number, one.goal.mode)
                finally:
                    os.close(number)
            if stamp_in(folder, name) != one.seen:
                return False
            os.replace(one.name, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            return False
        return True


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)

"""Carrying out a commit's steps in the folder, forward or back, in a way that bears a crash."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping

from llmasos.errors import ConflictError, WorkspaceError
from llmasos.events import display
from llmasos.sandbox.workspace.files import set_owner_in, set_user_xattrs, sync_folder
from llmasos.sandbox.workspace.journal import Manifest, Node
from llmasos.sandbox.workspace.opening import held_folder, lstat, lstat_in, way_to
from llmasos.sandbox.workspace.stamps import Stamp, stamp_in
from llmasos.sandbox.workspace.temporaries import Temporaries

_OPENED = re.compile(r"/proc/self/fd/\d+(/\.?)?")


class Transaction:
    """The steps of a commit in one direction.

    Each step is taken in the open folder above its path, so that a folder which becomes a link leads nowhere.

    Args:
        folder: The person's folder.
        place: The journal's folder of the commit.
        manifest: The commit.
        forward: Whether to go to what is after it, or back to what was before.
    """

    def __init__(self, folder: str, place: str, manifest: Manifest, *, forward: bool) -> None:
        self._folder = folder
        self._manifest = manifest
        self._forward = forward
        self._moves = {
            step.path: (step.before, step.after) if forward else (step.after, step.before)
            for step in manifest.steps
        }
        goals = {path: goal for path, (_, goal) in self._moves.items()}
        self._temporaries = Temporaries(folder, place, manifest.token, goals, same=not forward)
        self._touched: set[str] = set()

    def check(self) -> None:
        """Refuse when a path is neither where the steps begin nor where they end.

        Raises:
            WorkspaceError: The message names the first such path.
        """
        what = "redoing" if self._forward else "undoing"
        for path, (start, goal) in self._moves.items():
            both_folders = start.kind == goal.kind == "folder"
            there = start.is_at(self._folder, path, mode=both_folders)
            if not self._has_place(path) or not (there or goal.is_at(self._folder, path, mode=both_folders)):
                raise WorkspaceError(
                    f"{display(path)} has changed since; {what} the commit would lose that change.",
                    hint="Put it back as the commit left it, or take later commits back first.",
                )
            if there and start.kind == "folder" and goal.kind in ("file", "link"):
                self._check_emptied(path, what)

    def _check_emptied(self, path: str, what: str) -> None:
        with held_folder(self._folder, path) as folder:
            names = [] if folder is None else os.listdir(way_to(folder))
        for name in names:
            inner = self._moves.get(f"{path}/{name}")
            if inner is None or inner[1].kind != "none":
                raise WorkspaceError(
                    f"{display(f'{path}/{name}')} is new since; {what} the commit would lose it.",
                    hint="Move it elsewhere first.",
                )

    def _has_place(self, path: str) -> bool:
        """Tell whether the folders above a path are there, none of them a link, or are made by the steps."""
        above = os.path.dirname(path)
        while above:
            info = lstat(self._folder, above)
            if info is None or not stat.S_ISDIR(info.st_mode):
                move = self._moves.get(above)
                # What goes needs no place, and what was in a folder that is gone too has none.
                return move is not None and (move[1].kind == "folder" or self._moves[path][1].kind == "none")
            above = os.path.dirname(above)
        return True

    def run(self, expected: Mapping[str, Stamp] | None = None) -> None:
        """Carry the steps out; paths that are already done are left, and so is what somebody else changed.

        Args:
            expected: What each path is known to be; one that is not that any more is refused.

        Raises:
            ConflictError: A path changed at the last moment.
            OSError: The folder cannot be written.
        """
        self._temporaries.clean()
        for path, mode in self._manifest.modes.items():
            self._set_mode(path, mode | 0o700)
        for path, (start, _) in self._moves.items():
            if start.kind == "folder":
                self._open_up(path)
        for path in sorted(self._moves, reverse=True):
            start, goal = self._moves[path]
            if goal.kind == "none" or (goal.kind != "folder" and self._is_folder(path)):
                with self._above(path, start, expected) as folder:
                    if folder is not None:
                        self._take_away(folder, path, start)
        for path in sorted(self._moves):
            start, goal = self._moves[path]
            if goal.kind != "none":
                with self._above(path, start, expected) as folder:
                    if folder is not None:
                        self._make(folder, path, start, goal, sure=expected is not None)
        self._touched |= self._temporaries.place(sure=expected is not None)
        self._finish()

    @contextlib.contextmanager
    def _above(self, path: str, start: Node, expected: Mapping[str, Stamp] | None) -> Iterator[int | None]:
        """Open the folder above a path; None when it is gone, a conflict where it is known what was in it."""
        with held_folder(self._folder, os.path.dirname(path)) as folder:
            if expected is not None:
                now = None if folder is None else stamp_in(folder, os.path.basename(path))
                if folder is None or (start.kind != "folder" and now != expected[path]):
                    raise ConflictError((path,))
            yield folder

    def _take_away(self, folder: int, path: str, start: Node) -> None:
        name = os.path.basename(path)
        info = lstat_in(folder, name)
        if info is None:
            return
        if stat.S_ISDIR(info.st_mode):
            # What somebody else put there is not ours to delete.
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=folder)
        elif start.is_at(way_to(folder), name):
            os.unlink(name, dir_fd=folder)
        self._touched.add(os.path.dirname(path))

    def _make(self, folder: int, path: str, start: Node, goal: Node, *, sure: bool) -> None:
        name = os.path.basename(path)
        info = lstat_in(folder, name)
        if goal.kind != "folder":
            # Between a folder and a file there is a moment with neither.
            between = start.kind == "folder" and info is None
            if sure or between or start.is_at(way_to(folder), name):
                self._temporaries.make(path, folder)
            return
        if info is not None and stat.S_ISDIR(info.st_mode):
            self._open_up(path)
        else:
            if info is not None:
                if not start.is_at(way_to(folder), name):
                    return
                os.unlink(name, dir_fd=folder)
            os.mkdir(name, 0o700, dir_fd=folder)
            set_owner_in(folder, name, goal.owner)
        self._touched |= {os.path.dirname(path), path}

    def _finish(self) -> None:
        # A folder that should go but holds something of somebody else's stays as it was.
        goals = {
            path: goal if goal.kind == "folder" else start
            for path, (start, goal) in self._moves.items()
            if goal.kind == "folder" or (goal.kind == "none" and start.kind == "folder")
        }
        for path in sorted(goals, reverse=True):
            with held_folder(self._folder, path) as folder:
                if folder is not None:
                    set_user_xattrs(f"{way_to(folder)}/.", goals[path].xattrs)
                    os.chmod(way_to(folder), goals[path].mode)
        for path, mode in self._manifest.modes.items():
            if path not in self._moves:
                self._set_mode(path, mode)
        for path in sorted(self._touched):
            # A folder that its owner may not read is not worth failing for, nor one that is gone.
            with contextlib.suppress(PermissionError, FileNotFoundError, NotADirectoryError):
                sync_folder(self._folder, path)

    def _set_mode(self, path: str, mode: int) -> None:
        with held_folder(self._folder, path) as folder:
            if folder is not None:
                os.chmod(way_to(folder), mode)

    def _open_up(self, path: str) -> None:
        with held_folder(self._folder, path) as folder:
            if folder is not None and not os.access(way_to(folder), os.W_OK | os.X_OK):
                os.chmod(way_to(folder), stat.S_IMODE(os.stat(folder).st_mode) | 0o700)

    def _is_folder(self, path: str) -> bool:
        info = lstat(self._folder, path)
        return info is not None and stat.S_ISDIR(info.st_mode)


def disk_error(error: OSError) -> WorkspaceError:
    """Return the error for a folder that cannot be written."""
    # The way to a folder that was open names nothing that a person could look for.
    where = _OPENED.sub("", os.fsdecode(error.filename or ""), 1)
    named = f" ({display(where)})" if where else ""
    steps = {errno.ENOSPC: "Free space", errno.EDQUOT: "Free space", errno.EIO: "Check the disk"}
    return WorkspaceError(
        f"The folder cannot be written: {error.strerror}{named}.",
        hint=f"{steps.get(error.errno or 0, 'Fix the permissions')}, then try again. Nothing was lost.",
    )

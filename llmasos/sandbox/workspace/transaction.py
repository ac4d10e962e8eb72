"""Carrying out a commit's steps in the folder, forward or back, in a way that bears a crash."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping

from llmasos.errors import ConflictError, WorkspaceError
from llmasos.events import display
from llmasos.sandbox.workspace.files import (
    copy_content,
    digest,
    lstat,
    open_file,
    open_folder,
    set_user_xattrs,
    sync,
    sync_all,
)
from llmasos.sandbox.workspace.journal import Manifest, Node

# Which file lies at a path, and when its content was changed; None when nothing does.
Stamp = tuple[int, int, int] | None


def stamp(root: str, path: str) -> Stamp:
    """Return what changes whenever a path's content does."""
    info = lstat(root, path)
    return None if info is None else _stamp_of(info)


def _stamp_of(info: os.stat_result) -> Stamp:
    return (info.st_ino, info.st_size, info.st_mtime_ns)


class Transaction:
    """The steps of a commit in one direction.

    Args:
        folder: The person's folder.
        place: The journal's folder of the commit.
        manifest: The commit.
        forward: Whether to go to what is after it, or back to what was before.
    """

    def __init__(self, folder: str, place: str, manifest: Manifest, *, forward: bool) -> None:
        self._folder = folder
        self._place = place
        self._manifest = manifest
        self._forward = forward
        self._moves = {
            step.path: (number, *((step.before, step.after) if forward else (step.after, step.before)))
            for number, step in enumerate(manifest.steps)
        }
        self._filled: dict[str, str] = {}
        self._seen: dict[str, Stamp] = {}
        self._unreadable: set[str] = set()
        self._touched: set[str] = set()

    def check(self) -> None:
        """Refuse when a path is neither where the steps begin nor where they end.

        Raises:
            WorkspaceError: The message names the first such path.
        """
        what = "redoing" if self._forward else "undoing"
        for path, (_, start, goal) in self._moves.items():
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
        for name in os.listdir(os.path.join(self._folder, path)):
            inner = self._moves.get(f"{path}/{name}")
            if inner is None or inner[2].kind != "none":
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
                return move is not None and (move[2].kind == "folder" or self._moves[path][2].kind == "none")
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
        self._clean()
        for path, mode in self._manifest.modes.items():
            if self._is_folder(path):
                os.chmod(self._full(path), mode | 0o700)
        for path, (_, start, _) in self._moves.items():
            if start.kind == "folder" and self._is_folder(path):
                self._open_up(path)
        for path in sorted(self._moves, reverse=True):
            _, start, goal = self._moves[path]
            if goal.kind == "none" or (goal.kind != "folder" and self._is_folder(path)):
                if expected is not None:
                    self._expect(path, start, expected)
                self._take_away(path, start)
        for path in sorted(self._moves):
            number, start, goal = self._moves[path]
            if goal.kind != "none":
                if expected is not None:
                    self._expect(path, start, expected)
                self._make(path, number, start, goal, sure=expected is not None)
        self._place_files(sure=expected is not None)
        self._finish()

    def _expect(self, path: str, start: Node, expected: Mapping[str, Stamp]) -> None:
        if start.kind != "folder" and stamp(self._folder, path) != expected[path]:
            raise ConflictError((path,))

    def _take_away(self, path: str, start: Node) -> None:
        full = self._full(path)
        if lstat(self._folder, path) is None or not self._real(path):
            return
        if self._is_folder(path):
            # What somebody else put there is not ours to delete.
            with contextlib.suppress(OSError):
                os.rmdir(full)
        elif start.is_at(self._folder, path):
            os.unlink(full)
        self._touched.add(os.path.dirname(path))

    def _make(self, path: str, number: int, start: Node, goal: Node, *, sure: bool) -> None:
        full = self._full(path)
        if not self._real(path):
            return
        if goal.kind == "folder":
            if not self._is_folder(path):
                if lstat(self._folder, path) is not None:
                    if not start.is_at(self._folder, path):
                        return
                    os.unlink(full)
                os.mkdir(full, 0o700)
                self._own(full, goal)
            else:
                self._open_up(path)
            self._touched |= {os.path.dirname(path), path}
            return
        # Between a folder and a file there is a moment with neither.
        between = start.kind == "folder" and lstat(self._folder, path) is None
        if not (sure or between or start.is_at(self._folder, path)):
            return
        self._seen[path] = stamp(self._folder, path)
        temporary = self._temporary(path, number)
        self._fill(path, temporary, goal)
        self._filled[path] = temporary

    def _place_files(self, *, sure: bool) -> None:
        """Rename the temporary files to what they are for, once all of them are on the disk.

        Args:
            sure: Whether a path that somebody else has changed meanwhile is a conflict; else it is left.
        """
        files = [path for path in self._filled.values() if not os.path.islink(path)]
        sync_all(files, self._folder)
        for path, temporary in self._filled.items():
            if path in self._unreadable:
                os.chmod(temporary, self._moves[path][2].mode)
            if not self._place_file(path, os.path.basename(temporary)) and sure:
                raise ConflictError((path,))
            # Two names of one file are not renamed over each other.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(temporary)
            self._touched.add(os.path.dirname(path))

    def _place_file(self, path: str, temporary: str) -> bool:
        """Rename a temporary file beside it to a path, unless somebody has changed either meanwhile."""
        above, _, name = path.rpartition("/")
        try:
            folder = open_folder(self._folder, above, only_path=True)
        except OSError:
            return False
        try:
            try:
                now = _stamp_of(os.stat(name, dir_fd=folder, follow_symlinks=False))
            except FileNotFoundError:
                now = None
            if now != self._seen[path]:
                return False
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            return False
        finally:
            os.close(folder)
        return True

    def _fill(self, path: str, temporary: str, goal: Node) -> None:
        if goal.kind == "link":
            os.symlink(goal.target, temporary)
            self._own(temporary, goal)
            os.utime(temporary, ns=(goal.mtime_ns, goal.mtime_ns), follow_symlinks=False)
            return
        if goal.link in self._filled:
            os.link(self._filled[goal.link], temporary)
            return
        if goal.link and self._moves[goal.link][2].is_at(self._folder, goal.link):
            os.link(self._full(goal.link), temporary)
            return
        same = f"{goal.blob}.same"
        if not self._forward and lstat(os.path.join(self._place, same)) is not None:
            with contextlib.suppress(OSError):
                if digest(self._place, same) == goal.digest:
                    os.link(os.path.join(self._place, same), temporary)
                    return
        with open_file(self._place, goal.blob) as reader:
            copy_content(reader, temporary)
        self._own(temporary, goal)
        os.chmod(temporary, 0o600)
        set_user_xattrs(temporary, goal.xattrs)
        os.utime(temporary, ns=(goal.mtime_ns, goal.mtime_ns))
        # Its content is opened once more to have it on the disk.
        os.chmod(temporary, goal.mode | stat.S_IRUSR)
        if not goal.mode & stat.S_IRUSR:
            self._unreadable.add(path)

    def _finish(self) -> None:
        # A folder that should go but holds something of somebody else's stays as it was.
        goals = {
            path: goal if goal.kind == "folder" else start
            for path, (_, start, goal) in self._moves.items()
            if goal.kind == "folder" or (goal.kind == "none" and start.kind == "folder")
        }
        for path in sorted(goals, reverse=True):
            if self._is_folder(path) and self._real(path):
                set_user_xattrs(self._full(path), goals[path].xattrs)
                os.chmod(self._full(path), goals[path].mode)
        for path, mode in self._manifest.modes.items():
            if path not in self._moves and self._is_folder(path):
                os.chmod(self._full(path), mode)
        for folder in sorted(self._touched):
            # A folder that its owner may not read is not worth failing for.
            if self._is_folder(folder):
                with contextlib.suppress(PermissionError):
                    sync(os.path.join(self._folder, folder))

    def _clean(self) -> None:
        """Remove the temporary files that a crash left."""
        for path, (number, _, _) in self._moves.items():
            if self._real(path):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(self._temporary(path, number))

    def _open_up(self, path: str) -> None:
        full = self._full(path)
        if not os.access(full, os.W_OK | os.X_OK):
            os.chmod(full, stat.S_IMODE(os.stat(full).st_mode) | 0o700)

    def _own(self, path: str, goal: Node) -> None:
        if os.geteuid() == 0:
            os.chown(path, *goal.owner, follow_symlinks=False)

    def _temporary(self, path: str, number: int) -> str:
        name = f".llmasos-{self._manifest.token}-{number}"
        return os.path.join(os.path.dirname(self._full(path)), name)

    def _real(self, path: str) -> bool:
        above = os.path.dirname(path)
        while above:
            if not self._is_folder(above):
                return False
            above = os.path.dirname(above)
        return True

    def _is_folder(self, path: str) -> bool:
        info = lstat(self._folder, path)
        return info is not None and stat.S_ISDIR(info.st_mode)

    def _full(self, path: str) -> str:
        return os.path.join(self._folder, path)


def disk_error(error: OSError) -> WorkspaceError:
    """Return the error for a folder that cannot be written."""
    steps = {errno.ENOSPC: "Free space", errno.EDQUOT: "Free space", errno.EIO: "Check the disk"}
    return WorkspaceError(
        f"The folder cannot be written: {error.strerror} ({display(os.fsdecode(error.filename or ''))}).",
        hint=f"{steps.get(error.errno or 0, 'Fix the permissions')}, then try again. Nothing was lost.",
    )

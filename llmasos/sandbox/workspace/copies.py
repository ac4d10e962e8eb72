"""Copying paths of a folder into a snapshot, with all of their facts that a person would notice."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from llmasos.sandbox.workspace.files import (
    copy_bytes,
    join,
    set_owner,
    set_user_xattrs,
    too_deep,
    user_xattrs,
    writable,
)
from llmasos.sandbox.workspace.opening import lstat, lstat_in, open_entry, open_folder, way_to
from llmasos.sandbox.workspace.removal import remove
from llmasos.sandbox.workspace.secrets import Secrets

# A path's facts: of the folder's version when it was copied, and of the copy as it was made.
Facts = list[int]
Record = tuple[Facts, Facts]


class Copier:
    """One round of copying into a snapshot.

    Args:
        lower: The person's folder.
        upper: The copy.
        made: Where folders are made before they are moved to their place.
        secrets: What is not copied.
        shift: What is added to owners.
    """

    def __init__(self, lower: str, upper: str, made: str, secrets: Secrets, shift: int) -> None:
        self._lower = lower
        self._upper = upper
        self._made = made
        self._secrets = secrets
        self._shift = shift
        self._records: dict[str, Record] = {}
        self._folders: dict[str, os.stat_result] = {}
        self._links: dict[tuple[int, int], str] = {}
        self._linked: set[str] = set()

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[tuple[int | None, int | None]]:
        """Open a folder on both sides, that of the copy to be written; None where it cannot be."""
        with contextlib.ExitStack() as stack:
            numbers: list[int | None] = []
            for root, only_path in ((self._lower, False), (self._upper, True)):
                try:
                    number = open_folder(root, path, only_path=only_path)
                except OSError:
                    numbers.append(None)
                else:
                    stack.callback(os.close, number)
                    numbers.append(number)
            below, above = numbers
            if above is not None:
                stack.enter_context(writable(way_to(above)))
            yield below, above

    def entries(self, path: str, below: int | None) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yield what is to be copied of a folder of the lower side: its path, its name and its facts."""
        if below is None:
            return
        with os.scandir(below) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if self._secrets.match(path, entry.name):
                continue
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            here = join(path, entry.name)
            if is_copied(here, info):
                yield here, entry.name, info

    def take(self, path: str, name: str, info: os.stat_result, below: int | None, above: int | None) -> None:
        """Copy one path, where it can be copied, from one open folder into the other."""
        if below is None or above is None:
            return
        is_folder = stat.S_ISDIR(info.st_mode)
        there = lstat_in(above, name)
        if there is not None and not (is_folder and stat.S_ISDIR(there.st_mode)):
            self.remove(path)
            there = lstat_in(above, name)
            if there is not None:
                return
        if is_folder:
            if there is None:
                self._make_folder(path, name, info, above)
            self._folders[path] = info
            self._records[path] = (facts(info), [info.st_mode])
            return
        file = (info.st_dev, info.st_ino)
        linked = info.st_nlink > 1 and stat.S_ISREG(info.st_mode)
        first = self._links.get(file) if linked else None
        if first is not None and lstat(self._upper, first) is not None:
            os.link(os.path.join(self._upper, first), name, dst_dir_fd=above, follow_symlinks=False)
            copy = lstat_in(above, name)
        else:
            copy = _copy_entry(name, info, below, above, self._shift)
        if copy is None:
            return
        self._records[path] = (facts(info), copy_facts(copy))
        if linked:
            self._links.setdefault(file, path)
            self._linked.add(path)

    def _make_folder(self, path: str, name: str, info: os.stat_result, above: int) -> None:
        # Never there with other permissions than its own, which would pass for a change.
        remove(self._made)
        os.mkdir(self._made, 0o700)
        self.like(info, path, self._made)
        # But a folder moves only when its owner may write to it.
        movable = os.access(self._made, os.W_OK)
        if not movable:
            os.chmod(self._made, 0o700)
        os.rename(self._made, name, dst_dir_fd=above)
        if not movable:
            os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=above)

    def like(self, info: os.stat_result, path: str, target: str = "") -> None:
        """Give a folder of the copy, or the one to become it, the facts of the lower side's."""
        target = target or (os.path.join(self._upper, path) if path else self._upper)
        set_owner(target, info, self._shift)
        os.chmod(target, stat.S_IMODE(info.st_mode) | (0 if path else 0o700))
        set_user_xattrs(target, user_xattrs(os.path.join(self._lower, path)))
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a path of the copy, unless it is a folder that holds something, and not too deep to tell."""
        target = os.path.join(self._upper, path)
        info = lstat(self._upper, path)
        if info is None:
            return
        with writable(os.path.dirname(target)):
            if not stat.S_ISDIR(info.st_mode) or too_deep(path):
                remove(target)
            elif not os.listdir(target):
                os.rmdir(target)

    def knows(self, path: str, info: os.stat_result) -> None:
        """Note a path that is copied already, because others of the round may be the same file."""
        if info.st_nlink > 1 and stat.S_ISREG(info.st_mode):
            self._links.setdefault((info.st_dev, info.st_ino), path)

    def finish(self) -> dict[str, Record]:
        """Finish the folders, and return what was copied, each with the facts of what it was copied from."""
        for path, info in reversed(self._folders.items()):
            self.like(info, path)
        # Another name changes the facts of a file.
        for path in self._linked:
            copy = lstat(self._upper, path)
            if copy is not None:
                self._records[path] = (self._records[path][0], copy_facts(copy))
        return self._records


def _copy_entry(
    name: str, info: os.stat_result, source: int, target: int, shift: int
) -> os.stat_result | None:
    """Copy a file or a symbolic link from one open folder into another, where nothing has its name.

    Args:
        name: Its name in both.
        info: Its facts.
        source: The folder's descriptor.
        target: The other folder's descriptor.
        shift: What is added to owners.

    Returns:
        The facts of the copy; None when the file cannot be read, or is gone.
    """
    owner = (info.st_uid + shift, info.st_gid + shift)
    times = (info.st_atime_ns, info.st_mtime_ns)
    if stat.S_ISLNK(info.st_mode):
        try:
            leads_to = os.readlink(name, dir_fd=source)
        except OSError:
            return None
        os.symlink(leads_to, name, dir_fd=target)
        if os.geteuid() == 0:
            os.chown(name, *owner, dir_fd=target, follow_symlinks=False)
        os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)
        return os.stat(name, dir_fd=target, follow_symlinks=False)
    try:
        reader = open_entry(source, name)
    except OSError:
        return None  # What its owner cannot read, the sandbox could not either.
    try:
        writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=target)
        try:
            copy_bytes(reader, writer)
            if os.geteuid() == 0:
                os.fchown(writer, *owner)
            os.fchmod(writer, stat.S_IMODE(info.st_mode))
            for key, value in user_xattrs(reader).items():
                # A file system without them keeps the file, which matters more.
                with contextlib.suppress(OSError):
                    os.setxattr(writer, key, bytes.fromhex(value))
            os.utime(writer, ns=times)
            return os.fstat(writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def is_copied(path: str, info: os.stat_result) -> bool:
    return not too_deep(path) and stat.S_IFMT(info.st_mode) in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR)


def facts(info: os.stat_result) -> Facts:
    if stat.S_ISDIR(info.st_mode):
        return [info.st_mode]
    return [info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]


def copy_facts(info: os.stat_result) -> Facts:
    if stat.S_ISDIR(info.st_mode):
        return [info.st_mode]
    return [info.st_mode, info.st_ino, info.st_size, info.st_ctime_ns]

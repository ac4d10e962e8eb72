"""Opening what lies below a folder, so that no link on the way leads elsewhere, however long the way is."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_PLACE = os.O_DIRECTORY | os.O_PATH


def lstat(root: str, path: str = "") -> os.stat_result | None:
    """Return the facts of a path below a folder, or None when nothing is there.

    Nothing is below a link: neither the path itself is followed, nor one on the way.
    """
    above, _, name = path.rpartition("/")
    try:
        if not above:
            return os.lstat(f"{root}/{path}" if path else root)
        folder = open_folder(root, above, only_path=True)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return None
    try:
        return lstat_in(folder, name)
    finally:
        os.close(folder)


def lstat_in(folder: int, name: str) -> os.stat_result | None:
    """Return the facts of a name in an open folder, or None when nothing has it."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def held_folder(root: str, path: str) -> Iterator[int | None]:
    """Open a folder below a folder for what is done in it, so that none of it can be led elsewhere meanwhile.

    Returns:
        Its descriptor; None when it is not there, is no folder, or a link is on the way.
    """
    try:
        folder = open_folder(root, path, only_path=True)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        yield None
        return
    try:
        yield folder
    finally:
        os.close(folder)


def way_to(folder: int) -> str:
    """Return a path of an open folder, for what takes no descriptor."""
    return f"/proc/self/fd/{folder}"


def open_folder(root: str, path: str = "", *, only_path: bool = False) -> int:
    """Open a folder below a folder, following no link on the way, and return its descriptor.

    Args:
        root: The folder at the top.
        path: The path below it.
        only_path: Open it as a place for other paths, which needs no right to read it.

    Raises:
        OSError: It is not there, is no folder, or a link is on the way.
    """
    flags = _PLACE if only_path else os.O_DIRECTORY | os.O_RDONLY
    if not path:
        return os.open(root, flags)
    *names, last = path.split("/")
    here = os.open(root, _PLACE)
    try:
        for name in names:
            inner = os.open(name, _PLACE | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(last, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        os.close(here)


def open_entry(folder: int, name: str) -> int:
    """Open a regular file of an open folder for reading, and return its descriptor.

    Raises:
        OSError: It is not there, or is no regular file.
    """
    number = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return number


def open_file(root: str, path: str) -> BufferedReader:
    """Open a regular file below a folder for reading, following no link on the way.

    A program that swaps a folder for a link while we look must not have us read elsewhere.

    Raises:
        OSError: It is not there, is no regular file, or a link is on the way.
    """
    above, _, name = path.rpartition("/")
    folder = open_folder(root, above, only_path=True)
    try:
        return open(open_entry(folder, name), "rb")
    finally:
        os.close(folder)


def read_link(root: str, path: str) -> str:
    """Return what a symbolic link below a folder leads to, following no other on the way.

    Raises:
        OSError: It is not there, is no link, or a link is on the way.
    """
    above, _, name = path.rpartition("/")
    folder = open_folder(root, above, only_path=True)
    try:
        return os.readlink(name, dir_fd=folder)
    finally:
        os.close(folder)

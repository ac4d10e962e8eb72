"""The removal of a path with everything below it, however deep that is."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from llmasos.sandbox.workspace.opening import lstat, way_to

_FileId = tuple[int, int]


def remove(path: str) -> None:
    """Remove a path with everything below it, if it is there."""
    info = lstat(path)
    if info is None:
        return
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(path)
        return
    _empty(path)
    os.rmdir(path)


def _empty(path: str) -> None:
    """Remove what is in a folder.

    One folder is open at a time, and no path is put together, which might be too long for the system.
    """
    here = _opened(path)
    folders = [_without_files(here)]
    above: list[tuple[str, _FileId]] = []
    try:
        while folders[-1] or above:
            if folders[-1]:
                name = folders[-1].pop()
                inner = _opened(name, here)
                above.append((name, _file_id(here)))
                os.close(here)
                here = inner
                folders.append(_without_files(here))
                continue
            folders.pop()
            name, expected = above.pop()
            outer = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = outer
            if _file_id(here) != expected:
                raise OSError(errno.ESTALE, "moved while it was being removed", name)
            os.rmdir(name, dir_fd=here)
    finally:
        os.close(here)


def _opened(name: str, folder: int | None = None) -> int:
    number = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        # The overlay leaves folders that their own owner may not look into, but may open up.
        with contextlib.suppress(OSError):
            os.chmod(way_to(number), 0o700)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=number)
    finally:
        os.close(number)


def _without_files(folder: int) -> list[str]:
    """Remove the files of an open folder, and return the names of the folders in it."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
    return [name for name, is_folder in found if is_folder]


def _file_id(folder: int) -> _FileId:
    info = os.fstat(folder)
    return (info.st_dev, info.st_ino)

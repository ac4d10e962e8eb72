"""Files as the workspace copies and compares them: content, holes, links, owners and extended attributes."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from io import BufferedReader

_FICLONE = 0x40049409
_PIECE = 1 << 20
_TICK = 0.0005
_FEW = 8
_UNSUPPORTED = (errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.ENOTTY, errno.EPERM)


def lstat(root: str, path: str = "") -> os.stat_result | None:
    """Return the facts of a path below a folder, or None when nothing is there.

    Nothing is below a link: neither the path itself is followed, nor one on the way.
    """
    try:
        here = root
        for name in path.split("/")[:-1]:
            here = f"{here}/{name}"
            if not stat.S_ISDIR(os.lstat(here).st_mode):
                return None
        return os.lstat(os.path.join(root, path) if path else root)
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_folder(root: str, path: str = "", *, only_path: bool = False) -> int:
    """Open a folder below a folder, following no link on the way, and return its descriptor.

    Args:
        root: The folder at the top.
        path: The path below it.
        only_path: Open it as a place for other paths, which needs no right to read it.

    Raises:
        OSError: It is not there, is no folder, or a link is on the way.
    """
    flags = os.O_DIRECTORY | (os.O_PATH if only_path else os.O_RDONLY)
    names = path.split("/") if path else []
    here = os.open(root, os.O_DIRECTORY | os.O_PATH if names else flags)
    for number, name in enumerate(names, 1):
        try:
            wanted = flags if number == len(names) else os.O_DIRECTORY | os.O_PATH
            inner = os.open(name, wanted | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = inner
    return here


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


def copy_content(reader: BufferedReader, target: str) -> None:
    """Copy an open file into a new one: by reference where the file system can, else with its holes."""
    with open(target, "xb") as writer:
        copy_bytes(reader.fileno(), writer.fileno())


def copy_bytes(source: int, copy: int) -> None:
    """Copy the content of an open file into an open empty one, as `copy_content` does."""
    info = os.fstat(source)
    if info.st_size == 0:
        return
    try:
        fcntl.ioctl(copy, _FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    if info.st_blocks * 512 >= info.st_size:
        _copy_range(source, copy, 0, info.st_size)
        return
    os.ftruncate(copy, info.st_size)
    start = 0
    while start < info.st_size:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = min(os.lseek(source, start, os.SEEK_HOLE), info.st_size)
        _copy_range(source, copy, start, end)
        start = end


def _copy_range(source: int, copy: int, start: int, end: int) -> None:
    while start < end:
        try:
            count = os.copy_file_range(source, copy, end - start, start, start)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            count = os.pwrite(copy, os.pread(source, min(_PIECE, end - start), start), start)
        if count == 0:
            return
        start += count


def digest(root: str, path: str) -> str:
    """Return the SHA-256 of a file below a folder, in hexadecimal."""
    with open_file(root, path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same_content(one: BufferedReader, two: BufferedReader) -> bool:
    """Tell whether two open files hold the same bytes."""
    while True:
        piece = one.read(_PIECE)
        if piece != two.read(_PIECE):
            return False
        if not piece:
            return True


def user_xattrs(path: str | int) -> dict[str, str]:
    """Return a path's or an open file's attributes that users set, their values in hexadecimal."""
    follow = isinstance(path, int)
    try:
        names = os.listxattr(path, follow_symlinks=follow)
    except OSError:
        return {}
    return {
        name: os.getxattr(path, name, follow_symlinks=follow).hex()
        for name in names
        if name.startswith("user.") and not name.startswith("user.overlay.")
    }


def set_user_xattrs(path: str, wanted: dict[str, str]) -> None:
    """Give a path these extended attributes of users, and no others."""
    present = user_xattrs(path)
    for name in present.keys() - wanted.keys():
        os.removexattr(path, name, follow_symlinks=False)
    for name, value in wanted.items():
        if present.get(name) != value:
            # A file system without them keeps the file, which matters more.
            with contextlib.suppress(OSError):
                os.setxattr(path, name, bytes.fromhex(value), follow_symlinks=False)


def sync(path: str) -> None:
    """Have a file or folder on the disk before this returns."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_all(paths: Sequence[str], folder: str) -> None:
    """Have files of one file system on the disk before this returns.

    Args:
        paths: The files.
        folder: A folder of that file system, all of which is written when the files are many.
    """
    if len(paths) <= _FEW:
        for path in paths:
            sync(path)
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(number):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
    finally:
        os.close(number)


def write_whole(path: str, data: bytes) -> None:
    """Write a file of our own whole, on the disk before this returns."""
    with open(f"{path}.new", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    sync(os.path.dirname(path))


def mark(path: str) -> None:
    """Write a moment down as a file's time, and let it pass: what is changed from now on is later."""
    _touch(path)
    moment = os.stat(path).st_ctime_ns
    while _touch(f"{path}.next") <= moment:
        time.sleep(_TICK)


def _touch(path: str) -> int:
    with open(path, "wb") as file:
        os.utime(file.fileno())
        return os.fstat(file.fileno()).st_ctime_ns


def remove(path: str) -> None:
    """Remove a path with everything below it, if it is there."""
    info = lstat(path)
    if info is None:
        return
    if not stat.S_ISDIR(info.st_mode):
        os.unlink(path)
        return
    # The overlay leaves folders that their own owner may not look into, but may open up.
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700)
    for name in os.listdir(path):
        inner = os.path.join(path, name)
        if os.path.isdir(inner) and not os.path.islink(inner):
            remove(inner)
        else:
            os.unlink(inner)
    os.rmdir(path)


@contextlib.contextmanager
def writable(folder: str) -> Iterator[None]:
    """Have a folder of ours be writable for a moment, whatever its mode says."""
    if os.access(folder, os.W_OK | os.X_OK):
        yield
        return
    mode = stat.S_IMODE(os.stat(folder).st_mode)
    os.chmod(folder, mode | 0o700)
    try:
        yield
    finally:
        os.chmod(folder, mode)


def set_owner(path: str, info: os.stat_result, shift: int) -> None:
    """Give a path the owner of another one, shifted; only root can, and needs to."""
    if os.geteuid() == 0:
        os.chown(path, info.st_uid + shift, info.st_gid + shift, follow_symlinks=False)


def join(folder: str, name: str) -> str:
    """Return a relative path, where the top folder is the empty string."""
    return f"{folder}/{name}" if folder else name

"""Files as the workspace copies and compares them: content, holes, links, owners and extended attributes."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from io import BufferedReader

from llmasos.sandbox.workspace.opening import open_file, open_folder

_FICLONE = 0x40049409
_PIECE = 1 << 20
_TICK = 0.0005
_FEW = 8
# The system takes paths of 4,096 bytes, and the folder's own path comes before these.
_LONGEST = 2_000
_DEEPEST = 100
_UNSUPPORTED = (errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.ENOTTY, errno.EPERM)


def copy_tree(source: str, target: str) -> None:
    """Copy all below a path with owners, times, links, attributes and devices, as an overlay needs them.

    Nothing may change it meanwhile.

    Raises:
        OSError: It cannot be copied.
    """
    done = subprocess.run(
        ["cp", "-a", "--reflink=auto", "--", source, target], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(errno.EIO, done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no copy")


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


def set_user_xattrs(path: str | int, wanted: dict[str, str]) -> None:
    """Give a path or an open file these extended attributes of users, and no others."""
    follow = isinstance(path, int)
    present = user_xattrs(path)
    for name in present.keys() - wanted.keys():
        os.removexattr(path, name, follow_symlinks=follow)
    for name, value in wanted.items():
        if present.get(name) != value:
            # A file system without them keeps the file, which matters more.
            with contextlib.suppress(OSError):
                os.setxattr(path, name, bytes.fromhex(value), follow_symlinks=follow)


def sync_folder(root: str, path: str = "") -> None:
    """Have a folder below a folder on the disk before this returns."""
    number = open_folder(root, path)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_all(root: str, paths: Sequence[str]) -> None:
    """Have files of one file system on the disk before this returns.

    Args:
        root: A folder of that file system, all of which is written when the files are many.
        paths: The files, below it.
    """
    if len(paths) <= _FEW:
        for path in paths:
            with open_file(root, path) as file:
                os.fsync(file.fileno())
        return
    number = os.open(root, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(number):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), root)
    finally:
        os.close(number)


def write_whole(path: str, data: bytes) -> None:
    """Write a file of our own whole, on the disk before this returns."""
    with open(f"{path}.new", "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    sync_folder(os.path.dirname(path))


def write_like(path: str, data: bytes, info: os.stat_result, shift: int) -> None:
    """Write a file that looks like another one, but for its content.

    Args:
        path: Where it is written.
        data: The content.
        info: The facts of the other one.
        shift: What is added to owners.
    """
    with open(path, "wb") as file:
        file.write(data)
    set_owner(path, info, shift)
    os.chmod(path, stat.S_IMODE(info.st_mode))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


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


def set_owner_in(folder: int, name: str, owner: tuple[int, int]) -> None:
    """Give a name in an open folder an owner; only root can, and needs to."""
    if os.geteuid() == 0:
        os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)


def join(folder: str, name: str) -> str:
    """Return a relative path, where the top folder is the empty string."""
    return f"{folder}/{name}" if folder else name


def too_deep(path: str) -> bool:
    """Tell whether a relative path is one that programs might not be able to name, or follow to its end."""
    return path.count("/") >= _DEEPEST or len(os.fsencode(path)) > _LONGEST

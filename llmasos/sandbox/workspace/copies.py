"""Copies of single files and links, with all of their facts that a person would notice."""

from __future__ import annotations

import contextlib
import os
import stat

from llmasos.sandbox.workspace.files import copy_bytes, open_entry, user_xattrs


def copy_entry(
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

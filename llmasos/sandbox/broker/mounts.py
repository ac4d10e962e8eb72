"""Mounts: a view of a person's folder, shown at a place of this process's namespace."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import Any

AT_FDCWD = -100
AT_EMPTY_PATH, AT_RECURSIVE = 0x1000, 0x8000
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND = 1, 2, 4, 0x20, 0x1000
MS_REC, MS_PRIVATE, MS_SHARED = 0x4000, 0x40000, 0x100000
MNT_DETACH = 2
MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_IDMAP = 0x2, 0x4, 0x00100000
MOVE_MOUNT_F_EMPTY_PATH = 4
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0o2000000
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Call mount(2)."""
    _checked(
        _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(options)),
        f"mounting {kind or source}",
    )


def unmount(target: str) -> None:
    """Detach a mount, with all that is mounted below it, with umount2(2)."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmounting {target}")


def unmount_all(target: str) -> None:
    """Detach everything that is mounted at a place, however often it was covered."""
    # Not os.path.ismount: a bind lies on the same device as what it covers.
    with contextlib.suppress(OSError):
        while True:
            unmount(target)


def unshare(flags: int) -> None:
    """Call unshare(2)."""
    _checked(_libc.unshare(flags), "unshare")


def prctl(option: int, value: int) -> None:
    """Call prctl(2)."""
    _checked(_libc.prctl(option, value, 0, 0, 0), "prctl")


def enter_namespace() -> None:
    """Move into a mount namespace of one's own: as root plainly, else inside a user namespace."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        unshare(CLONE_NEWNS)
    else:
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def mapped_namespace(shift: int, count: int) -> int:
    """Return a descriptor of a user namespace that shifts the first `count` owners up by `shift`."""
    ready, tell_ready = os.pipe()
    done, tell_done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(tell_done)
            unshare(CLONE_NEWUSER)
            os.write(tell_ready, b"x")
            os.read(done, 1)
        finally:
            os._exit(0)
    os.close(tell_ready)
    try:
        if not os.read(ready, 1):
            raise OSError("a user namespace cannot be made")
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w") as file:
                file.write(f"0 {shift} {count}\n")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.close(done)
        os.close(tell_done)
        os.waitpid(child, 0)


def bind(source: str, target: str, namespace: int | None = None) -> None:
    """Show a folder or a file at another place, without set-user-id programs and devices.

    Args:
        source: What is shown.
        target: Where.
        namespace: A descriptor of the user namespace that shifts its owners (Linux 5.12).
    """
    # In a user namespace, what lies below a mount must not be uncovered by leaving the mount out.
    deep = 0 if os.getuid() == 0 else AT_RECURSIVE
    tree = _checked(
        _libc.syscall(
            SYS_OPEN_TREE, AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep
        ),
        "open_tree",
    )
    try:
        wanted = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (0 if namespace is None else MOUNT_ATTR_IDMAP)
        attributes = struct.pack("QQQQ", wanted, 0, 0, 0 if namespace is None else namespace)
        buffer = ctypes.create_string_buffer(attributes, 32)
        _checked(
            _libc.syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | deep, buffer, 32),
            "mount_setattr",
        )
        _checked(
            _libc.syscall(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH),
            "move_mount",
        )
    finally:
        os.close(tree)


def overlay(lowers: list[str], upper: str, work: str, target: str) -> None:
    """Mount an overlay whose upper folder holds nothing but changes in plain sight.

    Args:
        lowers: The layers below, the topmost first.
        upper: What is written.
        work: Scratch space on the same file system as `upper`.
        target: Where it is mounted.
    """
    # By descriptor, because names may hold the commas and colons that separate options.
    held = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in (*lowers, upper, work)]
    try:
        paths = [f"/proc/self/fd/{number}" for number in held]
        options = f"lowerdir={':'.join(paths[:-2])},upperdir={paths[-2]},workdir={paths[-1]}"
        options += ",metacopy=off,index=off" + (
            ",redirect_dir=nofollow" if os.getuid() == 0 else ",userxattr"
        )
        mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options)
    finally:
        for number in held:
            os.close(number)


def show(view: dict[str, Any], target: str, spare: str, namespace: int | None) -> None:
    """Mount a view.

    Args:
        view: The fields of a `View`; `hidden` may be None.
        target: Where.
        spare: An empty folder for what is mounted only in between.
        namespace: Shifts owners where the view is mapped.
    """
    shifted = namespace if view["mapped"] else None
    if view["kind"] == "snapshot":
        bind(view["upper"], target)
    elif view["kind"] == "in-place":
        bind(view["lower"], target, shifted)
    else:
        lower = view["lower"]
        if shifted is not None:
            # An overlay takes no layer that is mounted nowhere; once mounted it holds the layer itself.
            bind(lower, spare, shifted)
            lower = spare
        try:
            lowers = [path for path in (view["hidden"], lower) if path]
            overlay(lowers, view["upper"], view["work"], target)
        finally:
            if shifted is not None:
                unmount(spare)

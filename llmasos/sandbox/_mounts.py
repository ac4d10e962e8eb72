"""Mounting a view in a private namespace, then becoming the jail.

Run as a script by the host's Python, with a JSON specification as its argument; it ends by executing
the jail's program. As root, the person's folder is mounted with its owners shifted (an idmapped mount,
Linux 5.19), so that the jail can run as a user without any privileges; as anybody else, a user namespace
lets the overlay be mounted (Linux 5.11).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
import sys

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_REC, MS_PRIVATE, MS_BIND = 0x4000, 0x40000, 0x1000
MNT_DETACH = 2
MOUNT_ATTR_IDMAP = 0x00100000
MOVE_MOUNT_F_EMPTY_PATH = 4
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0o2000000
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
PR_SET_PDEATHSIG = 1
SIGKILL = 9

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
    """Detach a mount with umount2(2)."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmounting {target}")


def unshare(flags: int) -> None:
    """Call unshare(2)."""
    _checked(_libc.unshare(flags), "unshare")


def open_shifted(source: str, shift: int, count: int) -> int:
    """Return a descriptor of a detached mount of a folder, its first `count` owners shifted up by `shift`."""
    tree = _checked(
        _libc.syscall(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC),
        "open_tree",
    )
    namespace = _mapped_namespace(f"0 {shift} {count}\n")
    try:
        attributes = ctypes.create_string_buffer(struct.pack("QQQQ", MOUNT_ATTR_IDMAP, 0, 0, namespace), 32)
        _checked(
            _libc.syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, 32), "shifting owners"
        )
    finally:
        os.close(namespace)
    return tree


def attach(tree: int, target: str) -> None:
    """Attach a detached mount to a folder, and close its descriptor."""
    try:
        _checked(
            _libc.syscall(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH),
            "move_mount",
        )
    finally:
        os.close(tree)


def _mapped_namespace(mapping: str) -> int:
    """Return a descriptor of a user namespace with this mapping of users and groups."""
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
                file.write(mapping)
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.close(done)
        os.close(tell_done)
        os.waitpid(child, 0)


def overlay_options(lower: str, upper: str, work: str, *, user: bool) -> str:
    """Return the options of an overlay whose upper folder holds nothing but changes in plain sight."""
    options = f"lowerdir={lower},upperdir={upper},workdir={work},metacopy=off,index=off"
    return options + (",userxattr" if user else ",redirect_dir=nofollow")


def main(argument: str) -> None:
    """Mount what the specification says, and execute its program.

    The specification has `lower`, `upper`, `work`, `stage` (an existing folder that the mounts may
    hide), `files` (small files to write below the stage), `shift` and `count` (0 when not root),
    `uid`, `gid`, `program`.
    """
    spec = json.loads(argument)
    _checked(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "prctl")
    root = spec["shift"] > 0
    if root:
        unshare(CLONE_NEWNS)
    else:
        uid, gid = os.getuid(), os.getgid()
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    # Held open, because the stage may hide them; opened here, because an overlay takes no mount from outside.
    folders = {name: os.open(spec[name], os.O_PATH) for name in ("lower", "upper", "work")}
    held = {name: f"/proc/self/fd/{number}" for name, number in folders.items()}
    stage = spec["stage"]
    shifted = None
    if root:
        shifted = open_shifted(spec["lower"], spec["shift"], spec["count"])
    mount("tmpfs", stage, "tmpfs", 0, "mode=0755,size=1m")
    for name in ("lower", "view"):
        os.mkdir(f"{stage}/{name}")
    for name, text in spec["files"].items():
        os.makedirs(os.path.dirname(f"{stage}/{name}"), exist_ok=True)
        with open(f"{stage}/{name}", "w") as file:
            file.write(text)
    lower = held["lower"]
    if shifted is not None:
        attach(shifted, f"{stage}/lower")
        lower = f"{stage}/lower"
    mount(
        "overlay",
        f"{stage}/view",
        "overlay",
        0,
        overlay_options(lower, held["upper"], held["work"], user=not root),
    )
    for number in folders.values():
        os.close(number)
    if root:
        os.setgroups([])
        os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
        _checked(_libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "prctl")
    os.chdir("/")
    os.execv(spec["program"][0], spec["program"])


def publish(argument: str) -> None:
    """Mount a view below the stage in this namespace, where Docker's daemon can see it.

    The specification has `lower`, `upper`, `work`, `stage` (with folders `lower` and `view`), `shift` and
    `count`.
    """
    spec = json.loads(argument)
    stage = spec["stage"]
    attach(open_shifted(spec["lower"], spec["shift"], spec["count"]), f"{stage}/lower")
    folders = [os.open(path, os.O_PATH) for path in (f"{stage}/lower", spec["upper"], spec["work"])]
    lower, upper, work = (f"/proc/self/fd/{number}" for number in folders)
    mount("overlay", f"{stage}/view", "overlay", 0, overlay_options(lower, upper, work, user=False))


def withdraw(argument: str) -> None:
    """Detach what `publish` mounted below the stage."""
    for name in ("view", "lower"):
        # Not os.path.ismount: the shifted folder lies on the same device as what it covers.
        with contextlib.suppress(OSError):
            while True:
                unmount(f"{json.loads(argument)['stage']}/{name}")


_ACTIONS = {"publish": publish, "withdraw": withdraw}


if __name__ == "__main__":
    try:
        _ACTIONS.get(sys.argv[1], main)(sys.argv[-1])
    except OSError as error:
        sys.exit(f"{error.strerror or error}")

"""A system call filter that closes what hardened containers leave open, in classic BPF.

Denied calls fail with EPERM, so that programs go on without them. Calls of a foreign architecture, and those
of x32, end the process, because their numbers mean something else.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from .limits import control

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_KILL, _ERRNO, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x4000_0000

# CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID and _NEWNET.
_NEW_NAMESPACES = 0x7E02_0000
# TIOCSTI and TIOCLINUX type into a terminal; FIOSETOWN and SIOCSPGRP, like the two of fcntl, aim signals.
_IOCTLS = (0x5412, 0x541C, 0x8901, 0x8902)
_FCNTLS = (8, 15)  # F_SETOWN, F_SETOWN_EX
# AF_NETLINK is left out: it opens much of the kernel, and libc does without it where there is no network.
_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)

# The numbers on x86_64 and aarch64; None where there is no such call.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_CLONE, _CLONE3, _SOCKET, _IOCTL, _FCNTL = (56, 220), (435, 435), (41, 198), (16, 29), (72, 25)
# Calls whose first argument is a process: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, prlimit64.
_AIMED = ((62, 129), (200, 130), (234, 131), (129, 138), (297, 240), (302, 261))
_MACHINES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}


def _step(code: int, value: int, hit: int = 0, miss: int = 0) -> bytes:
    return struct.pack("=HBBI", code, hit, miss, value & 0xFFFF_FFFF)


def _argument(index: int) -> bytes:
    # Each of these is 32 bits wide for the kernel, which leaves the upper half alone.
    return _step(_LOAD, _ARGUMENTS + 8 * index)


def _when(code: int, value: int, verdict: int) -> bytes:
    return _step(code, value, 0, 1) + _step(_RETURN, verdict)


def _for(number: int, body: bytes) -> bytes:
    return _step(_EQUAL, number, 0, len(body) // 8) + body


def build(machine: str, supervisor: int, *, sockets: bool) -> bytes:
    """Return the filter's program.

    Args:
        machine: As `uname` names it.
        supervisor: The process that nobody inside may signal or limit.
        sockets: Whether sockets may be made; where nothing else keeps them in, they may not.

    Raises:
        OSError: There is no filter for this machine.
    """
    if machine not in _MACHINES:
        raise OSError(errno.ENOTSUP, "there is no system call filter for %s" % machine)
    column, architecture = _MACHINES[machine]
    denied, allowed = _ERRNO | errno.EPERM, _step(_RETURN, _ALLOW)
    program = _step(_LOAD, _ARCHITECTURE) + _step(_EQUAL, architecture, 1, 0) + _step(_RETURN, _KILL)
    program += _step(_LOAD, _NUMBER)
    if machine == "x86_64":
        program += _when(_AT_LEAST, _X32, _KILL)
    for numbers in _DENIED.values():
        number = numbers[column]
        if number is not None:
            program += _when(_EQUAL, number, denied)
    # Its flags lie in memory, where a filter cannot look; without it libc calls clone.
    program += _when(_EQUAL, _CLONE3[column], _ERRNO | errno.ENOSYS)
    program += _for(_CLONE[column], _argument(0) + _when(_ANY_BIT, _NEW_NAMESPACES, denied) + allowed)
    families = b"".join(_when(_EQUAL, family, _ALLOW) for family in _FAMILIES) if sockets else b""
    program += _for(_SOCKET[column], _argument(0) + families + _step(_RETURN, denied))
    for call, commands in ((_IOCTL, _IOCTLS), (_FCNTL, _FCNTLS)):
        refused = b"".join(_when(_EQUAL, command, denied) for command in commands)
        program += _for(call[column], _argument(1) + refused + allowed)
    # Everybody is -1; the supervisor may also be meant through its group.
    aims = b"".join(_when(_EQUAL, aim, denied) for aim in {1, -1, supervisor, -supervisor})
    for call in _AIMED:
        program += _for(call[column], _argument(0) + aims + allowed)
    return program + allowed


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(program: bytes) -> None:
    """Install a filter for this process and all that it starts; it cannot be taken off.

    Raises:
        OSError: The kernel refuses it.
    """
    control(_PR_SET_NO_NEW_PRIVS, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    loaded = _Program(len(program) // 8, program)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(loaded), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, "installing the system call filter: " + errno.errorcode.get(number, "?"))

"""Landlock: the walls of the weak tier, which has no namespaces."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable

from .limits import control

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1, 2, 4, 8, 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# By version: the rights that it knows, and from the fourth and sixth on the network and the scopes.
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK = 3  # binding and connecting TCP
_SCOPES = 3  # abstract sockets and signals


def version() -> int:
    """Return the version of Landlock that the kernel has; 0 when it has none."""
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Confine this process and all that it starts.

    Args:
        read: What may be read and executed.
        write: What may be changed as well.

    Raises:
        OSError: The kernel has no Landlock, or refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    known = version()
    if known == 0:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    handled = _RIGHTS[max(number for number in _RIGHTS if number <= known)]
    ruleset = struct.pack("=QQQ", handled, _NETWORK if known >= 4 else 0, _SCOPES if known >= 6 else 0)[
        : 24 if known >= 6 else 16 if known >= 4 else 8
    ]
    rules = _checked(libc.syscall(_CREATE_RULESET, ruleset, ctypes.c_size_t(len(ruleset)), 0))
    try:
        for paths, rights in ((read, _READ), (write, handled)):
            for path in paths:
                _allow(libc, rules, path, rights & handled)
        control(_PR_SET_NO_NEW_PRIVS, 1)
        _checked(libc.syscall(_RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        number = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(number).st_mode):
            rights &= _FILE
        rule = struct.pack("=Qi", rights, number)
        _checked(libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, 0))
    finally:
        os.close(number)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "Landlock: " + os.strerror(number))
    return result

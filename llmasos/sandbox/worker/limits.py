"""The limits that the kernel keeps for each process, and what is left of them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import time
from collections.abc import Iterator
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
_EXPENDABLE = 500  # a score by which a process ends before the worker does
_MARGIN = 256 << 20  # bytes of address space that a process may have beyond its group's memory
_HARD_SECONDS = 2  # from the signal that can be caught to the one that cannot


def control(option: int, value: int) -> None:
    """Call prctl(2)."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def set_limits(limits: dict[str, Any], user_limits: bool, grouped: bool) -> None:
    """Limit this process and all that it starts.

    Args:
        limits: The sandbox's.
        user_limits: Whether the user's processes are this sandbox's alone, so that they can be counted.
        grouped: Whether a control group limits the memory of all together.
    """
    memory = limits["memory_mb"] << 20
    wanted = {
        resource.RLIMIT_FSIZE: limits["disk_mb"] << 20,
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CORE: 0,
    }
    if user_limits:
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for name, value in wanted.items():
        hard = resource.getrlimit(name)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(name, (value, value))
    outer = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = memory + (_MARGIN if grouped else 0)
    most = min(most, outer) if outer != resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_AS, (min(memory, most), most))


def leave_memory_to_the_group() -> None:
    """Raise this process's own limit of memory as far as it may be, so that the group's is met first.

    The group tells who has met it, which a program that goes on after an error of its own does not.
    """
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def limit_cpu(seconds: int) -> None:
    """Limit the CPU time of this process and what it becomes; SIGXCPU comes first, then SIGKILL."""
    hard = seconds + _HARD_SECONDS
    outer = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if outer != resource.RLIM_INFINITY:
        hard = min(hard, outer)
    resource.setrlimit(resource.RLIMIT_CPU, (min(seconds, hard), hard))


def limit_program(cpu_seconds: int) -> None:
    """Limit this process and what it becomes as a program is that a command starts."""
    limit_cpu(cpu_seconds)
    leave_memory_to_the_group()


def grant_cpu(seconds: int) -> None:
    """Let this process run for so many more seconds of CPU time before it gets SIGXCPU."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 1, hard))


class OomScore:
    """This process's place among those that the kernel ends when memory runs out.

    It is opened before the process hides its files from others of its user, and so from itself.
    """

    def __init__(self) -> None:
        self._file = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def expendable(self) -> Iterator[None]:
        """Let what is started meanwhile end before this process does."""
        self._set(_EXPENDABLE)
        try:
            yield
        finally:
            self._set(0)

    def _set(self, score: int) -> None:
        with contextlib.suppress(OSError):
            os.pwrite(self._file, b"%d" % score, 0)


def full(*places: str) -> str:
    """Return the limit, `disk` or `files`, that a file system below one of these folders has reached."""
    for place in places:
        try:
            found = os.statvfs(place)
        except OSError:
            continue
        if found.f_blocks and found.f_bavail == 0:
            return "disk"
        if found.f_files and found.f_favail == 0:
            return "files"
    return ""

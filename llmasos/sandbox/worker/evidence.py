"""Which limit a request has broken: from the kernel's counters, signals and errors, words come last."""

from __future__ import annotations

import errno
import os
import signal
import traceback
from typing import Any

from .limits import full

# Where the kernel counts for this sandbox alone: what it killed for want of memory, the forks it refused.
_OOM = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_REFUSED = ("/sys/fs/cgroup/pids.events", "/sys/fs/cgroup/pids/pids.events")
_MACHINE = "/proc/vmstat"

_BY_ERRNO = {
    errno.ENOMEM: "memory",
    errno.EAGAIN: "processes",
    errno.EMFILE: "files",
    errno.ENFILE: "files",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.EFBIG: "disk",
}
_BY_WORDS = {
    **{os.strerror(number).encode(): limit for number, limit in _BY_ERRNO.items()},
    b"MemoryError": "memory",
    b"can't start new thread": "processes",
}


class Counter:
    """A number in one of the kernel's files, read without opening it each time; 0 where there is none."""

    def __init__(self, paths: tuple[str, ...], name: bytes) -> None:
        self._name = b"\n" + name + b" "
        self._file = -1
        for path in paths:
            try:
                self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                break
            except OSError:
                continue
        self.known = self._file >= 0 and self._name in b"\n" + self._read()

    def _read(self) -> bytes:
        try:
            return os.pread(self._file, 1 << 16, 0)
        except OSError:
            return b""

    def value(self) -> int:
        """Return the number as it is now."""
        if not self.known:
            return 0
        text = b"\n" + self._read()
        return int(text[text.find(self._name) + len(self._name) :].split(b"\n", 1)[0])


class Counters:
    """The counters that tell of broken limits."""

    def __init__(self) -> None:
        self.killed = Counter(_OOM, b"oom_kill")
        self.refused = Counter(_REFUSED, b"max")
        self.machine = Counter((_MACHINE,), b"oom_kill")


class Evidence:
    """Compares the counters before and after a request.

    Args:
        counters: The sandbox's.
        cpu_seconds: CPU time that one process may use.
        places: Folders whose file systems may be full.
    """

    def __init__(self, counters: Counters, cpu_seconds: int, places: tuple[str, ...]) -> None:
        self._counters = counters
        self._cpu_seconds = cpu_seconds
        self._places = places
        self._killed = counters.killed.value()
        self._refused = counters.refused.value()
        # It counts for the whole machine, and is believed only where a process was killed.
        self._machine = 0 if counters.killed.known else counters.machine.value()

    def counted(self) -> str:
        """Return the limit that the sandbox's own counters tell of, or nothing."""
        if self._counters.killed.value() > self._killed:
            return "memory"
        if self._counters.refused.value() > self._refused:
            return "processes"
        return ""

    def of_exit(self, code: int, usage: Any, complaint: bytes = b"") -> str:
        """Return the limit that ended a command or a session, or nothing.

        Args:
            code: Its exit code, negative for a signal; a shell adds 128 to the signal of its last program.
            usage: The resources that a command used; None for a session, which no CPU time kills.
            complaint: The end of its standard error.
        """
        counted = self.counted()
        if code == 0:
            return "memory" if counted == "memory" else ""
        number = -code if code < 0 else code - 128
        used = usage.ru_utime + usage.ru_stime if usage is not None else 0.0
        if number == signal.SIGXCPU or (number == signal.SIGKILL and used >= self._cpu_seconds):
            return "cpu"
        if number == signal.SIGXFSZ:
            return "disk"
        if counted:
            return counted
        killed = number == signal.SIGKILL and not self._counters.killed.known
        if killed and self._counters.machine.value() > self._machine:
            return "memory"
        place = full(*self._places)
        if place:
            return place
        found = [(complaint.rfind(words), limit) for words, limit in _BY_WORDS.items() if words in complaint]
        return max(found)[1] if found else ""


def of_error(error: BaseException) -> str:
    """Return the limit that an exception tells of, or nothing."""
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "processes"
    if not isinstance(error, OSError):
        return ""
    if error.errno == errno.EAGAIN:
        # Also what a socket says that has nothing to read.
        last = traceback.extract_tb(error.__traceback__)[-1:]
        return "processes" if last and "fork" in (last[0].line or "") else ""
    return _BY_ERRNO.get(error.errno or 0, "")

"""The memory of a sandbox as a whole, where no control group limits it."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from .loop import Timer
from .processes import Stat
from .requests import Running

if TYPE_CHECKING:
    from .supervisor import Supervisor

_EVERY = 0.25
_PAGE = os.sysconf("SC_PAGE_SIZE")
# What several processes share is divided among them; files can be read again and do not count.
_COUNTED = (b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")


class MemoryWatch:
    """Ends what takes most as soon as everything together takes too much.

    Args:
        supervisor: What runs everything.
        most: Bytes that all processes may take together.
    """

    def __init__(self, supervisor: Supervisor, most: int) -> None:
        self._supervisor = supervisor
        self._most = most
        self._timer: Timer | None = None

    def start(self) -> None:
        """Watch for as long as anything runs."""
        if self._timer is None:
            self._timer = self._supervisor.loop.after(_EVERY, self._look)

    def _look(self) -> None:
        self._timer = None
        families = self._supervisor.processes.families()
        taken = [stat.pages for family in families.values() for stat in family.values()]
        # Shared pages count for each process here, but it is cheap.
        if sum(taken) * _PAGE > self._most:
            self._weigh(families)
        # A single process has a limit of its own, so that an idle session need not be watched.
        if self._supervisor.busy() or any(set(family) - {leader} for leader, family in families.items()):
            self.start()

    def _weigh(self, families: dict[int, dict[int, Stat]]) -> None:
        weights = {
            leader: sum(_taken(number, stat) for number, stat in family.items())
            for leader, family in families.items()
        }
        if sum(weights.values()) > self._most:
            largest = max(weights, key=lambda leader: weights[leader])
            self._end(largest, list(families[largest]))

    def _end(self, leader: int, numbers: list[int]) -> None:
        for request in list(self._supervisor.requests.values()):
            if isinstance(request, Running) and request.leader == leader:
                request.stop("memory")
        for number in numbers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)


def _taken(number: int, stat: Stat) -> int:
    """Return the bytes that a process takes; one that hides its files counts with all that it shares."""
    try:
        with open("/proc/%d/smaps_rollup" % number, "rb") as file:
            lines = [line.split() for line in file if line.startswith(_COUNTED)]
    except OSError:
        lines = []
    return sum(int(line[1]) << 10 for line in lines) if lines else stat.pages * _PAGE

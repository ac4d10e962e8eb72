"""Processor time of this process and of all that it started."""

from __future__ import annotations

import os
from pathlib import Path

_PARENT, _USER, _CHILDREN_SYSTEM = 1, 11, 14


def cpu_seconds(root: Path = Path("/proc"), pid: int | None = None) -> float:
    """Return the processor time that a process and its descendants have used, those that ended included.

    Source: `proc_pid_stat(5)`.

    Args:
        root: Where the kernel shows its processes.
        pid: The process; this one by default.
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in root.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # The second field is the name, in parentheses, and may hold anything.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        number = int(entry.name)
        parents[number] = int(fields[_PARENT])
        ticks[number] = sum(map(int, fields[_USER : _CHILDREN_SYSTEM + 1]))
    wanted = os.getpid() if pid is None else pid
    return sum(ticks[one] for one in ticks if _descends(one, wanted, parents)) / os.sysconf("SC_CLK_TCK")


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != ancestor:
        pid = parents[pid]
    return pid == ancestor

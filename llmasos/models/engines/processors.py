"""How many threads pay: cores that this process may use, and that are idle."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 0.1
_CPUS = Path("/sys/devices/system/cpu")
_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")

Times = Mapping[int, tuple[int, int]]


def spare_processors() -> int:
    """Return how many threads to compute with, measured for a tenth of a second.

    Threads of one computation wait for each other at every step, so that one on a core which others
    use slows all of them down: more than the idle cores make it slower, not faster.
    """
    allowed = frozenset(os.sched_getaffinity(0))
    before = _times()
    time.sleep(_SECONDS)
    idle = idle_processors(before, _times(), allowed)
    return max(1, min(round(idle), _cores(allowed), _quota() or len(allowed)))


def idle_processors(before: Times, after: Times, allowed: frozenset[int]) -> float:
    """Return how many of the allowed processors were idle between two readings.

    Args:
        before: Ticks idle and ticks in all, by processor.
        after: The same, later.
        allowed: The processors that count.
    """
    shares = []
    for number in allowed & before.keys() & after.keys():
        total = after[number][1] - before[number][1]
        shares.append((after[number][0] - before[number][0]) / total if total > 0 else 1.0)
    return sum(shares) if shares else float(len(allowed))


def _times() -> dict[int, tuple[int, int]]:
    """Return ticks idle and in all since the start, by processor; source: proc(5)."""
    times = {}
    with contextlib.suppress(OSError):
        for line in _STAT.read_text().splitlines():
            name, _, rest = line.partition(" ")
            if name.startswith("cpu") and name[3:].isdigit():
                # The last two columns, time of guests, are part of the first ones.
                ticks = [int(field) for field in rest.split()[:8]]
                times[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return times


def _cores(allowed: frozenset[int]) -> int:
    """Return how many cores the processors are, two of which may be threads of one core."""
    cores = set()
    for number in allowed:
        topology = _CPUS / f"cpu{number}" / "topology"
        try:
            place = [(topology / name).read_text() for name in ("physical_package_id", "core_id")]
        except OSError:
            place = [str(number)]
        cores.add(tuple(place))
    return len(cores)


def _quota() -> int:
    """Return the processors that the control group grants, rounded up; 0 is no bound."""
    try:
        quota, period = _QUOTA.read_text().split()
        return 0 if quota == "max" else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return 0

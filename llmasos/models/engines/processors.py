"""How many threads to compute with: one for each core that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

# Writing a reply waits for the memory; more threads than that wait for each other.
_MOST = 16
_CPUS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Return how many threads to compute with.

    The number decides in which order numbers are added, and with it what a model writes where two tokens
    are about as likely. So it does not depend on how busy the machine is. On busy cores that costs little:
    threads that wait do so without spinning.
    """
    allowed = frozenset(os.sched_getaffinity(0))
    return max(1, min(_cores(allowed), _quota() or len(allowed), _MOST))


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

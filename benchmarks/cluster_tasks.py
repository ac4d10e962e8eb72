"""What benchmarks run on workers; little is imported here, for every worker imports it."""

from __future__ import annotations

import subprocess
import time

NAP_SECONDS = 0.02


def tiny(number: int) -> int:
    """Do next to nothing."""
    return number + 1


def nap(number: int) -> int:
    """Take 20 ms of nobody's time."""
    time.sleep(NAP_SECONDS)
    return number


def spread(number: int) -> int:
    """Take 100 ms of nobody's time."""
    time.sleep(0.1)
    return number


def hang(_: int) -> None:
    """Start a process, and hang."""
    subprocess.run(["sleep", "600"], check=False)

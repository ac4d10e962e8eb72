"""The memory that this process takes."""

from __future__ import annotations

import contextlib
from pathlib import Path


def own_memory() -> int:
    """Return the bytes of this process that are no file's; source: proc(5)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0

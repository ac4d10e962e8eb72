"""The memory that this process takes, and may take."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

from llmasos.errors import ModelError
from llmasos.models.catalog.estimate import estimate
from llmasos.models.engines.port import LoadPlan

# Libraries, threads' stacks, and requests.
_SPARE = 4 * 2**30
_FIRST_TO_GO = "500"


def own_memory() -> int:
    """Return the bytes of this process that are no file's; source: proc(5)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def bound_memory(plan: LoadPlan) -> None:
    """Keep this process, which runs a model's own programs, from taking the machine's whole memory.

    On a GPU its driver maps more than it takes; there the system ends this process before others.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    if plan.device == "cpu":
        # A model whose files say nothing fails by itself.
        with contextlib.suppress(ModelError):
            most = 2 * estimate(plan).total + _SPARE
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))

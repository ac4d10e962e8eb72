"""Whether a load can have failed for want of memory, where an engine does not say why it failed."""

from __future__ import annotations

import mmap

from llmasos.errors import ModelError
from llmasos.models.catalog.estimate import estimate
from llmasos.models.engines.port import LoadPlan


def has_room(plan: LoadPlan) -> bool:
    """Return whether this process would be given as much memory as the model takes, by estimate."""
    try:
        needed = estimate(plan).total
    except ModelError:
        # The files are damaged, and that is the reason.
        return True
    try:
        mmap.mmap(-1, max(needed, 1)).close()
    except OSError:
        return False
    return True

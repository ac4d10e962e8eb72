"""A process and its parent: one that must not outlive the program that started it."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> bool:
    """Have Linux kill this process when its parent ends, whatever that ends of.

    Args:
        parent: The parent's number.

    Returns:
        Whether this holds: not when the parent has ended already, or the system does not do it.
    """
    bound = ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    return bound and os.getppid() == parent

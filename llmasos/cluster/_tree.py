"""Ends processes with all that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Iterable
from pathlib import Path

import anyio

_ROUNDS = 20
_GONE_SECONDS, _LOOK_SECONDS = 2.0, 0.001


def descendants(roots: Iterable[int]) -> set[int]:
    """Return the processes below some, by what the kernel says now."""
    found: set[int] = set()
    waiting = set(roots)
    while waiting:
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{waiting.pop()}/task").iterdir():
                with contextlib.suppress(OSError):
                    children = {int(pid) for pid in (thread / "children").read_text().split()}
                    waiting |= children - found
                    found |= children
    return found


def end_tree(roots: Iterable[int]) -> set[int]:
    """Kill processes and all below them, which is found though more is started meanwhile, and return these.

    Args:
        roots: The processes, which must be the caller's to end.
    """
    roots = set(roots)
    for root in roots:
        _signal(root, signal.SIGSTOP)
    killed: set[int] = set()
    for _ in range(_ROUNDS):
        if not (found := descendants(roots) - killed - roots):
            break
        for pid in found:
            _signal(pid, signal.SIGKILL)
        killed |= found
    for root in roots:
        _signal(root, signal.SIGKILL)
    return killed


async def gone(pids: Collection[int]) -> None:
    """Wait until processes that were killed have ended, as far as the kernel ends them in time."""
    with anyio.move_on_after(_GONE_SECONDS):
        while any(map(began, pids)):
            await anyio.sleep(_LOOK_SECONDS)


def began(pid: int) -> int:
    """Return when a process began, in ticks since the machine did; 0 when there is none, or it has ended."""
    try:
        # The name, in parentheses, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return 0 if fields[0] in "ZX" else int(fields[19])
    except (OSError, IndexError):
        return 0


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)

"""Finding and ending what requests leave behind."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

_FEW = 8
_ROUNDS = 50


class Processes:
    """Tells the processes that may stay from those that have to end.

    The worker is a subreaper, so that whatever is orphaned inside becomes its child.
    """

    def __init__(self) -> None:
        self.spared: set[int] = set()  # leaders of sessions, with all that is below them
        self._detached: set[int] = set()  # sessions that a command was allowed to leave

    def sweep(self) -> bool:
        """Kill whatever nobody spares, and tell whether there was nothing."""
        return _end(self._left)

    def end_with(self, leader: int) -> bool:
        """Kill what is left in a leader's session and below it, and tell whether there was nothing."""

        def find() -> list[int]:
            children = _children()
            orphans = [number for number, stat in children.get(os.getpid(), []) if stat.session == leader]
            found = [number for top in orphans for number in (top, *_below(top, children, set(), set()))]
            return [number for number in found if number != leader]

        return _end(find)

    def detach(self, session: int) -> None:
        """Spare what is left and has moved from a session to one of its own."""
        for number in self._left():
            found = _stat(number)
            if found is not None and found.session != session:
                self._detached.add(found.session)

    def tasks(self, top: int) -> int:
        """Return how many processes and threads a process and all below it are, ended ones included."""
        children = _children()
        found, queue = 0, [top]
        own = _stat(top)
        while queue:
            for number, stat in children.get(queue.pop(), []):
                queue.append(number)
                found += stat.threads or 1
        return found + (own.threads if own is not None else 0)

    def families(self) -> dict[int, dict[int, Stat]]:
        """Return all processes below the worker, by the spared leader that they belong to, or 0."""
        children = _children()
        found: dict[int, dict[int, Stat]] = {}
        queue = [
            (next((leader for leader in (number, stat.session) if leader in self.spared), 0), number, stat)
            for number, stat in children.get(os.getpid(), [])
        ]
        while queue:
            leader, number, stat = queue.pop()
            found.setdefault(leader, {})[number] = stat
            queue += [(leader, *child) for child in children.get(number, [])]
        return found

    def _left(self) -> list[int]:
        own = os.getpid()
        with contextlib.suppress(OSError), open("/proc/self/task/%d/children" % own) as file:
            if self.spared.issuperset(map(int, file.read().split())):
                return []
        return _below(own, _children(), self.spared, self.spared | self._detached)


class Stat(NamedTuple):
    """What the kernel tells of a process."""

    parent: int
    session: int
    state: bytes
    threads: int
    pages: int


def _stat(number: int) -> Stat | None:
    try:
        with open("/proc/%d/stat" % number, "rb") as file:
            # The program's name, in parentheses, may itself hold blanks and parentheses.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return Stat(int(fields[1]), int(fields[3]), fields[0], int(fields[17]), int(fields[21]))


def _children() -> dict[int, list[tuple[int, Stat]]]:
    """Return each process's children."""
    below: dict[int, list[tuple[int, Stat]]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = _stat(int(name))
            if found is not None:
                below.setdefault(found.parent, []).append((int(name), found))
    return below


def _below(
    top: int, children: dict[int, list[tuple[int, Stat]]], spared: set[int], sessions: set[int]
) -> list[int]:
    found, queue = [], [top]
    while queue:
        for number, stat in children.get(queue.pop(), []):
            if number in spared or stat.session in sessions:
                continue
            queue.append(number)
            if stat.state not in b"ZX":
                found.append(number)
    return found


def _end(find: Callable[[], list[int]]) -> bool:
    left = find()
    if len(left) > _FEW:
        # What multiplies is frozen first: a killed process only makes room for another.
        frozen: set[int] = set()
        for _ in range(_ROUNDS):
            fresh = [number for number in left if number not in frozen]
            if not fresh:
                break
            _signal(fresh, signal.SIGSTOP)
            frozen.update(fresh)
            left = find()
    _signal(left, signal.SIGKILL)
    return not left


def _signal(numbers: list[int], number: int) -> None:
    for process in numbers:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)

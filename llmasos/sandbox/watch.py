"""The disk watch: stops what fills the disk, at the cost of one system call ten times a second."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from llmasos.config import SandboxLimits
from llmasos.errors import SandboxError
from llmasos.sandbox.port import Limit, View

_POLL_SECONDS = 0.1
# What is left to others on the disk, whatever the limit says.
_RESERVE = 256 << 20


class Usage(NamedTuple):
    """Space in bytes, and inodes."""

    space: int
    files: int

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.space - other.space, self.files - other.files)


class DiskWatch:
    """Watches what a view adds to the disk.

    The free space of the file system tells when it may have become too much; only then the view is measured.

    Args:
        view: A folder that is used in place is not measured: only the disk's free space counts.
        limits: `disk_mb` and `files`.
        stop: Called with the limit that was broken.
    """

    def __init__(self, view: View, limits: SandboxLimits, stop: Callable[[Limit], Awaitable[None]]) -> None:
        self._place = view.upper
        self._measured = view.kind != "in-place"
        self._limit = Usage(limits.disk_mb << 20, limits.files)
        self._stop = stop
        # A snapshot holds the person's files as well, which nobody has added.
        self._base: Usage | None = None if view.kind == "snapshot" else Usage(0, 0)
        self._used: Usage | None = None if self._measured else Usage(0, 0)
        self._free = Usage(0, 0)
        # What was there when the limit was last broken, and everything had been stopped.
        self._left = Usage(0, 0)
        self._alarm: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch from now on, until a limit is broken or `end`; while it watches, this changes nothing."""
        if self._alarm is not None or (self._task is not None and not self._task.done()):
            return
        began = _free(self._place)
        if self._used is None or not self._measured or _over(self._used, self._limit):
            self._used = None if self._measured else Usage(0, 0)
            self._free = began

        def look() -> None:
            self._alarm = None
            self._task = asyncio.create_task(self._run(began))

        # What ends before there is anything to see does not pay for a task.
        self._alarm = asyncio.get_running_loop().call_later(_POLL_SECONDS, look)

    async def end(self) -> None:
        """Watch no more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with anyio.CancelScope(shield=True), contextlib.suppress(asyncio.CancelledError, SandboxError):
                await task

    async def _run(self, began: Usage) -> None:
        most = self._limit
        while True:
            now = _free(self._place)
            if self._used is None:
                before = await self._measure(began - now)
                # What is there already does not forbid to tidy up; it may only not grow. What others write to
                # the disk meanwhile makes it seem less than it is, but never less than what was left.
                assert self._used is not None
                left = self._left if _over(self._used, most) else before
                most = Usage(*map(max, most, before, left))
            broken = _over(self._free - now, most - self._used)
            if broken and self._measured:
                await self._measure(Usage(0, 0))
                broken = _over(self._used, most)
            if now.space < min(_RESERVE, began.space):
                broken = "disk"
            if broken:
                await self._stop(broken)
                if self._measured:
                    await self._measure(Usage(0, 0))
                    assert self._used is not None
                    self._left = self._used
                return
            await anyio.sleep(_POLL_SECONDS)

    async def _measure(self, fallen: Usage) -> Usage:
        """Measure what the view has added, and return it less what the disk has lost since the start."""
        free = _free(self._place)
        whole = await anyio.to_thread.run_sync(measure, self._place, abandon_on_cancel=True)
        added = Usage(min(max(fallen.space, 0), whole.space), min(max(fallen.files, 0), whole.files))
        if self._base is None:
            self._base = whole - added
        self._used, self._free = whole - self._base, free
        return self._used - added


def measure(folder: Path) -> Usage:
    """Return what the files below a folder take up; files that vanish meanwhile are left out."""
    space = files = 0
    open_folders = [os.fsencode(folder)]
    while open_folders:
        try:
            with os.scandir(open_folders.pop()) as entries:
                for entry in entries:
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    space += info.st_blocks * 512
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        open_folders.append(entry.path)
        except OSError:
            continue
    return Usage(space, files)


def _free(place: Path) -> Usage:
    found = os.statvfs(place)
    return Usage(found.f_bavail * found.f_frsize, found.f_favail)


def _over(used: Usage, most: Usage) -> Limit | None:
    if used.space > most.space:
        return "disk"
    return "files" if used.files > most.files else None

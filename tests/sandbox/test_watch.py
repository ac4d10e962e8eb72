"""The disk watch, on a disk that others write to as well."""

from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from llmasos.config import SandboxLimits
from llmasos.sandbox import watch
from llmasos.sandbox.port import Limit, View
from llmasos.sandbox.watch import DiskWatch, Usage

pytestmark = pytest.mark.anyio
MB = 1 << 20


@dataclass
class Disk:
    """A disk as the watch sees it.

    Args:
        used: What the view takes up.
        free: What is left.
        looks: Released each time somebody looks at what is left.
    """

    used: int = 0
    free: int = 100_000 * MB
    looks: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(0))

    def look(self, place: Path) -> Usage:
        self.looks.release()
        return Usage(self.free, 1_000_000)

    def measure(self, folder: Path) -> Usage:
        return Usage(self.used, 3)

    def write(self, size: int) -> None:
        self.used += size
        self.free -= size

    async def seen(self, times: int) -> None:
        for _ in range(times):
            await self.looks.acquire()


async def test_a_full_view_can_be_tidied_while_others_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, stops = Disk(), anyio.Semaphore(0)
    monkeypatch.setattr(watch, "measure", disk.measure)
    monkeypatch.setattr(watch, "_free", disk.look)
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.001)

    async def stop(limit: Limit) -> None:
        assert limit == "disk"
        stops.release()

    view = View("overlay", lower=tmp_path, upper=tmp_path, work=tmp_path, hidden=None, mapped=False)
    watching = DiskWatch(view, SandboxLimits(disk_mb=64), stop)
    watching.start()
    await disk.seen(5)
    disk.write(90 * MB)
    await stops.acquire()
    assert watching._task is not None
    await watching._task
    await watching.end()

    # The next command tidies up, slowly, while somebody else writes.
    disk.looks = anyio.Semaphore(0)
    watching.start()
    disk.free -= 40 * MB
    while watching._task is None or not (watching._task.done() or disk.looks.value > 15):
        await anyio.lowlevel.checkpoint()
    assert not watching._task.done(), "it was stopped, although it added nothing"
    disk.write(MB)
    await stops.acquire()
    await watching.end()

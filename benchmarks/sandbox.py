"""How fast the sandboxes are, beside a fresh interpreter and beside other sandboxes, in one run.

    python -m benchmarks sandbox

The peers are installed into an environment of their own from sandbox.requirements.txt.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

from llmasos.config import Settings, load_settings
from llmasos.sandbox import Outcome, Sandbox, SandboxProvider, View, Workspace, choose_provider

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
FLOOD = "yes | head -c 1000000000"
FORK_BOMB = "bomb() { bomb | bomb & }; bomb; sleep 100"
ENDLESS = "while True: pass"
DEAF = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
MANY_FILES = 100_000
REFILL_SECONDS = 2.0
TIERS: tuple[Literal["docker", "bubblewrap"], ...] = ("docker", "bubblewrap")


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        what: What was measured, and on which tier.
        ours: Seconds, or MiB where the unit says so.
        bound: The most that `ours` may be; None for a figure that only informs.
        peer: What it is compared with; empty when the bound is a figure of its own.
        theirs: The peer's figure.
        factor: How the bound relates to the peer's figure, in words.
        unit: `ms` or `MiB`.
    """

    what: str
    ours: float
    bound: float | None
    peer: str = ""
    theirs: float = 0.0
    factor: str = ""
    unit: str = "ms"

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.bound is None or self.ours <= self.bound

    def markdown(self) -> str:
        """Return the line in Markdown."""
        bound = self.factor or ("" if self.bound is None else self._show(self.bound))
        beside = f"{self.peer}: {self._show(self.theirs)}" if self.peer else ""
        ratio = self.ours / self.theirs if self.peer and self.theirs else 0.0
        shown = "" if not ratio else f"{1 / ratio:,.0f}x faster" if ratio < 0.05 else f"{ratio:.2f}x"
        met = "" if self.bound is None else "yes" if self.met else "**no**"
        return f"| {self.what} | {bound} | {self._show(self.ours)} | {beside} | {shown} | {met} |"

    def _show(self, value: float) -> str:
        if self.unit == "MiB":
            return f"{value:,.1f} MiB"
        return f"{value * 1000:,.2f} ms" if value < 0.1 else f"{value * 1000:,.0f} ms"


class Bench:
    """A tier with a pool, and folders to open sandboxes on."""

    def __init__(self, provider: SandboxProvider, place: Path) -> None:
        self._provider = provider
        self._place = place
        self._opened = 0

    def folder(self, files: int) -> Path:
        """Make a folder with so many small files, at most a hundred in each folder below."""
        folder = self._place / f"files-{files}"
        if not folder.exists():
            for start in range(0, files, 100):
                below = folder / f"{start // 100}"
                below.mkdir(parents=True)
                for number in range(start, min(start + 100, files)):
                    (below / f"{number}.txt").write_text("text\n")
        return folder

    async def view(self, folder: Path, state: Path) -> View:
        """Open a workspace, and return the view of its folder."""
        workspace = await anyio.to_thread.run_sync(Workspace.open, folder, state)
        return await workspace.view(self._provider.view_kind)

    async def show(self, view: View) -> Sandbox:
        """Open a sandbox on a view."""
        return await self._provider.open(view, session=f"bench-{self._opened}")

    async def open(self, folder: Path, state: Path) -> Sandbox:
        """Open a sandbox on a view of a folder."""
        return await self.show(await self.view(folder, state))

    def state(self) -> Path:
        """Return a new place for a workspace's state."""
        self._opened += 1
        return self._place / f"state-{self._opened}"

    async def fresh(self) -> Sandbox:
        """Open a sandbox on a small folder."""
        return await self.open(self.folder(10), self.state())

    async def warm(self) -> None:
        """Wait until the pool is full: it fills again by itself, some time after a sandbox was taken."""
        await self._provider.warm()
        await anyio.sleep(REFILL_SECONDS)


@asynccontextmanager
async def tier(settings: Settings, name: Literal["docker", "bubblewrap"], pool: int) -> AsyncIterator[Bench]:
    """Give out a tier with a pool of so many sandboxes."""
    with tempfile.TemporaryDirectory() as base:
        place = Path(base)
        chosen = settings.model_copy(
            update={"sandbox": name, "sandbox_pool": pool, "runtime_dir": place / "run", "data_dir": place}
        )
        provider = await choose_provider(chosen)
        try:
            yield Bench(provider, place)
        finally:
            await provider.close()


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def median(work: Callable[[], Awaitable[object]], times: int) -> float:
    """Return the median time in seconds, after a first round that does not count."""
    await work()
    return statistics.median([await seconds(work) for _ in range(times)])


def started(command: list[str], times: int) -> float:
    """Return the median time of a whole process in seconds."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    once()
    return statistics.median(once() for _ in range(times))


def checked(outcome: Outcome, status: str = "ok") -> Outcome:
    """Return an outcome that is what it should be; a figure of something that failed says nothing."""
    if outcome.status != status:
        raise RuntimeError(f"{outcome.status} instead of {status}: {outcome.output[-500:]}")
    return outcome


def peers(image: str) -> dict[str, float]:
    """Install the peers, and return the median time of a call of each, in seconds."""
    with tempfile.TemporaryDirectory() as base:
        venv.create(base, with_pip=True)
        python = f"{base}/bin/python"
        wanted = str(HERE / "sandbox.requirements.txt")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        done = subprocess.run(
            [python, str(HERE / "peers.py"), image], check=True, stdout=subprocess.PIPE, text=True
        )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


async def warm_cell(bench: Bench) -> float:
    """Return the time of a cell in a session that runs."""
    sandbox = await bench.fresh()

    async def cell() -> None:
        checked(await sandbox.run_python("print(1 + 1)", timeout=10))

    try:
        return await median(cell, 500)
    finally:
        await sandbox.close()


async def first_cell(bench: Bench) -> float:
    """Return the time from asking for a sandbox on a view to its first cell's answer, with a pool."""
    found = []
    for _ in range(9):
        await bench.warm()
        view = await bench.view(bench.folder(10), bench.state())
        began = time.perf_counter()
        sandbox = await bench.show(view)
        checked(await sandbox.run_python("1 + 1", timeout=10))
        found.append(time.perf_counter() - began)
        await sandbox.close()
    return statistics.median(found)


async def one_shot(bench: Bench) -> float:
    """Return the time of opening a sandbox on a view, a cell in a fresh fork, and closing."""
    found = []
    for _ in range(9):
        await bench.warm()
        view = await bench.view(bench.folder(10), bench.state())
        began = time.perf_counter()
        sandbox = await bench.show(view)
        checked(await sandbox.run_python("pass", timeout=10, fresh=True))
        await sandbox.close()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


async def opening(bench: Bench, files: int, *, cold: bool) -> float:
    """Return the time from a folder to the first listing in its sandbox; cold is without any state."""
    folder, kept = bench.folder(files), bench.state()

    async def once(state: Path) -> None:
        sandbox = await bench.open(folder, state)
        checked(await sandbox.run_command("ls", timeout=10))
        found.append(time.perf_counter() - began)
        await sandbox.close()

    found: list[float] = []
    for _ in range(5):
        state = bench.state() if cold else kept
        await bench.warm()
        began = time.perf_counter()
        await once(state)
    return statistics.median(found if cold else found[1:])


async def overshoot(bench: Bench, code: str) -> float:
    """Return by how much a cell outlives its time."""
    sandbox = await bench.fresh()
    found = []
    try:
        for _ in range(5):
            # A cell of a fresh session, so that starting one is not counted.
            if sandbox.lost:
                sandbox = await bench.fresh()
            checked(await sandbox.run_python("1", timeout=10))
            began = time.perf_counter()
            checked(await sandbox.run_python(code, timeout=0.5), "timeout")
            found.append(time.perf_counter() - began - 0.5)
    finally:
        await sandbox.close()
    return statistics.median(found)


async def recovery(bench: Bench) -> float:
    """Return the time from the end of a fork bomb's time to the next cell's answer."""
    found = []
    for _ in range(3):
        state = bench.state()
        sandbox = await bench.open(bench.folder(10), state)
        began = time.perf_counter()
        await sandbox.run_command(FORK_BOMB, timeout=1)
        # Where it stopped before its time, the killing began then.
        began = min(began + 1.0, time.perf_counter())
        if sandbox.lost:
            await sandbox.close()
            sandbox = await bench.open(bench.folder(10), state)
        checked(await sandbox.run_python("1 + 1", timeout=10))
        found.append(time.perf_counter() - began)
        await sandbox.close()
    return statistics.median(found)


async def flood(name: Literal["docker", "bubblewrap"]) -> float:
    """Return by how many MiB this process grows at most while a command prints 1 GB."""

    def memory(what: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what))

    async with tier(load_settings(), name, 0) as bench:
        sandbox = await bench.fresh()
        try:
            checked(await sandbox.run_command("yes | head -c 1000000", timeout=60))
            before = memory("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")
            checked(await sandbox.run_command(FLOOD, timeout=300))
            return (memory("VmHWM") - before) / 1024
        finally:
            await sandbox.close()


def grown(name: str) -> float:
    """Return `flood` of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sandbox", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    return float(done.stdout)


async def measure() -> list[str]:
    """Measure everything, and return the section's lines."""
    settings = load_settings()
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        print(row.markdown(), flush=True)

    empty, printing = (started([PYTHON, "-c", code], 31) for code in ("pass", "print(1)"))
    bare = [
        *("bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib"),
        *("--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", PYTHON, "-c", "pass"),
    ]
    bubblewrap = started(bare, 15)
    others = await anyio.to_thread.run_sync(peers, settings.sandbox_image)
    host = "host `python3 -c print`"
    for name in TIERS:
        async with tier(settings, name, 1) as bench:
            cell = await warm_cell(bench)
            add(Row(f"{name}: warm stateful cell", cell, 0.1 * printing, host, printing, "at most 0.1x"))
            for peer, what, times in (
                ("llm-sandbox", "llm-sandbox, interactive session", 100),
                ("exec_run", "Docker SDK `exec_run`", 30),
                ("swe-rex", "swe-rex `execute`", 15),
            ):
                theirs = others[peer]
                add(Row(f"{name}: the same", cell, theirs / times, what, theirs, f"{times}x faster"))
                if least := others.get(f"{peer} true"):
                    add(Row(f"{name}: the same", cell, None, f"{what} of `true`", least))
            first = await first_cell(bench)
            add(
                Row(
                    f"{name}: first cell, from the pool",
                    first,
                    0.5 * printing,
                    host,
                    printing,
                    "at most 0.5x",
                )
            )
            if name == "bubblewrap":
                shot = await one_shot(bench)
                fresh = "host `python3 -c pass`"
                add(Row("bubblewrap: one shot, from the pool", shot, 2 * empty, fresh, empty, "at most 2x"))
                add(Row("a bare `bwrap … python3 -c pass`", bubblewrap, None, fresh, empty))
            for cold in (True, False):
                few, many = [await opening(bench, files, cold=cold) for files in (10, MANY_FILES)]
                state = "never seen" if cold else "seen before"
                what = f"{name}: a folder of 100,000 files opens, {state}, beyond one of 10"
                add(Row(what, many - few, 0.05))
            add(Row(f"{name}: timeout overshoot, interruptible", await overshoot(bench, ENDLESS), 0.15))
            add(Row(f"{name}: timeout overshoot, hostile", await overshoot(bench, DEAF), 1.5))
            add(Row(f"{name}: from a fork bomb's end to the next cell", await recovery(bench), 3.0))
        growth = await anyio.to_thread.run_sync(grown, name)
        add(Row(f"{name}: client memory under 1 GB of output", growth, 32.0, unit="MiB"))
    return [
        "Medians of one run. The cell, and what the peers are asked for on our image, is `print(1 + 1)`: as",
        "`python3 -c` for the Docker SDK's `exec_run` and for swe-rex's `execute` (its server in a container",
        "on the host's network), in a session for llm-sandbox, made to poll ten times as often. Rows of",
        "`true` show the least that those calls can do. The first cell counts from asking for a sandbox on a",
        "view; a one shot is a sandbox opened on a view, an interpreter forked for one cell, and its end.",
        "",
        "| what | bound | ours | beside | ratio | met |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row.markdown() for row in rows),
    ]


def main() -> None:
    """Print by how much a process of its own grows under a flood."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tier", choices=TIERS)
    print(anyio.run(flood, parser.parse_args().tier))


if __name__ == "__main__":
    main()

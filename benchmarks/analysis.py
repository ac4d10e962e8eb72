"""Questions over ten million rows, from the file to the answer, beside pandas in the same sandbox."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from llmasos.api import ToolCall, TurnRequest
from llmasos.config import SandboxLimits, Settings
from llmasos.events import ActionFinished, TurnFinished
from llmasos.kernel import Kernel

ROWS = 10_000_000
_LARGE = 145_000_000
_BOUND = 30.0
_TIMES = 3
_QUESTION = "What is the average amount of each region in 2022?"
_MAKE = """
import duckdb
con = duckdb.connect()
con.execute("SET memory_limit='1GB'")
con.execute('''COPY (
    SELECT range AS id, (random() * 1000)::int AS store,
        ['north', 'south', 'east', 'west'][1 + (random() * 3.99)::int % 4] AS region,
        round(random() * 500, 2) AS amount, DATE '2020-01-01' + (random() * 1500)::int AS day
    FROM range({rows})) TO 'sales.csv' (HEADER)''')
"""
_PANDAS = """
import pandas
sales = pandas.read_csv("sales.csv", parse_dates=["day"])
sales.describe(include="all")
print(sales[sales.day.dt.year == 2022].groupby("region").amount.mean())
"""


@dataclass(frozen=True)
class _Measured:
    rows: int
    size: int
    seconds: float
    right: bool
    beside: str

    def line(self, bound: str) -> str:
        wrong = "" if self.right else " (**wrong**)"
        return (
            f"| {self.rows / 1e6:.0f} million rows, {self.size / 1e9:.2f} GB{wrong} | {bound} "
            f"| {self.seconds:.1f} s | {self.beside} |"
        )


async def measure() -> list[str]:
    """Return the lines of the section."""
    with tempfile.TemporaryDirectory(prefix="llmasos-bench-") as name:
        base = Path(name)
        settings = Settings(
            data_dir=base / "data",
            runtime_dir=base / "run",
            sandbox="bubblewrap",
            in_place=True,
            sandbox_limits=SandboxLimits(disk_mb=16_384),
        )
        async with Kernel(settings) as kernel:
            await kernel.models.resolve()
            usual = await _measured(kernel, base / "usual", ROWS, _TIMES)
            large = await _measured(kernel, base / "large", _LARGE, 1)
    return [
        "A CSV in a sandbox with 2 GB, two cores, the embedded model: profiled, asked about, answered with",
        "a chart, each time from the file; the median of three runs, of one for the file that is larger than",
        "the memory. Beside it the same by hand in pandas.",
        "",
        "| the file | bound | profile and answer | pandas |",
        "| --- | --- | --- | --- |",
        usual.line(f"{_BOUND:.0f} s"),
        large.line(""),
    ]


async def _measured(kernel: Kernel, folder: Path, rows: int, times: int) -> _Measured:
    folder.mkdir()
    session = await kernel.sessions.create(folder)
    sandbox = await session.workbench.sandbox.open()
    made = await sandbox.run_python(_MAKE.format(rows=rows), timeout=600, fresh=True)
    assert made.status == "ok", made.output
    size = (folder / "sales.csv").stat().st_size
    seconds, answer = [], ""
    for _ in range(times):
        began = time.perf_counter()
        call = ToolCall(tool="analyze_data", arguments={"path": "sales.csv", "question": _QUESTION})
        accepted = await session.start(TurnRequest(text="analyse", call=call, approve="all"))
        async with session.stream.follow(accepted.after) as events:
            async for event in events:
                if isinstance(event, ActionFinished):
                    answer = event.result
                if isinstance(event, TurnFinished) and event.turn == accepted.turn:
                    break
        seconds.append(time.perf_counter() - began)
    began = time.perf_counter()
    peer = await sandbox.run_python(_PANDAS, timeout=300, fresh=True)
    beside = time.perf_counter() - began
    right = all(region in answer for region in ("north", "south", "east", "west"))
    limit = f"ended by the limit on its {peer.status} after {beside:.1f} s"
    shown = f"{beside:.1f} s" if peer.status == "ok" else limit
    return _Measured(rows, size, statistics.median(seconds), right, shown)

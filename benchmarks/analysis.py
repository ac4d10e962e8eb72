"""Questions over ten million rows, from the file to the answer, beside pandas in the same sandbox."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from llmasos.api import ToolCall, TurnRequest
from llmasos.config import Settings
from llmasos.events import ActionFinished, TurnFinished
from llmasos.kernel import Kernel

ROWS = 10_000_000
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


async def measure() -> list[str]:
    """Return the lines of the section."""
    with tempfile.TemporaryDirectory(prefix="llmasos-bench-") as name:
        base = Path(name)
        folder = base / "folder"
        folder.mkdir()
        settings = Settings(
            data_dir=base / "data", runtime_dir=base / "run", sandbox="bubblewrap", in_place=True
        )
        async with Kernel(settings) as kernel:
            session = await kernel.sessions.create(folder)
            sandbox = await session.workbench.sandbox.open()
            made = await sandbox.run_python(_MAKE.format(rows=ROWS), timeout=300, fresh=True)
            assert made.status == "ok", made.output
            size = (folder / "sales.csv").stat().st_size
            await kernel.models.resolve()
            seconds, answer = [], ""
            for _ in range(_TIMES):
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
    median = statistics.median(seconds)
    shown = (
        f"{beside:.1f} s"
        if peer.status == "ok"
        else f"ended by the limit on its {peer.status} after {beside:.1f} s"
    )
    return [
        f"A CSV of {ROWS / 1e6:.0f} million rows and {size / 1e6:.0f} MB in a sandbox with 2 GB, two cores,",
        "with the embedded model: profiled, asked about, answered with a chart, each time from the file.",
        "",
        "| what | bound | median | beside |",
        "| --- | --- | --- | --- |",
        f"| profile and answer{'' if right else ' (**wrong**)'} | {_BOUND:.0f} s | {median:.1f} s | "
        f"the same by hand in pandas: {shown} |",
    ]

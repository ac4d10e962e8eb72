"""Tasks of each tool on the embedded model, from a sentence to what has to come of it.

    python -m benchmarks.tasks [TOOL] [--show]

Each runs in a folder of its own, through the gate, a sandbox and the ledger. It is right when what the person
is shown, the files afterwards and, for code, assertions that the model has not seen say so.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from benchmarks.page import replace
from benchmarks.task_list import TOOLS, Outcome, Task, make_folder
from llmasos import Kernel
from llmasos.agent import Session
from llmasos.api import ToolCall, TurnRequest
from llmasos.audits.statistics import wilson
from llmasos.config import load_settings
from llmasos.events import ActionFinished, ActionOutput, ActionStarted, TurnFinished

_ENGLISH, _CHINESE = "English", "Chinese"


@dataclass(frozen=True)
class _Done:
    task: Task
    right: bool
    chosen: bool
    seconds: float

    @property
    def language(self) -> str:
        return _CHINESE if any("一" <= letter <= "鿿" for letter in self.task.request) else _ENGLISH


async def measure(only: str = "", *, show: bool = False) -> list[str]:
    """Run every task, or those of one tool, and return the lines of the section."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="llmasos-bench-") as base:
        place = Path(base)
        changed = {"data_dir": place / "data", "runtime_dir": place / "run", "sandbox": "bubblewrap"}
        async with Kernel(load_settings().model_copy(update=changed)) as kernel:
            await kernel.models.resolve()
            for tool, tasks in TOOLS.items():
                if only and tool != only:
                    continue
                done = []
                for number, task in enumerate(tasks):
                    folder = place / f"{tool}-{number}"
                    folder.mkdir()
                    session = await kernel.sessions.create(folder, in_place=True)
                    done.append(await _attempt(session, folder, tool, task, show=show))
                rows.append(_row(tool, done))
                print(rows[-1], flush=True)
    return [
        "Requests in English and Chinese, each in a folder of 22 files, from a sentence to what is shown and",
        "written; code is judged by assertions that the model has not seen. A person calls `ask_files`, and",
        "the model chooses the others. With 95 % confidence, a share lies in the interval (Wilson).",
        "",
        "| tool | right | of all such tasks | English | Chinese | tool chosen | seconds, median |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


async def _attempt(session: Session, folder: Path, tool: str, task: Task, *, show: bool) -> _Done:
    sandbox = await session.workbench.sandbox.open()
    await sandbox.run_python(make_folder(folder), timeout=60, fresh=True)
    call = ToolCall(tool=tool, arguments=dict(task.call)) if task.call else None
    began = time.monotonic()
    accepted = await session.start(TurnRequest(text=task.request, approve="all", call=call))
    shown, calls = "", list[str]()
    async with session.stream.follow(accepted.after) as events:
        async for event in events:
            if isinstance(event, ActionStarted):
                calls.append(event.tool)
                shown += f"{event.tool} {event.arguments}\n" if show else ""
            elif isinstance(event, ActionFinished):
                shown += f"{event.result}\n"
            elif isinstance(event, ActionOutput):
                shown += event.text
            elif isinstance(event, TurnFinished):
                shown += event.answer or event.error
                break
    seconds = time.monotonic() - began
    files = {
        path.relative_to(folder).as_posix(): path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file()
    }
    right = task.check(Outcome(shown, files))
    if right and task.probe:
        sandbox = await session.workbench.sandbox.open()
        code = f"import sys\nsys.path.insert(0, '.')\nsys.dont_write_bytecode = True\n{task.probe}\n"
        probed = await sandbox.run_python(code, timeout=20, fresh=True)
        right = probed.status == "ok"
        shown += "" if right else f"\nPROBE {probed.output[-500:]}"
    await session.workbench.sandbox.close()
    if show and not right:
        print(
            "MISS",
            task.request,
            shown[-1500:],
            *(
                f"{name}: {text[:600]}"
                for name, text in files.items()
                if name in ("a.md", "g.md", "p.html", "f.srt", "r.csv", "s.md")
            ),
            sep="\n  ",
            flush=True,
        )
    return _Done(task, right, tool in calls, seconds)


def _row(tool: str, done: list[_Done]) -> str:
    def share(some: list[_Done]) -> str:
        return f"{sum(one.right for one in some)} of {len(some)}"

    low, high = wilson(sum(one.right for one in done), len(done))
    languages = ([one for one in done if one.language == name] for name in (_ENGLISH, _CHINESE))
    seconds = sorted(one.seconds for one in done)[len(done) // 2]
    chosen = sum(one.chosen for one in done)
    return (
        f"| `{tool}` | {share(done)} | {low:.0%} to {high:.0%} | {' | '.join(map(share, languages))} | "
        f"{chosen} of {len(done)} | {seconds:.1f} |"
    )


def main() -> None:
    """Read the command line, run, and write the rows of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", nargs="?", default="", choices=["", *TOOLS])
    parser.add_argument("--show", action="store_true", help="show what went wrong")
    options = parser.parse_args()

    lines = anyio.run(partial(measure, options.tool, show=options.show))
    replace("tasks", lines)


if __name__ == "__main__":
    main()

"""Whole requests on the embedded model: how many are carried out right, and how long they take.

    python -m benchmarks.first_light [MODEL] [--show]

Each request runs in a folder of its own, through the gate, a sandbox and the ledger; a check looks at the
answer and at the diff. The held-out requests were not looked at while the prompt was made.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from llmasos import Kernel
from llmasos.agent import Session
from llmasos.api import TurnRequest
from llmasos.config import load_settings
from llmasos.events import ActionFinished, ActionStarted, TurnFinished


@dataclass(frozen=True)
class Result:
    """What a request came to: the answer, and each changed path with its diff."""

    answer: str
    diff: dict[str, str]


Check = Callable[[Result], bool]


def says(*patterns: str) -> Check:
    """Check that the answer matches every pattern."""
    return lambda result: all(re.search(pattern, result.answer, re.I | re.S) for pattern in patterns)


def writes(path: str, *patterns: str) -> Check:
    """Check that a file was changed, and that its diff matches every pattern."""
    return lambda result: (
        path in result.diff
        and all(re.search(pattern, result.diff[path], re.I | re.S | re.M) for pattern in patterns)
    )


def touches(*paths: str) -> Check:
    """Check that exactly these paths were changed."""
    return lambda result: set(result.diff) == set(paths)


TUNED: tuple[tuple[str, Check], ...] = (
    (
        "how many lines of Python are in this folder, and which file is the longest?",
        says(r"\b72\b", r"shapes\.py"),
    ),
    (
        "make a file summary.md with a table of the five largest files",
        writes("summary.md", r"^\+.*shapes\.py.*$", r"^\+.*\|"),
    ),
    ("把 notes.txt 翻译成英文，保存为 notes.en.txt", writes("notes.en.txt", r"^\+.*December|^\+.*12")),
    ("which markdown file mentions the budget?", says(r"plan\.md")),
    ("delete the empty files", touches("docs/empty.txt", "src/nothing.log")),
    ("add a line 'reviewed' at the end of docs/plan.md", writes("docs/plan.md", r"^\+reviewed$")),
    ("统计每种扩展名有多少个文件，保存到 types.csv", writes("types.csv", r"^\+.*py,? *2")),
    ("what's the average of column score in data/scores.csv?", says(r"\b7(\.0+)?\b")),
    ("fix the bug in src/calc.py: add must return the sum", writes("src/calc.py", r"^\+\s+return a \+ b")),
    ("notes.txt 里说发布日期是哪一天？", says(r"十二月一日|12 ?月 ?1 ?日")),
    ("what is the longest word in docs/story.txt?", says(r"lighthouse")),
    ("what does the function area do?", says(r"circle|area|radius|π|pi")),
    ("hello, who are you?", lambda result: bool(result.answer) and not result.diff),
)

HELD_OUT: tuple[tuple[str, Check], ...] = (
    ("how many rows does data/scores.csv have, without the header?", says(r"\b(4|four)\b")),
    ("who has the highest score?", says(r"Chen")),
    (
        "write a file index.txt with the names of all markdown files, one per line",
        writes("index.txt", r"^\+.*plan\.md"),
    ),
    (
        "rename docs/story.txt to docs/tale.txt",
        lambda result: {"docs/tale.txt", "docs/story.txt"} <= set(result.diff),
    ),
    (
        "translate docs/plan.md into Chinese and save it as docs/plan.zh.md",
        writes("docs/plan.zh.md", r"[一-鿿]"),
    ),
    ("哪个 Python 文件里定义了 area 函数？", says(r"shapes\.py")),
    ("把 docs/story.txt 里的 lighthouse 全部换成 castle", writes("docs/story.txt", r"^\+.*castle")),
    (
        "create data/best.csv with only the rows of scores.csv whose score is above 6",
        writes("data/best.csv", r"Chen", r"Ann"),
    ),
    ("how large is this folder in bytes?", says(r"\d{3,}")),
    ("用一句话总结 notes.txt", says(r"发布|会议|报告")),
)


def make_folder(place: Path) -> None:
    """Lay out the folder that every request works on."""
    for folder in ("docs", "src", "data"):
        (place / folder).mkdir(parents=True)
    (place / "notes.txt").write_text(
        "会议记录\n今天我们讨论了新产品的发布计划。发布日期定在十二月一日。\n请大家在周五之前提交报告。\n"
    )
    (place / "docs/plan.md").write_text("# Plan\n\nThe budget is 4000 euros.\nWe start in May.\n")
    (place / "docs/readme.md").write_text("# Read me\n\nNothing about money here.\n")
    (place / "docs/story.txt").write_text(
        "The old lighthouse stood by the sea.\nA boat came to the lighthouse.\n"
    )
    (place / "docs/empty.txt").write_text("")
    (place / "src/nothing.log").write_text("")
    (place / "src/calc.py").write_text("def add(a, b):\n    return a - b\n")
    lines = ["import math", "", "", "def area(radius):", '    """Return the area of a circle."""']
    lines += ["    return math.pi * radius**2", ""] + [f"SIDE_{n} = {n}" for n in range(63)]
    (place / "src/shapes.py").write_text("\n".join(lines) + "\n")
    (place / "data/scores.csv").write_text("name,score\nAnn,8\nBob,5\nChen,9\nDora,6\n")
    for number, file in enumerate(sorted(place.rglob("*"))):
        os.utime(file, (1_700_000_000 + number, 1_700_000_000 + number))


async def attempt(session: Session, request: str) -> tuple[Result, list[str]]:
    """Run one request and return its result and the calls it made."""
    accepted = await session.start(TurnRequest(text=request, approve="all"))
    calls: list[str] = []
    answer = ""
    async with session.stream.follow(accepted.after) as events:
        async for event in events:
            if isinstance(event, ActionStarted):
                calls.append(f"{event.tool} {event.arguments}")
            elif isinstance(event, ActionFinished):
                calls.append(f"  -> {event.status}: {event.result[:300]}")
            elif isinstance(event, TurnFinished):
                answer = event.answer or event.error
                break
    return Result(
        answer, {change.path: change.diff for change in (await session.workbench.diff()).changes}
    ), calls


async def run(model: str, show: bool) -> list[str]:
    """Run every request and return how many were carried out right, as rows of a Markdown table."""
    rows = []
    settings = load_settings()
    with tempfile.TemporaryDirectory() as base:
        place = Path(base)
        settings = settings.model_copy(update={"data_dir": place / "data", "sandbox": "bubblewrap"})
        async with Kernel(settings) as kernel:
            await kernel.models.resolve(model or None, tools=())
            for name, cases in (("tuned", TUNED), ("held out", HELD_OUT)):
                right, began = 0, time.monotonic()
                for number, (request, check) in enumerate(cases):
                    folder = place / f"{name.replace(' ', '-')}-{number}"
                    make_folder(folder)
                    session = await kernel.sessions.create(folder, model=model)
                    result, calls = await attempt(session, request)
                    ok = check(result)
                    right += ok
                    if show and not ok and name == "tuned":
                        print("MISS", request, *calls, f"= {result.answer}", result.diff, sep="\n  ")
                seconds = (time.monotonic() - began) / len(cases)
                rows.append(f"| {name} | {right} of {len(cases)} | {seconds:.1f} |")
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--show", action="store_true", help="show what the misses among the tuned did")
    options = parser.parse_args()
    anyio.run(run, options.model, options.show)


if __name__ == "__main__":
    main()

"""`python -m benchmarks [SECTION]` measures, and writes docs/benchmarks.md; the rest of it stays as it is."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import anyio

from benchmarks import (
    analysis,
    cluster,
    federated,
    first_light,
    knowledge,
    ledger,
    models,
    safety,
    sandbox,
    sessions,
    simulated,
    speed,
    tasks,
    terminal,
)
from benchmarks.page import write


def speed_lines() -> list[str]:
    """Measure how fast the system answers."""
    rows = [row.markdown() for row in speed.measure()]
    print(*rows, sep="\n")
    return ["| what | bound | median | beside |", "| --- | --- | --- | --- |", *rows]


def sandbox_lines() -> list[str]:
    """Measure the sandboxes."""
    return anyio.run(sandbox.measure)


def analysis_lines() -> list[str]:
    """Measure questions about data."""
    return anyio.run(analysis.measure)


def knowledge_lines() -> list[str]:
    """Measure the search over documents."""
    return anyio.run(knowledge.measure)


def session_lines() -> list[str]:
    """Measure long sessions, and many."""
    return anyio.run(sessions.measure)


def task_lines() -> list[str]:
    """Measure what the tools come to."""
    return anyio.run(tasks.measure)


def ledger_lines() -> list[str]:
    """Measure the ledger."""
    return anyio.run(ledger.measure)


def request_lines() -> list[str]:
    """Measure whole requests."""
    return [
        "Requests in English and Chinese on a folder of nine files, through gate, sandbox and ledger, judged",
        "by the answer and the diff. The held-out ones were not looked at while the prompt was made.",
        "",
        "| requests | right | seconds each |",
        "| --- | --- | --- |",
        *anyio.run(first_light.run, "", False),
    ]


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "speed": speed_lines,
    "terminal": terminal.lines,
    "sandbox": sandbox_lines,
    "ledger": ledger_lines,
    "sessions": session_lines,
    "models": models.lines,
    "simulated": simulated.lines,
    "federated": federated.lines,
    "analysis": analysis_lines,
    "knowledge": knowledge_lines,
    "cluster": cluster.lines,
    "safety": safety.lines,
    "tasks": task_lines,
    "requests": request_lines,
}


def main() -> None:
    """Measure what was asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("section", nargs="*", help=f"which of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="measure the speed alone, and write nothing")
    options = parser.parse_args()
    unknown = [name for name in options.section if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {unknown[0]}; choose from {', '.join(SECTIONS)}")
    if options.quick:
        speed_lines()
        return
    asked = options.section or SECTIONS
    write({name: lines() for name, lines in SECTIONS.items() if name in asked})


if __name__ == "__main__":
    main()

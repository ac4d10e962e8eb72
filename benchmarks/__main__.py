"""`python -m benchmarks [SECTION]` measures, and writes docs/benchmarks.md; the rest of it stays as it is."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from pathlib import Path

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
    simulated,
    speed,
    tasks,
)

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


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


SECTIONS: dict[str, tuple[str, Callable[[], list[str]]]] = {
    "speed": ("Speed", speed_lines),
    "sandbox": ("Sandboxes", sandbox_lines),
    "ledger": ("The ledger", ledger_lines),
    "models": ("Models", models.lines),
    "simulated": ("The scheduler beside other rules, simulated", simulated.lines),
    "federated": ("Federated training", federated.lines),
    "analysis": ("Questions about data", analysis_lines),
    "knowledge": ("Questions over documents", knowledge_lines),
    "cluster": ("Work across cores and machines", cluster.lines),
    "safety": ("Attacks by what the model reads", safety.lines),
    "tasks": ("Tasks of each tool on the embedded model", task_lines),
    "requests": ("Whole requests on the embedded model", request_lines),
}


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def written() -> dict[str, list[str]]:
    """Return the page's sections as they are, by their titles."""
    sections: dict[str, list[str]] = {}
    for part in PAGE.read_text().split("\n## ")[1:] if PAGE.exists() else []:
        title, _, body = part.partition("\n")
        sections[title] = body.strip("\n").split("\n")
    return sections


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
    sections = written()
    for name, (title, lines) in SECTIONS.items():
        if name in (options.section or SECTIONS):
            sections[title] = lines()
    page = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Medians of one run on "
        f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}.",
    ]
    for title, _ in SECTIONS.values():
        if title in sections:
            page += ["", f"## {title}", "", *sections[title]]
    PAGE.write_text("\n".join(page) + "\n")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()

"""The page of all measurements, each part of which is written when it is measured, and stays until then."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
TITLES = {
    "speed": "Speed",
    "terminal": "The terminal",
    "sandbox": "Sandboxes",
    "ledger": "The ledger",
    "sessions": "Sessions",
    "models": "Models",
    "gpu": "Models on a GPU",
    "simulated": "The scheduler beside other rules, simulated",
    "federated": "Federated training",
    "analysis": "Questions about data",
    "knowledge": "Questions over documents",
    "cluster": "Work across cores and machines",
    "safety": "Attacks by what the model reads",
    "tasks": "Tasks of each tool on the embedded model",
    "requests": "Whole requests on the embedded model",
}
"""The parts in their order: how each is asked for, and its heading."""


def write(parts: Mapping[str, Sequence[str]], *, elsewhere: bool = False) -> None:
    """Write parts of the page; the others stay as they are.

    Args:
        parts: Their lines, by their names.
        elsewhere: They were measured on another machine than all else, and say on which.
    """
    sections = _written() | {TITLES[name]: list(lines) for name, lines in parts.items()}
    page = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Medians of one run on "
        f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}.",
    ]
    if elsewhere:
        page = PAGE.read_text().split("\n\n## ")[0].rstrip("\n").split("\n")
    for title in TITLES.values():
        if title in sections:
            page += ["", f"## {title}", "", *sections[title]]
    PAGE.write_text("\n".join(page) + "\n")
    print(f"wrote {PAGE}")


def replace(name: str, lines: Sequence[str]) -> None:
    """Put lines of a table in the place of those of a part that begin with the same cell."""
    fresh = {line.split("|")[1]: line for line in lines if line.startswith("|")}
    old = _written().get(TITLES[name], [])
    write({name: [fresh.get(line.split("|")[1], line) if line.startswith("|") else line for line in old]})


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _written() -> dict[str, list[str]]:
    """Return the page's parts as they are, by their headings."""
    sections: dict[str, list[str]] = {}
    for part in PAGE.read_text().split("\n## ")[1:] if PAGE.exists() else []:
        title, _, body = part.partition("\n")
        sections[title] = body.strip("\n").split("\n")
    return sections

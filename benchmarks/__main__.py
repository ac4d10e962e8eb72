"""`python -m benchmarks` measures, and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

import anyio

from benchmarks import first_light, speed

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the whole requests out and write nothing")
    options = parser.parse_args()
    rows = [row.markdown() for row in speed.measure()]
    print(*rows, sep="\n")
    if options.quick:
        return
    scores = anyio.run(first_light.run, "", False)
    page = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Medians of one run on "
        f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}.",
        "",
        "## Speed",
        "",
        "| what | bound | median | beside |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "## Whole requests on the embedded model",
        "",
        "Requests in English and Chinese on a folder of nine files, through gate, sandbox and ledger, judged",
        "by the answer and the diff. The held-out ones were not looked at while the prompt was made.",
        "",
        "| requests | right | seconds each |",
        "| --- | --- | --- |",
        *scores,
        "",
    ]
    PAGE.write_text("\n".join(page))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()

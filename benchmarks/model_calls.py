"""How well an embedded model chooses and writes tool calls, in English and Chinese.

    python benchmarks/model_calls.py qwen2.5-coder-1.5b

The same as `llmasos models bench`, without a kernel.
"""

from __future__ import annotations

import argparse
import sys

import anyio

from benchmarks.model_tools import tools
from llmasos.config import load_settings
from llmasos.models import Models
from llmasos.models.bench.run import bench
from llmasos.shell.model_lines import report_lines


async def main(name: str, limit: int) -> None:
    """Measure one model of the catalog."""
    async with Models(load_settings()) as models:
        report = await bench(await models.resolve(name), tools(), limit=limit, tell=_tell)
    print("\n".join(report_lines(report)))


def _tell(what: str, done: float, total: float, unit: str) -> None:
    print(f"\r{what} {done:.0f} of {total:.0f} {unit}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="qwen2.5-coder-1.5b")
    parser.add_argument("--limit", type=int, default=0, help="requests of each kind at most")
    options = parser.parse_args()
    anyio.run(main, options.model, options.limit)

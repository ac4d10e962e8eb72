"""How large each file of a folder is, asked on every core: `python examples/sizes.py [FOLDER]`."""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path

import anyio

from llmasos.cluster import ProcessExecutor, Work


def size(path: Path) -> int:
    """Return a file's size; this runs on a worker."""
    return path.stat().st_size


async def main(folder: Path) -> None:
    """Print a line for each file."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    executor = ProcessExecutor()
    try:
        async with aclosing(executor.map(size, paths, Work(idempotent=True, timeout=60))) as outcomes:
            async for outcome in outcomes:
                print(paths[outcome.index].name, outcome.state, outcome.result())
    finally:
        await executor.close()


if __name__ == "__main__":
    anyio.run(main, Path(*sys.argv[1:]))

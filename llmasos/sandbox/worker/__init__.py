"""The program inside a sandbox: the host copies these modules in, and starts them with the Python there.

They run on Python 3.9 with nothing but the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["worker_command", "worker_files"]

# Isolated, so that no file of the workspace is imported instead of a module of ours.
_START = "import sys; sys.path.insert(0, sys.argv[1]); from worker.main import main; main(*sys.argv[2:])"


def worker_files() -> dict[str, str]:
    """Return the worker's modules: names such as `worker/main.py`, and their text."""
    folder = Path(__file__).parent
    return {f"worker/{file.name}": file.read_text() for file in sorted(folder.glob("*.py"))}


def worker_command(python: str, root: str, channel: str, options: Mapping[str, object]) -> list[str]:
    """Return the command that starts the worker.

    Args:
        python: The interpreter inside.
        root: The folder inside that holds the `worker_files`.
        channel: An inherited descriptor's number, or the path of the socket to connect to.
        options: `workspace`, `limits`, `attached`, `seccomp`, `user_limits` and `landlock`.
    """
    return [python, "-I", "-c", _START, root, channel, json.dumps(options)]

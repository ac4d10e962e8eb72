"""Parts of the system that run in a process of their own: the terminal knows the rest by its API only."""

from __future__ import annotations

import subprocess
import sys


def python_module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours; nothing in the folder it is run in is taken for one."""
    return [sys.executable, "-P", "-m", name, *arguments]


def run_module(name: str, *arguments: str) -> int:
    """Run a module of ours, and return its exit code; 130 when it is interrupted."""
    try:
        return subprocess.call(python_module(name, *arguments))
    except KeyboardInterrupt:
        return 130

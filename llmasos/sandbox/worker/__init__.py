"""A stand-in for the worker's package, until that is merged: the old worker behind the new contract."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def worker_files() -> dict[str, str]:
    """Return the worker's files by the names they must have below its root."""
    return {"worker/main.py": (Path(__file__).parent.parent / "_worker.py").read_text()}


def worker_command(python: str, root: str, channel: str, options: Mapping[str, object]) -> list[str]:
    """Return the command that starts a worker whose files lie below `root`."""
    return [python, f"{root}/worker/main.py", "supervisor", channel, json.dumps(options)]

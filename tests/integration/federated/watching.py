"""What a process looks up, connects to and writes, noted by all Python programs that find this as their own.

It is installed as `sitecustomize.py`; notes go to a file beside it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

NOTES = Path(__file__).with_name("notes.txt")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")


def noted(event: str, given: tuple[Any, ...]) -> str:
    """Return what is noted of something that a process does; nothing where it is of no interest."""
    if event == "open" and isinstance(given[0], str | bytes) and given[2] & _WRITES:
        return f"write {os.path.abspath(os.fsdecode(given[0]))}"
    if event in _CHANGES and isinstance(given[0], str | bytes):
        return f"write {os.path.abspath(os.fsdecode(given[0]))}"
    if event.startswith("socket.get") and event != "socket.gethostname":
        return f"lookup {given[0]}"
    if event == "socket.connect" and isinstance(given[1], tuple):
        return f"connect {given[1][0]}"
    return ""


def watch(event: str, given: tuple[Any, ...]) -> None:
    """Note something."""
    if (note := noted(event, given)) and str(NOTES) not in note:
        place = os.open(NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(place, f"{note}\n".encode())
        os.close(place)


if __name__ == "sitecustomize":
    sys.addaudithook(watch)

"""The files of a folder, as they are completed."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path

_MOST = 20_000
_SECONDS = 5.0
# Where tools keep what nobody asks about.
_LEFT_OUT = {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache"}


class FolderFiles:
    """The paths in a folder, those nearest to the top first; looked for again after a while."""

    def __init__(self) -> None:
        self._folder = Path()
        self._at = -_SECONDS
        self._found: list[str] = []

    def list(self, folder: Path) -> list[str]:
        """Return the paths, from the folder on."""
        if folder != self._folder or time.monotonic() - self._at > _SECONDS:
            self._folder, self._found = folder, _walk(str(folder))
            self._at = time.monotonic()
        return self._found


def _walk(top: str) -> list[str]:
    found: list[str] = []
    folders = deque([top])
    while folders and len(found) < _MOST:
        try:
            entries = sorted(os.scandir(folders.popleft()), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                found.append(os.path.relpath(entry.path, top))
            elif entry.name not in _LEFT_OUT:
                folders.append(entry.path)
    return found[:_MOST]

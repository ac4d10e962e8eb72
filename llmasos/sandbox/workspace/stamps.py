"""Stamps: which file lies at a path, and when its content was changed."""

from __future__ import annotations

import os

from llmasos.sandbox.workspace.opening import lstat, lstat_in

# None when nothing does.
Stamp = tuple[int, int, int] | None


def stamp(root: str, path: str) -> Stamp:
    """Return what changes whenever a path's content does."""
    return _of(lstat(root, path))


def stamp_in(folder: int, name: str) -> Stamp:
    """Return what changes whenever the content of a name in an open folder does."""
    return _of(lstat_in(folder, name))


def _of(info: os.stat_result | None) -> Stamp:
    return None if info is None else (info.st_ino, info.st_size, info.st_mtime_ns)

"""Reading an overlay's upper folder: what a view has changed, at the cost of what it has changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["added", "changed", "deleted"]
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_COMPARE = 1 << 20


@dataclass(frozen=True)
class Change:
    """One path that differs: `path` is relative, in bytes, as the file system has it."""

    path: bytes
    kind: Kind

    @property
    def name(self) -> str:
        """The path as text; bytes that are not UTF-8 become lone surrogates."""
        return os.fsdecode(self.path)


def read_changes(lower: Path, upper: Path) -> list[Change]:
    """Return what the upper folder changes of the lower one, in order of paths.

    A file that was copied up and is the same in content, mode and kind is not a change.
    """
    return sorted(_walk(os.fsencode(lower), os.fsencode(upper), b""), key=lambda change: change.path)


def _walk(lower: bytes, upper: bytes, path: bytes) -> Iterator[Change]:
    for entry in os.scandir(os.path.join(upper, path)):
        here = os.path.join(path, entry.name)
        above = entry.stat(follow_symlinks=False)
        below = _lstat(os.path.join(lower, here))
        if is_whiteout(above):
            if below is not None:
                yield from _deleted(lower, here, below)
        elif stat.S_ISDIR(above.st_mode):
            yield from _folder(lower, upper, here, above, below)
        elif below is None:
            yield Change(here, "added")
        elif stat.S_ISDIR(below.st_mode):
            yield from _deleted(lower, here, below)
            yield Change(here, "added")
        elif not _same(os.path.join(lower, here), below, os.path.join(upper, here), above):
            yield Change(here, "changed")


def _folder(
    lower: bytes, upper: bytes, here: bytes, above: os.stat_result, below: os.stat_result | None
) -> Iterator[Change]:
    if below is None or not stat.S_ISDIR(below.st_mode):
        if below is not None:
            yield Change(here, "deleted")
        yield Change(here, "added")
    elif is_opaque(os.path.join(upper, here)):
        kept = {entry.name for entry in os.scandir(os.path.join(upper, here))}
        for entry in os.scandir(os.path.join(lower, here)):
            if entry.name not in kept:
                inner = os.path.join(here, entry.name)
                yield from _deleted(lower, inner, entry.stat(follow_symlinks=False))
    elif stat.S_IMODE(above.st_mode) != stat.S_IMODE(below.st_mode):
        yield Change(here, "changed")
    yield from _walk(lower, upper, here)


def _deleted(lower: bytes, path: bytes, info: os.stat_result) -> Iterator[Change]:
    """Yield a deleted path, and all that was below it."""
    yield Change(path, "deleted")
    if stat.S_ISDIR(info.st_mode):
        for entry in os.scandir(os.path.join(lower, path)):
            yield from _deleted(lower, os.path.join(path, entry.name), entry.stat(follow_symlinks=False))


def is_whiteout(info: os.stat_result) -> bool:
    """Tell whether an entry of the upper folder marks a deletion."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def is_opaque(folder: bytes) -> bool:
    """Tell whether a folder of the upper side hides what the lower one holds at its place."""
    for name in _OPAQUE:
        try:
            if os.getxattr(folder, name) == b"y":
                return True
        except OSError:
            continue
    return False


def _same(one: bytes, one_info: os.stat_result, two: bytes, two_info: os.stat_result) -> bool:
    if one_info.st_mode != two_info.st_mode:
        return False
    if stat.S_ISLNK(one_info.st_mode):
        return os.readlink(one) == os.readlink(two)
    if not stat.S_ISREG(one_info.st_mode) or one_info.st_size != two_info.st_size:
        return False
    with open(one, "rb") as first, open(two, "rb") as second:
        while True:
            piece = first.read(_COMPARE)
            if piece != second.read(_COMPARE):
                return False
            if not piece:
                return True


def _lstat(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None

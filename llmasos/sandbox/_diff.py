"""Changes as a person reads them: unified diffs for text, size and hash for the rest."""

from __future__ import annotations

import difflib
import hashlib
import os
import stat
from pathlib import Path

from llmasos.events import FileChange, display
from llmasos.sandbox._overlay import Change

_LARGEST_TEXT = 400_000
_LONGEST_DIFF = 60_000


def describe(change: Change, lower: Path, upper: Path) -> FileChange:
    """Return one change with its diff."""
    before = _Side(lower, change.path) if change.kind != "added" else None
    after = _Side(upper, change.path) if change.kind != "deleted" else None
    return FileChange(
        path=change.name,
        kind=change.kind,
        detail="; ".join(_details(before, after)),
        diff=_unified(change.name, before, after),
    )


class _Side:
    """A path on one side of the diff."""

    def __init__(self, root: Path, path: bytes) -> None:
        self.path = os.path.join(os.fsencode(root), path)
        self.info = os.lstat(self.path)
        self.mode = stat.S_IMODE(self.info.st_mode)
        self.size = self.info.st_size

    @property
    def kind(self) -> str:
        mode = self.info.st_mode
        names = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "symbolic link"))
        return next((name for test, name in names if test(mode)), "special file")

    def text(self) -> str | None:
        """Return the text, or None when this is no text or too much of it."""
        if self.kind == "symbolic link":
            return os.fsdecode(os.readlink(self.path)) + "\n"
        if self.kind != "file" or self.size > _LARGEST_TEXT:
            return None
        data = Path(os.fsdecode(self.path)).read_bytes()
        if b"\0" in data:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError:
            return None

    def digest(self) -> str:
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _details(before: _Side | None, after: _Side | None) -> list[str]:
    details = []
    if before is not None and after is not None:
        if before.kind != after.kind:
            details.append(f"{before.kind} becomes {after.kind}")
        elif before.mode != after.mode:
            details.append(f"mode {before.mode:04o} becomes {after.mode:04o}")
    side = after or before
    assert side is not None
    if side.kind != "file":
        if side.kind == "special file" and after is not None:
            details.append("a pipe, socket or device, which is never written to the folder")
        elif before is None or after is None:
            details.append(side.kind)
        return details
    sides = [one for one in (before, after) if one is not None and one.kind == "file"]
    if any(one.text() is None for one in sides):
        sizes = " becomes ".join(f"{one.size:,} bytes ({one.digest()})" for one in sides)
        what = "large" if any(one.size > _LARGEST_TEXT for one in sides) else "binary"
        details.append(f"{what}, {sizes}")
    return details


def _unified(name: str, before: _Side | None, after: _Side | None) -> str:
    texts = []
    for side in (before, after):
        text = "" if side is None or side.kind == "folder" else side.text()
        if text is None:
            return ""
        texts.append(text.splitlines(keepends=True))
    if texts[0] == texts[1]:
        return ""
    shown = display(name)
    lines = difflib.unified_diff(
        texts[0],
        texts[1],
        fromfile=f"a/{shown}" if before is not None else "/dev/null",
        tofile=f"b/{shown}" if after is not None else "/dev/null",
    )
    parts = []
    length = 0
    for line in lines:
        parts.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
        length += len(line)
        if length > _LONGEST_DIFF:
            parts.append("[the rest of this diff is left out]\n")
            break
    return "".join(parts)

"""Changes as a person reads them: unified diffs for text, size and hash for the rest."""

from __future__ import annotations

import stat
from collections.abc import Sequence

from pydantic import BaseModel

from llmasos.events import FileChange, FileName, display
from llmasos.sandbox.workspace.changes import HIDDEN, Change
from llmasos.sandbox.workspace.git_view import is_index, staged
from llmasos.sandbox.workspace.hunks import read_hunks
from llmasos.sandbox.workspace.side import LARGEST_TEXT, Side
from llmasos.sandbox.workspace.triggers import may_run, runs_by_itself

_LONGEST_DIFF = 60_000
_MOST_COUNTED = 16 << 20
_MOST_FOLDERS = 12


class FolderSummary(BaseModel, frozen=True):
    """How many changes of each kind lie in one folder at the top; `folder` is empty for the files there."""

    folder: FileName
    added: int = 0
    changed: int = 0
    deleted: int = 0
    renamed: int = 0

    def counts(self) -> str:
        """Return the numbers in words, those of nothing left out."""
        kinds = ("added", "changed", "deleted", "renamed")
        return ", ".join(f"{getattr(self, kind):,} {kind}" for kind in kinds if getattr(self, kind))


class Summary(BaseModel, frozen=True):
    """Changes in numbers.

    Args:
        folders: By folder at the top, in order of names.
        added_lines: Over all texts that were counted.
        removed_lines: The same.
        added_bytes: Size of new files, and growth of changed ones.
        removed_bytes: Size of deleted files, and shrinking of changed ones.
        uncounted: Files whose lines were not counted: binary, large, or too many.
        blocked: Paths that can not be committed.
    """

    folders: tuple[FolderSummary, ...] = ()
    added_lines: int = 0
    removed_lines: int = 0
    added_bytes: int = 0
    removed_bytes: int = 0
    uncounted: int = 0
    blocked: tuple[FileName, ...] = ()

    def text(self) -> str:
        """Return the numbers as a person reads them: the sum, then a line for each of the first folders."""
        lines = [f"{self.added_lines:,} lines added, {self.removed_lines:,} removed"]
        if self.uncounted:
            lines[0] += f", {self.uncounted:,} files not counted"
        for one in self.folders[:_MOST_FOLDERS]:
            lines.append(f"  {display(one.folder) + '/' if one.folder else 'at the top'}: {one.counts()}")
        if len(self.folders) > _MOST_FOLDERS:
            lines.append(f"  … and {len(self.folders) - _MOST_FOLDERS:,} more folders")
        return "\n".join(lines)


def sides(change: Change, lower: str, upper: str) -> tuple[Side | None, Side | None]:
    """Return a change's path before and after; None where nothing is, or nothing is shown."""
    before = after = None
    if change.kind != "added" and change.blocked != HIDDEN:
        before = _side(lower, change.source or change.path)
    if change.kind != "deleted":
        after = _side(upper, change.path)
    return before, after


def texts(before: Side | None, after: Side | None) -> tuple[str, str] | None:
    """Return the texts of both sides, or None when one of them is no text."""
    found = []
    for side in (before, after):
        text = "" if side is None or side.kind == "folder" else side.text()
        if text is None:
            return None
        found.append(text)
    return found[0], found[1]


def describe(change: Change, lower: str, upper: str) -> FileChange:
    """Return one change with its diff."""
    before, after = sides(change, lower, upper)
    words = staged(lower, upper, change.path) if is_index(change.path) and after is not None else ""
    details = [words] if words else _details(before, after)
    if change.blocked:
        details.append(change.blocked)
    diff = _unified(change, before, after)
    if change.kind == "changed" and not details and not diff:
        details.append("becomes one file with another name")
    return FileChange(
        path=change.path,
        source=change.source,
        kind=change.kind,
        detail="; ".join(details),
        diff=diff,
        runs=_runs(change, before, after, (lower, upper)),
    )


def _runs(change: Change, before: Side | None, after: Side | None, roots: tuple[str, ...]) -> str:
    if change.blocked or after is None or not may_run(change.path):
        return ""
    old = None if before is None or change.source else before.text()
    return runs_by_itself(change.path, old or "", after.text(), roots)


def summarise(changes: Sequence[Change], lower: str, upper: str) -> Summary:
    """Return the changes in numbers; lines are counted in the first of them up to a bound."""
    folders: dict[str, dict[str, int]] = {}
    lines = [0, 0]
    sizes = [0, 0]
    uncounted = read = 0
    for change in changes:
        top = change.path.split("/")[0] if "/" in change.path else ""
        counts = folders.setdefault(top, {})
        counts[change.kind] = counts.get(change.kind, 0) + 1
        before, after = sides(change, lower, upper)
        old, new = (side.size if side is not None and side.kind == "file" else 0 for side in (before, after))
        sizes[0] += max(new - old, 0)
        sizes[1] += max(old - new, 0)
        read += old + new
        both = texts(before, after) if read <= _MOST_COUNTED else None
        if both is None:
            uncounted += 1
        else:
            for hunk in read_hunks(*both):
                shown = hunk.text.split("\n")[1:]
                lines[0] += sum(line.startswith("+") for line in shown)
                lines[1] += sum(line.startswith("-") for line in shown)
    return Summary(
        folders=tuple(FolderSummary(folder=folder, **folders[folder]) for folder in sorted(folders)),
        added_lines=lines[0],
        removed_lines=lines[1],
        added_bytes=sizes[0],
        removed_bytes=sizes[1],
        uncounted=uncounted,
        blocked=tuple(change.path for change in changes if change.blocked),
    )


def _side(root: str, path: str) -> Side | None:
    try:
        return Side(root, path)
    except FileNotFoundError:
        return None


def _details(before: Side | None, after: Side | None) -> list[str]:
    details = []
    if before is not None and after is not None:
        if before.kind != after.kind:
            details.append(f"{before.kind} becomes {after.kind}")
        elif before.mode != after.mode and before.kind != "symbolic link":
            details.append(f"mode {before.mode:04o} becomes {after.mode:04o}")
        if before.kind == after.kind and before.xattrs() != after.xattrs():
            names = before.xattrs().items() ^ after.xattrs().items()
            details.append(f"attributes {', '.join(sorted({display(name) for name, _ in names}))}")
    if after is not None and after.mode & (stat.S_ISUID | stat.S_ISGID) and after.kind == "file":
        details.append("asks to run as its owner, which is not committed")
    side = after or before
    if side is None:
        return details
    if side.kind != "file":
        if side.kind != "special file" and (before is None or after is None):
            details.append(side.kind)
        return details
    return details + _contents([one for one in (before, after) if one is not None and one.kind == "file"])


def _contents(files: Sequence[Side]) -> list[str]:
    if all(side.text() is not None for side in files):
        return []
    hashes = [side.digest()[:16] for side in files]
    if len(set(hashes)) == 1 < len(files):
        return []
    sizes = " becomes ".join(
        f"{side.size:,} bytes ({short})" for side, short in zip(files, hashes, strict=True)
    )
    seen = dict.fromkeys(side.picture() for side in files)
    pictures = " becomes ".join(name for name in seen if name)
    large = "large" if any(side.size > LARGEST_TEXT for side in files) else "binary"
    return [f"{pictures or large}, {sizes}"]


def _unified(change: Change, before: Side | None, after: Side | None) -> str:
    both = texts(before, after)
    if both is None or both[0] == both[1]:
        return ""
    old = "/dev/null" if before is None else f"a/{display(change.source or change.path)}"
    new = "/dev/null" if after is None else f"b/{display(change.path)}"
    parts = [f"--- {old}\n", f"+++ {new}\n"]
    length = 0
    for hunk in read_hunks(*both):
        length += len(hunk.text)
        if length > _LONGEST_DIFF:
            parts.append(hunk.text[: _LONGEST_DIFF - length] if len(parts) == 2 else "")
            parts.append("\n[the rest of this diff is left out]\n")
            break
        parts.append(hunk.text)
    return "".join(parts)

"""The indexes of a folder's git repositories, as a view shows them and as they come back from it.

A file that the view hides would look deleted to git. In the view its entry says that git is to leave the file
alone, and owners are those of the view, without which git would read every file again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from llmasos.events import display
from llmasos.sandbox.workspace.files import join, write_whole
from llmasos.sandbox.workspace.git_index import LARGEST, SKIP, STAGE, Entry, Index
from llmasos.sandbox.workspace.opening import lstat, open_file

Hides = Callable[[str], bool]
# The folders of a submodule's repository, which are many, have no indexes.
_REPOSITORY = re.compile(
    r"(?:.*/)?\.git(?:/(?:modules|worktrees)/(?!.*/(?:objects|refs|logs|hooks|info)(?:/|\Z)).+)?", re.DOTALL
)
_WORK_TREE = re.compile(r"^[ \t]*worktree[ \t]*=[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_LARGEST_CONFIG = 1 << 20
_NAMED = 5


def is_index(path: str) -> bool:
    """Tell whether a path is where a repository has its index."""
    folder, _, name = path.rpartition("/")
    return name == "index" and _REPOSITORY.fullmatch(folder) is not None


def find_indexes(root: str, folders: Iterable[str]) -> list[str]:
    """Return the paths of indexes, those of submodules and of other work trees included.

    Args:
        root: The person's folder.
        folders: The folders below it.
    """
    found = (join(folder, "index") for folder in folders if _REPOSITORY.fullmatch(folder))
    return [path for path in found if lstat(root, path) is not None]


def read_index(root: str, path: str) -> Index | None:
    """Return the index at a path; None when there is none, or none that can be read."""
    data = _read(root, path, LARGEST)
    if data is None:
        return None
    folder = os.path.dirname(path)
    try:
        return Index.read(data, lambda name: _read(root, join(folder, name), LARGEST))
    except ValueError:
        return None


def shown(root: str, path: str, hidden: Sequence[str], shift: int) -> bytes | None:
    """Return the index of a repository as a view shows it; None when that is no other than the folder's.

    Args:
        root: The person's folder.
        path: The index.
        hidden: What of the folder is hidden.
        shift: What is added to owners.
    """
    covers = _Cover(root, path, hidden)
    index = read_index(root, path) if shift or covers else None
    if index is None:
        return None
    entries = [entry.owned(shift) if shift else entry for entry in index.entries]
    if covers:
        entries = [_skipped(entry, True) if covers.hides(entry) else entry for entry in entries]
    return index.write(entries) if tuple(entries) != index.entries else None


def shown_again(root: str, upper: str, path: str, hidden: Sequence[str], might_hide: Hides) -> bytes | None:
    """Return an index that the view has changed as it is to show it now; None when that is no other.

    Args:
        root: The person's folder.
        upper: The view's version of it.
        path: The index.
        hidden: What of the folder is hidden now.
        might_hide: Tells what is hidden, or was before it was granted.
    """
    index = read_index(upper, path)
    if index is None:
        return None
    bare = _Returned(root, path, might_hide, 0)
    covers = _Cover(root, path, hidden)
    entries = [_skipped(entry, True) if covers.hides(entry) else bare.entry(entry) for entry in index.entries]
    return index.write(entries) if tuple(entries) != index.entries else None


def returned(root: str, upper: str, path: str, might_hide: Hides, shift: int) -> bytes | None:
    """Return an index that the view has changed as the folder is to have it; None when it stays as it is.

    Args:
        root: The person's folder.
        upper: The view's version of it.
        path: The index.
        might_hide: Tells what is hidden, or was before it was granted.
        shift: What was added to owners.
    """
    index = read_index(upper, path)
    if index is None:
        return None
    back = _Returned(root, path, might_hide, shift)
    entries = [back.entry(entry) for entry in index.entries]
    return index.write(entries) if tuple(entries) != index.entries else None


class Sameness:
    """Tells indexes that git has changed from those in which it has only remembered something.

    Args:
        root: The person's folder.
        upper: The view's version of it.
        memory: The file in which those are remembered that were the folder's once: when the person stages
            something, the view's has no changes all the same.
        might_hide: Tells what is hidden, or was before it was granted.
    """

    def __init__(self, root: str, upper: str, memory: str, might_hide: Hides) -> None:
        self._root = root
        self._upper = upper
        self._memory = memory
        self._might_hide = might_hide

    def holds(self, path: str) -> bool:
        """Tell whether an index of the view has no changes."""
        data = _read(self._upper, path, LARGEST)
        if data is None:
            return False
        digest = hashlib.sha256(data).hexdigest()
        try:
            with open(self._memory, "rb") as file:
                known: dict[str, str] = json.loads(file.read())
        except FileNotFoundError:
            known = {}
        if known.get(path) == digest:
            return True
        if not _same(self._root, self._upper, path, self._might_hide):
            return False
        write_whole(self._memory, json.dumps(known | {path: digest}).encode())
        return True


def _same(root: str, upper: str, path: str, might_hide: Hides) -> bool:
    before, after = read_index(root, path), read_index(upper, path)
    if before is None or after is None or len(before.entries) != len(after.entries):
        return False
    if any(one.meaning() != two.meaning() for one, two in zip(before.entries, after.entries, strict=True)):
        return False
    back = _Returned(root, path, might_hide, 0, before)
    return all(
        one.extended == two.extended or one.extended == back.entry(two).extended
        for one, two in zip(before.entries, after.entries, strict=True)
    )


def same_index(one: bytes, two: bytes) -> bool:
    """Tell whether two versions of an index differ in what git has only remembered at most."""
    try:
        before, after = Index.read(one), Index.read(two)
    except ValueError:
        return False
    return [(entry.meaning(), entry.extended) for entry in before.entries] == [
        (entry.meaning(), entry.extended) for entry in after.entries
    ]


def staged(root: str, upper: str, path: str) -> str:
    """Return in words how the view's index differs from the folder's; nothing when one cannot be read."""
    before, after = read_index(root, path), read_index(upper, path)
    if after is None or (before is None and lstat(root, path) is not None):
        return ""
    old = {entry.path: entry.meaning() for entry in before.entries} if before is not None else {}
    new = {entry.path: entry.meaning() for entry in after.entries}
    parts = (
        ("adds", [name for name in new if name not in old]),
        ("changes", [name for name in new if name in old and old[name] != new[name]]),
        ("drops", [name for name in old if name not in new]),
    )
    said = "; ".join(f"{verb} {_named(names)}" for verb, names in parts if names)
    return f"git's list of files to commit: {said or 'marks of files'}"


class _Cover:
    """What of a repository's work tree is hidden."""

    def __init__(self, root: str, index: str, hidden: Sequence[str]) -> None:
        tree = _work_tree(root, index)
        above = f"{tree}/" if tree else ""
        below = [] if tree is None else [path for path in hidden if path.startswith(above)]
        self._paths = frozenset(os.fsencode(path[len(above) :]) for path in below)
        # What is hidden as a folder covers all below it.
        self._folders = tuple(path + b"/" for path in self._paths)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def hides(self, entry: Entry) -> bool:
        """Tell whether the file of an entry is hidden; one in the middle of a merge is never."""
        if not self._paths or entry.flags & STAGE:
            return False
        return entry.path in self._paths or entry.path.startswith(self._folders)


class _Returned:
    """Takes back what a view did to the entries of an index."""

    def __init__(
        self, root: str, index: str, might_hide: Hides, shift: int, before: Index | None = None
    ) -> None:
        before = before or read_index(root, index)
        entries = before.entries if before is not None else ()
        self._skipped = {entry.path for entry in entries if entry.extended & SKIP}
        self._tree = _work_tree(root, index)
        self._might_hide = might_hide
        self._shift = shift

    def entry(self, entry: Entry) -> Entry:
        """Return an entry as the folder is to have it."""
        if self._shift and entry.stat[7] >= self._shift:
            entry = entry.owned(-self._shift)
        if not entry.extended & SKIP or self._tree is None or entry.path in self._skipped:
            return entry
        hidden = self._might_hide(join(self._tree, os.fsdecode(entry.path)))
        return _skipped(entry, False) if hidden else entry


def _skipped(entry: Entry, skip: bool) -> Entry:
    return entry._replace(extended=entry.extended | SKIP if skip else entry.extended & ~SKIP)


def _work_tree(root: str, index: str) -> str | None:
    """Return the folder, below the person's, whose files an index lists; None when it lies elsewhere."""
    repository = os.path.dirname(index)
    place = next(_places(root, repository), None)
    if place is None:
        above = os.path.dirname(repository)
        return above if os.path.basename(repository) == ".git" else None
    path = os.path.relpath(os.path.normpath(os.path.join(root, repository, place)), root)
    return None if path.split("/")[0] == ".." else path.removeprefix(".")


def _places(root: str, repository: str) -> Iterator[str]:
    """Yield where a repository says that its files lie, from itself on."""
    config = _read(root, join(repository, "config"), _LARGEST_CONFIG) or b""
    for found in _WORK_TREE.finditer(os.fsdecode(config)):
        yield found[1].strip('"')
    linked = _read(root, join(repository, "gitdir"), _LARGEST_CONFIG)
    if linked is not None:
        yield os.path.dirname(os.fsdecode(linked).strip())


def _read(root: str, path: str, most: int) -> bytes | None:
    try:
        with open_file(root, path) as file:
            data = file.read(most + 1)
    except OSError:
        return None
    return data if len(data) <= most else None


def _named(names: Sequence[bytes]) -> str:
    shown = ", ".join(display(os.fsdecode(name)) for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED:,} more"

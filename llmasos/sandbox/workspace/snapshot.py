"""A copy of a folder as a view of it, where overlays do not work."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from llmasos.sandbox.port import ViewKind
from llmasos.sandbox.workspace.changes import Change, Comparison
from llmasos.sandbox.workspace.copies import copy_entry
from llmasos.sandbox.workspace.files import (
    join,
    lstat,
    open_folder,
    remove,
    set_owner,
    set_user_xattrs,
    user_xattrs,
    writable,
    write_whole,
)
from llmasos.sandbox.workspace.secrets import Secrets

# A path's facts: of the folder's version when it was copied, and of the copy as it was made.
_Facts = list[int]
_Record = tuple[_Facts, _Facts]


@dataclass
class _Taken:
    """What one round of copying has copied, and which names are one file."""

    records: dict[str, _Record] = field(default_factory=dict)
    folders: dict[str, os.stat_result] = field(default_factory=dict)
    links: dict[tuple[int, int], str] = field(default_factory=dict)
    linked: set[str] = field(default_factory=set)


class SnapshotLayer:
    """A copy of a person's folder, with a record of what was copied.

    It costs time and, where the file system cannot share contents, room for a whole copy when it is made, and
    a look at each file whenever it is refreshed. A path whose copy still has the facts of the record was not
    changed; the content is looked at only where facts differ. Pipes, sockets and devices are not copied.

    Args:
        lower: The person's folder.
        place: Where the layer is kept.
        secrets: What is not copied.
        shift: What is added to owners.
    """

    kind: ViewKind = "snapshot"

    def __init__(self, lower: str, place: str, secrets: Secrets, shift: int) -> None:
        self.upper = os.path.join(place, "upper")
        self._lower = lower
        self._made = os.path.join(place, "made")
        self._record_file = os.path.join(place, "copied.json")
        self._secrets = secrets
        self._shift = shift
        self._compare = Comparison(lower, self.upper, secrets)
        self._known: dict[str, _Record] | None = None

    @classmethod
    def make(cls, lower: str, place: str, secrets: Secrets, shift: int) -> None:
        """Copy the folder."""
        os.mkdir(os.path.join(place, "upper"), 0o700)
        cls(lower, place, secrets, shift).refresh(frozenset())

    def refresh(self, own: Set[str]) -> None:
        """Copy what has changed in the folder since, except where the copy was changed too."""
        records = self._records()
        seen: set[str] = set()
        taken = _Taken()
        self._like(os.stat(self._lower), "")
        pending = [""]
        while pending:
            path = pending.pop()
            with self._opened(path) as (below, above):
                for here, name, info in self._entries(path, below):
                    seen.add(here)
                    if stat.S_ISDIR(info.st_mode):
                        pending.append(here)
                    known = records.get(here)
                    if known is not None and known[0] == _facts(info):
                        if info.st_nlink > 1 and stat.S_ISREG(info.st_mode):
                            taken.links.setdefault((info.st_dev, info.st_ino), here)
                    elif here not in own:
                        self._take(here, name, info, below, above, taken)
        gone = [path for path in sorted(records.keys() - seen, reverse=True) if path not in own]
        for path in gone:
            self._remove(path)
            records.pop(path)
        if taken.records or gone:
            self._note(taken)

    def changes(self) -> list[Change]:
        """Return what was changed in the copy."""
        records = self._records()
        names: dict[str, set[str]] = {}
        for path in records:
            above, _, name = path.rpartition("/")
            names.setdefault(above, set()).add(name)
        return self._compare.with_other_names(list(self._scan("", records, names, merged=True)))

    def _scan(
        self, path: str, records: dict[str, _Record], names: dict[str, set[str]], *, merged: bool
    ) -> Iterator[Change]:
        present = set()
        with os.scandir(os.path.join(self.upper, path)) as entries:
            found = list(entries)
        for entry in found:
            present.add(entry.name)
            here = join(path, entry.name)
            above = lstat(entry.path)
            if above is None:
                continue
            copied = records.get(here) if merged else None
            same = copied is not None and copied[1] == _copy_facts(above)
            if stat.S_ISDIR(above.st_mode):
                below = self._compare.below(here) if merged else None
                if not same:
                    yield from self._compare.folder(here, above, below)
                inner = copied is not None and stat.S_ISDIR(copied[1][0])
                yield from self._scan(here, records, names, merged=inner)
            elif not same:
                yield from self._compare.leaf(here, above, self._compare.below(here) if merged else None)
        if merged:
            for name in names.get(path, set()) - present:
                below = self._compare.below(join(path, name))
                if below is not None:
                    yield from self._compare.deleted(join(path, name), below)

    def moved_on(self, path: str) -> bool:
        """Tell whether the folder's version of a path is another than the one that was copied."""
        info = self._compare.below(path)
        copied = self._records().get(path)
        if info is None:
            return copied is not None and not stat.S_ISDIR(copied[0][0])
        if stat.S_ISDIR(info.st_mode):
            return copied is not None and not stat.S_ISDIR(copied[0][0])
        return copied is None or copied[0] != _facts(info)

    def accept(self, paths: Sequence[str]) -> None:
        """Take the folder's present version of these paths for the one that was copied."""
        records = self._records()
        for path in paths:
            info = self._compare.below(path)
            if info is None:
                records.pop(path, None)
            else:
                records[path] = (_facts(info), records[path][1] if path in records else [])
        self._save()

    def drop(self, paths: Sequence[str]) -> None:
        """Copy the folder's version of these paths again."""
        # What is not copied any more when this is interrupted has no record yet, and is copied the next time.
        taken = _Taken()
        records = self._records()
        for path in paths:
            if self._compare.below(path) is None:
                records.pop(path, None)
        paths = [
            path for path in paths if path in records or lstat(self.upper, path) or self._compare.below(path)
        ]
        for path in sorted(paths, reverse=True):
            below = self._compare.below(path)
            if below is None or not stat.S_ISDIR(below.st_mode) or not self._is_folder(path):
                self._remove(path)
        for path in self._with_folders_above(paths):
            info = self._compare.below(path)
            if info is None or not _is_copied(info) or self._secrets.hides(path):
                continue
            folder, _, name = path.rpartition("/")
            with self._opened(folder) as (source, target):
                self._take(path, name, info, source, target, taken)
        self._note(taken)

    def _with_folders_above(self, paths: Sequence[str]) -> list[str]:
        wanted = set(paths)
        for path in paths:
            above = os.path.dirname(path)
            while above and lstat(self.upper, above) is None:
                wanted.add(above)
                above = os.path.dirname(above)
        return sorted(wanted)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[tuple[int | None, int | None]]:
        """Open a folder on both sides, that of the copy to be written; None where it cannot be."""
        with contextlib.ExitStack() as stack:
            numbers: list[int | None] = []
            for root, only_path in ((self._lower, False), (self.upper, True)):
                try:
                    number = open_folder(root, path, only_path=only_path)
                except OSError:
                    numbers.append(None)
                else:
                    stack.callback(os.close, number)
                    numbers.append(number)
            below, above = numbers
            if above is not None:
                stack.enter_context(writable(f"/proc/self/fd/{above}"))
            yield below, above

    def _entries(self, path: str, below: int | None) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yield what is to be copied of a folder of the lower side: its path, its name and its facts."""
        if below is None:
            return
        with os.scandir(below) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if self._secrets.match(path, entry.name):
                continue
            try:
                info = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if _is_copied(info):
                yield join(path, entry.name), entry.name, info

    def _take(
        self, path: str, name: str, info: os.stat_result, below: int | None, above: int | None, taken: _Taken
    ) -> None:
        """Copy one path, where it can be copied, from one open folder into the other."""
        if below is None or above is None:
            return
        is_folder = stat.S_ISDIR(info.st_mode)
        there = _lstat_in(above, name)
        if there is not None and not (is_folder and stat.S_ISDIR(there.st_mode)):
            self._remove(path)
            there = _lstat_in(above, name)
            if there is not None:
                return
        if is_folder:
            if there is None:
                self._make_folder(path, name, info, above)
            taken.folders[path] = info
            taken.records[path] = (_facts(info), [info.st_mode])
            return
        file = (info.st_dev, info.st_ino)
        linked = info.st_nlink > 1 and stat.S_ISREG(info.st_mode)
        if linked and file in taken.links:
            os.link(
                os.path.join(self.upper, taken.links[file]), name, dst_dir_fd=above, follow_symlinks=False
            )
            copy = _lstat_in(above, name)
        else:
            copy = copy_entry(name, info, below, above, self._shift)
        if copy is None:
            return
        taken.records[path] = (_facts(info), _copy_facts(copy))
        if linked:
            taken.links.setdefault(file, path)
            taken.linked.add(path)

    def _make_folder(self, path: str, name: str, info: os.stat_result, above: int) -> None:
        # Never there with other permissions than its own, which would pass for a change.
        remove(self._made)
        os.mkdir(self._made, 0o700)
        self._like(info, path, self._made)
        # But a folder moves only when its owner may write to it.
        movable = os.access(self._made, os.W_OK)
        if not movable:
            os.chmod(self._made, 0o700)
        os.rename(self._made, name, dst_dir_fd=above)
        if not movable:
            os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=above)

    def _like(self, info: os.stat_result, path: str, target: str = "") -> None:
        """Give a folder of the copy, or the one to become it, the facts of the lower side's."""
        target = target or (os.path.join(self.upper, path) if path else self.upper)
        set_owner(target, info, self._shift)
        os.chmod(target, stat.S_IMODE(info.st_mode) | (0 if path else 0o700))
        set_user_xattrs(target, user_xattrs(os.path.join(self._lower, path)))
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)

    def _is_folder(self, path: str) -> bool:
        info = lstat(self.upper, path)
        return info is not None and stat.S_ISDIR(info.st_mode)

    def _remove(self, path: str) -> None:
        """Remove a path of the copy, unless it is a folder that holds something."""
        target = os.path.join(self.upper, path)
        info = lstat(self.upper, path)
        if info is None:
            return
        with writable(os.path.dirname(target)):
            if not stat.S_ISDIR(info.st_mode):
                os.unlink(target)
            elif not os.listdir(target):
                os.rmdir(target)

    def _note(self, taken: _Taken) -> None:
        """Record what was copied, as it was before it was copied, and finish the folders copied."""
        records = self._records()
        for path, info in reversed(taken.folders.items()):
            self._like(info, path)
        records |= taken.records
        # Another name changes the facts of a file.
        for path in taken.linked:
            copy = lstat(self.upper, path)
            if copy is not None:
                records[path] = (records[path][0], _copy_facts(copy))
        self._save()

    def _records(self) -> dict[str, _Record]:
        if self._known is None:
            try:
                with open(self._record_file, "rb") as file:
                    stored = json.loads(file.read())
            except FileNotFoundError:
                stored = {}
            self._known = {path: (below, above) for path, (below, above) in stored.items()}
        return self._known

    def _save(self) -> None:
        write_whole(self._record_file, json.dumps(self._records()).encode())


def _is_copied(info: os.stat_result) -> bool:
    return stat.S_IFMT(info.st_mode) in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR)


def _lstat_in(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _facts(info: os.stat_result) -> _Facts:
    if stat.S_ISDIR(info.st_mode):
        return [info.st_mode]
    return [info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]


def _copy_facts(info: os.stat_result) -> _Facts:
    if stat.S_ISDIR(info.st_mode):
        return [info.st_mode]
    return [info.st_mode, info.st_ino, info.st_size, info.st_ctime_ns]

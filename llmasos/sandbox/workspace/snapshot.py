"""A copy of a folder as a view of it, where overlays do not work."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence

from llmasos.sandbox.port import ViewKind
from llmasos.sandbox.workspace.changes import Change, Comparison
from llmasos.sandbox.workspace.files import (
    copy_content,
    join,
    lstat,
    open_file,
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


class SnapshotLayer:
    """A copy of a person's folder, with a record of what was copied.

    A path whose copy still has the facts of the record was not changed; the content is looked at only where
    facts differ. Pipes, sockets and devices are not copied.

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
        cls(lower, place, secrets, shift).refresh()

    def refresh(self) -> None:
        """Copy what has changed in the folder since, except where the copy was changed too."""
        records = self._records()
        own = {change.path for change in self.changes()}
        seen = set()
        taken: dict[str, os.stat_result] = {}
        links: dict[tuple[int, int], str] = {}
        self._like(os.stat(self._lower), "")
        for path, info in self._walk(""):
            seen.add(path)
            if path in records and records[path][0] == _facts(info):
                if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                    links.setdefault((info.st_dev, info.st_ino), path)
            elif path not in own and self._take(path, info, links):
                taken[path] = info
        gone = [path for path in sorted(records.keys() - seen, reverse=True) if path not in own]
        for path in gone:
            self._remove(path)
            records.pop(path)
        if taken or gone:
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
        links: dict[tuple[int, int], str] = {}
        taken: dict[str, os.stat_result] = {}
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
            below = self._compare.below(path)
            if below is not None and not self._secrets.hides(path) and self._take(path, below, links):
                taken[path] = below
        self._note(taken)

    def _with_folders_above(self, paths: Sequence[str]) -> list[str]:
        wanted = set(paths)
        for path in paths:
            above = os.path.dirname(path)
            while above and lstat(self.upper, above) is None:
                wanted.add(above)
                above = os.path.dirname(above)
        return sorted(wanted)

    def _walk(self, path: str) -> Iterator[tuple[str, os.stat_result]]:
        try:
            with os.scandir(os.path.join(self._lower, path)) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except PermissionError:
            return
        for entry in found:
            here = join(path, entry.name)
            info = lstat(entry.path)
            if info is None or self._secrets.match(path, entry.name):
                continue
            if stat.S_ISDIR(info.st_mode):
                yield here, info
                yield from self._walk(here)
            elif stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                yield here, info

    def _take(self, path: str, info: os.stat_result, links: dict[tuple[int, int], str]) -> bool:
        """Copy one path, and tell whether it could be copied."""
        target = os.path.join(self.upper, path)
        if not self._is_folder(os.path.dirname(path)):
            return False
        if not (stat.S_ISDIR(info.st_mode) and self._is_folder(path)):
            self._remove(path)
            if lstat(target) is not None:
                return False
        if stat.S_ISDIR(info.st_mode):
            if not self._is_folder(path):
                # Never there with other permissions than its own, which would pass for a change.
                remove(self._made)
                os.mkdir(self._made, 0o700)
                self._like(info, path, self._made)
                with writable(os.path.dirname(target)):
                    os.rename(self._made, target)
            return True
        with writable(os.path.dirname(target)):
            return self._copy(path, target, info, links)

    def _copy(self, path: str, target: str, info: os.stat_result, links: dict[tuple[int, int], str]) -> bool:
        first = links.get((info.st_dev, info.st_ino))
        if stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(os.path.join(self._lower, path)), target)
        elif first is not None and lstat(self.upper, first) is not None:
            os.link(os.path.join(self.upper, first), target)
            return True
        else:
            try:
                with open_file(self._lower, path) as reader:
                    copy_content(reader, target)
            except PermissionError:
                return False  # What its owner cannot read, the sandbox could not either.
            if info.st_nlink > 1:
                links[(info.st_dev, info.st_ino)] = path
        self._like(info, path)
        return True

    def _like(self, info: os.stat_result, path: str, target: str = "") -> None:
        target = target or (os.path.join(self.upper, path) if path else self.upper)
        set_owner(target, info, self._shift)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(target, stat.S_IMODE(info.st_mode) | (0 if path else 0o700))
            attributes = user_xattrs(os.path.join(self._lower, path))
            # Files are always new here, and have none yet.
            if attributes or stat.S_ISDIR(info.st_mode):
                set_user_xattrs(target, attributes)
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

    def _note(self, taken: Mapping[str, os.stat_result]) -> None:
        """Record what was copied, as it was before it was copied, and finish the folders copied.

        The copies' own facts are taken last, because making links and files changes those of others.
        """
        records = self._records()
        for path, info in reversed(list(taken.items())):
            if stat.S_ISDIR(info.st_mode):
                self._like(info, path)
        for path, info in taken.items():
            copy = lstat(self.upper, path)
            if copy is not None:
                records[path] = (_facts(info), _copy_facts(copy))
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


def _facts(info: os.stat_result) -> _Facts:
    if stat.S_ISDIR(info.st_mode):
        return [info.st_mode]
    return [info.st_mode, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]


def _copy_facts(info: os.stat_result) -> _Facts:
    if stat.S_ISDIR(info.st_mode):
        return [info.st_mode]
    return [info.st_mode, info.st_ino, info.st_size, info.st_ctime_ns]

"""A copy of a folder as a view of it, where overlays do not work."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence, Set

from llmasos.sandbox.port import ViewKind
from llmasos.sandbox.workspace.changes import Change, Comparison
from llmasos.sandbox.workspace.copies import Copier, Record, copy_facts, facts, is_copied
from llmasos.sandbox.workspace.files import copy_tree, join, too_deep, write_like, write_whole
from llmasos.sandbox.workspace.opening import lstat, open_file
from llmasos.sandbox.workspace.secrets import Secrets


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
        self._known: dict[str, Record] | None = None

    @classmethod
    def make(cls, lower: str, place: str, secrets: Secrets, shift: int) -> None:
        """Copy the folder."""
        os.mkdir(os.path.join(place, "upper"), 0o700)
        cls(lower, place, secrets, shift).refresh(frozenset())

    def refresh(self, own: Set[str]) -> None:
        """Copy what has changed in the folder since, except where the copy was changed too."""
        records = self._records()
        seen: set[str] = set()
        copier = self._copier()
        copier.like(os.stat(self._lower), "")
        pending = [""]
        while pending:
            path = pending.pop()
            with copier.opened(path) as (below, above):
                for here, name, info in copier.entries(path, below):
                    seen.add(here)
                    if stat.S_ISDIR(info.st_mode):
                        pending.append(here)
                    known = records.get(here)
                    if here in own:
                        continue
                    if known is not None and known[0] == facts(info):
                        copier.knows(here, info)
                    else:
                        copier.take(here, name, info, below, above)
        gone = [path for path in sorted(records.keys() - seen, reverse=True) if path not in own]
        for path in gone:
            copier.remove(path)
            records.pop(path)
        copied = copier.finish()
        records |= copied
        if copied or gone:
            self._save()

    def stand_in(self, shown: Mapping[str, bytes]) -> None:
        """Have the copies of files be others than the folder's, without that being a change.

        Args:
            shown: Their contents; those of files that the view changes are left out.
        """
        records = self._records()
        for path, data in shown.items():
            info, there = self._compare.below(path), lstat(self.upper, path)
            known = records.get(path)
            if info is None or there is None or known is None or known[1] != copy_facts(there):
                continue
            with open_file(self.upper, path) as file:
                if file.read() == data:
                    continue
            write_like(self._made, data, info, self._shift)
            os.replace(self._made, os.path.join(self.upper, path))
            records[path] = (known[0], copy_facts(os.lstat(os.path.join(self.upper, path))))
            self._save()

    def copy(self, place: str, own: Set[str]) -> None:
        """Make the same layer at another place, with what it knows of the versions that were copied.

        Raises:
            OSError: It cannot be copied.
        """
        copy_tree(self.upper, os.path.join(place, "upper"))
        other = SnapshotLayer(self._lower, place, self._secrets, self._shift)
        for path, (below, above) in self._records().items():
            here, there = lstat(self.upper, path), lstat(other.upper, path)
            same = here is not None and there is not None and copy_facts(here) == above
            other._records()[path] = (below, copy_facts(there) if same and there is not None else above)
        other._save()

    def changes(self) -> list[Change]:
        """Return what was changed in the copy."""
        records = self._records()
        names: dict[str, set[str]] = {}
        for path in records:
            above, _, name = path.rpartition("/")
            names.setdefault(above, set()).add(name)
        return self._compare.with_other_names(list(self._scan("", records, names, merged=True)))

    def _scan(
        self, path: str, records: dict[str, Record], names: dict[str, set[str]], *, merged: bool
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
            if too_deep(here):
                yield from self._compare.deep(here)
                continue
            same = copied is not None and copied[1] == copy_facts(above)
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
        return copied is None or copied[0] != facts(info)

    def accept(self, paths: Sequence[str]) -> None:
        """Take the folder's present version of these paths for the one that was copied."""
        records = self._records()
        for path in paths:
            info = self._compare.below(path)
            if info is None:
                records.pop(path, None)
            else:
                records[path] = (facts(info), records[path][1] if path in records else [])
        self._save()

    def drop(self, paths: Sequence[str]) -> None:
        """Copy the folder's version of these paths again."""
        # What is not copied any more when this is interrupted has no record yet, and is copied the next time.
        copier = self._copier()
        records = self._records()
        for path in paths:
            if self._compare.below(path) is None:
                records.pop(path, None)
        paths = [
            path for path in paths if path in records or lstat(self.upper, path) or self._compare.below(path)
        ]
        for path in sorted(paths, reverse=True):
            below = self._compare.below(path)
            if below is None or not stat.S_ISDIR(below.st_mode) or not _is_folder(self.upper, path):
                copier.remove(path)
        for path in self._with_folders_above(paths):
            info = self._compare.below(path)
            if info is None or not is_copied(path, info) or self._secrets.hides(path):
                continue
            folder, _, name = path.rpartition("/")
            with copier.opened(folder) as (source, target):
                copier.take(path, name, info, source, target)
        records |= copier.finish()
        self._save()

    def _with_folders_above(self, paths: Sequence[str]) -> list[str]:
        wanted = set(paths)
        for path in paths:
            above = os.path.dirname(path)
            while above and lstat(self.upper, above) is None:
                wanted.add(above)
                above = os.path.dirname(above)
        return sorted(wanted)

    def _copier(self) -> Copier:
        return Copier(self._lower, self.upper, self._made, self._secrets, self._shift)

    def _records(self) -> dict[str, Record]:
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


def _is_folder(root: str, path: str) -> bool:
    info = lstat(root, path)
    return info is not None and stat.S_ISDIR(info.st_mode)

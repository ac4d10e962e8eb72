"""The folders of a person's folder, remembered so that looking again costs a stat of each and no more."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field

from llmasos.sandbox.workspace.files import join, too_deep, write_whole
from llmasos.sandbox.workspace.secrets import Secrets

# A folder that changed this shortly before it was read may change again without a new time.
_SETTLED = 2_000_000_000


@dataclass(frozen=True)
class _Folder:
    stamp: tuple[int, int, int]
    read_at: int
    folders: tuple[str, ...]
    hidden: tuple[str, ...]


@dataclass
class Tree:
    """What is known of the folders below one.

    Args:
        root: The person's folder.
        cache: The file in which it is remembered.
        secrets: What is hidden.
    """

    root: str
    cache: str
    secrets: Secrets
    _folders: dict[str, _Folder] = field(default_factory=dict)
    _loaded: bool = False

    def hidden(self) -> list[str]:
        """Return the relative paths of what is hidden, those of a hidden folder's content left out.

        Folders are read again only where they have changed since. A folder that cannot be read is hidden
        whole, because its owner could open it up inside; so is what is too deep to look into.
        """
        self._load()
        seen: dict[str, _Folder] = {}
        hidden: list[str] = []
        changed = False
        pending = [""]
        while pending:
            path = pending.pop()
            if too_deep(path):
                hidden.append(path)
                continue
            full = os.path.join(self.root, path) if path else self.root
            try:
                info = os.lstat(full)
                stamp = (info.st_ctime_ns, info.st_mtime_ns, info.st_ino)
                known = self._folders.get(path)
                if known is None or known.stamp != stamp or known.read_at - info.st_ctime_ns < _SETTLED:
                    known = self._read(path, full, stamp)
                    changed = True
            except PermissionError:
                hidden.append(path)
                continue
            except (FileNotFoundError, NotADirectoryError):
                continue
            seen[path] = known
            pending.extend(join(path, name) for name in known.folders)
            hidden.extend(join(path, name) for name in known.hidden)
        changed = changed or seen.keys() != self._folders.keys()
        self._folders = seen
        if changed:
            self._save()
        return sorted(hidden)

    def folders(self) -> tuple[str, ...]:
        """Return the folders that are not hidden, as they were when they were last looked at."""
        return tuple(self._folders)

    def changed_since(self, moment: int) -> bool:
        """Tell whether a name came, went or was replaced in any folder after a moment.

        Args:
            moment: A time in ns, as the file system has it.
        """
        if not self._folders:
            self.hidden()
        for path in self._folders:
            try:
                if os.lstat(os.path.join(self.root, path) if path else self.root).st_ctime_ns > moment:
                    return True
            except OSError:
                return True
        return False

    def _read(self, path: str, full: str, stamp: tuple[int, int, int]) -> _Folder:
        folders, hidden = [], []
        now = time.time_ns()
        with os.scandir(full) as entries:
            for entry in entries:
                if self.secrets.match(path, entry.name):
                    hidden.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
        return _Folder(stamp, now, tuple(folders), tuple(hidden))

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        try:
            with open(self.cache, "rb") as file:
                stored = json.loads(file.read())
            if stored["root"] == self.root and stored["rules"] == [list(rule) for rule in self.secrets.rules]:
                self._folders = {
                    path: _Folder((stamp[0], stamp[1], stamp[2]), read_at, tuple(folders), tuple(hidden))
                    for path, (stamp, read_at, folders, hidden) in stored["folders"].items()
                }
        except (OSError, ValueError, KeyError):
            self._folders = {}

    def _save(self) -> None:
        folders = {
            path: (folder.stamp, folder.read_at, folder.folders, folder.hidden)
            for path, folder in self._folders.items()
        }
        stored = {"root": self.root, "rules": self.secrets.rules, "folders": folders}
        write_whole(self.cache, json.dumps(stored).encode())

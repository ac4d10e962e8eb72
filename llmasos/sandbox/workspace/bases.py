"""The versions that a view's changes started from, kept to merge with what others did meanwhile."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Sequence
from itertools import count

from merge3 import Merge3

from llmasos.sandbox.workspace.changes import Change, Layer
from llmasos.sandbox.workspace.files import copy_content, write_whole
from llmasos.sandbox.workspace.git_index import LARGEST
from llmasos.sandbox.workspace.git_view import is_index, same_index
from llmasos.sandbox.workspace.hunks import split
from llmasos.sandbox.workspace.opening import lstat, open_file
from llmasos.sandbox.workspace.removal import remove

_LARGEST = 8_000_000
_HEAD = 8_192


class Bases:
    """Copies of texts as they were when the view first changed them.

    Args:
        lower: The person's folder.
        place: The folder of the view.
    """

    def __init__(self, lower: str, place: str) -> None:
        self._lower = lower
        self._place = os.path.join(place, "base")
        self._index = os.path.join(place, "bases.json")

    def keep(self, changes: Sequence[Change], layer: Layer) -> None:
        """Copy the folder's versions of newly changed texts, as long as they are what the view saw.

        Other paths are noted, so that it is known that the folder had them.
        """
        names = self._names()
        fresh = [change for change in changes if change.kind != "added" and change.path not in names]
        if not fresh:
            return
        os.makedirs(self._place, 0o700, exist_ok=True)
        free = (str(number) for number in count(len(names)))
        for change in fresh:
            if layer.moved_on(change.path):
                continue
            name = next(free)
            while lstat(os.path.join(self._place, name)) is not None:
                name = next(free)
            kept = change.kind == "changed" and not change.blocked and self._copy(change.path, name)
            # Copied while somebody wrote to it, it would be neither version.
            if kept and layer.moved_on(change.path):
                continue
            names[change.path] = name if kept else ""
        write_whole(self._index, json.dumps(names).encode())

    def has(self, path: str) -> bool:
        """Tell whether the folder had a path when the view first changed it."""
        return path in self._names()

    def read(self, path: str) -> tuple[bytes, int] | None:
        """Return the content and the permissions that a change started from, where they were kept."""
        name = self._names().get(path)
        if not name:
            return None
        with open_file(self._place, name) as file:
            return file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode)

    def is_folders(self, path: str) -> bool:
        """Tell whether the folder still has the content that was kept, whatever its times say."""
        kept = self.read(path)
        try:
            with open_file(self._lower, path) as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                now = file.read(_most(path) + 1)
            if kept is None:
                return False
            return kept == (now, mode) or (is_index(path) and same_index(kept[0], now))
        except OSError:
            return False

    def forget(self, paths: Iterable[str]) -> None:
        """Remove what was kept of these paths."""
        names = self._names()
        gone = {path: names.pop(path) for path in set(paths) if path in names}
        if gone:
            write_whole(self._index, json.dumps(names).encode())
        for name in filter(None, gone.values()):
            remove(os.path.join(self._place, name))

    def _copy(self, path: str, name: str) -> bool:
        info = lstat(self._lower, path)
        if info is None or not stat.S_ISREG(info.st_mode) or info.st_size > _most(path):
            return False
        try:
            with open_file(self._lower, path) as reader:
                if not is_index(path) and b"\0" in reader.read(_HEAD):
                    return False
                copy_content(reader, os.path.join(self._place, name))
        except OSError:
            return False
        os.chmod(os.path.join(self._place, name), stat.S_IMODE(info.st_mode) | stat.S_IRUSR)
        return True

    def _names(self) -> dict[str, str]:
        try:
            with open(self._index, "rb") as file:
                names: dict[str, str] = json.loads(file.read())
        except FileNotFoundError:
            return {}
        return names


def _most(path: str) -> int:
    return LARGEST if is_index(path) else _LARGEST


def merge(base: bytes, folder: bytes, view: bytes) -> tuple[str, int] | None:
    """Merge two versions of a text that started from a third.

    Returns:
        The text, with markers where both changed the same, and in how many passages they did; None when one
        of the versions is no text.
    """
    try:
        texts = [data.decode() for data in (base, folder, view)]
    except UnicodeDecodeError:
        return None
    if any("\0" in text for text in texts):
        return None
    merger = Merge3(split(texts[0]), split(texts[1]), split(texts[2]))
    clashes = sum(group[0] == "conflict" for group in merger.merge_groups())
    lines = list(merger.merge_lines(name_a="the folder", name_b="the agent"))
    if clashes:
        lines = [line if line.endswith("\n") else f"{line}\n" for line in lines]
    return "".join(lines), clashes

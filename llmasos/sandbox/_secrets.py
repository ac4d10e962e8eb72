"""Which files are secrets, and the layer of whiteouts that hides them from an overlay."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Sequence

from llmasos.sandbox._files import lstat, remove, set_owner


class _Globs:
    """Globs on a name or, when they hold a slash, on a path's end.

    They match without regard to case: a secret that is hidden needlessly does less harm than one that shows.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        parts = [glob.strip("/").lower().split("/") for glob in globs if glob.strip("/")]
        names = "|".join(fnmatch.translate(part[0]) for part in parts if len(part) == 1)
        self._names = re.compile(names) if names else None
        self._ends = [[re.compile(fnmatch.translate(name)) for name in part] for part in parts if part[1:]]

    def match(self, path: str) -> bool:
        names = path.lower().split("/")
        if self._names is not None and self._names.match(names[-1]):
            return True
        return any(
            len(end) <= len(names)
            and all(glob.match(name) for glob, name in zip(end, names[-len(end) :], strict=True))
            for end in self._ends
        )


class Secrets:
    """Names of files that a view does not show.

    Args:
        hidden: Globs on a name or, when they hold a slash, on a path's end; a folder is hidden whole.
        granted: Globs of what is shown all the same.
    """

    def __init__(self, hidden: Sequence[str] = (), granted: Sequence[str] = ()) -> None:
        self.rules = (tuple(hidden), tuple(granted))
        self._hidden = _Globs(hidden)
        self._granted = _Globs(granted)

    def match(self, path: str) -> bool:
        """Tell whether a path itself is one to hide, whatever lies above it."""
        return self._hidden.match(path) and not self._granted.match(path)

    def hides(self, path: str) -> bool:
        """Tell whether a path, or a folder above it, is one to hide."""
        if not self.rules[0]:
            return False
        names = path.split("/")
        return any(self.match("/".join(names[:count])) for count in range(1, len(names) + 1))


def hiding_layer(lower: str, place: str, hidden: Iterable[str], shift: int) -> bool:
    """Make a layer of whiteouts over what is hidden, with the folders above as the lower side has them.

    Args:
        lower: The person's folder.
        place: Where the layer is made anew.
        hidden: Relative paths.
        shift: What is added to owners.

    Returns:
        Whether anything is hidden.
    """
    remove(place)
    os.mkdir(place, 0o700)
    folders: dict[str, os.stat_result] = {}
    for path in hidden:
        above = ""
        for name in path.split("/")[:-1]:
            above = f"{above}/{name}" if above else name
            if above not in folders:
                os.mkdir(os.path.join(place, above), 0o700)
                folders[above] = os.lstat(os.path.join(lower, above))
        os.mknod(os.path.join(place, path), stat.S_IFCHR | 0o600, 0)
    folders[""] = os.lstat(lower)
    for path, info in reversed(folders.items()):
        target = os.path.join(place, path)
        set_owner(target, info, shift)
        os.chmod(target, stat.S_IMODE(info.st_mode) | 0o700)
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
    return lstat(place) is not None and bool(os.listdir(place))

"""Which files are secrets, and the layer of whiteouts that hides them from an overlay."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence

from llmasos.errors import ConfigError
from llmasos.sandbox.workspace.files import join, set_owner, write_like
from llmasos.sandbox.workspace.opening import lstat
from llmasos.sandbox.workspace.removal import remove

_SPECIAL = re.compile(r"[*?\[]")


class _Globs:
    """Globs on a name or, when they hold a slash, on a path's end.

    They match without regard to case: a secret that is hidden needlessly does less harm than one that shows.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        parts = [glob.strip("/").lower().split("/") for glob in globs if glob.strip("/")]
        names = [part[0] for part in parts if len(part) == 1]
        # Most globs are plain names and endings, which a look-up decides much faster than an expression.
        self._plain = frozenset(name for name in names if not _SPECIAL.search(name))
        self._endings = tuple(name[1:] for name in names if name[0] == "*" and not _SPECIAL.search(name[1:]))
        rest = [name for name in names if _SPECIAL.search(name) and name[1:] not in self._endings]
        self._rest = re.compile("|".join(map(fnmatch.translate, rest))) if rest else None
        ends = [part for part in parts if len(part) > 1]
        self._ends = [[re.compile(fnmatch.translate(name)) for name in end] for end in ends]
        self._last = re.compile("|".join(fnmatch.translate(end[-1]) for end in ends)) if ends else None

    def match(self, folder: str, name: str) -> bool:
        """Tell whether one of the globs matches a name in a folder."""
        low = name.lower()
        if low in self._plain or low.endswith(self._endings):
            return True
        if self._rest is not None and self._rest.match(low):
            return True
        return self._last is not None and bool(self._last.match(low)) and self._ends_so(folder, low)

    def _ends_so(self, folder: str, low: str) -> bool:
        names = [*folder.lower().split("/"), low]
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

    def ungranted(self) -> Secrets:
        """Return the same names with nothing granted."""
        return Secrets(self.rules[0])

    def match(self, folder: str, name: str) -> bool:
        """Tell whether a name in a folder is one to hide by itself, whatever lies above it."""
        return self._hidden.match(folder, name) and not self._granted.match(folder, name)

    def hides(self, path: str) -> bool:
        """Tell whether a path, or a folder above it, is one to hide."""
        return bool(self.topmost(path))

    def topmost(self, path: str) -> str:
        """Return what of a path is to be hidden: a folder above it or itself; nothing when nothing is."""
        if not self.rules[0]:
            return ""
        above = ""
        for name in path.split("/"):
            if self.match(above, name):
                return join(above, name)
            above = join(above, name)
        return ""


def check_grants(globs: Iterable[str]) -> None:
    """Make sure that globs can match a file in a folder.

    Raises:
        ConfigError: One of them names a place elsewhere, or nothing.
    """
    for glob in globs:
        parts = glob.split("/")
        if glob.startswith(("/", "~")) or ".." in parts or not any(parts):
            raise ConfigError(
                f"Code sees only the session's folder, in which {glob!r} names nothing.",
                hint="Name a hidden file by its name or the end of its path, such as .env or config/.env.",
            )


def hiding_layer(
    lower: str, place: str, hidden: Iterable[str], shown: Mapping[str, bytes], shift: int
) -> bool:
    """Make a layer over what is hidden or shown otherwise, with the folders above as the lower side has them.

    Args:
        lower: The person's folder.
        place: Where the layer is made anew.
        hidden: Relative paths, over which whiteouts are laid.
        shown: What the view shows in place of the content of files.
        shift: What is added to owners.

    Returns:
        Whether there is anything in it.
    """
    remove(place)
    os.mkdir(place, 0o700)
    folders: dict[str, os.stat_result] = {}
    for path in (*hidden, *shown):
        above = ""
        for name in path.split("/")[:-1]:
            above = f"{above}/{name}" if above else name
            if above not in folders:
                os.mkdir(os.path.join(place, above), 0o700)
                folders[above] = os.lstat(os.path.join(lower, above))
        if path in shown:
            write_like(os.path.join(place, path), shown[path], os.lstat(os.path.join(lower, path)), shift)
        else:
            os.mknod(os.path.join(place, path), stat.S_IFCHR | 0o600, 0)
    folders[""] = os.lstat(lower)
    for path, info in reversed(folders.items()):
        target = os.path.join(place, path)
        set_owner(target, info, shift)
        os.chmod(target, stat.S_IMODE(info.st_mode) | 0o700)
        os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
    return lstat(place) is not None and bool(os.listdir(place))

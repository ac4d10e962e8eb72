"""An overlay's upper folder: what a view has changed, at the cost of what it has changed."""

from __future__ import annotations

import ctypes
import json
import os
import stat
from collections.abc import Iterator, Sequence, Set

from llmasos.sandbox.port import ViewKind
from llmasos.sandbox.workspace.changes import Change, Comparison
from llmasos.sandbox.workspace.files import (
    copy_tree,
    join,
    mark,
    set_owner,
    set_user_xattrs,
    too_deep,
    user_xattrs,
    writable,
    write_whole,
)
from llmasos.sandbox.workspace.opening import lstat
from llmasos.sandbox.workspace.removal import remove
from llmasos.sandbox.workspace.secrets import Secrets

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class OverlayLayer:
    """The upper folder of an overlay over a person's folder.

    What the view saw of a path is the folder's version unless that has changed since a moment: for most paths
    the moment the view was made, for those that the view had changed at a later refresh an earlier one.

    Args:
        lower: The person's folder.
        place: Where the layer is kept.
        secrets: What the view does not show.
        shift: What is added to owners.
    """

    kind: ViewKind = "overlay"

    def __init__(self, lower: str, place: str, secrets: Secrets, shift: int) -> None:
        self.upper = os.path.join(place, "upper")
        self._lower = lower
        self._place = place
        self._secrets = secrets
        self._shift = shift
        self._compare = Comparison(lower, self.upper, secrets)
        self._known: dict[str, int] | None = None

    @classmethod
    def make(cls, lower: str, place: str, shift: int) -> None:
        """Make an empty upper folder that looks like the person's folder."""
        upper = os.path.join(place, "upper")
        os.mkdir(upper, 0o700)
        info = os.stat(lower)
        set_owner(upper, info, shift)
        os.chmod(upper, stat.S_IMODE(info.st_mode) | 0o700)
        set_user_xattrs(upper, user_xattrs(lower))
        mark(os.path.join(place, "born"))

    def refresh(self, own: Set[str]) -> None:
        """Have the moment of what the view saw be now, except for what it changes."""
        moments, born = self._moments(), self._born()
        kept = {path: moments.get(path, born) for path in own}
        # In this order: a crash in between leaves a moment that is too early, which only refuses more.
        self._keep(kept)
        mark(os.path.join(self._place, "born"))

    def copy(self, place: str, own: Set[str]) -> None:
        """Make the same layer at another place, with the moments at which the view saw what it changes.

        Raises:
            OSError: It cannot be copied.
        """
        copy_tree(self.upper, os.path.join(place, "upper"))
        moments, born = self._moments(), self._born()
        kept = {path: moments.get(path, born) for path in own}
        write_whole(os.path.join(place, "moments.json"), json.dumps(kept).encode())
        mark(os.path.join(place, "born"))

    def changes(self) -> list[Change]:
        """Return what the upper folder changes of the lower one."""
        return self._compare.with_other_names(list(self._scan("", merged=True, opaque=False)))

    def _scan(self, path: str, *, merged: bool, opaque: bool) -> Iterator[Change]:
        """Yield the changes in a folder of the upper side.

        Args:
            path: The folder.
            merged: Whether the lower side has a folder at its place.
            opaque: Whether that folder shows none of its own files.
        """
        names = set()
        for entry in _entries(os.path.join(self.upper, path)):
            names.add(entry.name)
            here = join(path, entry.name)
            above = lstat(entry.path)
            if above is None:
                continue
            below = self._compare.below(here) if merged else None
            if _is_whiteout(above):
                if below is not None:
                    yield from self._compare.deleted(here, below)
            elif too_deep(here):
                yield from self._compare.deep(here)
            elif stat.S_ISDIR(above.st_mode):
                yield from self._compare.folder(here, above, below)
                inner = below is not None and stat.S_ISDIR(below.st_mode)
                hides = opaque or _is_opaque(entry.path)
                yield from self._scan(here, merged=inner, opaque=hides)
            else:
                yield from self._compare.leaf(here, above, below)
        if merged and opaque:
            for name in sorted(set(_names(os.path.join(self._lower, path))) - names):
                below = self._compare.below(join(path, name))
                if below is not None:
                    yield from self._compare.deleted(join(path, name), below)

    def moved_on(self, path: str) -> bool:
        """Tell whether the folder's version of a path changed after the view saw it."""
        info = self._compare.below(path)
        if info is None or stat.S_ISDIR(info.st_mode):
            return False
        moment = self._moments().get(path)
        return info.st_ctime_ns > (self._born() if moment is None else moment)

    def accept(self, paths: Sequence[str]) -> None:
        """Take the folder's present version of these paths for the one that the view saw."""
        moments = self._moments()
        for path in paths:
            info = self._compare.below(path)
            if info is None:
                moments.pop(path, None)
            else:
                moments[path] = info.st_ctime_ns
        self._keep(moments)

    def drop(self, paths: Sequence[str]) -> None:
        """Have the view show the folder's version of these paths."""
        for path in sorted(paths, reverse=True):
            gone = self._compare.below(path) is None and lstat(self.upper, path) is None
            if not gone and self._open_up(path):
                self._drop(path)
        self.accept(paths)

    def _drop(self, path: str) -> None:
        target = os.path.join(self.upper, path)
        info = lstat(self.upper, path)
        below = self._compare.below(path)
        if info is None:
            return
        if not stat.S_ISDIR(info.st_mode) or too_deep(path):
            with writable(os.path.dirname(target)):
                remove(target)
            return
        merged = below is not None and stat.S_ISDIR(below.st_mode)
        if merged and _is_opaque(target):
            self._show(path)
        if not os.listdir(target):
            with writable(os.path.dirname(target)):
                os.rmdir(target)
        elif merged and below is not None:
            os.chmod(target, stat.S_IMODE(below.st_mode))
            set_user_xattrs(target, user_xattrs(os.path.join(self._lower, path)))

    def _open_up(self, path: str) -> bool:
        """Have every folder above a path be one that shows the lower side where it has nothing of its own.

        Returns:
            Whether the upper side has the folders above it.
        """
        above = ""
        for name in path.split("/")[:-1]:
            above = join(above, name)
            target = os.path.join(self.upper, above)
            info = lstat(target)
            below = self._compare.below(above)
            if info is None:
                return False
            if below is None or not stat.S_ISDIR(below.st_mode):
                continue
            if _is_whiteout(info):
                self._reopen(above, below)
            elif not stat.S_ISDIR(info.st_mode):
                return False
            elif _is_opaque(target):
                self._show(above)
        return lstat(self.upper, path) is not None

    def _show(self, path: str) -> None:
        """Turn an opaque folder into one with a whiteout for each file that it hid."""
        target = os.path.join(self.upper, path)
        own = set(_names(target))
        marks = [name for name in _OPAQUE if _has(target, name)]
        for name in own:
            inner = os.path.join(target, name)
            if stat.S_ISDIR(os.lstat(inner).st_mode):
                for mark in marks:
                    os.setxattr(inner, mark, b"y")
        with writable(target):
            for name in set(_names(os.path.join(self._lower, path))) - own:
                if not self._secrets.hides(join(path, name)):
                    os.mknod(os.path.join(target, name), stat.S_IFCHR | 0o600, 0)
            for mark in marks:
                os.removexattr(target, mark)

    def _reopen(self, path: str, below: os.stat_result) -> None:
        """Turn a whiteout over a folder into a folder with a whiteout for each file in it."""
        made = os.path.join(self._place, "reopened")
        remove(made)
        os.mkdir(made, 0o700)
        for name in _names(os.path.join(self._lower, path)):
            if not self._secrets.hides(join(path, name)):
                os.mknod(os.path.join(made, name), stat.S_IFCHR | 0o600, 0)
        set_owner(made, below, self._shift)
        os.chmod(made, stat.S_IMODE(below.st_mode))
        set_user_xattrs(made, user_xattrs(os.path.join(self._lower, path)))
        _exchange(made, os.path.join(self.upper, path))
        os.unlink(made)

    def _born(self) -> int:
        return os.stat(os.path.join(self._place, "born")).st_ctime_ns

    def _moments(self) -> dict[str, int]:
        if self._known is None:
            try:
                with open(os.path.join(self._place, "moments.json"), "rb") as file:
                    self._known = json.loads(file.read())
            except FileNotFoundError:
                self._known = {}
        return dict(self._known or {})

    def _keep(self, moments: dict[str, int]) -> None:
        if moments != self._moments():
            write_whole(os.path.join(self._place, "moments.json"), json.dumps(moments).encode())
            self._known = moments


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return  # A program that still runs has removed it meanwhile.


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_whiteout(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def _is_opaque(folder: str) -> bool:
    return any(_has(folder, name) for name in _OPAQUE)


def _has(folder: str, name: str) -> bool:
    try:
        return os.getxattr(folder, name, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _exchange(one: str, two: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(two), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), two)

"""What a view has changed of a folder, whatever kind of view it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from llmasos.sandbox.port import ViewKind
from llmasos.sandbox.workspace.files import join, same_content, too_deep, user_xattrs
from llmasos.sandbox.workspace.git_view import Sameness, is_index
from llmasos.sandbox.workspace.opening import lstat, open_file, read_link
from llmasos.sandbox.workspace.secrets import Secrets

Kind = Literal["added", "changed", "deleted", "renamed"]
SPECIAL = "a pipe, socket or device, which is never written to the folder"
HIDDEN = "a hidden file lies here, which is never shown, and never written unless it is granted"
DEEP = "the path is too deep, so that what is here is never written to the folder"
FILLED = "the folder here holds files that the view does not show, and stays"


@dataclass(frozen=True)
class Change:
    """One path that differs.

    Args:
        path: Relative, in `os.fsdecode`'s form.
        kind: What became of it.
        source: Where a renamed file came from.
        blocked: Why it can not be committed; empty when it can.
    """

    path: str
    kind: Kind
    source: str = ""
    blocked: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the folder that it concerns."""
        return (self.source, self.path) if self.source else (self.path,)


class Layer(Protocol):
    """A view's changes of a folder, kept apart from it; no sandbox may be open while one is altered."""

    kind: ViewKind
    upper: str

    def refresh(self, own: Set[str]) -> None:
        """Have the view show the folder as it is now, except for what the view changes.

        Args:
            own: The paths that it changes.
        """

    def copy(self, place: str, own: Set[str]) -> None:
        """Make the same layer at another place, with what it knows of the versions that the view saw.

        Args:
            place: The other place.
            own: The paths that the view changes.

        Raises:
            OSError: It cannot be copied.
        """

    def changes(self) -> list[Change]:
        """Return what the view changes, in order of paths; a path is named once, and nothing as renamed."""

    def moved_on(self, path: str) -> bool:
        """Tell whether the folder's version of a path is another than the one that the view saw."""

    def accept(self, paths: Sequence[str]) -> None:
        """Take the folder's present version of these paths for the one that the view saw."""

    def drop(self, paths: Sequence[str]) -> None:
        """Have the view show the folder's version of these paths; doing it twice is harmless."""


class Comparison:
    """Compares single paths of a view with those of the folder.

    Args:
        lower: The person's folder.
        upper: Where the view's version lies.
        secrets: What of the folder the view does not show.
    """

    def __init__(self, lower: str, upper: str, secrets: Secrets) -> None:
        self._lower = lower
        self._upper = upper
        self._secrets = secrets
        memory = os.path.join(os.path.dirname(upper), "indexes.json")
        self._indexes = Sameness(lower, upper, memory, secrets.ungranted().hides)

    def below(self, path: str) -> os.stat_result | None:
        """Return the facts of the folder's version."""
        return lstat(self._lower, path)

    def leaf(self, path: str, above: os.stat_result, below: os.stat_result | None) -> Iterator[Change]:
        """Yield what a path that is no folder in the view changes."""
        blocked = "" if stat.S_ISREG(above.st_mode) or stat.S_ISLNK(above.st_mode) else SPECIAL
        if self._is_over_hidden(path):
            yield Change(path, "added", blocked=HIDDEN)
        elif below is None:
            yield Change(path, "added", blocked=blocked)
        elif stat.S_ISDIR(below.st_mode):
            inner, stays = self._emptied(path)
            blocked = blocked or (FILLED if stays else "")
            # A folder that cannot be replaced keeps what is in it.
            yield from (replace(change, blocked=blocked) for change in inner)
            yield Change(path, "changed", blocked=blocked)
        elif not self._same(path, above, below):
            if not blocked and not stat.S_ISREG(below.st_mode) and not stat.S_ISLNK(below.st_mode):
                blocked = SPECIAL
            yield Change(path, "changed", blocked=blocked)

    def folder(self, path: str, above: os.stat_result, below: os.stat_result | None) -> Iterator[Change]:
        """Yield what a folder of the view changes by itself, without what is in it."""
        if self._is_over_hidden(path):
            yield Change(path, "added", blocked=HIDDEN)
        elif below is None:
            yield Change(path, "added")
        elif not stat.S_ISDIR(below.st_mode) or not self._same_facts(path, above, below):
            yield Change(path, "changed")

    def deep(self, path: str) -> Iterator[Change]:
        """Yield a path of the view that is too deep to be told apart from the folder's, or to look into."""
        yield Change(path, "added", blocked=DEEP)

    def deleted(self, path: str, below: os.stat_result) -> Iterator[Change]:
        """Yield a path that the view no longer has, with what is below it.

        What the view does not show is not deleted with the folder that holds it.
        """
        yield from self._deleted(path, below)[0]

    def with_other_names(self, changes: list[Change]) -> list[Change]:
        """Return the changes in order, with the files that only became one file with one of them."""
        groups: dict[tuple[int, int], set[str]] = {}
        counts: dict[tuple[int, int], int] = {}
        for change in changes:
            info = lstat(self._upper, change.path)
            if info is not None and stat.S_ISREG(info.st_mode) and info.st_nlink > 1:
                file = (info.st_dev, info.st_ino)
                groups.setdefault(file, set()).add(change.path)
                counts[file] = info.st_nlink
        open_groups = {file for file, paths in groups.items() if len(paths) < counts[file]}
        known = {change.path for change in changes}
        found = [Change(path, "changed") for path in self._names(open_groups) if path not in known]
        return sorted(changes + found, key=lambda change: change.path)

    def _is_over_hidden(self, path: str) -> bool:
        """Tell whether a path is, or lies in, something of the folder that the view does not show."""
        hidden = self._secrets.topmost(path)
        return bool(hidden) and self.below(hidden) is not None

    def _names(self, wanted: set[tuple[int, int]]) -> Iterator[str]:
        if not wanted:
            return
        for here, folders, names in os.walk(self._upper):
            above = "" if here == self._upper else os.path.relpath(here, self._upper)
            folders[:] = [name for name in folders if not too_deep(join(above, name))]
            for name in names:
                info = lstat(os.path.join(here, name))
                if info is not None and (info.st_dev, info.st_ino) in wanted:
                    yield join(above, name)

    def _deleted(self, path: str, below: os.stat_result) -> tuple[list[Change], bool]:
        if self._secrets.hides(path) or too_deep(path):
            return [], True
        if not stat.S_ISDIR(below.st_mode):
            special = not stat.S_ISREG(below.st_mode) and not stat.S_ISLNK(below.st_mode)
            return ([], True) if special else ([Change(path, "deleted")], False)
        inner, stays = self._emptied(path)
        return (inner, True) if stays else ([Change(path, "deleted"), *inner], False)

    def _emptied(self, path: str) -> tuple[list[Change], bool]:
        changes: list[Change] = []
        stays = False
        try:
            names = sorted(os.listdir(os.path.join(self._lower, path)))
        except PermissionError:
            return [], True
        for name in names:
            info = self.below(join(path, name))
            if info is not None:
                inner, kept = self._deleted(join(path, name), info)
                changes += inner
                stays = stays or kept
        return changes, stays

    def _same_facts(self, path: str, above: os.stat_result, below: os.stat_result) -> bool:
        return above.st_mode == below.st_mode and user_xattrs(os.path.join(self._upper, path)) == user_xattrs(
            os.path.join(self._lower, path)
        )

    def _same(self, path: str, above: os.stat_result, below: os.stat_result) -> bool:
        if stat.S_IFMT(above.st_mode) != stat.S_IFMT(below.st_mode):
            return False
        if stat.S_ISLNK(above.st_mode):
            return read_link(self._lower, path) == read_link(self._upper, path)
        if not stat.S_ISREG(above.st_mode):
            return False
        if is_index(path) and self._indexes.holds(path):
            return True
        if above.st_size != below.st_size or not self._same_facts(path, above, below):
            return False
        try:
            with open_file(self._lower, path) as one_file, open_file(self._upper, path) as two_file:
                return same_content(one_file, two_file)
        except OSError:
            return False

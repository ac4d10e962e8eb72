"""Which of a view's changes a person chose, with those that cannot be had apart from them."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmasos.errors import WorkspaceError, command
from llmasos.events import display
from llmasos.sandbox.workspace.changes import Change
from llmasos.sandbox.workspace.diff import sides, texts
from llmasos.sandbox.workspace.hunks import Selection, read_hunks
from llmasos.sandbox.workspace.opening import lstat
from llmasos.sandbox.workspace.renames import with_renames


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Args:
        changes: In order of paths.
        hunks: The numbers chosen, for files of which only some hunks are.
        left: Paths that would have been chosen, but can not be committed.
    """

    changes: tuple[Change, ...]
    hunks: dict[str, frozenset[int]] = field(default_factory=dict)
    left: tuple[str, ...] = ()


def choose(
    changes: Sequence[Change],
    selection: Sequence[str | Selection] | None,
    lower: str,
    upper: str,
    *,
    commit: bool,
) -> Choice:
    """Return what a selection stands for.

    A folder stands for all below it, a renamed file for both its names, and a path that became a folder, or
    was one, for what is below it too. A commit of a new file has the new folders above it as well.

    Args:
        changes: All changes of the view.
        selection: Paths and hunks; None stands for everything.
        lower: The person's folder.
        upper: The view's version of it.
        commit: Whether it is to be committed, so that what can not be is left out.

    Raises:
        WorkspaceError: A path or a hunk is not among the changes, or can not be committed.
    """
    wanted = {change.path for change in changes}
    hunks: dict[str, frozenset[int]] = {}
    if selection is not None:
        picked = [Selection(path=one) if isinstance(one, str) else one for one in selection]
        wanted = set()
        families = _families(changes)
        for one in picked:
            found, numbers = _resolve(changes, families, one, lower, upper)
            wanted |= found
            if numbers is not None:
                hunks[next(iter(found))] = numbers
        if commit:
            named = {os.path.normpath(one.path) for one in picked}
            for change in changes:
                if change.path in named and change.blocked:
                    raise WorkspaceError(
                        f"{display(change.path)} can not be committed: {change.blocked}.",
                        hint=f"Drop it ({command('discard', 'PATH')}), then commit the rest.",
                    )
        wanted |= {path for path in _renamed(changes, wanted, lower, upper) if path not in hunks}
        wanted |= _coupled(changes, families, wanted, lower, upper)
        if commit:
            wanted |= {
                change.path
                for change in changes
                if change.kind == "added" and not wanted.isdisjoint(families[change.path])
            }
    chosen = [change for change in changes if change.path in wanted]
    if not commit:
        return Choice(tuple(chosen), hunks)
    able = tuple(change for change in chosen if not change.blocked)
    return Choice(able, hunks, tuple(change.path for change in chosen if change.blocked))


def _families(changes: Sequence[Change]) -> dict[str, set[str]]:
    """Return for each path, and each folder above one, what of the changes is it or lies below it."""
    families: dict[str, set[str]] = {".": {change.path for change in changes}}
    for change in changes:
        above = change.path
        while above:
            families.setdefault(above, set()).add(change.path)
            above = os.path.dirname(above)
    return families


def _resolve(
    changes: Sequence[Change], families: dict[str, set[str]], one: Selection, lower: str, upper: str
) -> tuple[set[str], frozenset[int] | None]:
    path = os.path.normpath(one.path)
    found = families.get(path, set())
    if not found:
        raise WorkspaceError(
            f"{display(one.path)} is not among the changes.", hint=f"{command('diff')}, lists them."
        )
    if one.hunks is None:
        return found, None
    change = next((change for change in changes if change.path == path), None)
    both = texts(*sides(change, lower, upper)) if change is not None else None
    if change is None or change.kind != "changed" or both is None or len(found) > 1:
        raise WorkspaceError(f"{display(path)} has no hunks to choose from.", hint="Choose it as a whole.")
    known = {hunk.number for hunk in read_hunks(*both)}
    missing = set(one.hunks) - known
    if missing or not one.hunks:
        raise WorkspaceError(
            f"{display(path)} has the hunks 1 to {len(known)}, not {', '.join(map(str, sorted(missing)))}.",
            hint=f"{command('diff')}, shows them.",
        )
    return found, None if known == set(one.hunks) else frozenset(one.hunks)


def _renamed(changes: Sequence[Change], wanted: set[str], lower: str, upper: str) -> set[str]:
    """Return both names of the renamed files of which one name is chosen."""
    pairs = (change.paths for change in with_renames(changes, lower, upper) if change.source)
    return {path for pair in pairs if wanted.intersection(pair) for path in pair}


def _coupled(
    changes: Sequence[Change], families: dict[str, set[str]], wanted: set[str], lower: str, upper: str
) -> set[str]:
    """Return all below the paths that are a folder on one side only, if any of it is chosen."""
    found: set[str] = set()
    for change in changes:
        chosen = change.kind == "changed" and not wanted.isdisjoint(families[change.path])
        if chosen and _is_folder(lower, change.path) != _is_folder(upper, change.path):
            found |= families[change.path]
    return found


def _is_folder(root: str, path: str) -> bool:
    info = lstat(root, path)
    return info is not None and stat.S_ISDIR(info.st_mode)

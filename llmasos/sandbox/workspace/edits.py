"""What a session's view changes of a folder: found, chosen, committed, merged and dropped."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from llmasos.errors import ConflictError, WorkspaceError, command
from llmasos.events import display
from llmasos.sandbox.workspace.bases import Bases
from llmasos.sandbox.workspace.changes import Change, Layer
from llmasos.sandbox.workspace.choice import Choice, choose
from llmasos.sandbox.workspace.commits import Commit, Commits
from llmasos.sandbox.workspace.conflicts import Merged, in_conflict, merge_change
from llmasos.sandbox.workspace.diff import sides, texts
from llmasos.sandbox.workspace.git_view import is_index
from llmasos.sandbox.workspace.hunks import Selection, mix, read_hunks
from llmasos.sandbox.workspace.opening import lstat
from llmasos.sandbox.workspace.renames import with_renames
from llmasos.sandbox.workspace.views import Views


class Edits:
    """The changes of one session.

    Args:
        folder: The person's folder.
        views: The session's view.
        bases: What the changes started from.
        commits: What was written to the folder.
    """

    def __init__(self, folder: str, views: Views, bases: Bases, commits: Commits) -> None:
        self._lower = folder
        self._views = views
        self._bases = bases
        self._commits = commits

    @property
    def upper(self) -> str:
        """The view's version of the folder."""
        layer = self._views.layer()
        return self._lower if layer is None else layer.upper

    def changes(self, *, renames: bool = False) -> list[Change]:
        """Return the changes, and keep what newly changed texts started from.

        Args:
            renames: Whether to find out which files moved.
        """
        layer = self._views.layer()
        if layer is None:
            return []
        changes = layer.changes()
        self._bases.keep(changes, layer)
        return with_renames(changes, self._lower, layer.upper) if renames else changes

    def changed_at(self, change: Change) -> int:
        """Return when a change was last made, in ns."""
        info = lstat(self.upper, change.path)
        return 0 if info is None else info.st_mtime_ns

    def texts(self, path: str) -> tuple[str, str]:
        """Return a text before and after its change.

        Raises:
            WorkspaceError: The path is no change, or is no text.
        """
        both = texts(*sides(self._one(path), self._lower, self.upper))
        if both is None:
            raise WorkspaceError(f"{display(path)} is no text.", hint="Choose it as a whole.")
        return both

    def merged(self, path: str) -> Merged:
        """Return a text that both changed, merged.

        Raises:
            WorkspaceError: It cannot be merged.
        """
        return merge_change(self._one(path), self._lower, self.upper, self._bases)

    def commit(self, selection: Sequence[str | Selection] | None, *, merge: bool) -> Commit:
        """Write changes to the folder.

        Args:
            selection: What to commit; None stands for everything.
            merge: Merge texts that were also changed in the folder.

        Raises:
            ConflictError: Files changed underneath, and were not or could not be merged.
            WorkspaceError: Nothing changed, a path is no change, or the folder cannot be written.
        """
        layer = self._own_layer()
        choice = self._choose(selection, commit=True)
        if not choice.changes:
            blocked = f"What the view changes can not be committed: {command('diff')}, says why."
            raise WorkspaceError(
                "There is nothing to commit.",
                hint=blocked if choice.left else f"{command('diff')}, shows what would change.",
            )
        contents = {
            path: mix(*self.texts(path), set(numbers)).encode() for path, numbers in choice.hunks.items()
        }
        conflicts = [change for change in choice.changes if in_conflict(change, layer, self._bases)]
        merged = self._merge(conflicts, choice, layer) if merge else {}
        refused = tuple(change.path for change in conflicts if change.path not in merged)
        if refused:
            raise ConflictError(refused)
        contents |= {path: one.text.encode() for path, one in merged.items()}
        modes = {path: one.mode for path, one in merged.items()}
        for change in choice.changes:
            if change.kind == "changed" and is_index(change.path):
                index = self._views.returned_index(change.path)
                contents |= {} if index is None else {change.path: index}
        return self._commits.make(choice, contents, modes, layer.upper)

    def resolve(self, path: str, text: str) -> None:
        """Make a text the view's version of a path, as one that has taken in what the folder has now.

        Raises:
            WorkspaceError: The path is no change.
        """
        layer = self._own_layer()
        change = self._one(path)
        self._views.rewrite(change.path, text)
        self._bases.forget([change.path])
        layer.accept([change.path])
        self._bases.keep(layer.changes(), layer)

    def discard(self, selection: Sequence[str | Selection] | None) -> None:
        """Drop changes from the view.

        Args:
            selection: What to drop; None stands for everything.

        Raises:
            WorkspaceError: A path is no change.
        """
        layer = self._own_layer()
        if selection is None:
            paths = [change.path for change in layer.changes()]
            self._views.reset(paths)
            self._bases.forget(paths)
            return
        choice = self._choose(selection, commit=False)
        rewritten = {}
        for path, numbers in choice.hunks.items():
            both = self.texts(path)
            kept = {hunk.number for hunk in read_hunks(*both)} - set(numbers)
            rewritten[path] = mix(*both, kept)
        paths = [change.path for change in choice.changes if change.path not in rewritten]
        self._views.drop(paths, rewritten)
        self._bases.forget(paths)
        if not layer.changes():
            self._views.reset([])

    def _merge(self, conflicts: Sequence[Change], choice: Choice, layer: Layer) -> dict[str, Merged]:
        """Return what could be merged without a clash.

        Raises:
            ConflictError: Only some hunks of a text are chosen, which are counted against what the folder has
                now, not against what both started from.
        """
        parts = tuple(change.path for change in conflicts if change.path in choice.hunks)
        if parts:
            names = ", ".join(map(display, parts))
            raise ConflictError(
                parts,
                f"Some hunks of {names} cannot be merged without the others with what the folder has now.",
                hint=f"Drop the other hunks first ({command('discard', 'PATH:HUNKS')}), "
                f"then merge the whole ({command('commit', '--merge PATH')}).",
            )
        found = {}
        for change in conflicts:
            with contextlib.suppress(WorkspaceError):
                merged = merge_change(change, self._lower, layer.upper, self._bases)
                if not merged.clashes:
                    found[change.path] = merged
        return found

    def _own_layer(self) -> Layer:
        layer = self._views.layer()
        if layer is None and self._views.kind() == "in-place":
            raise WorkspaceError(
                "This session works on the folder itself: what it writes is there already.",
                hint="Start a session without --in-place to see changes before they are made.",
            )
        if layer is None:
            raise WorkspaceError("There are no changes.", hint=f"{command('diff')}, shows what would change.")
        return layer

    def _one(self, path: str) -> Change:
        wanted = os.path.normpath(path)
        for change in self.changes(renames=True):
            if change.path == wanted:
                return change
        raise WorkspaceError(
            f"{display(path)} is not among the changes.", hint=f"{command('diff')}, lists them."
        )

    def _choose(self, selection: Sequence[str | Selection] | None, *, commit: bool) -> Choice:
        return choose(self.changes(), selection, self._lower, self.upper, commit=commit)
